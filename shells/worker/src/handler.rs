//! Handlers of any type behind one: decode, run, answer, whatever happens on the way.

use core::future::Future;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::thread;

use forebay_core_procwire::ResponseType;

use crate::answer::{Answer, IntoAnswer};
use crate::connection::Call;
use crate::context::{RequestContext, ResponseKind};
use crate::error::Failure;
use crate::payload::{FromPayload, Incoming};

/// One method's behaviour.
pub(crate) struct Handler {
    pub(crate) kind: Kind,
    pub(crate) start: Start,
}

/// What there is to know of a method before it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) response: ResponseType,
    /// Whether its requests count against the limits on what runs at a time.
    pub(crate) counted: bool,
}

/// Takes a request and its payload, and runs its handler. A panic costs the request only.
pub(crate) type Start = Box<dyn FnMut(Arc<Call>, Incoming<'_>, At<'_>) -> Option<Running> + Send>;

/// Where a handler runs.
pub(crate) enum At<'a> {
    /// In a task of its own from the first poll.
    Task,
    /// Here, and in a task only if it does not end at once. Then this is where it leaves what is
    /// to be sent.
    Here(&'a mut Vec<Ended>),
}

impl At<'_> {
    /// Nothing is left to run.
    pub(crate) fn end(self, ended: Ended) {
        match self {
            Self::Task => ended.send(),
            Self::Here(list) => list.push(ended),
        }
    }
}

/// What a handler leaves behind.
pub(crate) struct Ended {
    pub(crate) call: Arc<Call>,
    /// Still to be sent.
    pub(crate) answer: Option<Answer>,
}

impl Ended {
    /// Sends what is to be sent.
    pub(crate) fn send(self) {
        let sent = self.answer.map(|answer| self.call.send_answer(answer));
        if let Some(Err(error)) = sent {
            // What was sent before stands; then there is nothing to add.
            let _ = self.call.fail_now(&Failure::from(error));
        }
    }
}

/// A running handler.
pub(crate) type Running = Pin<Box<dyn Run>>;

/// What a handler's future looks like from outside.
pub(crate) trait Run: Send {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended>;
}

impl<F: Future<Output = Ended> + Send> Run for Option<F> {
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        self.as_pin_mut().expect("it has not ended").poll(cx)
    }
}

/// Where the futures of one method run, one after the other: most end with their first poll, and
/// leave their memory to the next.
pub(crate) struct Place<F>(Option<Pin<Box<Option<F>>>>);

impl<F: Future<Output = Ended> + Send + 'static> Place<F> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    /// Polls it, unless it is to run in a task. What comes back is to be polled to its end.
    pub(crate) fn run(&mut self, future: F, at: At<'_>) -> Option<Running> {
        let mut place = self.0.take().unwrap_or_else(|| Box::pin(None));
        place.set(Some(future));
        if let At::Here(ended) = at {
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(end) = place.as_mut().poll(&mut nobody) {
                ended.push(end);
                place.set(None);
                self.0 = Some(place);
                return None;
            }
        }
        Some(place)
    }
}

/// Hides the types of a handler.
pub(crate) fn erase<T, K, F, Fut>(handler: F) -> Handler
where
    T: FromPayload,
    K: ResponseKind,
    F: Fn(T, RequestContext<K>) -> Fut + Send + 'static,
    Fut: Future<Output: IntoAnswer<K>> + Send + 'static,
{
    let mut place = Place::new();
    let start = move |call: Arc<Call>, payload: Incoming<'_>, at: At<'_>| {
        let decode = || {
            let reporter = Reporter(&call);
            let decoded = T::decode(payload, call.shared.plan.broken_text);
            let context = || RequestContext::new(Arc::clone(&call));
            let future = decoded.map(|input| handler(input, context()));
            reporter.dismiss();
            future
        };
        match decode() {
            Ok(future) => place.run(run(future, RequestContext::new(call)), at),
            Err(text) => reject(call, &text, at),
        }
    };
    Handler { kind: Kind { response: K::RESPONSE, counted: true }, start: Box::new(start) }
}

/// Runs a handler to its end, and sends what it returned if that takes time.
async fn run<K, Fut>(future: Fut, context: RequestContext<K>) -> Ended
where
    K: ResponseKind,
    Fut: Future<Output: IntoAnswer<K>> + Send,
{
    let reporter = Reporter(context.call());
    let answer = future.await;
    let ready = if context.is_full() { Err(answer) } else { answer.ready() };
    let answer = match ready {
        Ok(answer) => answer,
        Err(answer) => {
            // Apart, so that answers at once do not carry the room for it around.
            Box::pin(send(answer, &context)).await;
            None
        }
    };
    reporter.dismiss();
    Ended { call: context.into_call(), answer }
}

/// Sends what takes time.
async fn send<K: ResponseKind>(answer: impl IntoAnswer<K>, context: &RequestContext<K>) {
    if let Err(failure) = answer.answer(context).await {
        // What the handler sent before stands; then there is nothing to add.
        let _ = context.fail_with(failure).await;
    }
}

/// The error answer to a request that no handler took.
pub(crate) fn reject(call: Arc<Call>, text: &str, at: At<'_>) -> Option<Running> {
    at.end(Ended { call, answer: Some(Answer::failure(Failure::text(text))) });
    None
}

/// Tells the parent when a handler panics.
pub(crate) struct Reporter<'a>(pub(crate) &'a Call);

impl Reporter<'_> {
    /// Nothing can panic any more.
    pub(crate) fn dismiss(self) {
        mem::forget(self);
    }
}

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // What the handler sent before stands.
            let _ = self.0.fail_now(&Failure::text("the handler panicked"));
        }
    }
}
