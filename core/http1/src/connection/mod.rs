//! The connection: what it is and what ends it. What comes in is in `incoming`, what goes out in
//! `outgoing`.

mod incoming;
mod outgoing;

#[cfg(test)]
mod tests;

use forebay_core_time::Instant;

use crate::chunk::ChunkDecoder;
use crate::config::{Config, after};
use crate::error::PeerError;
use crate::head::{Head, HeadFacts, Version};
use crate::response::After;
use crate::scan::Scan;
use crate::state::{Cause, Read, State, Write};
use crate::trailers::Trailers;

/// What one call took from the input.
#[derive(Debug)]
pub struct Step<'f, 'i> {
    /// Bytes of the input that the caller need not offer again.
    pub used: usize,
    /// How many more bytes than the unused ones are needed at least; 0 if there is an event, or if
    /// the machine takes no bytes for now ([`Connection::wants_read`]).
    pub need: usize,
    /// What the bytes meant. Call again with the rest of the input, until a call uses nothing and
    /// has no event.
    pub event: Option<Event<'f, 'i>>,
}

/// What came from the client. A caller must deal with every one of these, so a new one will be a
/// breaking change.
#[derive(Debug)]
pub enum Event<'f, 'i> {
    /// A request. Without a body ([`HeadFacts::has_body`]) it is complete.
    Request(Head<'f, 'i>),
    /// Bytes of the body: always the last bytes of `input[..used]`, and never empty.
    Body(&'i [u8]),
    /// The fields behind a chunked body.
    Trailers(Trailers<'i>),
    /// The end of the body: once for every request that has one, unless the application gave it up
    /// or has answered already.
    RequestEnd,
}

/// The server side of one HTTP/1.1 connection.
#[derive(Debug)]
pub struct Connection {
    config: Config,
    state: State,
    /// The error that ended the connection.
    error: Option<PeerError>,
    /// When `handle_timeout` acts; what it does then depends on the state.
    deadline: Option<Instant>,
    scan: Scan,
    version: Version,
    /// The connection persists behind the running request.
    keep_alive: bool,
    is_head: bool,
    upgrade: bool,
    /// The client has shut down its side.
    eof: bool,
    /// [`Event::RequestEnd`] is still to be delivered.
    end_due: bool,
    interim: Interim,
    body: Body,
    /// Bytes of the body that the application is ready to take.
    granted: u64,
    /// Bytes that may still be dropped while lingering.
    linger_left: u32,
    outgoing: Outgoing,
}

/// What is left of the body of the running request.
#[derive(Debug, Clone, Copy)]
enum Body {
    Length(u64),
    Chunked(ChunkDecoder),
}

/// Whether the client waits for a 100 (Continue).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interim {
    /// No, or no longer.
    Settled,
    /// It waits, and the application has not asked for the body.
    Withheld,
    /// It waits, and the application has asked.
    Due,
}

/// How the body of the answer is delimited, and what of it is left.
#[derive(Debug, Clone, Copy)]
enum Outgoing {
    /// HEAD, 204, 304: no byte of it is sent.
    Nothing,
    Length(u64),
    /// `true` behind the first chunk.
    Chunked(bool),
    /// It ends with the connection.
    UntilClose,
}

impl Connection {
    /// A connection that was just accepted.
    #[must_use]
    pub fn new(now: Instant, config: Config) -> Self {
        Self {
            config,
            state: State::START,
            error: None,
            deadline: after(now, config.idle_timeout_ms),
            scan: Scan::default(),
            version: Version::Http11,
            keep_alive: true,
            is_head: false,
            upgrade: false,
            eof: false,
            end_due: false,
            interim: Interim::Settled,
            body: Body::Length(0),
            granted: 0,
            linger_left: config.discard_len,
            outgoing: Outgoing::Nothing,
        }
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
    /// The peer took too long. A call that is running must be given up; an answer may be owed
    /// ([`owes_refusal`](Self::owes_refusal)).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), PeerError> {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        self.deadline = None;
        match self.state.read {
            Read::Idle => Err(self.fail(PeerError::IdleTimeout)),
            Read::Head => Err(self.fail(PeerError::HeadTimeout)),
            Read::Body => Err(self.fail(PeerError::BodyTimeout)),
            Read::Complete => Err(self.fail(PeerError::ClientGone)),
            Read::Discard => {
                // Nobody waits for the body, but the answer is still due.
                let done = self.state.write == Write::Complete;
                self.abandon_body();
                if done {
                    self.apply(Cause::Vanish);
                }
                Ok(())
            }
            Read::Linger => {
                self.apply(Cause::Vanish);
                Ok(())
            }
            Read::Stopped | Read::Switched | Read::Closed => Ok(()),
        }
    }

    /// Whether bytes would be taken now. While not, leave them with the kernel.
    #[must_use]
    pub const fn wants_read(&self) -> bool {
        match self.state.read {
            Read::Idle | Read::Head | Read::Discard | Read::Linger => !self.eof,
            Read::Body => self.wants_body() && !self.eof,
            Read::Complete | Read::Stopped | Read::Switched | Read::Closed => false,
        }
    }

    /// Whether nothing of a request has come: an empty input leads to nothing then.
    #[must_use]
    pub const fn awaits_request(&self) -> bool {
        matches!(self.state.read, Read::Idle) && !self.eof
    }

    /// Whether the next byte of the body could be taken: granted, or part of the framing.
    const fn wants_body(&self) -> bool {
        let framing = match self.body {
            Body::Length(_) => false,
            Body::Chunked(ref decoder) => !decoder.is_in_data(),
        };
        self.granted > 0 || framing
    }

    /// Whether the running request has been read to its end: known with its last byte, before
    /// [`Event::RequestEnd`]. True when no request is running.
    #[must_use]
    pub const fn request_is_complete(&self) -> bool {
        match self.state.read {
            Read::Head | Read::Body | Read::Discard => false,
            Read::Idle
            | Read::Complete
            | Read::Stopped
            | Read::Linger
            | Read::Switched
            | Read::Closed => true,
        }
    }

    /// Everything that was written so far has been sent; says how the connection goes on. Call it
    /// at the end of each answer at least. It starts the idle time.
    ///
    /// After [`After::Open`] offer what is left of the input, even if that is nothing.
    pub fn handle_written(&mut self, now: Instant) -> After {
        match self.state.write {
            Write::Idle => {
                if self.state.read == Read::Idle && self.deadline.is_none() {
                    self.deadline = after(now, self.config.idle_timeout_ms);
                }
                After::Open
            }
            Write::Owed | Write::Body | Write::Refused => After::Open,
            Write::Complete => match self.state.read {
                Read::Stopped if self.eof => {
                    self.apply(Cause::Vanish);
                    After::Close
                }
                Read::Stopped | Read::Linger => After::Linger,
                Read::Discard => After::Open,
                Read::Closed
                | Read::Idle
                | Read::Head
                | Read::Body
                | Read::Complete
                | Read::Switched => After::Close,
            },
            Write::Broken => After::Close,
            Write::Switched => After::Switched,
        }
    }

    /// The write side was shut down, as [`After::Linger`] asks. Read on and drop
    /// ([`handle_bytes`](Self::handle_bytes) does), until the connection
    /// [is closed](Self::is_closed): at the end of the stream, after 64 KiB, or after a second
    /// (RFC 9112 section 9.6).
    pub fn handle_shutdown(&mut self, now: Instant) {
        if self.apply(Cause::Shutdown) {
            self.deadline = after(now, self.config.linger_ms);
        }
    }

    /// Whether the socket can be closed now, without an answer.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state.read, Read::Closed)
    }

    /// The error that ended the connection.
    #[must_use]
    pub const fn error(&self) -> Option<PeerError> {
        self.error
    }

    /// Whether an error answer has to be written ([`write_refusal`](Self::write_refusal)). A call
    /// that was running is given up with it.
    #[must_use]
    pub const fn owes_refusal(&self) -> bool {
        matches!(self.state.write, Write::Refused)
    }

    /// Whether the head of the answer to the running request is still to be written.
    #[must_use]
    pub const fn owes_head(&self) -> bool {
        matches!(self.state.write, Write::Owed)
    }

    /// Whether the connection persists behind the running request, as far as it is known now.
    #[must_use]
    pub const fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// The application found a fault in the request that the machine does not look for: ends the
    /// connection as if it had found it by itself.
    #[cold]
    pub fn refuse(&mut self, error: PeerError) {
        self.fail(error);
    }

    /// The running or next answer is the connection's last: the server is stopping.
    pub fn end_after_answer(&mut self) {
        self.keep_alive = false;
    }

    /// Ends the connection because of the peer, with an answer where one is possible.
    #[cold]
    fn fail(&mut self, error: PeerError) -> PeerError {
        self.error = Some(error);
        self.deadline = None;
        self.keep_alive = false;
        self.apply(if error.status().is_some() { Cause::Refuse } else { Cause::Vanish });
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

    /// A request begins to be answered.
    fn begin_request(&mut self, now: Instant, facts: &HeadFacts, more: bool) {
        self.scan = Scan::default();
        self.version = facts.version;
        self.keep_alive = facts.keep_alive;
        self.is_head = facts.is_head;
        self.upgrade = facts.upgrade;
        self.deadline = None;
        if facts.has_body() {
            self.apply(Cause::RequestWithBody);
            self.body = match facts.framing {
                crate::Framing::None => Body::Length(0),
                crate::Framing::Length(len) => Body::Length(len),
                crate::Framing::Chunked => Body::Chunked(ChunkDecoder::new()),
            };
            self.granted = 0;
            // The client does not wait if the body is already arriving (RFC 9110 section 10.1.1).
            let waits = facts.expects_continue && !more;
            self.interim = if waits { Interim::Withheld } else { Interim::Settled };
        } else {
            self.apply(Cause::Request);
            self.start_grace(now);
        }
    }

    /// The client's side is shut: how long the answer may take to begin.
    fn start_grace(&mut self, now: Instant) {
        let grace = self.config.half_close_grace_ms;
        if self.eof && self.state.write == Write::Owed && grace != u32::MAX {
            self.deadline = Some(after(now, grace).unwrap_or(now));
        }
    }

    /// The body has been read to its end.
    fn end_body(&mut self, now: Instant) {
        let wanted = self.state.read == Read::Body;
        self.apply(Cause::BodyEnd);
        self.end_due = wanted;
        self.interim = Interim::Settled;
        self.deadline = None;
        self.start_grace(now);
        self.settle();
        if self.state.read == Read::Idle {
            self.deadline = after(now, self.config.idle_timeout_ms);
        }
    }

    /// The application does not want the rest of the body.
    fn give_up_body(&mut self) {
        if self.state.read != Read::Body {
            return;
        }
        let short = match self.body {
            Body::Length(left) => left <= u64::from(self.config.discard_len),
            Body::Chunked(_) => false,
        };
        if short && self.interim == Interim::Settled {
            self.apply(Cause::Discard);
        } else {
            self.abandon_body();
        }
    }

    fn abandon_body(&mut self) {
        if self.apply(Cause::Abandon) {
            self.interim = Interim::Settled;
            self.deadline = None;
            self.keep_alive = false;
        }
    }

    /// The answer is complete: nothing of the request is wanted any more.
    fn end_response(&mut self) {
        self.apply(Cause::ResponseEnd);
        self.end_due = false;
        self.give_up_body();
        self.settle();
    }

    /// Request and answer are complete: on to the next request, or the last one it was.
    fn settle(&mut self) {
        if self.state.write == Write::Complete && self.state.read == Read::Complete {
            self.end_due = false;
            self.apply(if self.keep_alive { Cause::Next } else { Cause::Last });
        }
    }
}
