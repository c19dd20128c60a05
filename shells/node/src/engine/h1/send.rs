//! Requests, from the client's queue to the stream.

use core::task::{Context, Poll};
use std::rc::Rc;

use bytes::Bytes;
use forebay_core_http1::client::{self as http1, Traits};
use forebay_core_http1::{Part, UsageError};
use forebay_core_time::Instant;

use super::{Ending, H1, Machine, Upload};
use crate::engine::causes;
use crate::engine::command::{Body, Request, RequestId};
use crate::engine::event::Event;
use crate::engine::failure::{Failure, Kind};
use crate::engine::outbox::Outbox;

/// Bytes of an upload that may be on their way.
const UPLOAD_WINDOW: u32 = 256 * 1024;
/// Room is given back in pieces of this size at least, unless nothing is on its way.
const UPLOAD_CREDIT: u64 = 64 * 1024;

impl H1 {
    /// Hands as many requests as possible to the outbox.
    pub(super) fn send(&mut self, now: Instant) -> Result<(), Ending> {
        loop {
            if !self.pump(now)? {
                return Ok(());
            }
            let client = Rc::clone(&self.client);
            let (wish, machine) = (&self.wish, &self.machine);
            let fits = client.front(&self.shared, |request| {
                let fits = wish.fits(request, &client.options, false);
                (fits, fits && machine.can_send(&describe(request, framing(&request.body))))
            });
            match fits {
                Some((true, true)) => {}
                Some((false, _)) if self.running.is_empty() => {
                    let failure = Failure::new(Kind::Informational);
                    return Err(self.closed(failure.with_message("servername changed"), false));
                }
                Some(_) | None => return Ok(()),
            }
            if !client.is_wanted(&self.shared, self.client.depth.get().max(1) as usize) {
                return Ok(());
            }
            if let Some(request) = client.take() {
                self.begin(now, request)?;
            }
        }
    }

    fn begin(&mut self, now: Instant, request: Box<Request>) -> Result<(), Ending> {
        let id = request.id;
        if let Some(value) = request.type_of_service {
            self.stream.mark(value);
        }
        if let Body::Stream { .. } = request.body {
            self.running.push_back(request);
            self.upload = Some(Upload { id, staged: true, taken: 0, credited: 0 });
            self.shared.emit(Event::BodyCredit { id, bytes: UPLOAD_WINDOW });
            return Ok(());
        }
        let body = framing(&request.body);
        if let Err(error) = self.write_head(now, &request, body) {
            self.shared.fail(id, causes::usage(error));
            return Ok(());
        }
        if let Body::Whole(bytes) = &request.body {
            let bytes = bytes.clone();
            self.running.push_back(request);
            self.write_chunk(now, bytes)?;
            return self.write_end(now, id);
        }
        self.running.push_back(request);
        Ok(())
    }

    fn write_head(
        &mut self,
        now: Instant,
        request: &Request,
        body: http1::RequestBody,
    ) -> Result<(), UsageError> {
        write_head(&mut self.machine, &mut self.outbox, now, request, body)
    }

    /// Goes on with the running upload: whether something else may be sent.
    fn pump(&mut self, now: Instant) -> Result<bool, Ending> {
        while let Some(upload) = &self.upload {
            let (id, staged) = (upload.id, upload.staged);
            let next = self.shared.with_slot(id, |slot| match slot.upload.pop_front() {
                None if slot.upload_ended => Some(None),
                None => None,
                Some(chunk) => Some(Some(chunk)),
            });
            let Some(next) = next.flatten() else {
                return Ok(false);
            };
            if staged && !self.write_staged_head(now, next.is_none())? {
                continue;
            }
            match next {
                Some(chunk) => self.write_chunk(now, chunk)?,
                None => {
                    self.upload = None;
                    self.write_end(now, id)?;
                }
            }
        }
        Ok(true)
    }

    /// Writes the head of a request whose body has begun: whether that was possible.
    fn write_staged_head(&mut self, now: Instant, empty: bool) -> Result<bool, Ending> {
        let Some(request) = self.running.pop_back() else {
            return Ok(false);
        };
        let body = match request.body {
            Body::Stream { length: None } if empty => empty_body(request.head.method()),
            _ => framing(&request.body),
        };
        let written = self.write_head(now, &request, body);
        if let Err(error) = written {
            self.upload = None;
            self.shared.fail(request.id, causes::usage(error));
            return Ok(false);
        }
        self.running.push_back(request);
        if let Some(upload) = &mut self.upload {
            upload.staged = false;
        }
        Ok(true)
    }

    fn write_chunk(&mut self, now: Instant, chunk: Bytes) -> Result<(), Ending> {
        let len = chunk.len() as u64;
        let machine = &mut self.machine;
        let written = self
            .outbox
            .put(Part::SLOT_LEN, |out| machine.write_part(now, len, out).map(|part| part.slot_len));
        // A response that came before the end of the request: the rest is not wanted.
        match written {
            Ok(()) | Err(UsageError::OutOfOrder) => {}
            Err(error) => return Err(self.closed(causes::usage(error), true)),
        }
        if let Some(upload) = &mut self.upload {
            upload.taken += len;
        }
        self.outbox.push(chunk);
        Ok(())
    }

    fn write_end(&mut self, now: Instant, id: RequestId) -> Result<(), Ending> {
        let machine = &mut self.machine;
        if machine.is_sending() {
            let written = self.outbox.put(Part::SLOT_LEN, |out| machine.write_end(now, out));
            if let Err(error) = written {
                return Err(self.closed(causes::usage(error), true));
            }
        }
        self.marks.push_back((self.outbox.written() + self.outbox.len() as u64, id));
        Ok(())
    }

    /// Writes what can be written, and tells whose bodies are out.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) {
        if self.write_error.is_some() {
            return;
        }
        if let Poll::Ready(Err(error)) = self.outbox.poll_write(cx, &mut self.stream) {
            // The server may have said why: what it sent comes first.
            self.write_error = Some(error);
            return;
        }
        while let Some((_, id)) =
            self.marks.front().filter(|(end, _)| *end <= self.outbox.written())
        {
            if self.shared.is_live(*id) {
                self.shared.emit(Event::BodySent { id: *id });
            }
            self.marks.pop_front();
        }
        let waiting = self.outbox.len() as u64;
        if let Some(upload) = &mut self.upload {
            let free = upload.taken.saturating_sub(upload.credited + waiting);
            if free >= UPLOAD_CREDIT || free > 0 && waiting == 0 {
                upload.credited += free;
                let bytes = u32::try_from(free).unwrap_or(u32::MAX);
                self.shared.emit(Event::BodyCredit { id: upload.id, bytes });
            }
        }
    }
}

/// Puts the head of a request into `outbox`.
fn write_head(
    machine: &mut Machine,
    outbox: &mut Outbox,
    now: Instant,
    request: &Request,
    body: http1::RequestBody,
) -> Result<(), UsageError> {
    let described = describe(request, body);
    let head = &request.head;
    let parts = [head.method(), head.path(), head.host(), head.upgrade(), head.fields()];
    // What stands between the parts.
    let len_max = parts.iter().map(|part| part.len()).sum::<usize>() + 128;
    outbox.put(len_max, |out| machine.write_request(now, &described, out))
}

/// Puts all of a request into `outbox` whose body is there.
pub(in crate::engine) fn compose(
    machine: &mut Machine,
    outbox: &mut Outbox,
    now: Instant,
    request: &Request,
) -> Result<(), UsageError> {
    write_head(machine, outbox, now, request, framing(&request.body))?;
    if let Body::Whole(bytes) = &request.body {
        let len = bytes.len() as u64;
        outbox.put(Part::SLOT_LEN, |out| {
            machine.write_part(now, len, out).map(|part| part.slot_len)
        })?;
        outbox.push(bytes.clone());
        outbox.put(Part::SLOT_LEN, |out| machine.write_end(now, out))?;
    }
    Ok(())
}

/// A request as the machine sees it.
pub(in crate::engine) fn describe(
    request: &Request,
    body: http1::RequestBody,
) -> http1::Request<'_> {
    let (head, flags) = (&request.head, request.flags);
    http1::Request {
        method: head.method(),
        target: head.path(),
        host: head.host(),
        upgrade: head.upgrade(),
        fields: head.fields(),
        body,
        traits: Traits {
            idempotent: flags.idempotent,
            blocking: flags.blocking,
            reset: flags.reset,
            connect: flags.connect,
            head: flags.head,
            streams: matches!(request.body, Body::Stream { .. }),
        },
        headers_timeout_ms: request.headers_timeout_ms,
        body_timeout_ms: request.body_timeout_ms,
    }
}

/// How a body is framed.
pub(in crate::engine) fn framing(body: &Body) -> http1::RequestBody {
    match body {
        Body::None => http1::RequestBody::None,
        Body::Empty => http1::RequestBody::Length(0),
        Body::Whole(bytes) => http1::RequestBody::Length(bytes.len() as u64),
        Body::Stream { length: Some(length) } => http1::RequestBody::Length(*length),
        Body::Stream { length: None } => http1::RequestBody::Chunked,
    }
}

/// How nothing is framed, where a body might have come.
fn empty_body(method: &[u8]) -> http1::RequestBody {
    const EXPECT: [&[u8]; 6] = [b"POST", b"PUT", b"PATCH", b"QUERY", b"PROPFIND", b"PROPPATCH"];
    if EXPECT.contains(&method) { http1::RequestBody::Length(0) } else { http1::RequestBody::None }
}
