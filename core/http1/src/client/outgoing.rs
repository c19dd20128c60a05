//! What a client writes.

use forebay_core_time::Instant;

use crate::client::request::{Request, RequestBody};
use crate::client::state::{self, Cause};
use crate::client::{Connection, Outgoing, Sent};
use crate::config::{after, index};
use crate::error::UsageError;
use crate::response::Part;
use crate::write::Output;

/// Writing: each call puts bytes into the caller's memory and says how many.
impl<S: AsRef<[Sent]> + AsMut<[Sent]>> Connection<S> {
    /// Whether this request can be written now: the connection persists, what was sent permits it
    /// to be pipelined, and there is room for one more.
    #[must_use]
    pub fn can_send(&self, request: &Request<'_>) -> bool {
        let room = index(self.depth.max(1)).min(self.sent.as_ref().len());
        if self.state.request != state::Request::Ready || index(self.count) >= room {
            return false;
        }
        let traits = &request.traits;
        let alone = !traits.idempotent || traits.streams || request.switches();
        self.count == 0 || !(alone || self.blocked)
    }

    /// Writes the head of a request. Its body follows by [`write_part`](Self::write_part) and
    /// [`write_end`](Self::write_end), if it has one that is not empty.
    ///
    /// # Errors
    ///
    /// Nothing is written, and nothing has changed, if the request cannot be sent now
    /// ([`UsageError::OutOfOrder`]), `out` has no room, or a part is malformed.
    pub fn write_request(
        &mut self,
        now: Instant,
        request: &Request<'_>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        if !self.can_send(request) {
            return Err(UsageError::OutOfOrder);
        }
        request.check()?;
        let asked = self.asked.saturating_add(1);
        let traits = &request.traits;
        let used_up = self.config.request_count != 0 && asked >= self.config.request_count;
        let close = traits.reset || traits.connect || self.depth == 0 || used_up;
        let mut output = Output::new(out);
        request.put(&mut output, close);
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.asked = asked;
        self.push(request);
        self.blocked = traits.blocking;
        if self.count == 1 {
            self.deadline = after(now, request.headers_timeout_ms);
        }
        self.apply(if request.body.follows() { Cause::AskWithBody } else { Cause::Ask });
        self.outgoing = match request.body {
            RequestBody::None => Outgoing::Length(0),
            RequestBody::Length(len) => Outgoing::Length(len),
            RequestBody::Chunked => Outgoing::Chunked(false),
        };
        if close || request.switches() {
            self.apply(Cause::NoMore);
        }
        Ok(len)
    }

    fn push(&mut self, request: &Request<'_>) {
        let slot = self.slot(self.count);
        if let Some(sent) = self.sent.as_mut().get_mut(slot) {
            *sent = Sent {
                headers_timeout_ms: request.headers_timeout_ms,
                body_timeout_ms: request.body_timeout_ms,
                head: request.traits.head,
                connect: request.traits.connect,
                upgrade: !request.upgrade.is_empty(),
            };
        }
        self.count = self.count.saturating_add(1);
    }

    /// Where the request is that has `place` older ones.
    fn slot(&self, place: u32) -> usize {
        let place = index(self.oldest).saturating_add(index(place));
        place.checked_rem(self.sent.as_ref().len()).unwrap_or(0)
    }

    /// What is known of the oldest request.
    pub(super) fn front(&self) -> Sent {
        self.sent.as_ref().get(self.slot(0)).copied().unwrap_or_default()
    }

    /// Forgets the oldest request.
    pub(super) fn pop(&mut self) {
        self.oldest = u32::try_from(self.slot(1)).unwrap_or(0);
        self.count = self.count.saturating_sub(1);
    }

    /// Writes what precedes `len` bytes of the request's body, at most [`Part::SLOT_LEN`] bytes.
    /// They follow as a span of the caller's memory. Progress of the body starts the wait for the
    /// response's head anew.
    ///
    /// # Errors
    ///
    /// [`UsageError::OutOfOrder`], [`UsageError::NoRoom`]; [`UsageError::ContentLength`] if it
    /// would be more than was announced.
    pub fn write_part(
        &mut self,
        now: Instant,
        len: u64,
        out: &mut [u8],
    ) -> Result<Part, UsageError> {
        if !self.is_sending() {
            return Err(UsageError::OutOfOrder);
        }
        let slot_len = match self.outgoing {
            Outgoing::Length(left) => {
                let left = left.checked_sub(len).ok_or(UsageError::ContentLength)?;
                self.outgoing = Outgoing::Length(left);
                0
            }
            Outgoing::Chunked(_) if len == 0 => 0,
            Outgoing::Chunked(begun) => {
                let mut output = Output::new(out);
                output.put_chunk(begun, len);
                let slot_len = output.finish().ok_or(UsageError::NoRoom)?;
                self.outgoing = Outgoing::Chunked(true);
                slot_len
            }
        };
        self.progress(now);
        Ok(Part { slot_len, take: len })
    }

    /// Writes the end of the request's body, at most 7 bytes.
    ///
    /// # Errors
    ///
    /// As [`write_part`](Self::write_part); [`UsageError::ContentLength`] if it is shorter than
    /// announced.
    pub fn write_end(&mut self, now: Instant, out: &mut [u8]) -> Result<usize, UsageError> {
        if !self.is_sending() {
            return Err(UsageError::OutOfOrder);
        }
        let len = match self.outgoing {
            Outgoing::Length(0) => 0,
            Outgoing::Length(_) => return Err(UsageError::ContentLength),
            Outgoing::Chunked(begun) => {
                let mut output = Output::new(out);
                output.put(if begun { b"\r\n0\r\n\r\n" } else { b"0\r\n\r\n" });
                output.finish().ok_or(UsageError::NoRoom)?
            }
        };
        self.apply(Cause::BodyEnd);
        self.progress(now);
        Ok(len)
    }

    /// Whether the body of a request is being written.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        matches!(self.state.request, state::Request::Sending | state::Request::SendingLast)
    }

    fn progress(&mut self, now: Instant) {
        if self.count == 1 && self.state.response == state::Response::Head {
            self.deadline = after(now, self.front().headers_timeout_ms);
        }
    }
}
