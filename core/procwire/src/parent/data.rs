use forebay_core_frame::{Decoder, Event as Frame};

use crate::calls::{Calls, Entry, Handle};
use crate::{
    EventId, Header, HeaderError, MaxPayload, MethodId, RequestId, ResponseKind, ResponseType,
    ToParent,
};

/// A request that expects an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct NewCall {
    /// The method, by the id that the child announced.
    pub method: MethodId,
    /// Which answers settle it.
    pub expect: Expect,
    /// What the caller wants to be told with every frame of the answer.
    pub key: u64,
}

/// Which answers a request takes; others are dropped and counted (procwire sections 5.4 to 5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the answers of procwire section 5")]
pub enum Expect {
    /// A result or an error.
    #[default]
    Result,
    /// An acknowledgement, a full result in its place, or an error.
    Ack,
    /// Chunks and an end, or an error with or without the stream flag.
    Stream,
    /// What a stream takes, or one full result in its place.
    StreamOrResult,
}

/// An element of the storage for requests that wait for their answer.
pub type PendingEntry = Entry<PendingState>;

/// What a session knows about one request.
#[derive(Debug, Clone, Copy, Default)]
pub struct PendingState {
    key: u64,
    expect: Expect,
    aborted: bool,
    /// The request whose ABORT leaves after this one's.
    next_abort: Option<Handle>,
}

/// What one call to `handle_bytes` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its three members are what a step is")]
pub struct Step<'i> {
    /// Bytes at the front of the input that the caller may discard once it has used the event,
    /// whose own bytes are always the last of them.
    pub used: usize,
    /// Bytes at least that must still arrive before the frame underway is complete.
    pub need: usize,
    /// What arrived; `None` when more bytes are needed.
    pub event: Option<Event<'i>>,
}

/// Something that the child sent and that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must act on each of them")]
pub enum Event<'i> {
    /// A frame whose payload lies wholly inside the input.
    Frame {
        /// Where it belongs.
        source: Source,
        /// The whole payload; empty for the end of a stream.
        payload: &'i [u8],
    },
    /// A frame whose payload arrives in parts, which follow before any other event of this
    /// connection; none follow any more once its request is aborted.
    Start {
        /// Where it belongs.
        source: Source,
        /// Bytes of the whole payload, checked against the limit.
        payload_len: u32,
    },
    /// The next bytes of a payload, at least one.
    Part {
        /// Where they belong.
        source: Source,
        /// Bytes of this payload before these.
        offset: u32,
        /// Payload bytes.
        bytes: &'i [u8],
        /// Whether the frame is complete with them.
        last: bool,
    },
}

/// Where a frame of the child belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a child answers, or tells by itself")]
pub enum Source {
    /// An answer. With the last byte of a final one the request has ended.
    Response {
        /// The request.
        request: RequestId,
        /// What the caller gave with it.
        key: u64,
        /// Which answer, one that the request takes.
        kind: ResponseKind,
    },
    /// An event, announced or not.
    Event(EventId),
}

/// Frames that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Answers to requests that are unknown, have ended or were aborted: normal after an abort.
    pub late: u64,
    /// Answers of a kind that their request does not take, and frames that mean nothing.
    pub ignored: u64,
}

/// The receiving half of a parent's session: decoder, table of requests, routing.
#[derive(Debug, Clone)]
pub(super) struct Incoming<P> {
    decoder: Decoder<Header>,
    pending: Calls<P, PendingState>,
    next: RequestId,
    receiving: Option<Receiving>,
    first_abort: Option<Handle>,
    last_abort: Option<Handle>,
    /// Where [`take_lost`](Self::take_lost) goes on.
    lost_from: usize,
    pub(super) counters: Counters,
}

#[derive(Debug, Clone, Copy)]
struct Receiving {
    source: Source,
    pending: Option<Handle>,
}

impl<P: AsRef<[PendingEntry]> + AsMut<[PendingEntry]>> Incoming<P> {
    pub(super) fn new(max_payload: MaxPayload, pending: P) -> Self {
        Self {
            decoder: Decoder::new(max_payload),
            pending: Calls::new(pending),
            next: RequestId::FIRST,
            receiving: None,
            first_abort: None,
            last_abort: None,
            lost_from: 0,
            counters: Counters::default(),
        }
    }

    pub(super) fn pending_count(&self) -> usize {
        self.pending.count()
    }

    pub(super) fn has_room(&self) -> bool {
        self.pending.has_room()
    }

    pub(super) fn is_boundary(&self) -> bool {
        self.decoder.is_boundary()
    }

    /// The id that the next request gets: the first at or behind the last one that is not pending
    /// (procwire section 4.3).
    pub(super) fn free_id(&mut self) -> RequestId {
        while self.pending.find(self.next.value()).is_some() {
            self.next = self.next.next();
        }
        self.next
    }

    /// Adds a request under the id of [`free_id`](Self::free_id); the caller saw that there is
    /// room.
    pub(super) fn insert(&mut self, request: RequestId, call: NewCall) {
        let state = PendingState { key: call.key, expect: call.expect, ..PendingState::default() };
        let inserted = self.pending.insert(request.value(), state);
        debug_assert!(inserted.is_some());
        self.next = request.next();
    }

    pub(super) fn handle_bytes<'i>(&mut self, input: &'i [u8]) -> Result<Step<'i>, HeaderError> {
        let mut used = 0_usize;
        loop {
            let step = self.decoder.decode(input.get(used..).unwrap_or(&[]))?;
            used = used.saturating_add(step.used);
            let need = step.need;
            let Some(frame) = step.event else {
                return Ok(Step { used, need, event: None });
            };
            let event = match frame {
                Frame::Frame { header, payload } => self.handle_frame(&header, payload),
                Frame::Start { header } => self.handle_start(&header),
                Frame::Part { offset, bytes, last, .. } => self.handle_part(offset, bytes, last),
            };
            if event.is_some() {
                return Ok(Step { used, need, event });
            }
        }
    }

    /// Marks a request as given up and queues its ABORT. Returns its key, once.
    pub(super) fn abort(&mut self, request: RequestId) -> Option<u64> {
        let handle = self.pending.find(request.value())?;
        let state = self.pending.get_mut(handle).filter(|state| !state.aborted)?;
        state.aborted = true;
        let key = state.key;
        // The last one may have left already: then this is the first.
        match self.last_abort.replace(handle).and_then(|last| self.pending.get_mut(last)) {
            Some(last) => last.next_abort = Some(handle),
            None => self.first_abort = Some(handle),
        }
        Some(key)
    }

    /// The oldest request whose ABORT has not left yet.
    pub(super) fn first_abort(&self) -> Option<RequestId> {
        self.pending.id(self.first_abort?).and_then(RequestId::new)
    }

    /// The ABORT of [`first_abort`](Self::first_abort) leaves: its id is free again.
    pub(super) fn finish_abort(&mut self) {
        let Some(handle) = self.first_abort else { return };
        self.first_abort = self.pending.remove(handle).and_then(|state| state.next_abort);
    }

    /// The key of a request that was lost with the connection, each once; `None` after the last.
    pub(super) fn take_lost(&mut self) -> Option<(RequestId, u64)> {
        loop {
            let (next, handle) = self.pending.next_live(self.lost_from)?;
            self.lost_from = next;
            let request = self.pending.id(handle).and_then(RequestId::new);
            let state = self.pending.remove(handle)?;
            if !state.aborted {
                return Some((request?, state.key));
            }
        }
    }

    fn handle_frame<'i>(&mut self, header: &Header, payload: &'i [u8]) -> Option<Event<'i>> {
        let Receiving { source, pending } = self.route(header)?;
        let Source::Response { kind, .. } = source else {
            return Some(Event::Frame { source, payload });
        };
        if kind.is_final() {
            self.pending.remove(pending?);
        }
        let payload = if kind == ResponseKind::End { &[] } else { payload };
        Some(Event::Frame { source, payload })
    }

    fn handle_start(&mut self, header: &Header) -> Option<Event<'static>> {
        self.receiving = None;
        let receiving = self.route(header)?;
        let source = receiving.source;
        if let Source::Response { kind: ResponseKind::End, .. } = source {
            // A payload of an end is skipped (procwire section 5.7).
            self.pending.remove(receiving.pending?);
            return Some(Event::Frame { source, payload: &[] });
        }
        self.receiving = Some(receiving);
        Some(Event::Start { source, payload_len: header.payload_len })
    }

    fn handle_part<'i>(&mut self, offset: usize, bytes: &'i [u8], last: bool) -> Option<Event<'i>> {
        let Receiving { source, pending } = self.receiving?;
        if let Source::Response { kind, .. } = source {
            let state = self.pending.get(pending?)?;
            if state.aborted {
                return None;
            }
            if last && kind.is_final() {
                self.pending.remove(pending?);
            }
        }
        let offset = u32::try_from(offset).ok()?;
        Some(Event::Part { source, offset, bytes, last })
    }

    /// Finds out where a frame belongs; counts it if nowhere.
    fn route(&mut self, header: &Header) -> Option<Receiving> {
        let (request, kind) = match ToParent::of(header) {
            ToParent::Event(event) => {
                return Some(Receiving { source: Source::Event(event), pending: None });
            }
            ToParent::Ignored => {
                self.counters.ignored = self.counters.ignored.saturating_add(1);
                return None;
            }
            ToParent::Response { request, kind } => (request, kind),
        };
        let handle = self.pending.find(request.value());
        let state = handle.and_then(|handle| self.pending.get(handle));
        let Some(state) = state.filter(|state| !state.aborted) else {
            self.counters.late = self.counters.late.saturating_add(1);
            return None;
        };
        if !state.expect.takes(kind) {
            self.counters.ignored = self.counters.ignored.saturating_add(1);
            return None;
        }
        let source = Source::Response { request, key: state.key, kind };
        Some(Receiving { source, pending: handle })
    }
}

impl Expect {
    /// What a method that announces this response type takes; `None` where nothing is answered.
    #[must_use]
    pub const fn of(response: ResponseType) -> Option<Self> {
        match response {
            ResponseType::Result => Some(Self::Result),
            ResponseType::Ack => Some(Self::Ack),
            ResponseType::Stream => Some(Self::Stream),
            ResponseType::None => None,
        }
    }

    /// Whether an answer of this kind settles or continues the request.
    #[must_use]
    pub const fn takes(self, kind: ResponseKind) -> bool {
        match kind {
            ResponseKind::Error => true,
            ResponseKind::Result => match self {
                Self::Result | Self::Ack | Self::StreamOrResult => true,
                Self::Stream => false,
            },
            ResponseKind::Ack => matches!(self, Self::Ack),
            ResponseKind::Chunk | ResponseKind::End | ResponseKind::StreamError => match self {
                Self::Stream | Self::StreamOrResult => true,
                Self::Result | Self::Ack => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(key: u64) -> NewCall {
        let method = MethodId::new(1).unwrap();
        NewCall { method, expect: Expect::Result, key }
    }

    /// Section 4.3: after the last id comes 1, and an id that is still pending is passed over,
    /// also while it only waits for its ABORT to leave.
    #[test]
    fn a_wrapped_id_passes_over_those_still_pending() {
        let mut incoming = Incoming::new(MaxPayload::DEFAULT, [PendingEntry::default(); 8]);
        for key in 1..=3 {
            let request = incoming.free_id();
            assert_eq!(u64::from(request.value()), key);
            incoming.insert(request, call(key));
        }
        incoming.abort(RequestId::FIRST);
        incoming.next = RequestId::new(u32::MAX).unwrap();
        for expected in [u32::MAX, 4, 5] {
            let request = incoming.free_id();
            assert_eq!(request.value(), expected);
            incoming.insert(request, call(9));
        }
        incoming.finish_abort();
        incoming.next = RequestId::new(u32::MAX).unwrap();
        assert_eq!(incoming.free_id(), RequestId::FIRST);
    }
}
