//! The client side of a connection.
//!
//! Requests out, responses in, as many at a time as the caller's storage has room for. The rules
//! for driving it are those of the crate: one mutation, then poll. What is received is strict where
//! recipients differ and keeps what they need not interpret as it came: spelling and order of
//! fields, the reason phrase.
//!
//! - To ask: [`can_send`](Connection::can_send), [`write_request`](Connection::write_request), then
//!   [`write_part`](Connection::write_part) and [`write_end`](Connection::write_end) for its body.
//! - Bytes came: [`handle_bytes`](Connection::handle_bytes) with the rest of the input until a call
//!   uses nothing and has no event. At the end of the stream then
//!   [`handle_eof`](Connection::handle_eof).
//! - A body is taken only as far as [`set_window`](Connection::set_window) allows, and not at all
//!   after [`pause`](Connection::pause); while nothing is taken, its timeout stands still.
//! - After every call: [`poll_timeout`](Connection::poll_timeout),
//!   [`wants_read`](Connection::wants_read), [`is_closed`](Connection::is_closed).
//!
//! ```
//! use forebay_core_http1::client::{Config, Connection, Event, Request, RequestBody, Sent, Traits};
//! use forebay_core_time::Instant;
//!
//! let now = Instant::ZERO;
//! let mut connection = Connection::new(now, Config::new(), [Sent::default(); 1]);
//! let request = Request {
//!     method: b"GET",
//!     target: b"/",
//!     host: b"gateway.do",
//!     upgrade: b"",
//!     fields: b"accept: */*\r\n",
//!     body: RequestBody::None,
//!     traits: Traits::default(),
//!     headers_timeout_ms: 300_000,
//!     body_timeout_ms: 300_000,
//! };
//! let mut out = [0; 128];
//! let len = connection.write_request(now, &request, &mut out)?;
//! assert!(out[..len].starts_with(b"GET / HTTP/1.1\r\nhost: gateway.do\r\nconnection: "));
//!
//! let mut input: &[u8] = b"HTTP/1.1 200 Fine\r\nX-A: b\r\nContent-Length: 2\r\n\r\nhi";
//! let mut body = Vec::new();
//! while !connection.is_idle() {
//!     connection.set_window(now, 65_536);
//!     let step = connection.handle_bytes(now, input)?;
//!     input = &input[step.used..];
//!     match step.event.expect("all of it is there") {
//!         Event::Response(head) => assert_eq!((head.status, head.reason), (200, &b"Fine"[..])),
//!         Event::Body(part) => body.extend_from_slice(part),
//!         Event::End(_) => assert_eq!(body, b"hi"),
//!         Event::Informational(_) | Event::Switch(_) => unreachable!(),
//!     }
//! }
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod config;
mod error;
mod head;
mod incoming;
mod outgoing;
mod request;
mod state;

#[cfg(test)]
mod tests;

use forebay_core_time::Instant;

use crate::chunk::ChunkDecoder;
use crate::config::after;

pub use config::Config;
pub use error::{Fault, ResponseError};
pub use head::{ResponseFraming, ResponseHead};
pub use request::{Request, RequestBody, Traits};
pub use state::TRANSITIONS;

use head::{Partial, Section};
use state::{Cause, Response, State};

/// What one call took from the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Step<'i> {
    /// Bytes of the input that the caller need not offer again.
    pub used: usize,
    /// What the bytes meant. Call again with the rest of the input, until a call uses nothing and
    /// has no event.
    pub event: Option<Event<'i>>,
}

/// What came from the server, always about the oldest request without a complete response. A caller
/// must deal with every one of these, so a new one will be a breaking change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'i> {
    /// An informational response: 1xx, neither 100 nor 101.
    Informational(ResponseHead<'i>),
    /// The head of the response. What is known of persistence is known now
    /// ([`Connection::accepts_requests`]).
    Response(ResponseHead<'i>),
    /// Bytes of its body: always the last bytes of `input[..used]`, and never empty.
    Body(&'i [u8]),
    /// Its end, with the field lines of its trailer section, as [`ResponseHead::fields`].
    End(&'i [u8]),
    /// The response that hands the connection over: all that the caller has or receives behind it
    /// belongs to the other protocol.
    Switch(ResponseHead<'i>),
}

/// A request that was sent: what its response depends on. The caller brings as many as requests may
/// be unanswered at a time, at least one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent {
    headers_timeout_ms: u32,
    body_timeout_ms: u32,
    head: bool,
    connect: bool,
    upgrade: bool,
}

/// The client side of one HTTP/1.1 connection. `S` holds the requests on the wire.
#[derive(Debug, Clone)]
pub struct Connection<S> {
    config: Config,
    state: State,
    error: Option<ResponseError>,
    /// When `handle_timeout` acts; what it says then depends on the state.
    deadline: Option<Instant>,
    sent: S,
    /// The slot of the oldest request.
    oldest: u32,
    /// Requests without a complete response.
    count: u32,
    /// Requests on the wire at a time; 0: one, and no keep-alive.
    depth: u32,
    /// Requests so far.
    asked: u32,
    /// Nothing is sent before the newest request has its head.
    blocked: bool,
    partial: Partial,
    /// The server leaves the connection open behind the running response.
    keep_alive: bool,
    /// The server said that it closes the connection behind the running response.
    farewell: bool,
    /// How long the connection may be idle behind it.
    idle_ms: u32,
    body: Body,
    /// Bytes of the body that the caller is ready to take.
    window: u64,
    /// Not even what stands between them is taken.
    paused: bool,
    /// Bytes of the body that the limit still permits.
    body_left: u64,
    outgoing: Outgoing,
}

/// What is left of the running response's body.
#[derive(Debug, Clone, Copy)]
enum Body {
    Length(u64),
    Chunked(ChunkDecoder),
    Trailers(Section),
    UntilClose,
}

/// What is left of the request's body that is being written.
#[derive(Debug, Clone, Copy)]
enum Outgoing {
    Length(u64),
    /// `true` behind the first chunk.
    Chunked(bool),
}

impl<S: AsRef<[Sent]> + AsMut<[Sent]>> Connection<S> {
    /// A connection that has just been made, for one request at a time
    /// ([`set_depth`](Self::set_depth)).
    #[must_use]
    pub fn new(now: Instant, config: Config, sent: S) -> Self {
        Self {
            config,
            state: State::START,
            error: None,
            deadline: after(now, config.keep_alive_ms),
            sent,
            oldest: 0,
            count: 0,
            depth: 1,
            asked: 0,
            blocked: false,
            partial: Partial::new(),
            keep_alive: true,
            farewell: false,
            idle_ms: config.keep_alive_ms,
            body: Body::Length(0),
            window: 0,
            paused: false,
            body_left: 0,
            outgoing: Outgoing::Length(0),
        }
    }
}

impl<S> Connection<S> {
    /// How many requests may be unanswered at a time, as far as the storage has room; 0: one, which
    /// says `connection: close`.
    pub const fn set_depth(&mut self, depth: u32) {
        self.depth = depth;
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Ask again after every other call.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Acts on a deadline that has passed. Early or repeated calls are harmless.
    ///
    /// # Errors
    ///
    /// The server took too long, or nothing was asked for too long. The connection has ended.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ResponseError> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        self.deadline = None;
        match self.state.response {
            Response::Idle => Err(self.fail(ResponseError::IdleTimeout)),
            Response::Head => Err(self.fail(ResponseError::HeadTimeout)),
            Response::Body => Err(self.fail(ResponseError::BodyTimeout)),
            Response::Switched | Response::Closed => Ok(()),
        }
    }

    /// Whether bytes would be taken now. While not, leave them with the kernel.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        match self.state.response {
            Response::Idle | Response::Head => true,
            Response::Body => self.wants_body(),
            Response::Switched | Response::Closed => false,
        }
    }

    /// Whether the next byte of the body could be taken: within the window, or part of the framing.
    const fn wants_body(&self) -> bool {
        let framing = match self.body {
            Body::Length(_) | Body::UntilClose => false,
            Body::Chunked(ref decoder) => !decoder.is_in_data(),
            Body::Trailers(_) => true,
        };
        !self.paused && (self.window > 0 || framing)
    }

    /// Whether nothing is on its way in either direction, and more can be asked.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.state.response, Response::Idle)
    }

    /// Whether the head of a response came and its end did not.
    #[must_use]
    pub const fn is_in_body(&self) -> bool {
        matches!(self.state.response, Response::Body)
    }

    /// Whether the connection is over: by an error, or behind the last response. Close it.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state.response, Response::Closed)
    }

    /// Whether the connection was handed over ([`Event::Switch`]).
    #[must_use]
    pub const fn is_switched(&self) -> bool {
        matches!(self.state.response, Response::Switched)
    }

    /// Whether the connection persists as far as it is known now: a request may follow, if not at
    /// once.
    #[must_use]
    pub const fn accepts_requests(&self) -> bool {
        matches!(self.state.request, state::Request::Ready | state::Request::Sending)
    }

    /// Whether the server ends the connection behind the running response, of which the head is
    /// there. Then a reset behind all of its bytes is an end as well.
    #[must_use]
    pub const fn ends_with_connection(&self) -> bool {
        let farewell = self.farewell || matches!(self.body, Body::UntilClose);
        matches!(self.state.response, Response::Body) && farewell
    }

    /// The error that ended the connection.
    #[must_use]
    pub const fn error(&self) -> Option<ResponseError> {
        self.error
    }

    /// Requests without a complete response.
    #[must_use]
    pub const fn unanswered(&self) -> u32 {
        self.count
    }

    /// Ends the connection because of the server.
    #[cold]
    fn fail(&mut self, error: ResponseError) -> ResponseError {
        self.error = Some(error);
        self.deadline = None;
        self.apply(Cause::Vanish);
        error
    }

    /// Moves to the next state, if that is permitted.
    fn apply(&mut self, cause: Cause) -> bool {
        match self.state.after(cause) {
            Some(state) => {
                self.state = state;
                true
            }
            None => false,
        }
    }
}
