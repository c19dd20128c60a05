//! Handlers of any type behind one: decode, run, answer, whatever happens on the way.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::thread;

use forebay_core_procwire::ResponseType;

use crate::answer::IntoAnswer;
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

/// Takes a request and its payload, and runs its handler as far as it goes at once if that is
/// asked for. A panic costs the request only.
pub(crate) type Start = Box<dyn FnMut(Arc<Call>, Incoming<'_>, At) -> Started + Send>;

/// Where a handler runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// In a task of its own from the first poll.
    Task,
    /// Here, and in a task only if it does not end at once.
    Here,
}

/// What became of a request that was started.
pub(crate) enum Started {
    /// The handler has ended.
    Ended(Arc<Call>),
    /// The call is in other hands.
    HandedOn,
    /// To be polled to its end.
    Running(Running),
}

/// A running handler.
pub(crate) type Running = Pin<Box<dyn Run>>;

/// What a handler's future looks like from outside.
pub(crate) trait Run: Send {
    /// The call comes back at the end.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<Call>>;
}

impl<F: Future<Output = Arc<Call>> + Send> Run for Option<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<Call>> {
        self.as_pin_mut().expect("it has not ended").poll(cx)
    }
}

/// Where the futures of one method run, one after the other: most end with their first poll, and
/// leave their memory to the next.
pub(crate) struct Place<F>(Option<Pin<Box<Option<F>>>>);

impl<F: Future<Output = Arc<Call>> + Send + 'static> Place<F> {
    pub(crate) fn new() -> Self {
        Self(None)
    }

    pub(crate) fn run(&mut self, future: F, at: At) -> Started {
        let mut place = self.0.take().unwrap_or_else(|| Box::pin(None));
        place.set(Some(future));
        if at == At::Here {
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(call) = place.as_mut().poll(&mut nobody) {
                place.set(None);
                self.0 = Some(place);
                return Started::Ended(call);
            }
        }
        Started::Running(place)
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
    let start = move |call: Arc<Call>, payload: Incoming<'_>, at: At| {
        let decode = || {
            let _reporter = Reporter(&call);
            let input = T::decode(payload, call.shared.plan.broken_text)?;
            Ok::<_, String>(handler(input, RequestContext::new(Arc::clone(&call))))
        };
        match decode() {
            Ok(future) => place.run(run(future, RequestContext::new(call)), at),
            Err(text) => reject(call, &text),
        }
    };
    Handler { kind: Kind { response: K::RESPONSE, counted: true }, start: Box::new(start) }
}

/// Runs a handler to its end and sends what it returned.
async fn run<K, Fut>(future: Fut, context: RequestContext<K>) -> Arc<Call>
where
    K: ResponseKind,
    Fut: Future<Output: IntoAnswer<K>> + Send,
{
    let reporter = Reporter(context.call());
    if let Err(failure) = future.await.answer(&context).await {
        // What the handler sent before stands; then there is nothing to add.
        let _ = context.fail_with(failure).await;
    }
    drop(reporter);
    context.into_call()
}

/// The error answer to a request that no handler took.
pub(crate) fn reject(call: Arc<Call>, text: &str) -> Started {
    // If it cannot be sent, nobody waits for it.
    let _ = call.fail_now(&Failure::text(text));
    Started::Ended(call)
}

/// Tells the parent when a handler panics.
pub(crate) struct Reporter<'a>(pub(crate) &'a Call);

impl Drop for Reporter<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // What the handler sent before stands.
            let _ = self.0.fail_now(&Failure::text("the handler panicked"));
        }
    }
}
