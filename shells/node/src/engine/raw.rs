//! A connection that one request has taken over: bytes, both ways.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWrite};

use super::causes;
use super::command::RequestId;
use super::event::{Data, Event};
use super::outbox::Outbox;
use super::shared::{READ_LEN, Shared};
use super::stream::Stream;

/// What is left of an HTTP connection.
pub(super) struct RawStream {
    pub(super) stream: Stream,
    /// What was read behind the head.
    pub(super) early: Vec<u8>,
    pub(super) outbox: Outbox,
}

/// Bytes that may be on their way to the peer.
const WINDOW: u32 = 256 * 1024;

struct Raw {
    shared: Rc<Shared>,
    id: RequestId,
    stream: Stream,
    early: Vec<u8>,
    outbox: Outbox,
    taken: u64,
    credited: u64,
    /// The peer has ended; we have.
    read_ended: bool,
    write_ended: bool,
}

/// Moves bytes until both sides have ended, one fails, or the request is given up.
pub(super) async fn run(shared: Rc<Shared>, id: RequestId, raw: RawStream) {
    shared.with_slot(id, |slot| {
        slot.upload.clear();
        slot.upload_ended = false;
    });
    shared.emit(Event::BodyCredit { id, bytes: WINDOW });
    let mut raw = Raw {
        shared: Rc::clone(&shared),
        id,
        stream: raw.stream,
        early: raw.early,
        outbox: raw.outbox,
        taken: 0,
        credited: 0,
        read_ended: false,
        write_ended: false,
    };
    let result = poll_fn(|cx| raw.poll(cx)).await;
    match result {
        Ok(()) => {
            shared.finish(id);
        }
        Err(failure) => shared.fail(id, causes::system(&failure.0, failure.1)),
    }
}

/// An error and the call that gave it.
type Failed = (io::Error, &'static str);

impl Raw {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let waker = cx.waker().clone();
        if self.shared.with_slot(self.id, |slot| slot.waker = Some(waker)).is_none() {
            return Poll::Ready(Ok(()));
        }
        if let Err(error) = self.write(cx) {
            return Poll::Ready(Err((error, "write")));
        }
        if let Err(error) = self.read(cx) {
            return Poll::Ready(Err((error, "read")));
        }
        self.shared.flush_at(self.shared.now());
        if self.read_ended && self.write_ended { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let (taken, outbox) = (&mut self.taken, &mut self.outbox);
        let ended = self.shared.with_slot(self.id, |slot| {
            for chunk in slot.upload.drain(..) {
                *taken += chunk.len() as u64;
                outbox.push(chunk);
            }
            slot.upload_ended
        });
        let written = self.outbox.poll_write(cx, &mut self.stream)?;
        let waiting = self.outbox.len() as u64;
        let free = self.taken.saturating_sub(self.credited + waiting);
        if free >= u64::from(WINDOW / 4) || free > 0 && waiting == 0 {
            self.credited += free;
            let bytes = u32::try_from(free).unwrap_or(u32::MAX);
            self.shared.emit(Event::BodyCredit { id: self.id, bytes });
        }
        if written.is_ready()
            && ended == Some(true)
            && !self.write_ended
            && let Poll::Ready(result) = Pin::new(&mut self.stream).poll_shutdown(cx)
        {
            self.write_ended = true;
            // A peer that has gone before has read what it wanted.
            drop(result);
            self.shared.emit(Event::BodySent { id: self.id });
        }
        Ok(())
    }

    fn read(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let shared = Rc::clone(&self.shared);
        while !self.read_ended {
            let credit =
                shared.with_slot(self.id, |slot| if slot.paused { 0 } else { slot.credit });
            let credit = usize::try_from(credit.unwrap_or(0)).unwrap_or(usize::MAX);
            if credit == 0 || shared.is_full(cx.waker()) {
                return Ok(());
            }
            if !self.early.is_empty() {
                let len = self.early.len().min(credit);
                let data: Vec<u8> = self.early.drain(..len).collect();
                self.tell(&data);
                continue;
            }
            let mut scratch = shared.scratch.borrow_mut();
            scratch.clear();
            scratch.reserve(READ_LEN);
            let mut limited = (&mut self.stream).take(credit.min(READ_LEN) as u64);
            match pin!(limited.read_buf(&mut *scratch)).poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => self.end_reading(),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end_reading();
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(_)) => self.tell(&scratch),
            }
        }
        Ok(())
    }

    fn end_reading(&mut self) {
        self.read_ended = true;
        self.shared.emit(Event::End { id: self.id, trailers: &[] });
    }

    fn tell(&self, data: &[u8]) {
        let len = data.len() as u64;
        self.shared.with_slot(self.id, |slot| slot.credit = slot.credit.saturating_sub(len));
        self.shared.emit(Event::Data { id: self.id, data: Data::Borrowed(data) });
    }
}
