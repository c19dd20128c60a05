//! The request's side of a call: handing it over, and passing its body on.

use forebay_core_dispatch::CallId;
use forebay_core_dispatch::Refusal;
use forebay_core_dispatch::front::Call;
use forebay_core_dispatch::home::Body;
use forebay_core_http1::Framing;
use forebay_reactor::Piece;

use super::{Client, ROOM};
use crate::shard::input::Chunk;
use crate::shard::io::Io;
use crate::shard::mail::{NewCall, ToHome};
use crate::shard::outbox::copied;
use crate::shard::post::Post;
use crate::shard::token::Owner;

/// A body that is longer is received into large buffers.
const BULK_BODY: u64 = 64 * 1024;

/// A call that was handed over.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) serial: u32,
    pub(super) core: u8,
    pub(super) service: u16,
    /// Unknown until the home has taken the call.
    pub(super) id: Option<CallId>,
    pub(super) body: RequestBody,
    /// What of the response the home has not been told to be drained.
    pub(super) drained: u64,
    /// To be written at the end of the response, encoded.
    pub(super) trailers: Option<Piece>,
}

/// What happens to the request's body.
#[derive(Debug)]
pub(super) enum RequestBody {
    /// Nothing: there is none, or it went with the call, or has ended.
    Done,
    /// It went with the call; the machine still has to see it.
    Absorbed,
    /// Parts go to the home as it allows: so many bytes and parts, each of `chunk` bytes at most.
    Parts { bytes: u64, parts: u32, chunk: u32, granted: u64 },
    /// It is over; the home is told as soon as it takes one more part.
    Ended { parts: u32, trailers: Option<Piece> },
    /// It is collected.
    Gathered { limit: usize, bytes: Vec<u8> },
    /// Nobody wants it.
    Dropped,
}

impl Running {
    /// The home takes more of the body.
    pub(super) fn allow(&mut self, more: u32, more_parts: u8, limit: u32) {
        match &mut self.body {
            RequestBody::Parts { bytes, parts, chunk, .. } => {
                *bytes += u64::from(more);
                *parts += u32::from(more_parts);
                *chunk = limit;
            }
            RequestBody::Ended { parts, .. } => *parts += u32::from(more_parts),
            RequestBody::Done
            | RequestBody::Absorbed
            | RequestBody::Gathered { .. }
            | RequestBody::Dropped => {}
        }
    }

    /// Tells the home that the body is over, if it is and the home takes one more part.
    pub(super) fn tell_end(&mut self, post: &mut Post) {
        let (Some(call), RequestBody::Ended { parts: 1.., trailers }) = (self.id, &mut self.body)
        else {
            return;
        };
        let letter = match trailers.take() {
            Some(trailers) => ToHome::Trailers { call, trailers },
            None => ToHome::Body { call, part: None, last: true },
        };
        self.body = RequestBody::Done;
        post.send_home(self.core, letter);
    }
}

impl Client {
    /// Hands a call to the core of its worker.
    pub(super) fn hand_over(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        call: &Call,
        chunk: &Chunk,
        used: usize,
    ) {
        let service = call.service.index();
        let shared = &io.scene.shared;
        let place = shared.place(service);
        if io.is_exhausted() || !post.has_room(place.core) {
            self.refuse(io, service, Refusal::Capacity, b"");
            return;
        }
        let (body, inline) = match call.framing {
            Framing::None | Framing::Length(0) => (Body::None, None),
            Framing::Length(len) => match self.inline(io, chunk, used, len, place.inline_max) {
                Some(piece) => (Body::Inline(u32::try_from(len).unwrap_or(0)), Some(piece)),
                None => (Body::Streamed(Some(len)), None),
            },
            Framing::Chunked => (Body::Streamed(None), None),
        };
        if matches!(body, Body::Streamed(len) if len.is_none_or(|len| len > BULK_BODY)) {
            self.receive_bulk(io);
        }
        self.serial = self.serial.wrapping_add(1);
        let origin = Owner::new(self.owner.slot, self.serial).origin(post.core());
        let message = copied(&mut io.reactor, &io.scratch[..call.message_len]);
        self.call = Some(Running {
            serial: self.serial & 0x00ff_ffff,
            core: place.core,
            service,
            id: None,
            body: match body {
                Body::None => RequestBody::Done,
                Body::Inline(_) => RequestBody::Absorbed,
                Body::Streamed(_) => {
                    RequestBody::Parts { bytes: 0, parts: 0, chunk: 0, granted: 0 }
                }
            },
            drained: 0,
            trailers: None,
        });
        let idempotent = call.idempotent;
        let call = NewCall { origin, service, message, inline, body, idempotent };
        post.send_home(place.core, ToHome::Call(call));
    }

    /// The whole body, if it is there already and short enough to go with the call.
    pub(super) fn inline(
        &mut self,
        io: &Io,
        chunk: &Chunk,
        used: usize,
        len: u64,
        max: u32,
    ) -> Option<Piece> {
        let len = usize::try_from(len).ok().filter(|len| *len <= max as usize)?;
        let end = used.checked_add(len).filter(|end| *end <= chunk.as_slice().len())?;
        self.front.grant_body(io.now, len as u64);
        Some(match chunk {
            Chunk::Lent(buf) => Piece::Pool(buf.slice(used..end)),
            Chunk::Gathered(bytes) => Piece::Heap(bytes::Bytes::copy_from_slice(&bytes[used..end])),
        })
    }

    pub(super) fn handle_body(&mut self, io: &mut Io, post: &mut Post, part: Piece) {
        let Some(call) = &mut self.call else { return };
        let len = part.len() as u64;
        match &mut call.body {
            RequestBody::Parts { bytes, parts, granted, .. } => {
                *bytes = bytes.saturating_sub(len);
                *parts = parts.saturating_sub(1);
                *granted = granted.saturating_sub(len);
                if let Some(id) = call.id {
                    let last = false;
                    post.send_home(call.core, ToHome::Body { call: id, part: Some(part), last });
                }
                self.grant(io);
            }
            RequestBody::Gathered { limit, bytes } => {
                bytes.extend_from_slice(part.as_slice());
                if bytes.len() > *limit {
                    self.refuse_too_large(io, post);
                }
            }
            RequestBody::Ended { .. }
            | RequestBody::Done
            | RequestBody::Absorbed
            | RequestBody::Dropped => {}
        }
    }

    pub(super) fn handle_end(&mut self, io: &mut Io, post: &mut Post, trailers_len: usize) {
        let Some(call) = &mut self.call else { return };
        match core::mem::replace(&mut call.body, RequestBody::Done) {
            RequestBody::Parts { parts, .. } => {
                let trailers = (trailers_len > 0)
                    .then(|| copied(&mut io.reactor, &io.scratch[..trailers_len]));
                call.body = RequestBody::Ended { parts, trailers };
                call.tell_end(post);
            }
            RequestBody::Gathered { bytes, .. } => {
                let Some(id) = call.id else { return };
                let body = Piece::Heap(bytes.into());
                post.send_home(call.core, ToHome::Gathered { call: id, body });
            }
            RequestBody::Ended { .. }
            | RequestBody::Done
            | RequestBody::Absorbed
            | RequestBody::Dropped => {}
        }
    }

    /// Lets the machine take as much of the body as the worker may be sent.
    pub(super) fn grant(&mut self, io: &mut Io) {
        let Some(Running { body: RequestBody::Parts { bytes, parts, chunk, granted }, .. }) =
            &mut self.call
        else {
            return;
        };
        if *granted > 0 || *parts == 0 {
            return;
        }
        let more = (*bytes).min(u64::from(*chunk));
        if more == 0 {
            return;
        }
        *granted = more;
        self.front.grant_body(io.now, more);
        self.write_continue(io);
    }

    pub(super) fn write_continue(&mut self, io: &mut Io) {
        if self.front.continue_is_due() {
            let out = self.outbox.room(&mut io.reactor, ROOM);
            if let Ok(len) = self.front.write_continue(out) {
                self.outbox.commit(len);
            }
        }
    }

    /// The worker takes the body only as a whole.
    pub(super) fn gather(&mut self, io: &mut Io, post: &mut Post, limit: u32) {
        let Some(call) = &mut self.call else { return };
        if let (RequestBody::Ended { .. }, Some(id)) = (&call.body, call.id) {
            // It was over, and empty, before the worker was known.
            call.body = RequestBody::Done;
            let body = Piece::Heap(bytes::Bytes::new());
            return post.send_home(call.core, ToHome::Gathered { call: id, body });
        }
        let limit = limit as usize;
        call.body = RequestBody::Gathered { limit, bytes: Vec::new() };
        // One byte more tells that the body is too large.
        self.front.grant_body(io.now, limit as u64 + 1);
        self.write_continue(io);
    }

    pub(super) fn refuse_too_large(&mut self, io: &mut Io, post: &mut Post) {
        let out = self.outbox.room(&mut io.reactor, ROOM);
        let event = self.front.handle_too_large(io.scene.date(), out);
        self.handle_refused(post, event);
    }
}
