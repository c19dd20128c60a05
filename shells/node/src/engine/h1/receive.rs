//! Responses, from the stream to the sink.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use std::io;
use std::rc::Rc;

use forebay_core_http1::client as http1;
use forebay_core_time::Instant;
use tokio::io::AsyncReadExt;

use super::{Ending, H1, Progress, Tail};
use crate::engine::causes;
use crate::engine::command::RequestId;
use crate::engine::connect::tls;
use crate::engine::event::{Data, Event, Head, Version};
use crate::engine::failure::{Failure, Kind};
use crate::engine::outbox::emptied;
use crate::engine::shared::READ_LEN;

/// Data of this size is handed over in the buffer that it was read into.
const OWNED_LEN: usize = 32 * 1024;

impl H1 {
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<Progress, Ending> {
        let shared = Rc::clone(&self.shared);
        loop {
            let before = self.running.len();
            if self.kept_at < self.kept.len() || self.machine.is_in_body() {
                self.use_kept(now)?;
            }
            if self.running.len() < before {
                return Ok(Progress::Some);
            }
            if !self.machine.wants_read() || shared.is_full(cx.waker()) {
                return Ok(Progress::None);
            }
            let mut scratch = shared.scratch.borrow_mut();
            scratch.clear();
            scratch.reserve(READ_LEN);
            match pin!(self.stream.read_buf(&mut *scratch)).poll(cx) {
                Poll::Pending => return Ok(Progress::None),
                Poll::Ready(Err(error)) => return Err(self.read_error(now, &error)),
                Poll::Ready(Ok(0)) => return Err(self.end_of_stream(now)),
                Poll::Ready(Ok(len)) => self.bytes_read += len as u64,
            }
            self.use_read(now, &mut scratch)?;
            if self.running.len() < before {
                return Ok(Progress::Some);
            }
        }
    }

    /// How many bytes the consumer in front wants, and whether it rests.
    fn flow(&self) -> (u64, bool) {
        let front = self.running.front();
        let flow = front
            .and_then(|front| self.shared.with_slot(front.id, |slot| (slot.credit, slot.paused)));
        flow.unwrap_or((0, true))
    }

    /// Uses what was kept from earlier reads.
    fn use_kept(&mut self, now: Instant) -> Result<(), Ending> {
        let mut kept = core::mem::take(&mut self.kept);
        self.kept_at = self.use_from(now, &mut kept, self.kept_at)?;
        self.kept = kept;
        if self.kept_at == self.kept.len() {
            self.kept = emptied(core::mem::take(&mut self.kept));
            self.kept_at = 0;
        }
        Ok(())
    }

    /// Uses what has been read, and keeps the rest.
    fn use_read(&mut self, now: Instant, data: &mut Vec<u8>) -> Result<(), Ending> {
        if self.kept.is_empty() {
            let used = self.use_from(now, data, 0)?;
            self.kept.extend_from_slice(&data[used..]);
            return Ok(());
        }
        self.kept.drain(..self.kept_at);
        self.kept_at = 0;
        self.kept.extend_from_slice(data);
        self.use_kept(now)
    }

    /// Lets the machine read `buffer` from `start` on, and says up to where it was used.
    fn use_from(
        &mut self,
        now: Instant,
        buffer: &mut Vec<u8>,
        start: usize,
    ) -> Result<usize, Ending> {
        let used = self.consume(now, buffer.get(start..).unwrap_or_default());
        let Some(Tail { id, len, ends }) = self.tail.take() else {
            return used.map(|used| start + used);
        };
        let start = buffer.len() - len;
        self.shared.emit(Event::Data { id, data: Data::Owned { buffer, start } });
        if ends {
            self.shared.emit(Event::End { id, trailers: &[] });
        }
        buffer.clear();
        used.map(|_| 0)
    }

    fn charge(&self, id: RequestId, len: usize) {
        self.shared.with_slot(id, |slot| slot.credit = slot.credit.saturating_sub(len as u64));
    }

    /// Lets the machine read `data`, and says how much was used.
    fn consume(&mut self, now: Instant, data: &[u8]) -> Result<usize, Ending> {
        let mut at = 0;
        loop {
            if self.machine.is_in_body() {
                let (window, paused) = self.flow();
                if paused {
                    self.machine.pause();
                    return Ok(at);
                }
                self.machine.set_window(now, window);
            }
            let rest = &data[at..];
            let step = match self.machine.handle_bytes(now, rest) {
                Ok(step) => step,
                Err(error) => return Err(self.broken(error, rest)),
            };
            at += step.used;
            match step.event {
                None if step.used == 0 => return Ok(at),
                None => {}
                Some(event) => at += self.tell(now, event, &data[at..])?,
            }
        }
    }

    /// Tells the sink of an event; `rest` follows it, and what of it belongs to the event is used.
    fn tell(
        &mut self,
        now: Instant,
        event: http1::Event<'_>,
        rest: &[u8],
    ) -> Result<usize, Ending> {
        let Some(id) = self.running.front().map(|request| request.id) else {
            return Ok(0);
        };
        match event {
            http1::Event::Informational(head) => {
                self.shared.emit(Event::Informational { id, head: told(&head) });
            }
            http1::Event::Response(head) => return self.tell_response(now, id, &head, rest),
            http1::Event::Body(data) => self.tell_data(id, data, rest),
            http1::Event::End(trailers) => return self.tell_end(id, trailers).map(|()| 0),
            http1::Event::Switch(head) => {
                self.shared.emit(Event::Upgrade { id, head: told(&head) });
                self.running.pop_front();
                // `use_kept` and `use_read` leave this alone.
                self.kept = rest.to_vec();
                self.kept_at = 0;
                return Err(Ending::Switched { id });
            }
        }
        Ok(0)
    }

    /// Tells of a head, and of body and end at once if they are there.
    fn tell_response(
        &mut self,
        now: Instant,
        id: RequestId,
        head: &http1::ResponseHead<'_>,
        rest: &[u8],
    ) -> Result<usize, Ending> {
        let (credit, paused) = self.flow();
        if paused {
            self.machine.pause();
        }
        let mut used = 0;
        let mut body: &[u8] = &[];
        let mut behind_body: &[u8] = &[];
        while !paused && !self.machine.is_closed() {
            self.machine.set_window(now, credit.saturating_sub(body.len() as u64));
            let step = match self.machine.handle_bytes(now, &rest[used..]) {
                Ok(step) => step,
                Err(error) => {
                    self.tell_beginning(id, head, body, behind_body);
                    return Err(self.broken(error, &rest[used..]));
                }
            };
            used += step.used;
            match step.event {
                Some(http1::Event::Body(part)) if body.is_empty() => {
                    (body, behind_body) = (part, &rest[used..]);
                }
                Some(http1::Event::End(trailers)) if body.len() < OWNED_LEN => {
                    self.shared.finish(id);
                    let head = told(head);
                    self.shared.emit(Event::Response { id, head, body, trailers });
                    return self.end_response().map(|()| used);
                }
                Some(event) => {
                    self.tell_beginning(id, head, body, behind_body);
                    return Ok(used + self.tell(now, event, &rest[used..])?);
                }
                None => break,
            }
        }
        self.tell_beginning(id, head, body, behind_body);
        Ok(used)
    }

    fn tell_beginning(
        &mut self,
        id: RequestId,
        head: &http1::ResponseHead<'_>,
        body: &[u8],
        rest: &[u8],
    ) {
        self.shared.emit(Event::Head { id, head: told(head) });
        if !body.is_empty() {
            self.tell_data(id, body, rest);
        }
    }

    /// Tells of a piece of a body; `rest` follows it.
    fn tell_data(&mut self, id: RequestId, data: &[u8], rest: &[u8]) {
        self.charge(id, data.len());
        if data.len() >= OWNED_LEN && rest.is_empty() {
            self.tail = Some(Tail { id, len: data.len(), ends: false });
        } else {
            self.shared.emit(Event::Data { id, data: Data::Borrowed(data) });
        }
    }

    fn tell_end(&mut self, id: RequestId, trailers: &[u8]) -> Result<(), Ending> {
        self.shared.finish(id);
        match &mut self.tail {
            // Nothing follows it, so there are no trailers.
            Some(tail) => tail.ends = true,
            None => self.shared.emit(Event::End { id, trailers }),
        }
        self.end_response()
    }

    /// A response is complete.
    fn end_response(&mut self) -> Result<(), Ending> {
        self.running.pop_front();
        if self.machine.is_closed() {
            let failure = Failure::new(Kind::Informational).with_message("reset");
            return Err(self.closed(failure, false));
        }
        Ok(())
    }

    pub(super) fn read_error(&mut self, now: Instant, error: &io::Error) -> Ending {
        let reset = error.kind() == io::ErrorKind::ConnectionReset;
        if reset && self.machine.ends_with_connection() {
            return self.end_of_stream(now);
        }
        // TLS without a farewell ends a stream as well.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return self.end_of_stream(now);
        }
        let failure = tls::failure(error).unwrap_or_else(|| causes::system(error, "read"));
        self.closed(failure, true)
    }

    fn end_of_stream(&mut self, now: Instant) -> Ending {
        if let Some(error) = self.write_error.take() {
            return self.closed(causes::system(&error, "write"), true);
        }
        match self.machine.handle_eof(now) {
            Ok(Some(event)) => match self.tell(now, event, &[]) {
                Ok(_) => self.broken(http1::ResponseError::Closed, &[]),
                Err(ending) => ending,
            },
            Ok(None) => self.broken(http1::ResponseError::Closed, &[]),
            Err(error) => self.broken(error, &[]),
        }
    }

    /// Waits for the machine's deadline.
    pub(super) fn watch_time(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Ending> {
        let mut now = now;
        // While the first bytes of a body are awaited nothing was sent: the machine thinks that the
        // connection is idle.
        while !self.upload.as_ref().is_some_and(|upload| upload.staged) {
            let Some(at) = self.machine.poll_timeout() else {
                return Ok(());
            };
            if let Err(error) = self.machine.handle_timeout(now) {
                return Err(self.broken(error, &[]));
            }
            if self.armed.is_none_or(|armed| armed > at) {
                self.timer.as_mut().reset(self.shared.tokio_instant(at));
                self.armed = Some(at);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.armed = None;
            now = self.shared.now();
        }
        Ok(())
    }
}

pub(in crate::engine) fn told<'a>(head: &http1::ResponseHead<'a>) -> Head<'a> {
    Head {
        status: head.status,
        version: match head.version {
            forebay_core_http1::Version::Http10 => Version::Http10,
            forebay_core_http1::Version::Http11 => Version::Http11,
        },
        reason: head.reason,
        fields: head.fields,
    }
}
