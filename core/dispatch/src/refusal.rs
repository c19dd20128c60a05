//! Why a call got no answer from its worker, and what its client is told.

use core::fmt::{self, Write};

use forebay_core_procwire::control::InitError;
use forebay_core_route::{ErrorBody, Failure, Overload};

/// Why a call is answered by the gateway instead of its worker.
///
/// Each is one row of the table of error answers: a status, a message, for an overload the seconds
/// of `Retry-After`. `core/route` writes the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every row has to be told to a client")]
pub enum Refusal {
    /// 404: the worker is being removed, or its name is stale.
    NotDeployed,
    /// 500: the worker answered with an error before its response head. The text travels beside.
    WorkerError,
    /// 500: the instance exited or its connection broke, and the call may not be sent again.
    Exited,
    /// 500: no instance could be started. The reason is
    /// [`Home::start_failure`](crate::home::Home::start_failure).
    FailedToStart,
    /// 500: the worker broke the call protocol.
    InvalidResponse,
    /// 503: the worker's queue is full.
    QueueFull,
    /// 503: the call waited too long.
    QueueTimeout,
    /// 503: the worker fails so often that it is not started for a while.
    CircuitOpen {
        /// Seconds until the next attempt, rounded up.
        retry_after_s: u32,
    },
    /// 503: a table of the gateway or its buffers are exhausted.
    Capacity,
    /// 503: the gateway is stopping.
    Stopping,
    /// 504: no response head in time.
    Timeout,
}

/// What a refusal's body tells beside its row.
#[derive(Debug, Clone, Copy)]
pub struct Detail<'a> {
    /// The service that the call was for.
    pub service: &'a [u8],
    /// The environment, in lower case.
    pub environment: &'a [u8],
    /// The worker's own message for [`Refusal::WorkerError`], the reason for
    /// [`Refusal::FailedToStart`]; the others ignore it.
    pub text: &'a [u8],
    /// Whether clients may read why a call failed (`expose_errors`).
    pub expose: bool,
}

impl Refusal {
    /// The answer, to be written by `core/route`.
    #[must_use]
    pub const fn body(self, detail: Detail<'_>) -> ErrorBody<'_> {
        let Detail { service, environment, text, expose } = detail;
        match self {
            Self::WorkerError | Self::Exited | Self::FailedToStart | Self::InvalidResponse
                if !expose =>
            {
                ErrorBody::Dispatch(Failure::Hidden)
            }
            Self::WorkerError => ErrorBody::Dispatch(Failure::Worker(text)),
            Self::Exited => ErrorBody::Dispatch(Failure::Exited { service }),
            Self::FailedToStart => {
                ErrorBody::Dispatch(Failure::NotStarted { service, reason: text })
            }
            Self::InvalidResponse => ErrorBody::Dispatch(Failure::InvalidResponse { service }),
            Self::NotDeployed => ErrorBody::ServiceNotDeployed { service, environment },
            Self::QueueFull => ErrorBody::Overloaded(Overload::QueueFull { service }),
            Self::QueueTimeout => ErrorBody::Overloaded(Overload::QueueTimeout { service }),
            Self::CircuitOpen { retry_after_s } => {
                ErrorBody::Overloaded(Overload::CircuitOpen { service, retry_after_s })
            }
            Self::Capacity => ErrorBody::Overloaded(Overload::Capacity),
            Self::Stopping => ErrorBody::Overloaded(Overload::Stopping),
            Self::Timeout => ErrorBody::Timeout { service },
        }
    }
}

/// Why the last start of a worker failed.
///
/// Displayed as the reason behind `failed to start: `.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "each is a reason that a client may be told")]
pub enum StartFailure {
    /// The program could not be executed; the error number of the operating system.
    Spawn(i32),
    /// It ended before it was ready.
    Exited(Exit),
    /// It said `$error`; the text lies beside.
    Reported,
    /// Its `$init` cannot be used.
    Init(InitError),
    /// A control line was too long.
    LineTooLong,
    /// Its `$init` names no method `http`.
    NoHttpMethod,
    /// Its method `http` answers with neither a stream nor a result.
    WrongResponseType,
    /// Its socket lies outside the folders that are allowed.
    PathNotAllowed,
    /// Its socket could not be connected to; the error number of the operating system.
    Connect(i32),
    /// The connection broke before it was ready.
    Disconnected,
    /// It was not ready within `init_timeout`.
    Timeout,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a process ends in one of two ways")]
pub enum Exit {
    /// It returned a status.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Spawn(error) => write!(f, "exec failed (error {error})"),
            Self::Exited(Exit::Code(code)) => write!(f, "exited with status {code}"),
            Self::Exited(Exit::Signal(signal)) => write!(f, "killed by signal {signal}"),
            Self::Reported => f.write_str("$error"),
            Self::Init(error) => error.fmt(f),
            Self::LineTooLong => f.write_str("control line too long"),
            Self::NoHttpMethod => f.write_str("no http method"),
            Self::WrongResponseType => f.write_str("http is neither a stream nor a result"),
            Self::PathNotAllowed => f.write_str("socket path not allowed"),
            Self::Connect(error) => write!(f, "connect failed (error {error})"),
            Self::Disconnected => f.write_str("connection lost"),
            Self::Timeout => f.write_str("no $init in time"),
        }
    }
}

/// Text of bounded length, for messages built without memory of their own.
#[derive(Debug, Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// No text.
    pub const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// What `value` displays, cut at `N` bytes on a character boundary.
    #[must_use]
    pub fn new(value: impl fmt::Display) -> Self {
        let mut text = Self::EMPTY;
        // The only error of this writer is that the rest does not fit.
        let _ = write!(text, "{value}");
        text
    }

    /// These characters, cut at `N` bytes.
    #[must_use]
    pub fn from_chars(chars: impl Iterator<Item = char>) -> Self {
        let mut text = Self::EMPTY;
        for char in chars {
            if text.write_char(char).is_err() {
                break;
            }
        }
        text
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|text| str::from_utf8(text).ok()).unwrap_or("")
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = N.saturating_sub(self.len);
        let cut = text.floor_char_boundary(room);
        let end = self.len.saturating_add(cut);
        if let (Some(to), Some(from)) =
            (self.bytes.get_mut(self.len..end), text.as_bytes().get(..cut))
        {
            to.copy_from_slice(from);
            self.len = end;
        }
        if cut < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    fn body(refusal: Refusal, text: &str, expose: bool) -> std::string::String {
        let detail =
            Detail { service: b"db", environment: b"production", text: text.as_bytes(), expose };
        let mut out = [0; 256];
        let body = refusal.body(detail);
        let len = body.emit(&mut out).unwrap();
        let retry = body.retry_after_s().map_or(0, |seconds| seconds);
        std::format!("{} {retry} {}", body.status(), str::from_utf8(&out[..len]).unwrap())
    }

    #[test]
    fn every_refusal_is_its_row() {
        let internal = |text: &str| {
            std::format!(r#"500 0 {{"error":"Internal server error","message":"{text}"}}"#)
        };
        let overload = |retry: u32, text: &str| {
            std::format!(r#"503 {retry} {{"error":"Service overloaded","message":"{text}"}}"#)
        };
        let db = r#"Worker \"db\""#;
        assert_eq!(body(Refusal::WorkerError, "boom", true), internal("boom"));
        assert_eq!(body(Refusal::WorkerError, "", true), internal("Unknown error"));
        assert_eq!(body(Refusal::WorkerError, "boom", false), internal("Unknown error"));
        let exited = std::format!("{db} exited while handling the request");
        assert_eq!(body(Refusal::Exited, "", true), internal(&exited));
        assert_eq!(body(Refusal::Exited, "", false), internal("Unknown error"));
        let failed = std::format!("{db} failed to start: no http method");
        assert_eq!(body(Refusal::FailedToStart, "no http method", true), internal(&failed));
        let invalid = std::format!("{db} sent an invalid response");
        assert_eq!(body(Refusal::InvalidResponse, "", true), internal(&invalid));
        let full = std::format!("{db} has too many calls waiting");
        assert_eq!(body(Refusal::QueueFull, "", false), overload(1, &full));
        let busy = std::format!("{db} was busy for too long");
        assert_eq!(body(Refusal::QueueTimeout, "", true), overload(1, &busy));
        let open = std::format!("{db} keeps failing to start");
        assert_eq!(body(Refusal::CircuitOpen { retry_after_s: 7 }, "", true), overload(7, &open));
        assert_eq!(body(Refusal::Capacity, "", true), overload(1, "Gateway is at capacity"));
        assert_eq!(body(Refusal::Stopping, "", true), overload(1, "Gateway is stopping"));
        let timeout =
            r#"504 0 {"error":"Worker timeout","message":"Worker \"db\" did not answer in time"}"#;
        assert_eq!(body(Refusal::Timeout, "", true), timeout);
        assert!(body(Refusal::NotDeployed, "", true).starts_with("404"));
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(Text::<4>::new("abcé").as_str(), "abc");
        assert_eq!(Text::<8>::new("abcé").as_str(), "abcé");
        assert_eq!(Text::<4>::new(format_args!("a{}", "bcdef")).as_str(), "abcd");
    }
}
