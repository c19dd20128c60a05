//! One request on an HTTP/2 connection, as a task of its own.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Error, Reason, RecvStream, SendStream};
use tokio::time::{Instant, Sleep};

use super::cause::Refusal;
use super::{Running, cause, head};
use crate::engine::client::Client;
use crate::engine::command::{Body, Request, RequestId};
use crate::engine::event::{Data, Event, Head, Version};
use crate::engine::failure::{Failure, Kind};
use crate::engine::shared::Shared;

/// A request and its response.
pub(super) struct Exchange {
    shared: Rc<Shared>,
    client: Rc<Client>,
    running: Rc<Running>,
    request: Box<Request>,
    reading: Reading,
    upload: Option<Upload>,
    timer: Pin<Box<Sleep>>,
    /// The response's body so far.
    received: u64,
    /// The connection became a stream of bytes.
    raw: bool,
    /// Why the server has reset the stream.
    reset: Option<Reason>,
}

/// What is awaited.
enum Reading {
    Head(ResponseFuture),
    /// Data that is there and not wanted yet stands in front.
    Body(Bytes, RecvStream),
    Ended,
}

/// A body on its way.
struct Upload {
    stream: SendStream<Bytes>,
    /// What was taken and does not fit the server's window yet.
    chunk: Bytes,
    last: bool,
    /// Until the server says that it wants the body.
    withheld: bool,
    credited: bool,
}

/// Why an exchange stops before its end.
enum Stop {
    /// The request is gone.
    GivenUp,
    Failed(Failure),
    /// The server has not begun with it: it can be sent again.
    Refused(Refusal, Failure),
}

/// Bytes of an upload that may be on their way.
const UPLOAD_WINDOW: u32 = 256 * 1024;

impl Exchange {
    pub(super) fn new(
        shared: Rc<Shared>,
        client: Rc<Client>,
        running: Rc<Running>,
        request: Box<Request>,
        response: ResponseFuture,
        upload: Option<SendStream<Bytes>>,
    ) -> Self {
        let raw = request.flags.connect || !request.head.upgrade().is_empty();
        let upload = upload.map(|stream| {
            let (chunk, last) = match &request.body {
                Body::Whole(bytes) => (bytes.clone(), true),
                Body::None | Body::Empty | Body::Stream { .. } => (Bytes::new(), false),
            };
            let withheld = raw || request.flags.expect_continue;
            Upload { stream, chunk, last, withheld, credited: last }
        });
        let timer = Box::pin(tokio::time::sleep(limit(request.headers_timeout_ms)));
        let reading = Reading::Head(response);
        Self {
            shared,
            client,
            running,
            request,
            reading,
            upload,
            timer,
            received: 0,
            raw: false,
            reset: None,
        }
    }

    const fn id(&self) -> RequestId {
        self.request.id
    }

    /// Runs to the end.
    pub(super) async fn run(mut self) {
        let stopped = poll_fn(|cx| self.poll(cx)).await;
        match stopped {
            None => {}
            Some(Stop::GivenUp) => {
                self.shared.finish(self.id());
                self.cancel();
            }
            Some(Stop::Failed(failure)) => {
                self.cancel();
                self.shared.fail(self.id(), failure);
            }
            Some(Stop::Refused(how, failure)) => self.send_again(how, failure),
        }
    }

    fn cancel(&mut self) {
        if let Some(upload) = &mut self.upload {
            upload.stream.send_reset(Reason::CANCEL);
        }
    }

    /// Puts the request back into the queue, if its body can be sent again: once for each way to
    /// refuse (RFC 9110 section 9.2.2).
    fn send_again(self, how: Refusal, failure: Failure) {
        let replayable = match self.request.body {
            Body::None | Body::Empty | Body::Whole(_) => true,
            Body::Stream { .. } => false,
        };
        let again = self.shared.with_slot(self.id(), |slot| {
            let again = replayable && slot.refused & how as u8 == 0;
            slot.refused |= how as u8;
            slot.waker = None;
            again
        });
        match again {
            Some(true) => self.client.put_back(&self.shared, self.request),
            Some(false) => self.shared.fail(self.request.id, failure),
            None => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Stop>> {
        let result = self.step(cx);
        self.shared.flush_at(self.shared.now());
        match result {
            Ok(false) => Poll::Pending,
            Ok(true) => Poll::Ready(None),
            Err(stop) => Poll::Ready(Some(*stop)),
        }
    }

    /// Does all that can be done now: whether that was all.
    fn step(&mut self, cx: &mut Context<'_>) -> Result<bool, Box<Stop>> {
        let waker = cx.waker().clone();
        let lives = self.shared.with_slot(self.id(), |slot| slot.waker = Some(waker)).is_some();
        if lives && self.raw && self.client.is_destroyed() {
            // The request was over for its client, not so the socket that is left of it.
            return Err(Box::new(Stop::Failed(Failure::new(Kind::Destroyed))));
        }
        if !lives || self.client.is_destroyed() {
            return Err(Box::new(Stop::GivenUp));
        }
        self.read_head(cx)?;
        self.write(cx);
        self.read_body(cx)?;
        if self.raw && matches!(self.reading, Reading::Ended) {
            // Who still reads is told of a reset there.
            self.watch_reset(cx);
            if let Some(reason) = self.reset {
                return Err(Box::new(Stop::Failed(cause::of_reset(reason))));
            }
        }
        let raw_goes_on = self.raw && self.upload.is_some();
        if matches!(self.reading, Reading::Ended) && !raw_goes_on {
            self.shared.finish(self.id());
            return Ok(true);
        }
        self.watch_time(cx)?;
        Ok(false)
    }

    fn failed(&self, error: &Error) -> Box<Stop> {
        let over = self.running.over.borrow().clone().filter(|_| error.is_io());
        let failure = over.unwrap_or_else(|| self.running.wire.of(cause::of_stream(error)));
        let early = matches!(self.reading, Reading::Head(_));
        let refusal = cause::refusal(error).filter(|_| early);
        Box::new(match refusal {
            Some(how) => Stop::Refused(how, failure),
            None => Stop::Failed(failure),
        })
    }

    fn read_head(&mut self, cx: &mut Context<'_>) -> Result<(), Box<Stop>> {
        let Reading::Head(response) = &mut self.reading else {
            return Ok(());
        };
        while let Poll::Ready(Some(Ok(early))) = response.poll_informational(cx) {
            let status = early.status().as_u16();
            self.timer.as_mut().reset(Instant::now() + limit(self.request.headers_timeout_ms));
            let fields = head::lines(early.headers());
            let head = told(status, &fields);
            self.shared.emit(Event::Informational { id: self.request.id, head });
            if let (100, Some(upload)) = (status, &mut self.upload) {
                upload.withheld = false;
            }
        }
        let response = match Pin::new(response).poll(cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(response)) => response,
            Poll::Ready(Err(error)) => return Err(self.failed(&error)),
        };
        let (parts, stream) = response.into_parts();
        let (id, status) = (self.id(), parts.status.as_u16());
        let fields = self.measured(head::lines(&parts.headers))?;
        let head = told(status, &fields);
        self.timer.as_mut().reset(Instant::now() + limit(self.request.body_timeout_ms));
        let flags = self.request.flags;
        let upgraded = !self.request.head.upgrade().is_empty() && parts.status.is_success();
        self.raw = flags.connect || upgraded;
        if self.raw {
            self.shared.emit(Event::Upgrade { id, head });
        } else if stream.is_end_stream() {
            self.reading = Reading::Ended;
            self.shared.finish(id);
            self.shared.emit(Event::Response { id, head, body: &[], trailers: &[] });
            return Ok(());
        } else {
            self.shared.emit(Event::Head { id, head });
        }
        if self.raw || parts.status.is_success() {
            self.upload.iter_mut().for_each(|upload| upload.withheld = false);
        } else {
            // Who did not want to wait for the body will not have it now.
            self.upload = self.upload.take().filter(|upload| !upload.withheld);
        }
        self.reading = Reading::Body(Bytes::new(), stream);
        Ok(())
    }

    /// Fields, unless there are too many.
    fn measured(&self, fields: Vec<u8>) -> Result<Vec<u8>, Box<Stop>> {
        if fields.len() >= self.client.options.max_header_size as usize {
            return Err(Box::new(Stop::Failed(Failure::new(Kind::HeadersOverflow))));
        }
        Ok(fields)
    }

    fn read_body(&mut self, cx: &mut Context<'_>) -> Result<(), Box<Stop>> {
        let id = self.request.id;
        while let Reading::Body(waiting, stream) = &mut self.reading {
            let flow = self.shared.with_slot(id, |slot| (slot.credit, slot.paused));
            let Some((credit, false)) = flow else {
                return Ok(());
            };
            if waiting.is_empty() {
                match stream.poll_data(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Some(Ok(data))) => *waiting = data,
                    Poll::Ready(Some(Err(error))) => return Err(self.failed_in_body(&error)),
                    Poll::Ready(None) => return self.end(cx),
                }
                self.timer.as_mut().reset(Instant::now() + limit(self.request.body_timeout_ms));
                continue;
            }
            if credit == 0 || self.shared.is_full(cx.waker()) {
                return Ok(());
            }
            let len = waiting.len().min(usize::try_from(credit).unwrap_or(usize::MAX));
            let data = waiting.split_to(len);
            self.received += len as u64;
            if self.client.options.max_response_size.is_some_and(|max| self.received > max) {
                return Err(Box::new(Stop::Failed(Failure::new(Kind::ResponseSize))));
            }
            // The server may send as much again. It fails only for a stream that is over.
            drop(stream.flow_control().release_capacity(len));
            self.shared.with_slot(id, |slot| slot.credit = slot.credit.saturating_sub(len as u64));
            self.shared.emit(Event::Data { id, data: Data::Borrowed(&data) });
        }
        Ok(())
    }

    fn failed_in_body(&self, error: &Error) -> Box<Stop> {
        // The library compares the body with its announced length.
        if error.is_library() && error.reason() == Some(Reason::PROTOCOL_ERROR) {
            return Box::new(Stop::Failed(Failure::new(Kind::ResponseLength)));
        }
        self.failed(error)
    }

    fn end(&mut self, cx: &mut Context<'_>) -> Result<(), Box<Stop>> {
        let Reading::Body(_, stream) = &mut self.reading else {
            return Ok(());
        };
        let trailers = match stream.poll_trailers(cx) {
            Poll::Pending => return Ok(()),
            Poll::Ready(Ok(trailers)) => trailers.map(|trailers| head::lines(&trailers)),
            Poll::Ready(Err(error)) => return Err(self.failed(&error)),
        };
        let trailers = self.measured(trailers.unwrap_or_default())?;
        self.reading = Reading::Ended;
        self.shared.emit(Event::End { id: self.request.id, trailers: &trailers });
        Ok(())
    }

    /// Sends what the server takes of the request's body.
    fn write(&mut self, cx: &mut Context<'_>) {
        let id = self.request.id;
        if self.raw {
            self.watch_reset(cx);
        }
        while let Some(upload) = self.upload.as_mut().filter(|upload| !upload.withheld) {
            if !upload.credited {
                upload.credited = true;
                self.shared.emit(Event::BodyCredit { id, bytes: UPLOAD_WINDOW });
            }
            if upload.chunk.is_empty() && !upload.last {
                let next = self.shared.with_slot(id, |slot| {
                    (slot.upload.pop_front(), slot.upload_ended && slot.upload.is_empty())
                });
                let (chunk, last) = next.unwrap_or_default();
                let Some(chunk) = chunk.or_else(|| last.then(Bytes::new)) else {
                    return self.watch_reset(cx);
                };
                (upload.chunk, upload.last) = (chunk, last);
            }
            let len = upload.chunk.len();
            if len > 0 {
                upload.stream.reserve_capacity(len);
                match upload.stream.poll_capacity(cx) {
                    Poll::Pending => return self.watch_reset(cx),
                    Poll::Ready(Some(Ok(room))) => self.send(len.min(room)),
                    // Why is told to who reads.
                    Poll::Ready(Some(Err(_)) | None) => self.stop_upload(),
                }
            } else {
                self.send(0);
            }
        }
    }

    fn send(&mut self, len: usize) {
        let id = self.request.id;
        let Some(upload) = &mut self.upload else {
            return;
        };
        let data = upload.chunk.split_to(len);
        let ends = upload.last && upload.chunk.is_empty();
        if upload.stream.send_data(data, ends).is_err() {
            return self.stop_upload();
        }
        if len > 0 && !ends && !matches!(self.request.body, Body::Whole(_)) {
            let bytes = u32::try_from(len).unwrap_or(u32::MAX);
            self.shared.emit(Event::BodyCredit { id, bytes });
        }
        if ends {
            self.upload = None;
            self.shared.emit(Event::BodySent { id });
        }
        if matches!(self.reading, Reading::Head(_)) {
            self.timer.as_mut().reset(Instant::now() + limit(self.request.headers_timeout_ms));
        }
    }

    /// The server wants no more. A socket's writing side is over with that; a body was not sent.
    fn stop_upload(&mut self) {
        self.upload = None;
        if self.raw {
            self.shared.emit(Event::BodySent { id: self.request.id });
        }
    }

    /// A server that wants no more of a body may say so before it answers.
    fn watch_reset(&mut self, cx: &mut Context<'_>) {
        let Some(upload) = &mut self.upload else {
            return;
        };
        match upload.stream.poll_reset(cx) {
            Poll::Ready(Ok(Reason::NO_ERROR)) => self.stop_upload(),
            Poll::Ready(Ok(reason)) => self.reset = Some(reason),
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
    }

    fn watch_time(&mut self, cx: &mut Context<'_>) -> Result<(), Box<Stop>> {
        let (kind, ms, what) = match &self.reading {
            Reading::Head(_) => {
                (Kind::HeadersTimeout, self.request.headers_timeout_ms, "headers timeout")
            }
            Reading::Body(waiting, _) if waiting.is_empty() && !self.raw => {
                let rests =
                    self.shared.with_slot(self.id(), |slot| slot.paused || slot.credit == 0);
                if rests == Some(true) {
                    let later = Instant::now() + limit(self.request.body_timeout_ms);
                    self.timer.as_mut().reset(later);
                    return Ok(());
                }
                (Kind::BodyTimeout, self.request.body_timeout_ms, "stream timeout")
            }
            Reading::Body(..) | Reading::Ended => return Ok(()),
        };
        if ms == 0 || self.timer.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        self.running.unanswered.set(Some(limit(ms)));
        let message = format!("HTTP/2: \"{what} after {ms}\"");
        Err(Box::new(Stop::Failed(Failure::new(kind).with_message(message))))
    }
}

/// A limit, or what is as good as none.
const fn limit(ms: u32) -> Duration {
    match ms {
        0 => Duration::from_secs(365 * 24 * 3600),
        ms => Duration::from_millis(ms as u64),
    }
}

const fn told(status: u16, fields: &[u8]) -> Head<'_> {
    Head { status, version: Version::Http2, reason: &[], fields }
}
