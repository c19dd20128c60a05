//! What a worker sees of an HTTP request.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use crate::http::body::Body;
use crate::http::wire::CallHead;

/// An HTTP request: its head, who sent it to which service, and its body as a stream.
pub struct HttpRequest {
    /// The body. Take it part by part, collect it, or drop it to say that no more is wanted.
    pub body: Body,
    head: CallHead,
}

impl HttpRequest {
    pub(crate) fn new(head: CallHead, body: Body) -> Self {
        Self { body, head }
    }

    /// The method, case kept.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.method()
    }

    /// The request-target as it was received, query and all.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.target()
    }

    /// The path by which the gateway chose this service: normalised, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.head.path()
    }

    /// The part of the target behind its first `?`, undecoded.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The host that was asked for, with the port if one was given.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.head.authority()
    }

    /// `http`, `https` or `hbtp`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.head.scheme()
    }

    /// The fields in the order, spelling and number in which they were received.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.head.fields()
    }

    /// The value of the first field of this name, in any case of letters.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The service that the gateway chose.
    #[must_use]
    pub fn service(&self) -> &str {
        self.head.service()
    }

    /// The environment that the gateway runs in.
    #[must_use]
    pub fn environment(&self) -> &str {
        self.head.environment()
    }

    /// The client's address; `None` when the gateway did not say one.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.head.peer().parse().ok()
    }

    /// The request's random id, the same as in the gateway's log.
    #[must_use]
    pub fn id(&self) -> [u8; 16] {
        self.head.id()
    }

    /// How long the response head may take once the whole body is there; `None` is no limit.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.head.deadline()
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method())
            .field("target", &self.target())
            .field("authority", &self.authority())
            .field("service", &self.service())
            .finish_non_exhaustive()
    }
}
