use core::error::Error;
use core::fmt;
use core::time::Duration;

use forebay_core_time::Instant;

use crate::PeerError;
use crate::control::{PING_LINE, SHUTDOWN_LINE};

/// How long a parent waits for each step of a child's life (procwire section 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Timing {
    /// From the start of the process to its `$init`.
    pub init: Duration,
    /// From `$init` to the data connection.
    pub connect: Duration,
    /// From `$shutdown` to SIGKILL.
    pub kill: Duration,
    /// `$ping` and `$pong`, off by default.
    pub heartbeat: Option<Heartbeat>,
}

/// How a parent finds out that a child hangs (procwire section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct Heartbeat {
    /// Time between two looks; zero counts as one nanosecond.
    pub interval: Duration,
    /// Age of an unanswered `$ping` at which a look finds the child dead.
    pub timeout: Duration,
}

/// Something that the shell has to do for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must act on each of them")]
pub enum Action {
    /// Write these bytes to the child's stdin, which otherwise stays open.
    WriteLine(&'static [u8]),
    /// Close the data connection.
    CloseData,
    /// End the process by force; then `handle_exited`.
    Kill,
}

/// Why a child is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It did not send `$init` in time.
    InitTimeout,
    /// It said `$error` before `$init`.
    ChildError,
    /// What it announces is not what the caller needs.
    Rejected,
    /// Its socket could not be connected to.
    ConnectFailed,
    /// Connecting took too long.
    ConnectTimeout,
    /// A `$ping` was not answered in time.
    HeartbeatTimeout,
    /// It broke the protocol.
    Peer(PeerError),
    /// The data connection ended.
    DataClosed,
    /// The process ended without being asked to.
    Exited,
}

/// The life of a child, as the parent sees it.
///
/// ```text
/// Starting --$init--> Connecting --connected--> Ready --shut_down--> Stopping --exited--> Closed
///     |                   |                       |                     |
///     +-------------------+--- failure -----------+--> Failed           +-- timeout: kill
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct Lifecycle {
    timing: Timing,
    state: State,
    /// Line, closing and kill that the shell has not fetched yet.
    ping_due: bool,
    shutdown_due: bool,
    close_due: bool,
    kill_due: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Starting { deadline: Instant },
    Connecting { deadline: Instant },
    Ready { beat: Option<Beat> },
    Stopping { deadline: Instant },
    Failed(Failure),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    next_look: Instant,
    /// When the unanswered `$ping` was sent.
    pinged: Option<Instant>,
}

impl Lifecycle {
    pub(super) fn new(now: Instant, timing: Timing) -> Self {
        Self {
            timing,
            state: State::Starting { deadline: now.saturating_add(timing.init) },
            ping_due: false,
            shutdown_due: false,
            close_due: false,
            kill_due: false,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    pub(super) fn handle_init(&mut self, now: Instant) {
        self.state = State::Connecting { deadline: now.saturating_add(self.timing.connect) };
    }

    pub(super) fn handle_connected(&mut self, now: Instant) {
        let beat = self.timing.heartbeat.map(|heartbeat| Beat {
            next_look: now.saturating_add(heartbeat.interval.max(Duration::from_nanos(1))),
            pinged: Some(now),
        });
        self.ping_due = beat.is_some();
        self.state = State::Ready { beat };
    }

    pub(super) fn handle_pong(&mut self) {
        if let State::Ready { beat: Some(beat) } = &mut self.state {
            beat.pinged = None;
        }
    }

    /// The first failure counts; one that comes while stopping or later means nothing.
    pub(super) fn fail(&mut self, failure: Failure) {
        match self.state {
            State::Starting { .. } | State::Connecting { .. } | State::Ready { .. } => {
                let connected = matches!(self.state, State::Ready { .. });
                self.state = State::Failed(failure);
                self.ping_due = false;
                self.close_due = connected;
                self.kill_due = failure != Failure::Exited;
            }
            State::Stopping { .. } | State::Failed(_) | State::Closed => {}
        }
    }

    pub(super) fn shut_down(&mut self, now: Instant) {
        match self.state {
            State::Starting { .. } | State::Connecting { .. } | State::Ready { .. } => {
                self.close_due = matches!(self.state, State::Ready { .. });
                self.state = State::Stopping { deadline: now.saturating_add(self.timing.kill) };
                self.ping_due = false;
                self.shutdown_due = true;
            }
            State::Stopping { .. } | State::Failed(_) | State::Closed => {}
        }
    }

    pub(super) fn handle_exited(&mut self) {
        self.fail(Failure::Exited);
        self.ping_due = false;
        self.shutdown_due = false;
        self.kill_due = false;
        if let State::Stopping { .. } = self.state {
            self.state = State::Closed;
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Starting { deadline } if deadline.is_reached(now) => {
                self.fail(Failure::InitTimeout);
            }
            State::Connecting { deadline } if deadline.is_reached(now) => {
                self.fail(Failure::ConnectTimeout);
            }
            State::Stopping { deadline } if deadline.is_reached(now) => {
                self.kill_due = true;
                self.state = State::Stopping { deadline: Instant::MAX };
            }
            State::Ready { beat: Some(beat) } if beat.next_look.is_reached(now) => {
                self.look(now, beat);
            }
            State::Starting { .. }
            | State::Connecting { .. }
            | State::Stopping { .. }
            | State::Ready { .. }
            | State::Failed(_)
            | State::Closed => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Starting { deadline }
            | State::Connecting { deadline }
            | State::Stopping { deadline } => Some(deadline).filter(|at| *at < Instant::MAX),
            State::Ready { beat } => beat.map(|beat| beat.next_look),
            State::Failed(_) | State::Closed => None,
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Action> {
        if core::mem::take(&mut self.ping_due) {
            Some(Action::WriteLine(PING_LINE))
        } else if core::mem::take(&mut self.shutdown_due) {
            Some(Action::WriteLine(SHUTDOWN_LINE))
        } else if core::mem::take(&mut self.close_due) {
            Some(Action::CloseData)
        } else if core::mem::take(&mut self.kill_due) {
            Some(Action::Kill)
        } else {
            None
        }
    }

    /// One tick of the heartbeat: a ping that is too old is death, a younger one is waited for,
    /// and without one the next is sent. So at most one is unanswered.
    fn look(&mut self, now: Instant, beat: Beat) {
        let Some(heartbeat) = self.timing.heartbeat else { return };
        let old = |pinged| now.saturating_since(pinged) >= heartbeat.timeout;
        if beat.pinged.is_some_and(old) {
            self.fail(Failure::HeartbeatTimeout);
            return;
        }
        self.ping_due |= beat.pinged.is_none();
        let next_look = now.saturating_add(heartbeat.interval.max(Duration::from_nanos(1)));
        let pinged = Some(beat.pinged.unwrap_or(now));
        self.state = State::Ready { beat: Some(Beat { next_look, pinged }) };
    }
}

impl Default for Timing {
    /// The values of the published parent.
    fn default() -> Self {
        Self {
            init: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            kill: Duration::from_secs(5),
            heartbeat: None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InitTimeout => "did not send $init in time",
            Self::ChildError => "the child reported an error",
            Self::Rejected => "the child does not announce what is needed",
            Self::ConnectFailed => "data channel connect failed",
            Self::ConnectTimeout => "data channel connect timed out",
            Self::HeartbeatTimeout => "no answer to $ping",
            Self::Peer(error) => return error.fmt(f),
            Self::DataClosed => "the data connection was closed",
            Self::Exited => "the process exited",
        })
    }
}

impl Error for Failure {}

impl From<PeerError> for Failure {
    fn from(error: PeerError) -> Self {
        Self::Peer(error)
    }
}
