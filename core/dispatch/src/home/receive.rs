//! Bytes that come from an instance: frames to calls, responses to events.

use forebay_core_frame::Event as Frame;
use forebay_core_procwire::{Header, ResponseKind, ToParent};
use forebay_core_time::Instant;

use super::call::Stage;
use super::event::{Event, Step};
use super::instance::Connection;
use super::{Home, Storage, requests};
use crate::message::{GATHER_LEN, Invalid, Parts, Scan, error_text, head, trailers};
use crate::table::Key;
use crate::{InstanceId, Refusal};

/// The frame that is arriving.
#[derive(Debug, Clone, Copy)]
pub(super) enum Incoming {
    /// Nobody wants its payload.
    Skip,
    /// Everything up to the body's bytes, so many of which were gathered.
    Prefix { call: Key, kind: ResponseKind, scan: Scan, gathered: usize },
    /// Bytes of a body.
    Data { call: Key, kind: ResponseKind },
    /// An error, of which so many bytes were gathered.
    Error { call: Key, gathered: usize },
}

/// The next bytes of a payload.
#[derive(Debug, Clone, Copy)]
struct Piece<'i> {
    bytes: &'i [u8],
    /// Bytes of the whole payload.
    total: usize,
    /// Whether these are all of them.
    whole: bool,
    /// Whether the payload ends here.
    last: bool,
}

impl<S: Storage> Home<S> {
    /// Bytes from an instance's data connection. `gather` is the instance's own, of
    /// [`GATHER_LEN`] bytes, and keeps what it holds from call to call. Call again with the rest of
    /// the input until none is left; nothing need be kept.
    ///
    /// # Bound
    /// Linear in the bytes that precede a body; constant in the body's.
    pub fn handle_bytes<'i>(
        &mut self,
        now: Instant,
        instance: InstanceId,
        input: &'i [u8],
        gather: &'i mut [u8],
    ) -> Step<'i> {
        let all = Step { used: input.len(), event: None };
        let Some(index) = self.place(instance) else { return all };
        let Some(peer) = self.instances.at_mut(index) else { return all };
        if peer.connection != Connection::Open {
            return all;
        }
        let Ok(step) = peer.decoder.decode(input) else {
            // Frames carry no mark to find the next one by.
            self.disconnect(index);
            self.lose_connection(now, index);
            return all;
        };
        let event = step.event.and_then(|frame| self.receive(now, index, frame, gather));
        Step { used: step.used, event }
    }

    fn receive<'i>(
        &mut self,
        now: Instant,
        index: u32,
        frame: Frame<'i, Header>,
        gather: &'i mut [u8],
    ) -> Option<Event<'i>> {
        let piece = match frame {
            Frame::Frame { header, payload } => {
                let event = self.begin(now, index, &header);
                if event.is_some() {
                    return event;
                }
                Piece { bytes: payload, total: payload.len(), whole: true, last: true }
            }
            Frame::Start { header } => return self.begin(now, index, &header),
            Frame::Part { header, bytes, last, .. } => {
                let total = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
                Piece { bytes, total, whole: false, last }
            }
        };
        match self.instances.at(index)?.incoming {
            Incoming::Skip => None,
            Incoming::Prefix { .. } => self.take_prefix(now, index, piece, gather),
            Incoming::Data { call, kind } => self.take_data(now, call, kind, piece),
            Incoming::Error { call, gathered } => {
                self.take_error(now, index, (call, gathered), piece, gather)
            }
        }
    }

    /// A frame begins: whose it is, and whether it may come now.
    fn begin<'i>(&mut self, now: Instant, index: u32, header: &Header) -> Option<Event<'i>> {
        self.set_incoming(index, Incoming::Skip);
        let (request, kind) = match ToParent::of(header) {
            ToParent::Response { request, kind } => (request, kind),
            ToParent::Event(_) | ToParent::Ignored => return None,
        };
        let Some(what) = requests::find(self.requests_of(index), request) else {
            let place = self.instances.at(index)?.worker;
            let totals = &mut self.workers.at_mut(place)?.totals;
            totals.late_frames = totals.late_frames.saturating_add(1);
            return None;
        };
        if what.part.is_some() {
            return match kind {
                ResponseKind::Ack | ResponseKind::Result => {
                    self.handle_part_answer(now, what, request, false);
                    None
                }
                ResponseKind::Error | ResponseKind::StreamError => {
                    self.handle_part_answer(now, what, request, true);
                    None
                }
                ResponseKind::Chunk | ResponseKind::End => self.violation(now, what.call),
            };
        }
        self.begin_response(now, index, what.call, kind)
    }

    fn begin_response<'i>(
        &mut self,
        now: Instant,
        index: u32,
        call: u32,
        kind: ResponseKind,
    ) -> Option<Event<'i>> {
        let key = self.calls.key_at(call)?;
        let stage = self.calls.at(call)?.stage;
        let stream = self.instances.at(index)?.features.is_some_and(|features| features.stream);
        let prefix = Incoming::Prefix { call: key, kind, scan: Scan::default(), gathered: 0 };
        let incoming = match (kind, stage) {
            (ResponseKind::Error | ResponseKind::StreamError, _) => {
                Incoming::Error { call: key, gathered: 0 }
            }
            (ResponseKind::Result, Stage::Sent) => prefix,
            (ResponseKind::Chunk, Stage::Sent | Stage::Responding) if stream => prefix,
            (ResponseKind::End, Stage::Responding | Stage::Trailed) if stream => {
                let origin = self.calls.at(call)?.origin;
                self.end(now, call, None, false);
                let call = crate::CallId(key);
                return Some(Event::Body { origin, call, bytes: &[], last: true });
            }
            (
                ResponseKind::Result | ResponseKind::Chunk | ResponseKind::End | ResponseKind::Ack,
                _,
            ) => return self.violation(now, call),
        };
        if let Some(call) = self.calls.at_mut(call) {
            call.answered = true;
        }
        self.set_incoming(index, incoming);
        None
    }

    fn take_prefix<'i>(
        &mut self,
        now: Instant,
        index: u32,
        piece: Piece<'i>,
        gather: &'i mut [u8],
    ) -> Option<Event<'i>> {
        let Incoming::Prefix { call, kind, mut scan, gathered } =
            self.instances.at(index)?.incoming
        else {
            return None;
        };
        self.set_incoming(index, Incoming::Skip);
        self.calls.get(call)?;
        let bytes = if piece.whole { piece.bytes } else { append(gather, gathered, piece.bytes) };
        match scan.advance(bytes, piece.total) {
            Ok(None) => {
                let gathered = bytes.len();
                self.set_incoming(index, Incoming::Prefix { call, kind, scan, gathered });
                None
            }
            Ok(Some(parts)) => {
                let before = if piece.whole { 0 } else { gathered };
                let data = piece.bytes.get(parts.len.saturating_sub(before)..).unwrap_or(&[]);
                if !piece.last {
                    self.set_incoming(index, Incoming::Data { call, kind });
                }
                let found = Found { bytes, parts, data, last: piece.last };
                let event = self.respond(now, call.index, kind, found);
                event.unwrap_or_else(|Invalid| {
                    self.set_incoming(index, Incoming::Skip);
                    self.violation(now, call.index)
                })
            }
            Err(Invalid) => self.violation(now, call.index),
        }
    }

    /// A prefix is complete: what it means depends on what came before.
    fn respond<'i>(
        &mut self,
        now: Instant,
        index: u32,
        kind: ResponseKind,
        found: Found<'i>,
    ) -> Result<Option<Event<'i>>, Invalid> {
        let Some(call) = self.calls.at(index) else { return Ok(None) };
        let origin = call.origin;
        let framed = kind == ResponseKind::Result;
        if call.has_head() {
            return self.go_on(now, index, found);
        }
        if !found.parts.is_map {
            return Err(Invalid);
        }
        let head = head(found.bytes, &found.parts)?;
        if head.status == 103 {
            let allowed = !framed && found.parts.body_len.is_none();
            return if allowed {
                Ok(Some(Event::Informational { origin, head }))
            } else {
                Err(Invalid)
            };
        }
        if !self.count_body(now, index, found.data.len(), framed) {
            return Err(Invalid);
        }
        let Some(id) = self.call_id(index) else { return Ok(None) };
        let length = framed.then(|| found.parts.body_len.unwrap_or(0));
        let length = length.and_then(|length| u64::try_from(length).ok());
        let last = framed && found.last;
        if last {
            self.end(now, index, None, false);
        } else {
            self.enter_response(index);
        }
        Ok(Some(Event::Head { origin, call: id, head, length, body: found.data, last }))
    }

    /// A chunk behind the head: body, or trailers.
    fn go_on<'i>(
        &mut self,
        now: Instant,
        index: u32,
        found: Found<'i>,
    ) -> Result<Option<Event<'i>>, Invalid> {
        let Some(call) = self.calls.at_mut(index) else { return Ok(None) };
        let origin = call.origin;
        if found.parts.is_map {
            let fields = trailers(found.bytes, &found.parts)?;
            call.stage = Stage::Trailed;
            call.since = now;
            return Ok(Some(Event::Trailers { origin, fields }));
        }
        if !self.count_body(now, index, found.data.len(), false) {
            return Err(Invalid);
        }
        let bytes = found.data;
        let Some(call) = self.call_id(index).filter(|_| !bytes.is_empty()) else { return Ok(None) };
        Ok(Some(Event::Body { origin, call, bytes, last: false }))
    }

    fn take_data<'i>(
        &mut self,
        now: Instant,
        key: Key,
        kind: ResponseKind,
        piece: Piece<'i>,
    ) -> Option<Event<'i>> {
        let origin = self.calls.get(key)?.origin;
        let framed = kind == ResponseKind::Result;
        if !self.count_body(now, key.index, piece.bytes.len(), framed) {
            return self.violation(now, key.index);
        }
        let last = framed && piece.last;
        if last {
            self.end(now, key.index, None, false);
        }
        Some(Event::Body { origin, call: crate::CallId(key), bytes: piece.bytes, last })
    }

    fn take_error<'i>(
        &mut self,
        now: Instant,
        index: u32,
        (call, gathered): (Key, usize),
        piece: Piece<'i>,
        gather: &'i mut [u8],
    ) -> Option<Event<'i>> {
        self.calls.get(call)?;
        let bytes = if piece.whole { piece.bytes } else { append(gather, gathered, piece.bytes) };
        if !piece.last {
            let gathered = bytes.len();
            self.set_incoming(index, Incoming::Error { call, gathered });
            return None;
        }
        self.set_incoming(index, Incoming::Skip);
        let text = if bytes.len() == piece.total { error_text(bytes) } else { &[] };
        self.fail_with_event(now, call.index, Refusal::WorkerError, text, false)
    }

    /// The worker broke the call protocol: the call fails, and after too many the instance goes.
    fn violation<'i>(&mut self, now: Instant, call: u32) -> Option<Event<'i>> {
        let (place, holder) = self.calls.at(call).map(|call| (call.worker, call.instance))?;
        let totals = &mut self.workers.at_mut(place)?.totals;
        totals.violations = totals.violations.saturating_add(1);
        let too_many = self.instances.at_mut(holder)?.note_violation(now);
        let event = self.fail_with_event(now, call, Refusal::InvalidResponse, &[], true);
        if too_many {
            self.retire(now, holder);
        }
        event
    }

    fn enter_response(&mut self, index: u32) {
        if let Some(call) = self.calls.at_mut(index) {
            call.stage = Stage::Responding;
        }
        self.schedule_call(index);
    }

    fn set_incoming(&mut self, index: u32, incoming: Incoming) {
        if let Some(instance) = self.instances.at_mut(index) {
            instance.incoming = incoming;
        }
    }
}

/// A prefix, and the bytes of the body that came with it.
#[derive(Debug, Clone, Copy)]
struct Found<'i> {
    bytes: &'i [u8],
    parts: Parts,
    data: &'i [u8],
    last: bool,
}

/// Puts as much of `bytes` behind what was gathered as fits; gives all of it.
fn append<'i>(gather: &'i mut [u8], gathered: usize, bytes: &[u8]) -> &'i [u8] {
    let room = gather.len().min(GATHER_LEN).saturating_sub(gathered);
    let taken = bytes.len().min(room);
    let end = gathered.saturating_add(taken);
    if let (Some(to), Some(from)) = (gather.get_mut(gathered..end), bytes.get(..taken)) {
        to.copy_from_slice(from);
    }
    gather.get(..end).unwrap_or(&[])
}
