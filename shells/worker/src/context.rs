//! What a handler holds of its request.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use crate::client::Client;
use crate::connection::{Abort, Call, Frame};
use crate::error::{Error, Failure};
use crate::payload::IntoPayload;

/// A response type as a type, so that a handler cannot send what its method may not.
pub trait ResponseKind: sealed::Kind {}

/// `result`: exactly one value.
#[derive(Clone, Copy, Debug)]
pub enum Single {}

/// `stream`: any number of chunks, then an end.
#[derive(Clone, Copy, Debug)]
pub enum Streamed {}

/// `ack`: one acknowledgement, with data or without.
#[derive(Clone, Copy, Debug)]
pub enum Ack {}

/// `none`: nobody waits for an answer.
#[derive(Clone, Copy, Debug)]
pub enum Silent {}

impl ResponseKind for Single {}
impl ResponseKind for Streamed {}
impl ResponseKind for Ack {}
impl ResponseKind for Silent {}

pub(crate) mod sealed {
    use forebay_core_procwire::ResponseType;

    /// Only this crate knows the response types.
    #[expect(unnameable_types, reason = "seals a public trait")]
    pub trait Kind: Send + Sync + 'static {
        /// The name of the type in `$init`.
        const RESPONSE: ResponseType;
    }

    impl Kind for super::Single {
        const RESPONSE: ResponseType = ResponseType::Result;
    }

    impl Kind for super::Streamed {
        const RESPONSE: ResponseType = ResponseType::Stream;
    }

    impl Kind for super::Ack {
        const RESPONSE: ResponseType = ResponseType::Ack;
    }

    impl Kind for super::Silent {
        const RESPONSE: ResponseType = ResponseType::None;
    }
}

/// One request: its identity, whether anybody still waits, and the way to answer it.
///
/// Clones are the same request and may outlive the handler. When the last one goes without a
/// final frame, the parent gets an error answer, never silence.
pub struct RequestContext<K: ResponseKind = Single> {
    call: Arc<Call>,
    kind: PhantomData<fn() -> K>,
}

impl<K: ResponseKind> RequestContext<K> {
    pub(crate) fn new(call: Arc<Call>) -> Self {
        Self { call, kind: PhantomData }
    }

    /// The id that the parent gave the request; 0 for a method that answers nothing.
    #[must_use]
    pub fn request_id(&self) -> u32 {
        self.call.request_id()
    }

    /// The name of the method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.call.method_name()
    }

    /// Whether the parent gave the request up, or is gone.
    #[must_use]
    pub fn is_aborted(&self) -> bool {
        self.call.is_aborted()
    }

    /// A token that says when [`is_aborted`](Self::is_aborted) becomes true. It does not keep the
    /// request open.
    #[must_use]
    pub fn cancellation_token(&self) -> CancellationToken {
        CancellationToken { abort: self.call.watch() }
    }

    /// Sends an event; the same as [`Client::emit`].
    ///
    /// # Errors
    /// As [`Client::emit`].
    pub async fn emit<T>(&self, event: &str, data: &T) -> Result<(), Error>
    where
        T: IntoPayload + Sync + ?Sized,
    {
        self.client().emit(event, data).await
    }

    /// The worker that the request came to.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::from_shared(Arc::clone(&self.call.shared))
    }

    /// Answers with an error message as the final frame.
    ///
    /// # Errors
    /// [`Error::ResponseAlreadySent`], [`Error::Aborted`], [`Error::Closed`].
    pub async fn error(&self, message: impl AsRef<str> + Send) -> Result<(), Error> {
        self.fail(Failure::text(message)).await
    }

    /// Answers with a failure, text or structured, as the final frame.
    ///
    /// # Errors
    /// As [`error`](Self::error).
    pub async fn fail(&self, failure: impl Into<Failure> + Send) -> Result<(), Error> {
        self.fail_with(failure.into()).await
    }

    pub(crate) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    pub(crate) fn into_call(self) -> Arc<Call> {
        self.call
    }

    /// Whether whoever wants to send has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.call.shared.is_full()
    }

    /// Returns when there is room for another frame.
    pub(crate) async fn room(&self) {
        self.call.shared.room().await;
    }

    pub(crate) async fn fail_with(&self, failure: Failure) -> Result<(), Error> {
        self.call.send_failure(&failure).await
    }
}

impl RequestContext<Single> {
    /// Sends the result. Waits, without a limit in time, while the parent does not read.
    ///
    /// # Errors
    /// [`Error::ResponseAlreadySent`], [`Error::Aborted`], [`Error::Closed`],
    /// [`Error::TooLong`], [`Error::Encode`].
    pub async fn respond<T>(&self, value: &T) -> Result<(), Error>
    where
        T: IntoPayload + Sync + ?Sized,
    {
        self.call.send(Frame::Result, value).await
    }
}

impl RequestContext<Ack> {
    /// Acknowledges with data.
    ///
    /// # Errors
    /// As [`RequestContext::respond`].
    pub async fn ack<T>(&self, value: &T) -> Result<(), Error>
    where
        T: IntoPayload + Sync + ?Sized,
    {
        self.call.send(Frame::Ack, value).await
    }

    /// Acknowledges without data: nil on the wire, since the npm parent rejects an empty payload.
    /// For a method whose response codec is raw, send an empty [`Raw`](crate::Raw).
    ///
    /// # Errors
    /// As [`RequestContext::respond`].
    pub async fn ack_empty(&self) -> Result<(), Error> {
        self.call.send(Frame::Ack, &()).await
    }
}

impl RequestContext<Streamed> {
    /// Sends one chunk. Waits, without a limit in time, while the parent does not read.
    ///
    /// # Errors
    /// As [`RequestContext::respond`].
    pub async fn chunk<T>(&self, value: &T) -> Result<(), Error>
    where
        T: IntoPayload + Sync + ?Sized,
    {
        self.call.send(Frame::Chunk, value).await
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// As [`RequestContext::respond`].
    pub async fn end(&self) -> Result<(), Error> {
        self.call.send_end().await
    }
}

impl<K: ResponseKind> Clone for RequestContext<K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.call))
    }
}

impl<K: ResponseKind> fmt::Debug for RequestContext<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestContext")
            .field("method", &self.method())
            .field("request_id", &self.request_id())
            .finish_non_exhaustive()
    }
}

/// Tells that a request was given up, to code that has no use for the request itself.
#[derive(Clone)]
pub struct CancellationToken {
    abort: Arc<Abort>,
}

impl CancellationToken {
    /// Whether the request was given up.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.abort.is_aborted()
    }

    /// Returns once the request was given up; never, when it ends otherwise.
    pub async fn cancelled(&self) {
        self.abort.aborted().await;
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancellationToken").field(&self.is_cancelled()).finish()
    }
}
