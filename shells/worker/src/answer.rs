//! What a handler may return instead of answering through its context.

use core::future::Future;
use core::pin::pin;

use forebay_core_procwire::child;
use futures_core::Stream;

use crate::connection::Owned;
use crate::context::{Ack, RequestContext, ResponseKind, Single, Streamed};
use crate::error::{Error, Failure};
use crate::payload::IntoPayload;

/// What a handler of response kind `K` may return.
///
/// `()` says that the answer goes through the context (perhaps later, from a clone of it);
/// everything else is the answer. A `Result` of one of these turns its error into an error answer.
pub trait IntoAnswer<K: ResponseKind>: Send {
    /// Sends the answer.
    ///
    /// # Errors
    /// The failure that the caller sends as the request's final frame, if it had none yet.
    fn answer(
        self,
        context: &RequestContext<K>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The answer, unless it takes time to make.
    #[doc(hidden)]
    fn ready(self) -> Result<Option<Answer>, Self>
    where
        Self: Sized,
    {
        Err(self)
    }
}

/// All that is left to send for a request.
#[expect(unnameable_types, reason = "what a hidden method of a public trait returns")]
#[derive(Debug)]
pub struct Answer {
    pub(crate) reply: child::Reply,
    pub(crate) payload: Owned,
    /// Whether the end of a stream follows.
    pub(crate) ends: bool,
}

impl Answer {
    pub(crate) fn new<T: IntoPayload>(reply: child::Reply, value: T) -> Self {
        match Owned::of(value) {
            Ok(payload) => Self { reply, payload, ends: false },
            Err(error) => Self::failure(error),
        }
    }

    pub(crate) fn failure(failure: impl Into<Failure>) -> Self {
        let payload = Owned::Whole(failure.into().into_payload());
        Self { reply: child::Reply::Error, payload, ends: false }
    }
}

/// The one value that answers a `result` or an `ack` request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<T>(pub T);

/// An acknowledgement without data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted;

/// A stream whose items are the chunks of the answer; the first error ends it.
#[derive(Clone, Copy, Debug)]
pub struct Chunks<S>(pub S);

impl<K: ResponseKind> IntoAnswer<K> for () {
    async fn answer(self, _: &RequestContext<K>) -> Result<(), Failure> {
        Ok(())
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        Ok(None)
    }
}

impl<K: ResponseKind> IntoAnswer<K> for Failure {
    async fn answer(self, _: &RequestContext<K>) -> Result<(), Self> {
        Err(self)
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        Ok(Some(Answer::failure(self)))
    }
}

impl<K, A, E> IntoAnswer<K> for Result<A, E>
where
    K: ResponseKind,
    A: IntoAnswer<K>,
    E: Into<Failure> + Send,
{
    async fn answer(self, context: &RequestContext<K>) -> Result<(), Failure> {
        match self {
            Ok(answer) => answer.answer(context).await,
            Err(error) => Err(error.into()),
        }
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        match self {
            Ok(answer) => answer.ready().map_err(Ok),
            Err(error) => Ok(Some(Answer::failure(error))),
        }
    }
}

impl<T: IntoPayload + Send + Sync> IntoAnswer<Single> for Reply<T> {
    async fn answer(self, context: &RequestContext<Single>) -> Result<(), Failure> {
        context.respond(&self.0).await.map_err(Failure::from)
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        Ok(Some(Answer::new(child::Reply::Result, self.0)))
    }
}

impl<T: IntoPayload + Send + Sync> IntoAnswer<Ack> for Reply<T> {
    async fn answer(self, context: &RequestContext<Ack>) -> Result<(), Failure> {
        context.ack(&self.0).await.map_err(Failure::from)
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        Ok(Some(Answer::new(child::Reply::Ack, self.0)))
    }
}

impl IntoAnswer<Ack> for Accepted {
    async fn answer(self, context: &RequestContext<Ack>) -> Result<(), Failure> {
        context.ack_empty().await.map_err(Failure::from)
    }

    fn ready(self) -> Result<Option<Answer>, Self> {
        Ok(Some(Answer::new(child::Reply::Ack, ())))
    }
}

impl<S, T, E> IntoAnswer<Streamed> for Chunks<S>
where
    S: Stream<Item = Result<T, E>> + Send,
    T: IntoPayload + Send + Sync,
    E: Into<Failure> + Send,
{
    async fn answer(self, context: &RequestContext<Streamed>) -> Result<(), Failure> {
        let mut stream = pin!(self.0);
        while let Some(item) = core::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
            let item = item.map_err(Into::into)?;
            match context.chunk(&item).await {
                Ok(()) => {}
                // Nobody listens any more; dropping the stream stops what feeds it.
                Err(Error::Aborted | Error::Closed) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        context.end().await.map_err(Failure::from)
    }
}
