//! The bodies of the answers that are given instead of a worker's.

use crate::TooSmall;
use crate::json::Out;
use crate::path::NormalPath;

/// Why no worker answered, and what the client reads about it. Byte for byte a contract with
/// clients: JSON without spaces, members in this order.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum ErrorBody<'a> {
    /// No rule matched: 404.
    ServiceNotFound {
        /// The host, as [`crate::Host::as_bytes`] gives it.
        host: &'a [u8],
        /// The path.
        path: NormalPath<'a>,
        /// From [`crate::Table::services_tail`].
        services_tail: &'a [u8],
    },
    /// The service has no worker in the namespace: 404.
    ServiceNotDeployed {
        /// The service.
        service: &'a [u8],
        /// The environment, in lower case.
        environment: &'a [u8],
    },
    /// The environment has no namespace: 500, in plain text.
    Configuration,
    /// The call failed before its response head: 500.
    Dispatch(Failure<'a>),
    /// There is no room for the call: 503 with `Retry-After`.
    Overloaded(Overload<'a>),
    /// The worker took too long: 504.
    Timeout {
        /// The service.
        service: &'a [u8],
    },
}

/// Why a call failed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Failure<'a> {
    /// The worker said so itself; an empty text is an unknown error.
    Worker(&'a [u8]),
    /// The instance was gone before it answered.
    Exited {
        /// The service.
        service: &'a [u8],
    },
    /// No instance could be started.
    NotStarted {
        /// The service.
        service: &'a [u8],
        /// What went wrong, in the worker's or the system's words.
        reason: &'a [u8],
    },
    /// The worker broke the call protocol.
    InvalidResponse {
        /// The service.
        service: &'a [u8],
    },
    /// The reason is not for clients (`expose_errors = false`).
    Hidden,
}

/// Where there was no room.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Overload<'a> {
    /// The worker's queue is full.
    QueueFull {
        /// The service.
        service: &'a [u8],
    },
    /// The call waited too long.
    QueueTimeout {
        /// The service.
        service: &'a [u8],
    },
    /// The worker is not started for a while, since it kept failing.
    CircuitOpen {
        /// The service.
        service: &'a [u8],
        /// What is left of the pause in seconds, rounded up.
        retry_after_s: u32,
    },
    /// A table or the buffers of the gateway are full.
    Capacity,
    /// The gateway is stopping.
    Stopping,
}

impl ErrorBody<'_> {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::ServiceNotFound { .. } | Self::ServiceNotDeployed { .. } => 404,
            Self::Configuration | Self::Dispatch(_) => 500,
            Self::Overloaded(_) => 503,
            Self::Timeout { .. } => 504,
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        match self {
            Self::Configuration => "text/plain;charset=UTF-8",
            Self::ServiceNotFound { .. }
            | Self::ServiceNotDeployed { .. }
            | Self::Dispatch(_)
            | Self::Overloaded(_)
            | Self::Timeout { .. } => "application/json",
        }
    }

    /// The value of `Retry-After` in seconds, where the answer has that field.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Overloaded(Overload::CircuitOpen { retry_after_s, .. }) => Some(*retry_after_s),
            Self::Overloaded(
                Overload::QueueFull { .. }
                | Overload::QueueTimeout { .. }
                | Overload::Capacity
                | Overload::Stopping,
            ) => Some(1),
            Self::ServiceNotFound { .. }
            | Self::ServiceNotDeployed { .. }
            | Self::Configuration
            | Self::Dispatch(_)
            | Self::Timeout { .. } => None,
        }
    }

    /// Bytes of the body.
    #[expect(clippy::len_without_is_empty, reason = "a body is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.emit(&mut []) {
            Ok(len) => len,
            Err(TooSmall { need }) => need,
        }
    }

    /// Writes the body to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`TooSmall`] if it does not fit.
    pub fn emit(&self, out: &mut [u8]) -> Result<usize, TooSmall> {
        let mut out = Out::new(out);
        match *self {
            Self::ServiceNotFound { host, path, services_tail } => {
                out.raw(br#"{"error":"Service not found","message":"No worker found for "#);
                out.raw(host);
                path.pieces().for_each(|piece| out.escaped(piece));
                out.raw(services_tail);
            }
            Self::ServiceNotDeployed { service, environment } => {
                out.raw(br#"{"error":"Service not deployed","message":""#);
                worker(&mut out, service);
                out.raw(b" not found in ");
                out.escaped(environment);
                out.raw(br#" namespace","hint":"Service may not be deployed yet. "#);
                out.raw(br#"Deploy via Deploy API."}"#);
            }
            Self::Configuration => out.raw(b"Configuration error"),
            Self::Dispatch(failure) => {
                out.raw(br#"{"error":"Internal server error","message":""#);
                failure.emit(&mut out);
                out.raw(br#""}"#);
            }
            Self::Overloaded(overload) => {
                out.raw(br#"{"error":"Service overloaded","message":""#);
                overload.emit(&mut out);
                out.raw(br#""}"#);
            }
            Self::Timeout { service } => {
                out.raw(br#"{"error":"Worker timeout","message":""#);
                worker(&mut out, service);
                out.raw(br#" did not answer in time"}"#);
            }
        }
        out.finish()
    }
}

impl Failure<'_> {
    fn emit(&self, out: &mut Out<'_>) {
        match *self {
            Self::Worker([]) | Self::Hidden => out.raw(b"Unknown error"),
            Self::Worker(text) => out.foreign(text),
            Self::Exited { service } => {
                worker(out, service);
                out.raw(b" exited while handling the request");
            }
            Self::NotStarted { service, reason } => {
                worker(out, service);
                out.raw(b" failed to start: ");
                out.foreign(reason);
            }
            Self::InvalidResponse { service } => {
                worker(out, service);
                out.raw(b" sent an invalid response");
            }
        }
    }
}

impl Overload<'_> {
    fn emit(&self, out: &mut Out<'_>) {
        match *self {
            Self::QueueFull { service } => {
                worker(out, service);
                out.raw(b" has too many calls waiting");
            }
            Self::QueueTimeout { service } => {
                worker(out, service);
                out.raw(b" was busy for too long");
            }
            Self::CircuitOpen { service, .. } => {
                worker(out, service);
                out.raw(b" keeps failing to start");
            }
            Self::Capacity => out.raw(b"Gateway is at capacity"),
            Self::Stopping => out.raw(b"Gateway is stopping"),
        }
    }
}

/// `Worker "<service>"`, inside a JSON string.
fn worker(out: &mut Out<'_>, service: &[u8]) {
    out.raw(br#"Worker \""#);
    out.escaped(service);
    out.raw(br#"\""#);
}

#[cfg(test)]
mod tests;
