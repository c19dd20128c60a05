//! One request between its arrival and its final frame.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex};

use forebay_core_procwire::RequestId;
use forebay_core_procwire::child::{self, Reply};

use crate::connection::outgoing::{Outgoing, with_scratch};
use crate::connection::shared::{Shared, locked};
use crate::error::{Error, Failure};
use crate::payload::IntoPayload;

/// A request that a handler works on.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    /// How many contexts are alive; the last one that goes closes the call.
    pub(crate) contexts: AtomicUsize,
    pub(crate) handle: child::Call,
    method: usize,
    request: Option<RequestId>,
    /// Bytes of payload that count against the limit until the call ends.
    pub(crate) held: usize,
    /// The final frame was handed out.
    pub(crate) ended: AtomicBool,
    aborted: AtomicBool,
    /// Who waits for the abort.
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
    pub(crate) fn new(
        shared: &Arc<Shared>,
        handle: child::Call,
        method: usize,
        request: Option<RequestId>,
        held: usize,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            contexts: AtomicUsize::new(0),
            handle,
            method,
            request,
            held,
            ended: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            wakers: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn request_id(&self) -> u32 {
        self.request.map_or(0, RequestId::value)
    }

    pub(crate) fn method_name(&self) -> &str {
        self.shared.method_name(self.method)
    }

    /// Encodes a value and sends it, as soon as there is room for it.
    pub(crate) async fn send<T>(&self, frame: Frame, value: &T) -> Result<(), Error>
    where
        T: IntoPayload + ?Sized,
    {
        self.shared.room().await;
        self.send_now(frame.reply(), |out| value.encode(out))
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
        self.send_now(Reply::Error, |out| {
            out.inline().extend_from_slice(failure.payload());
            Ok(())
        })
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
            self.shared.send(self, reply, scratch)
        })
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Returns once the call was given up.
    pub(crate) async fn aborted(&self) {
        poll_fn(|cx| self.poll_aborted(cx)).await;
    }

    pub(crate) fn poll_aborted(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_aborted() {
            return Poll::Ready(());
        }
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

    /// The last context is gone. If the parent still waits, it gets an error.
    pub(crate) fn finish_unanswered(&self) {
        if !self.ended.load(Ordering::Acquire) {
            self.shared.close(self);
        }
    }
}
