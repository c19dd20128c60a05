//! Handlers of any type behind one: decode, run, answer, whatever happens on the way.

use core::future::{Future, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::{Pin, pin};
use std::panic::catch_unwind;
use std::sync::Arc;

use forebay_core_procwire::ResponseType;

use crate::answer::IntoAnswer;
use crate::connection::Call;
use crate::context::{RequestContext, ResponseKind};
use crate::error::Failure;
use crate::payload::{FromPayload, Incoming};

/// One method's behaviour.
pub(crate) struct Handler {
    pub(crate) response: ResponseType,
    /// Whether its requests count against the limits on what runs at a time.
    pub(crate) counted: bool,
    pub(crate) start: Start,
}

/// Takes a request's payload. The text is for the error answer to one that cannot be decoded.
pub(crate) type Start =
    Box<dyn Fn(Incoming<'_>, &Arc<Call>) -> Result<Started, String> + Send + Sync>;

/// What became of a request that was started.
pub(crate) enum Started {
    /// Nothing is left to run.
    Done,
    /// To be polled to its end.
    Running(Running),
}

/// A running handler.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hides the types of a handler.
pub(crate) fn erase<T, K, F, Fut>(handler: F) -> Handler
where
    T: FromPayload,
    K: ResponseKind,
    F: Fn(T, RequestContext<K>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output: IntoAnswer<K>> + Send + 'static,
{
    let start = move |payload: Incoming<'_>, call: &Arc<Call>| {
        let input = T::decode(payload, call.shared.plan.broken_text)?;
        let context = RequestContext::first(Arc::clone(call));
        let future = catch_unwind(AssertUnwindSafe(|| handler(input, context.clone())));
        Ok(match future {
            Ok(future) => Started::Running(Box::pin(run(future, context))),
            Err(_) => Started::Running(Box::pin(panicked(context))),
        })
    };
    Handler { response: K::RESPONSE, counted: true, start: Box::new(start) }
}

/// Runs a handler to its end and sends what it returned.
pub(crate) async fn run<K, Fut>(future: Fut, context: RequestContext<K>)
where
    K: ResponseKind,
    Fut: Future<Output: IntoAnswer<K>> + Send,
{
    match caught(future).await {
        Some(answer) => {
            if let Some(Err(failure)) = caught(answer.answer(&context)).await {
                // What the handler sent before stands; then there is nothing to add.
                let _ = context.fail_with(failure).await;
            }
        }
        None => panicked(context).await,
    }
}

/// The output of `future`, or `None` when it panicked.
pub(crate) async fn caught<Fut: Future>(future: Fut) -> Option<Fut::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)))
            .map_or(core::task::Poll::Ready(None), |poll| poll.map(Some))
    })
    .await
}

pub(crate) async fn panicked<K: ResponseKind>(context: RequestContext<K>) {
    let _ = context.fail_with(Failure::text("the handler panicked")).await;
}
