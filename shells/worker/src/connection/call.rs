//! One request between its arrival and its final frame.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex};

use forebay_core_procwire::RequestId;
use forebay_core_procwire::child::{self, Reply};

use crate::answer::Answer;
use crate::connection::outgoing::{Outgoing, Payload, with_scratch};
use crate::connection::shared::{Shared, locked};
use crate::error::{Error, Failure};
use crate::payload::IntoPayload;

/// A request that somebody may still answer: with the last reference goes the last chance, and
/// the parent gets an error in its place.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    /// [`child::Call`]; what follows changes only while nobody else has a reference.
    handle: AtomicU64,
    method: AtomicUsize,
    /// 0 without an id.
    request: AtomicU32,
    /// The final frame was handed out.
    ended: AtomicBool,
    abort: Arc<Abort>,
}

/// Whether a request was given up. Lives on with those who ask.
#[derive(Default)]
pub(crate) struct Abort {
    aborted: AtomicBool,
    /// Somebody asks, or did.
    watched: AtomicBool,
    /// Who waits for it.
    wakers: Mutex<Vec<Waker>>,
}

/// What a frame of an answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame {
    Result,
    Ack,
    Chunk,
}

impl Frame {
    fn reply(self) -> Reply {
        match self {
            Self::Result => Reply::Result,
            Self::Ack => Reply::Ack,
            Self::Chunk => Reply::Chunk,
        }
    }
}

impl Call {
    fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            handle: AtomicU64::new(0),
            method: AtomicUsize::new(0),
            request: AtomicU32::new(0),
            ended: AtomicBool::new(true),
            abort: Arc::new(Abort::default()),
        }
    }

    /// Makes it another call.
    fn set(&self, handle: child::Call, method: usize, request: Option<RequestId>) {
        self.handle.store(handle.to_bits(), Ordering::Relaxed);
        self.method.store(method, Ordering::Relaxed);
        self.request.store(request.map_or(0, RequestId::value), Ordering::Relaxed);
        self.ended.store(false, Ordering::Relaxed);
    }

    pub(crate) fn handle(&self) -> child::Call {
        child::Call::from_bits(self.handle.load(Ordering::Relaxed))
    }

    pub(crate) fn request_id(&self) -> u32 {
        self.request.load(Ordering::Relaxed)
    }

    pub(crate) fn method_name(&self) -> &str {
        self.shared.method_name(self.method.load(Ordering::Relaxed))
    }

    /// Encodes a value and sends it, as soon as there is room for it.
    pub(crate) async fn send<T>(&self, frame: Frame, value: &T) -> Result<(), Error>
    where
        T: IntoPayload + ?Sized,
    {
        self.shared.room().await;
        match value.as_bytes() {
            Some(bytes) => self.shared.send(self, frame.reply(), Payload::Whole(bytes)),
            None => self.send_now(frame.reply(), |out| value.encode(out)),
        }
    }

    pub(crate) async fn send_end(&self) -> Result<(), Error> {
        self.shared.room().await;
        self.send_now(Reply::End, |_| Ok(()))
    }

    /// Sends the error answer, as soon as there is room for it.
    pub(crate) async fn send_failure(&self, failure: &Failure) -> Result<(), Error> {
        self.shared.room().await;
        self.fail_now(failure)
    }

    /// As [`send_failure`](Self::send_failure), beyond the bound on what waits to be sent: for
    /// answers of which there are no more than calls.
    pub(crate) fn fail_now(&self, failure: &Failure) -> Result<(), Error> {
        self.shared.send(self, Reply::Error, Payload::Whole(failure.payload()))
    }

    /// Sends a frame that `encode` writes the payload of, whether there is room or not.
    pub(crate) fn send_now(
        &self,
        reply: Reply,
        encode: impl FnOnce(&mut Outgoing<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Outside the lock: a value's own code may do what it likes, send something included.
        with_scratch(|scratch| {
            encode(&mut Outgoing::new(scratch))?;
            self.shared.send(self, reply, Payload::Encoded(scratch))
        })
    }

    /// Sends what a handler returned, whether there is room or not.
    pub(crate) fn send_answer(&self, mut answer: Answer) -> Result<(), Error> {
        let sent = self.shared.send_answer(self, &mut answer);
        answer.payload.give_back();
        sent
    }

    /// The final frame was handed out, or nobody waits for it.
    pub(crate) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.abort.is_aborted()
    }

    pub(crate) fn poll_aborted(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.abort.poll(cx)
    }

    /// Where the abort is to be said.
    pub(crate) fn abort(&self) -> &Arc<Abort> {
        &self.abort
    }

    /// For those who want to know, and not to answer.
    pub(crate) fn watch(&self) -> Arc<Abort> {
        self.abort.watched.store(true, Ordering::Relaxed);
        Arc::clone(&self.abort)
    }

    /// If the parent still waits, it gets an error.
    fn close(&self) {
        if !self.ended.load(Ordering::Acquire) {
            self.shared.close(self.handle());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.close();
    }
}

impl Abort {
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Returns once the call was given up.
    pub(crate) async fn aborted(&self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_aborted() {
            return Poll::Ready(());
        }
        self.watched.store(true, Ordering::Relaxed);
        let mut wakers = locked(&self.wakers);
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        // `abort` stores before it takes the lock, so one of the two sees the other.
        if self.is_aborted() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The parent gave the call up, or is gone.
    pub(crate) fn abort(&self) {
        self.aborted.store(true, Ordering::Release);
        let wakers = core::mem::take(&mut *locked(&self.wakers));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether it can serve another call, since nobody saw it.
    fn is_unused(&self) -> bool {
        !self.is_aborted() && !self.watched.load(Ordering::Relaxed)
    }
}

/// Calls whose handlers have ended, each at the place of its handle: the next one of that place
/// takes its memory.
#[derive(Default)]
pub(crate) struct Pool {
    calls: Vec<Option<Arc<Call>>>,
}

impl Pool {
    /// A call that was admitted.
    pub(crate) fn take(
        &mut self,
        shared: &Arc<Shared>,
        handle: child::Call,
        method: usize,
        request: Option<RequestId>,
    ) -> Arc<Call> {
        let spare = self.calls.get_mut(handle.index()).and_then(Option::take);
        let call = match spare {
            // Nobody has another reference, and nobody can get one.
            Some(call) if call.abort.is_unused() => call,
            Some(_) | None => Arc::new(Call::new(shared)),
        };
        call.set(handle, method, request);
        call
    }

    /// A handler has ended. Its call has, too, unless a context outlives it.
    pub(crate) fn put(&mut self, call: Arc<Call>) {
        if Arc::strong_count(&call) > 1 {
            return;
        }
        call.close();
        // Then its drop, under whatever lock, does nothing.
        call.set_ended();
        let index = call.handle().index();
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, || None);
        }
        self.calls[index] = Some(call);
    }
}
