//! The description of a worker: its methods, its events, its limits.

use core::fmt;
use core::future::Future;
use core::time::Duration;

use crate::answer::IntoAnswer;
use crate::client::Client;
use crate::codec::BrokenText;
use crate::context::{Ack, RequestContext, ResponseKind, Silent, Single, Streamed};
use crate::error::StartError;
use crate::handler::{self, Handler};
use crate::http::{self, HttpContext, HttpRequest, IntoHttpAnswer};
use crate::payload::FromPayload;

/// Requests that may run at a time unless [`Builder::max_concurrency`] says otherwise.
pub const DEFAULT_MAX_CONCURRENCY: usize = 4096;

/// Longest payload in bytes that is taken unless [`Builder::max_payload_size`] says otherwise.
pub const DEFAULT_MAX_PAYLOAD_SIZE: u32 = 1 << 30;

/// What a worker offers. The order of the calls is the order of the ids; a name that is given
/// again keeps its place and takes the new handler.
pub struct Builder {
    pub(crate) methods: Vec<Method>,
    pub(crate) events: Vec<String>,
    pub(crate) broken_text: BrokenText,
    pub(crate) limits: Limits,
}

/// One method of a worker.
pub(crate) struct Method {
    pub(crate) name: String,
    pub(crate) handler: Handler,
}

/// What a peer can make a worker hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_concurrency: usize,
    pub(crate) max_payload_size: u32,
    pub(crate) max_request_bytes: usize,
    pub(crate) shutdown_grace: Duration,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            methods: Vec::new(),
            events: Vec::new(),
            broken_text: BrokenText::Refuse,
            limits: Limits {
                max_concurrency: DEFAULT_MAX_CONCURRENCY,
                max_payload_size: DEFAULT_MAX_PAYLOAD_SIZE,
                max_request_bytes: 256 << 20,
                shutdown_grace: Duration::from_secs(5),
            },
        }
    }

    /// A method with one result. The handler returns a [`Reply`](crate::Reply), or answers with
    /// [`RequestContext::respond`].
    #[must_use]
    pub fn handle<T, F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        T: FromPayload,
        F: Fn(T, RequestContext<Single>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAnswer<Single>> + Send + 'static,
    {
        self.method(name, handler)
    }

    /// A method with a stream of results. The handler returns [`Chunks`](crate::Chunks), or
    /// answers with [`RequestContext::chunk`] and [`RequestContext::end`].
    #[must_use]
    pub fn stream<T, F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        T: FromPayload,
        F: Fn(T, RequestContext<Streamed>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAnswer<Streamed>> + Send + 'static,
    {
        self.method(name, handler)
    }

    /// A method that is acknowledged. The handler returns [`Accepted`](crate::Accepted) or a
    /// [`Reply`](crate::Reply), or answers with [`RequestContext::ack`] or
    /// [`RequestContext::ack_empty`].
    #[must_use]
    pub fn ack<T, F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        T: FromPayload,
        F: Fn(T, RequestContext<Ack>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAnswer<Ack>> + Send + 'static,
    {
        self.method(name, handler)
    }

    /// A method that answers nothing.
    #[must_use]
    pub fn none<T, F, Fut>(self, name: impl Into<String>, handler: F) -> Self
    where
        T: FromPayload,
        F: Fn(T, RequestContext<Silent>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAnswer<Silent>> + Send + 'static,
    {
        self.method(name, handler)
    }

    /// An event that [`Client::emit`] may send.
    #[must_use]
    pub fn event(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !self.events.contains(&name) {
            self.events.push(name);
        }
        self
    }

    /// Serves HTTP requests that a gateway sends: announces the methods `http`, `http.body` and
    /// `http.grant` and hides their messages.
    ///
    /// The handler returns an [`HttpResponse`](crate::HttpResponse), or answers through its
    /// context with a head and a streamed body.
    #[must_use]
    pub fn http<F, Fut>(mut self, handler: F) -> Self
    where
        F: Fn(HttpRequest, HttpContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoHttpAnswer> + Send + 'static,
    {
        for (name, handler) in http::methods(handler) {
            self.insert(name.to_owned(), handler);
        }
        self
    }

    /// Whether text of a request that is not UTF-8 (a string of JavaScript may hold half of a
    /// surrogate pair) is taken, with U+FFFD in place of what is broken (default: no; the request
    /// is answered with an error).
    #[must_use]
    pub fn lossy_text(mut self, lossy: bool) -> Self {
        self.broken_text = if lossy { BrokenText::Replace } else { BrokenText::Refuse };
        self
    }

    /// How many requests may run at a time (default 4,096). One more is answered with an error at
    /// once; body parts and grants of HTTP requests do not count.
    #[must_use]
    pub fn max_concurrency(mut self, requests: usize) -> Self {
        self.limits.max_concurrency = requests.max(1);
        self
    }

    /// The longest payload in bytes that the worker takes (default 1 GiB, at most 2^31 - 1). A
    /// longer frame ends the connection.
    #[must_use]
    pub fn max_payload_size(mut self, bytes: u32) -> Self {
        self.limits.max_payload_size = bytes.min(i32::MAX.unsigned_abs());
        self
    }

    /// How many bytes of request payloads may be held at a time (default 256 MiB). A request that
    /// would go beyond it is answered with an error, unless it is the only one.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_request_bytes = bytes;
        self
    }

    /// After `$shutdown` or the loss of the parent the process ends within this time even when
    /// the program does not return from `main` (default 5 s).
    #[must_use]
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.limits.shutdown_grace = grace;
        self
    }

    /// Binds the socket, announces the worker on stdout and starts to listen to the parent, all
    /// on the current tokio runtime. On failure the parent is told with `$error`.
    ///
    /// # Errors
    /// See [`StartError`]. The call then returns only when the parent has had time to read
    /// `$error` (it lost interest, or 1 s passed), so that a program may exit at once.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub async fn start(self) -> Result<Client, StartError> {
        crate::start::start(self).await
    }

    fn method<T, K, F, Fut>(mut self, name: impl Into<String>, handler: F) -> Self
    where
        T: FromPayload,
        K: ResponseKind,
        F: Fn(T, RequestContext<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: IntoAnswer<K>> + Send + 'static,
    {
        self.insert(name.into(), handler::erase(handler));
        self
    }

    fn insert(&mut self, name: String, handler: Handler) {
        match self.methods.iter_mut().find(|method| method.name == name) {
            Some(method) => method.handler = handler,
            None => self.methods.push(Method { name, handler }),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("methods", &self.methods.iter().map(|method| &method.name).collect::<Vec<_>>())
            .field("events", &self.events)
            .field("broken_text", &self.broken_text)
            .field("limits", &self.limits)
            .finish()
    }
}
