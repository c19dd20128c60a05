use forebay_core_frame::{Decoder, Event as Frame, HeaderRing, Loan, NotLent, Slot};

use crate::calls::{Calls, Entry, Handle};
use crate::child::answers::{Answer, Answers};
use crate::outgoing::{Head, transmit};
use crate::{
    Body, EventId, Flags, Header, MaxPayload, MethodId, PeerError, RequestId, ResponseType,
    SLOT_LEN, SendError, ToChild, Transmit,
};

/// The adopted data connection of a child: requests in, answers and events out.
///
/// # Driving it
/// One mutation, then drain: after every `handle_*` call, call [`poll_transmit`] until it gives
/// nothing, and write what it and the sending calls hand out, in that order. Feed
/// [`handle_bytes`] with the rest of the input until its event is `None`; then, if
/// [`wants_read`] is false, wait for a send to complete before feeding the same bytes again,
/// else read more.
///
/// Every request that expects an answer gets exactly one final frame: [`send`] and [`close`] see
/// to it with the call's handle, which ends with that frame.
///
/// [`poll_transmit`]: Self::poll_transmit
/// [`handle_bytes`]: Self::handle_bytes
/// [`wants_read`]: Self::wants_read
/// [`send`]: Self::send
/// [`close`]: Self::close
#[derive(Debug, Clone)]
pub struct ChildSession<M, C, L> {
    config: Config,
    methods: M,
    calls: Calls<C, CallState>,
    /// Calls in flight that count against the limit.
    counted: u32,
    decoder: Decoder<Header>,
    /// The call whose payload is being received in parts; `None` while one is skipped.
    receiving: Option<Call>,
    ring: HeaderRing<L>,
    answers: Answers,
    open: bool,
    /// Where [`poll_lost`](Self::poll_lost) goes on.
    lost_from: usize,
}

/// Limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Longest payload taken from the parent.
    pub max_payload: MaxPayload,
    /// Most calls in flight; a request over it is answered by an error. Calls of methods that do
    /// not count have the rest of the storage for themselves.
    pub max_concurrency: u32,
    /// How many events were announced; their ids are 1 to this.
    pub event_count: u16,
}

/// What a session keeps its state in. All of it belongs to the caller.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Storage<M, C, L> {
    /// The methods in the order of their ids, which start at 1.
    pub methods: M,
    /// One entry for each call in flight.
    pub calls: C,
    /// One loan for each frame that is not sent yet.
    pub loans: L,
}

/// A method as the session has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Method {
    /// How it answers.
    pub response: ResponseType,
    /// Whether its calls count against [`Config::max_concurrency`].
    pub counted: bool,
}

/// An element of the storage for calls.
pub type CallEntry = Entry<CallState>;

/// What a session knows about one call.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallState {
    /// 0 only in a free entry.
    method: u16,
    /// Nobody waits for its answer.
    aborted: bool,
}

/// A call in flight. Ends with its final frame; a handle used later is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call(Handle);

/// What one call to [`ChildSession::handle_bytes`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its three members are what a step is")]
pub struct Step<'i> {
    /// Bytes at the front of the input that the caller may discard once it has used the event,
    /// whose own bytes are always the last of them.
    pub used: usize,
    /// Bytes at least that must still arrive before the frame underway is complete.
    pub need: usize,
    /// What happened; `None` when more bytes are needed, or room for answers.
    pub event: Option<Event<'i>>,
}

/// Something that the parent's bytes caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must act on each of them")]
pub enum Event<'i> {
    /// A call whose payload lies wholly inside the input.
    Request {
        /// The handle to answer it by.
        call: Call,
        /// The method called, one of those announced.
        method: MethodId,
        /// The whole payload.
        payload: &'i [u8],
    },
    /// A call whose payload arrives in parts, which follow before any other event of this
    /// connection; none follow any more once the call is ended early.
    Start {
        /// The handle to answer it by.
        call: Call,
        /// The method called, one of those announced.
        method: MethodId,
        /// Bytes of the whole payload, checked against the limit, not to be trusted otherwise.
        payload_len: u32,
    },
    /// The next bytes of a payload, at least one.
    Part {
        /// The call they belong to.
        call: Call,
        /// Bytes of this payload before these.
        offset: u32,
        /// Payload bytes.
        bytes: &'i [u8],
        /// Whether the request is complete with them.
        last: bool,
    },
    /// The parent gave the call up: cancel its handler, then [`close`](ChildSession::close) it.
    Abort {
        /// A call that has not ended.
        call: Call,
    },
    /// A request was answered by an error here, without a call; its payload is skipped. A
    /// request without an id is only dropped.
    Refused {
        /// The method called.
        method: MethodId,
        /// Why.
        reason: Refusal,
    },
}

/// Why a request was refused without a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each has its own answer")]
pub enum Refusal {
    /// No method has this id (procwire section 5.3).
    UnknownMethod,
    /// As many calls are in flight as allowed (procwire section 6).
    Overload,
}

/// An answer, or a piece of one, that a handler gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of procwire section 5.1")]
pub enum Reply {
    /// The value of a `result` method. Never empty with MessagePack: send nil (section 5.4).
    Result,
    /// The acknowledgement of an `ack` method. Never empty with MessagePack (section 5.5).
    Ack,
    /// One chunk of a `stream` method.
    Chunk,
    /// The end of a stream; its body is empty.
    End,
    /// An error instead of, or in the middle of, the answer: a MessagePack string or a map with
    /// `message`, never empty (section 5.6).
    Error,
}

impl<M, C, L> ChildSession<M, C, L>
where
    M: AsRef<[Method]>,
    C: AsRef<[CallEntry]> + AsMut<[CallEntry]>,
    L: AsRef<[Loan]> + AsMut<[Loan]>,
{
    /// A session for a connection that was just adopted.
    #[must_use]
    pub fn new(config: Config, storage: Storage<M, C, L>) -> Self {
        Self {
            config,
            methods: storage.methods,
            calls: Calls::new(storage.calls),
            counted: 0,
            decoder: Decoder::new(config.max_payload),
            receiving: None,
            ring: HeaderRing::new(storage.loans, SLOT_LEN),
            answers: Answers::new(),
            open: true,
            lost_from: 0,
        }
    }

    /// Makes room for `additional` more calls in storage that can grow; calls that have not ended
    /// keep their handles.
    ///
    /// # Bound
    /// One step for each call that there is room for.
    pub fn grow(&mut self, additional: usize)
    where
        C: Extend<CallEntry>,
    {
        self.calls.grow(additional);
    }

    /// How many calls there is room for, of those that count and those that do not together.
    #[must_use]
    pub fn call_capacity(&self) -> usize {
        self.calls.capacity()
    }

    /// Bytes of memory for header slots that every sending call must be given.
    #[must_use]
    pub fn slots_len(&self) -> usize {
        self.ring.bytes_len()
    }

    /// How many more frames can be handed out before one must be sent.
    #[must_use]
    pub fn free_slot_count(&self) -> usize {
        self.ring.free_count()
    }

    /// Calls that have not ended.
    #[must_use]
    pub fn in_flight_count(&self) -> usize {
        self.calls.count()
    }

    /// Whether bytes can be taken. False only while so many refusals wait for a slot that another
    /// one would not fit: then the parent does not read either (procwire section 6).
    #[must_use]
    pub fn wants_read(&self) -> bool {
        self.open && !self.answers.is_full()
    }

    /// Takes one event from the front of `input`.
    ///
    /// # Errors
    /// The parent broke the protocol: close the connection, then
    /// [`handle_eof`](Self::handle_eof). The same error comes back from then on.
    ///
    /// # Bound
    /// Constant work for each frame in the input, and one event.
    pub fn handle_bytes<'i>(&mut self, input: &'i [u8]) -> Result<Step<'i>, PeerError> {
        if !self.open {
            return Err(PeerError::Closed);
        }
        let mut used = 0_usize;
        loop {
            let rest = input.get(used..).unwrap_or(&[]);
            if self.answers.is_full() {
                return Ok(Step { used, need: 0, event: None });
            }
            let step = self.decoder.decode(rest)?;
            used = used.saturating_add(step.used);
            let need = step.need;
            let Some(frame) = step.event else {
                return Ok(Step { used, need, event: None });
            };
            let event = self.handle_frame(frame);
            if event.is_some() {
                return Ok(Step { used, need, event });
            }
        }
    }

    /// The data connection ended or broke. Every call is lost: see
    /// [`poll_lost`](Self::poll_lost).
    ///
    /// # Errors
    /// It ended inside a frame.
    pub fn handle_eof(&mut self) -> Result<(), PeerError> {
        let was_open = core::mem::replace(&mut self.open, false);
        self.receiving = None;
        if was_open && !self.decoder.is_boundary() { Err(PeerError::CutFrame) } else { Ok(()) }
    }

    /// The frame of this slot was sent, or will never be.
    ///
    /// # Errors
    /// The slot is not on loan.
    pub fn handle_sent(&mut self, slot: Slot) -> Result<(), NotLent> {
        self.ring.release(slot)
    }

    /// The frame of this slot and all before it were sent.
    ///
    /// # Errors
    /// The slot is not on loan.
    pub fn handle_sent_through(&mut self, slot: Slot) -> Result<(), NotLent> {
        self.ring.release_through(slot)
    }

    /// The next frame that the session itself has to send: answers to refused requests, wholly in
    /// their slots.
    #[must_use]
    pub fn poll_transmit(&mut self, slots: &mut [u8]) -> Option<Transmit> {
        let answer = self.answers.front()?;
        let mut text = [0; Body::PREFIX_LEN_MAX];
        let text = answer.write(&mut text);
        let sent = transmit(&mut self.ring, answer.head(), Body::inline(text), slots).ok()?;
        self.answers.pop();
        Some(sent)
    }

    /// After the connection was lost: each call that had not ended, once. Cancel its handler.
    #[must_use]
    pub fn poll_lost(&mut self) -> Option<Call> {
        if self.open {
            return None;
        }
        let (next, handle) = self.calls.next_live(self.lost_from)?;
        self.lost_from = next;
        self.end(Call(handle));
        Some(Call(handle))
    }

    /// Hands out one frame of an answer. A final one ends the call.
    ///
    /// The payload of a call whose request is still arriving is skipped once the call has ended.
    ///
    /// # Errors
    /// [`SendError::NotNow`] is backpressure and changes nothing. `Aborted`, with a final reply,
    /// ends the call. All others are mistakes of the caller and change nothing.
    pub fn send(
        &mut self,
        call: Call,
        reply: Reply,
        body: Body<'_>,
        slots: &mut [u8],
    ) -> Result<Transmit, SendError> {
        let state = *self.live(call)?;
        let (method, response) = self.method(state.method).ok_or(SendError::Unknown)?;
        let flags = reply.flags(response).ok_or(SendError::WrongReply)?;
        if state.aborted {
            if reply.is_final() {
                self.end(call);
            }
            return Err(SendError::Aborted);
        }
        let request = self.calls.id(call.0).and_then(RequestId::new);
        let head = Head { id: method.into(), flags, request };
        let body = if reply == Reply::End { Body::EMPTY } else { body };
        let sent = transmit(&mut self.ring, head, body, slots)?;
        if reply.is_final() {
            self.end(call);
        }
        Ok(sent)
    }

    /// The handler is gone. Ends the call, and if it still owed an answer, hands out an error
    /// frame that says so.
    ///
    /// # Errors
    /// [`SendError::NotNow`]: the error found no slot; the call goes on, try again. `Ended`: the
    /// call had its final frame, which is the usual case.
    pub fn close(&mut self, call: Call, slots: &mut [u8]) -> Result<Option<Transmit>, SendError> {
        let state = *self.live(call)?;
        let request = self.calls.id(call.0).and_then(RequestId::new);
        if state.aborted || request.is_none() {
            self.end(call);
            return Ok(None);
        }
        const TEXT: &[u8] = b"\xd9\x26the handler ended without answering it";
        match self.send(call, Reply::Error, Body::inline(TEXT), slots) {
            // A `none` method called with an id: nothing is sent for it (procwire section 5.8).
            Err(SendError::WrongReply) => {
                self.end(call);
                Ok(None)
            }
            sent => sent.map(Some),
        }
    }

    /// Hands out one event frame.
    ///
    /// # Errors
    /// See [`SendError`]; nothing changes.
    pub fn emit(
        &mut self,
        event: EventId,
        body: Body<'_>,
        slots: &mut [u8],
    ) -> Result<Transmit, SendError> {
        if !self.open {
            return Err(SendError::NotConnected);
        }
        if event.value() > self.config.event_count {
            return Err(SendError::Unknown);
        }
        let head = Head { id: event.into(), flags: Flags::EVENT, request: None };
        transmit(&mut self.ring, head, body, slots)
    }

    /// Whether nobody waits for this call's answer: the parent gave it up, called a method that
    /// answers without an id, or the call has ended.
    #[must_use]
    pub fn is_aborted(&self, call: Call) -> bool {
        self.calls.get(call.0).is_none_or(|state| state.aborted)
    }

    /// The id of the request; `None` when no answer is expected or the call has ended.
    #[must_use]
    pub fn request(&self, call: Call) -> Option<RequestId> {
        self.calls.id(call.0).and_then(RequestId::new)
    }

    fn live(&self, call: Call) -> Result<&CallState, SendError> {
        if !self.open {
            return Err(SendError::NotConnected);
        }
        self.calls.get(call.0).ok_or(SendError::Ended)
    }

    fn method(&self, id: u16) -> Option<(MethodId, Method)> {
        let index = usize::from(id.checked_sub(1)?);
        Some((MethodId::new(id)?, *self.methods.as_ref().get(index)?))
    }

    fn end(&mut self, call: Call) {
        let Some(state) = self.calls.remove(call.0) else { return };
        if self.method(state.method).is_some_and(|(_, method)| method.counted) {
            self.counted = self.counted.saturating_sub(1);
        }
    }

    fn handle_frame<'i>(&mut self, frame: Frame<'i, Header>) -> Option<Event<'i>> {
        let (header, payload) = match frame {
            Frame::Frame { header, payload } => (header, Some(payload)),
            Frame::Start { header } => (header, None),
            Frame::Part { offset, bytes, last, .. } => {
                return self.handle_part(offset, bytes, last);
            }
        };
        self.receiving = None;
        match ToChild::of(&header) {
            ToChild::Ignored => None,
            ToChild::Abort(request) => self.abort(request),
            ToChild::Request { method, request } => {
                Some(self.handle_request(header, method, request, payload))
            }
        }
    }

    fn handle_part<'i>(&mut self, offset: usize, bytes: &'i [u8], last: bool) -> Option<Event<'i>> {
        let call = self.receiving?;
        // A call that ended early takes no more of its payload.
        self.calls.get(call.0)?;
        let offset = u32::try_from(offset).ok()?;
        Some(Event::Part { call, offset, bytes, last })
    }

    fn abort(&mut self, request: RequestId) -> Option<Event<'static>> {
        let handle = self.calls.find(request.value())?;
        let state = self.calls.get_mut(handle)?;
        let first = !core::mem::replace(&mut state.aborted, true);
        first.then_some(Event::Abort { call: Call(handle) })
    }

    fn handle_request<'i>(
        &mut self,
        header: Header,
        method: MethodId,
        request: Option<RequestId>,
        payload: Option<&'i [u8]>,
    ) -> Event<'i> {
        let reason = match self.admit(method, request) {
            Ok(call) => {
                return match payload {
                    Some(payload) => Event::Request { call, method, payload },
                    None => {
                        self.receiving = Some(call);
                        Event::Start { call, method, payload_len: header.payload_len }
                    }
                };
            }
            Err(reason) => reason,
        };
        if let Some(request) = request {
            let response = self.method(method.value()).map(|(_, method)| method.response);
            let stream = response == Some(ResponseType::Stream);
            self.answers.push(Answer { method, request, reason, stream });
        }
        Event::Refused { method, reason }
    }

    fn admit(&mut self, id: MethodId, request: Option<RequestId>) -> Result<Call, Refusal> {
        let (_, method) = self.method(id.value()).ok_or(Refusal::UnknownMethod)?;
        if method.counted && self.counted >= self.config.max_concurrency {
            return Err(Refusal::Overload);
        }
        // Without an id there is nobody to answer, so there is no answer, whatever the method.
        let aborted = request.is_none() && method.response != ResponseType::None;
        let state = CallState { method: id.value(), aborted };
        let key = request.map_or(0, RequestId::value);
        let handle = self.calls.insert(key, state).ok_or(Refusal::Overload)?;
        if method.counted {
            self.counted = self.counted.saturating_add(1);
        }
        Ok(Call(handle))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self { max_payload: MaxPayload::DEFAULT, max_concurrency: 4096, event_count: 0 }
    }
}

impl Call {
    /// Which place of the storage the call has, 0-based: no two calls have the same at a time.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        self.0.index()
    }

    /// The handle as a number.
    #[inline]
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0.to_bits()
    }

    /// The handle of [`to_bits`](Self::to_bits). Any other number makes one that names no call.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(Handle::from_bits(bits))
    }
}

impl Reply {
    const fn is_final(self) -> bool {
        match self {
            Self::Chunk => false,
            Self::Result | Self::Ack | Self::End | Self::Error => true,
        }
    }

    /// The flags for this reply of this method; `None` where the method does not answer so.
    const fn flags(self, method: Method) -> Option<Flags> {
        match (self, method.response) {
            (Self::Result, ResponseType::Result) => Some(Flags::RESULT),
            (Self::Ack, ResponseType::Ack) => Some(Flags::ACK),
            (Self::Chunk, ResponseType::Stream) => Some(Flags::CHUNK),
            (Self::End, ResponseType::Stream) => Some(Flags::END),
            (Self::Error, ResponseType::Stream) => Some(Flags::STREAM_ERROR),
            (Self::Error, ResponseType::Result | ResponseType::Ack) => Some(Flags::ERROR),
            (Self::Error, ResponseType::None)
            | (Self::Result, ResponseType::Stream | ResponseType::Ack | ResponseType::None)
            | (Self::Ack, ResponseType::Result | ResponseType::Stream | ResponseType::None)
            | (Self::Chunk, ResponseType::Result | ResponseType::Ack | ResponseType::None)
            | (Self::End, ResponseType::Result | ResponseType::Ack | ResponseType::None) => None,
        }
    }
}
