use forebay_core_frame::{HeaderRing, Loan, NotLent, Slot};
use forebay_core_time::Instant;

use super::data::Incoming;
use super::lifecycle::{Lifecycle, State};
use super::{Action, Counters, Failure, NewCall, PendingEntry, Step, Timing};
use crate::control::{Init, JsonStr, Message};
use crate::outgoing::{Head, transmit};
use crate::{
    Body, Flags, MaxPayload, MethodId, PeerError, RequestId, SLOT_LEN, SendError, Transmit, WireId,
};

/// One child process as its parent sees it: handshake, requests and their answers, heartbeat,
/// shutdown.
///
/// # Driving it
/// One mutation, then drain: after every `handle_*`, [`abort`](Self::abort) and
/// [`shut_down`](Self::shut_down), call [`poll_action`](Self::poll_action) and
/// [`poll_transmit`](Self::poll_transmit) until both give nothing, and ask
/// [`poll_timeout`](Self::poll_timeout) again. Write the frames that it and the sending calls hand
/// out in that order.
///
/// Start one when the process is spawned, watch its exit and its stdout from that moment (cut into
/// lines by a [`LineSplitter`](crate::control::LineSplitter)), and go on reading stdout for the
/// whole life of the child: it blocks on a full pipe.
///
/// Deadlines of requests are the caller's, who ends them by `abort`; restarting after a failure is
/// too.
#[derive(Debug, Clone)]
pub struct ParentSession<P, L> {
    life: Lifecycle,
    incoming: Incoming<P>,
    ring: HeaderRing<L>,
}

/// Limits and timing of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Config {
    /// Longest payload taken from the child.
    pub max_payload: MaxPayload,
    /// How long to wait for what.
    pub timing: Timing,
}

/// What a session keeps its state in. All of it belongs to the caller.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Storage<P, L> {
    /// One entry for each request that waits for its answer.
    pub pending: P,
    /// One loan for each frame that is not sent yet.
    pub loans: L,
}

/// What a control line of the child meant.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "a shell must act on each of them")]
pub enum Line<'l> {
    /// The child is ready. Look for the methods needed, keep their ids, then connect to the pipe;
    /// or call [`reject`](ParentSession::reject).
    Init(Init<'l>),
    /// The child could not start; the session has failed.
    ChildError(Option<JsonStr<'l>>),
    /// The child answered a `$ping`.
    Pong,
    /// Anything else.
    Ignored,
}

impl<P, L> ParentSession<P, L>
where
    P: AsRef<[PendingEntry]> + AsMut<[PendingEntry]>,
    L: AsRef<[Loan]> + AsMut<[Loan]>,
{
    /// A session for a process that was just spawned.
    #[must_use]
    pub fn new(now: Instant, config: Config, storage: Storage<P, L>) -> Self {
        Self {
            life: Lifecycle::new(now, config.timing),
            incoming: Incoming::new(config.max_payload, storage.pending),
            ring: HeaderRing::new(storage.loans, SLOT_LEN),
        }
    }

    /// Bytes of memory for header slots that every sending call must be given.
    #[must_use]
    pub fn slots_len(&self) -> usize {
        self.ring.bytes_len()
    }

    /// How many more frames can be handed out before one must be sent.
    #[must_use]
    pub fn free_slot_count(&self) -> usize {
        self.ring.free_count()
    }

    /// Requests that wait for their answer, or whose ABORT has not left yet.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.incoming.pending_count()
    }

    /// Frames that were dropped.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.incoming.counters
    }

    /// Whether requests can be sent.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self.life.state(), State::Ready { .. })
    }

    /// Why the child is of no use any more, if it is not.
    #[must_use]
    pub const fn failure(&self) -> Option<Failure> {
        match self.life.state() {
            State::Failed(failure) => Some(failure),
            State::Starting { .. }
            | State::Connecting { .. }
            | State::Ready { .. }
            | State::Stopping { .. }
            | State::Closed => None,
        }
    }

    /// A line came from the child's stdout, without its end.
    ///
    /// # Errors
    /// The child has failed by it: an unusable `$init`.
    ///
    /// # Bound
    /// See [`Message::parse`].
    pub fn handle_line<'l>(&mut self, now: Instant, line: &'l [u8]) -> Result<Line<'l>, Failure> {
        let starting = matches!(self.life.state(), State::Starting { .. });
        match Message::parse(line) {
            Some(Message::Init(Ok(init))) if starting => {
                self.life.handle_init(now);
                Ok(Line::Init(init))
            }
            Some(Message::Init(Err(error))) if starting => {
                let failure = Failure::Peer(PeerError::Init(error));
                self.life.fail(failure);
                Err(failure)
            }
            Some(Message::Error(message)) if starting => {
                self.life.fail(Failure::ChildError);
                Ok(Line::ChildError(message))
            }
            Some(Message::Pong) => {
                self.life.handle_pong();
                Ok(Line::Pong)
            }
            // Only the first `$init` counts, and `$error` only before it (section 2.3, 2.4).
            Some(Message::Init(_) | Message::Error(_) | Message::Ping | Message::Shutdown)
            | None => Ok(Line::Ignored),
        }
    }

    /// A line of the child was too long to be read.
    pub fn handle_line_too_long(&mut self) {
        self.life.fail(Failure::Peer(PeerError::LineTooLong));
    }

    /// What the child announced is not what the caller needs.
    pub fn reject(&mut self) {
        self.life.fail(Failure::Rejected);
    }

    /// The data connection stands. With `token_len`, the AUTH frame comes back, to be written
    /// before anything else; its payload is the token.
    ///
    /// # Errors
    /// The session does not wait for a connection, or has no slot; nothing changed.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        token_len: Option<u32>,
        slots: &mut [u8],
    ) -> Result<Option<Transmit>, SendError> {
        let State::Connecting { .. } = self.life.state() else {
            return Err(SendError::NotConnected);
        };
        let head = Head { id: WireId::AUTH, flags: Flags::REQUEST, request: None };
        let auth = match token_len {
            Some(len) => Some(transmit(&mut self.ring, head, Body::span(len), slots)?),
            None => None,
        };
        self.life.handle_connected(now);
        Ok(auth)
    }

    /// The data connection could not be made.
    pub fn handle_connect_failed(&mut self) {
        if let State::Connecting { .. } = self.life.state() {
            self.life.fail(Failure::ConnectFailed);
        }
    }

    /// Takes one event from the front of `input`, bytes of the data connection.
    ///
    /// # Errors
    /// The child broke the protocol and has failed, or is not connected.
    ///
    /// # Bound
    /// Constant work for each frame in the input, and one event.
    pub fn handle_bytes<'i>(&mut self, input: &'i [u8]) -> Result<Step<'i>, PeerError> {
        if !self.is_ready() {
            return Err(match self.failure() {
                Some(Failure::Peer(error)) => error,
                Some(_) | None => PeerError::Closed,
            });
        }
        self.incoming.handle_bytes(input).map_err(|error| {
            self.life.fail(Failure::Peer(PeerError::Header(error)));
            PeerError::Header(error)
        })
    }

    /// The data connection ended or broke. While `Ready` this is a failure.
    pub fn handle_eof(&mut self) {
        self.life.fail(if self.incoming.is_boundary() {
            Failure::DataClosed
        } else {
            Failure::Peer(PeerError::CutFrame)
        });
    }

    /// The process has ended.
    pub fn handle_exited(&mut self) {
        self.life.handle_exited();
    }

    /// The frame of this slot was sent, or will never be.
    ///
    /// # Errors
    /// The slot is not on loan.
    pub fn handle_sent(&mut self, slot: Slot) -> Result<(), NotLent> {
        self.ring.release(slot)
    }

    /// The frame of this slot and all before it were sent.
    ///
    /// # Errors
    /// The slot is not on loan.
    pub fn handle_sent_through(&mut self, slot: Slot) -> Result<(), NotLent> {
        self.ring.release_through(slot)
    }

    /// Time has passed. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.life.handle_timeout(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.life.poll_timeout()
    }

    /// The next thing that the shell has to do.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.life.poll_action()
    }

    /// The next frame that the session itself has to send: ABORT, wholly in its slot.
    #[must_use]
    pub fn poll_transmit(&mut self, slots: &mut [u8]) -> Option<Transmit> {
        if !self.is_ready() {
            return None;
        }
        let request = Some(self.incoming.first_abort()?);
        let head = Head { id: WireId::ABORT, flags: Flags::REQUEST, request };
        let sent = transmit(&mut self.ring, head, Body::EMPTY, slots).ok()?;
        self.incoming.finish_abort();
        Some(sent)
    }

    /// When the child is not ready any more: each request that had no answer, once, with its key.
    #[must_use]
    pub fn poll_lost(&mut self) -> Option<(RequestId, u64)> {
        if self.is_ready() { None } else { self.incoming.take_lost() }
    }

    /// Hands out a request frame. The answer's frames will carry its id and the caller's key.
    ///
    /// # Errors
    /// [`SendError::NotNow`] and `TableFull` are backpressure; nothing changes.
    ///
    /// # Bound
    /// Constant, but for ids that are still pending after a wrap.
    pub fn send_request(
        &mut self,
        call: NewCall,
        body: Body<'_>,
        slots: &mut [u8],
    ) -> Result<(RequestId, Transmit), SendError> {
        if !self.is_ready() {
            return Err(SendError::NotConnected);
        }
        if !self.incoming.has_room() {
            return Err(SendError::TableFull);
        }
        let request = self.incoming.free_id();
        let head = Head { id: call.method.into(), flags: Flags::REQUEST, request: Some(request) };
        let sent = transmit(&mut self.ring, head, body, slots)?;
        self.incoming.insert(request, call);
        Ok((request, sent))
    }

    /// Hands out a request of a `none` method: id 0, never answered.
    ///
    /// # Errors
    /// [`SendError::NotNow`] is backpressure; nothing changes.
    pub fn send_notice(
        &mut self,
        method: MethodId,
        body: Body<'_>,
        slots: &mut [u8],
    ) -> Result<Transmit, SendError> {
        if !self.is_ready() {
            return Err(SendError::NotConnected);
        }
        let head = Head { id: method.into(), flags: Flags::REQUEST, request: None };
        transmit(&mut self.ring, head, body, slots)
    }

    /// Gives a request up: its answer is dropped from now on and an ABORT leaves as soon as a
    /// slot is free. Returns its key; `None` if it has ended or was given up before.
    pub fn abort(&mut self, request: RequestId) -> Option<u64> {
        self.incoming.abort(request)
    }

    /// Begins to end the child: `$shutdown`, data connection closed, and SIGKILL if it has not
    /// exited in time (procwire section 2.6). Requests in flight are lost.
    pub fn shut_down(&mut self, now: Instant) {
        self.life.shut_down(now);
    }
}
