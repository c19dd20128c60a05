//! What a home knows about an instance.

use core::time::Duration;

use forebay_core_frame::Decoder;
use forebay_core_procwire::{Header, MaxPayload};
use forebay_core_time::{Instant, earliest};

use super::config::WorkerConfig;
use super::event::Signal;
use super::receive::Incoming;
use super::requests::Ids;
use super::worker::Features;
use crate::list::{Link, List};

/// From SIGTERM to SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(2);
/// How long the connection of a process that ended is read out.
const READ_OUT: Duration = Duration::from_secs(1);
/// So many violations of the call protocol within this time cost the instance its place.
const VIOLATION_WINDOW: Duration = Duration::from_secs(60);

/// An instance, from the decision to spawn it until process and connection are gone.
///
/// ```text
///   Spawned ──▶ Handshaking ──▶ Connecting ──▶ Ready ──▶ Draining ──┐
///      │ failure    │ failure        │ failure   │ no pong          │ empty, or time is up
///      │            │                │           ▼                  ▼
///      │            │                │        Unhealthy ──▶ Stopping: asked, SIGTERM, SIGKILL
///      └────────────┴────────────────┴─────────────────────────▶ (SIGKILL)
///   any ──process ended──▶ Exited, until the connection is read out
/// ```
#[derive(Debug)]
pub struct Instance {
    /// The worker's place.
    pub(super) worker: u32,
    pub(super) phase: Phase,
    /// When the phase began; in Ready, when the last call ended.
    pub(super) since: Instant,
    pub(super) process: Process,
    pub(super) connection: Connection,
    pub(super) features: Option<Features>,
    /// Since when it has been ready.
    pub(super) ready: Option<Instant>,
    /// It waits for its replacement.
    pub(super) retiring: bool,
    pub(super) beat: Option<Beat>,
    /// The calls that it has.
    pub(super) calls: List,
    /// Of them and of those that ended, the ones with something to transmit.
    pub(super) outbox: List,
    /// Calls that it was ever given.
    pub(super) taken: u64,
    /// Frames handed to the shell, and those of which it began to write.
    pub(super) frames: u64,
    pub(super) sent: u64,
    pub(super) ids: Ids,
    pub(super) decoder: Decoder<Header>,
    pub(super) incoming: Incoming,
    /// Calls whose clients hold up the connection.
    pub(super) held_up: u32,
    violations: [Option<Instant>; 2],
    /// The jitter of the restart that may follow.
    pub(super) random: u32,
    pub(super) todo: Todo,
    /// Its place among the instances of its worker.
    pub(super) sibling: Link,
    /// Its turn to be told about.
    pub(super) action: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Spawned,
    Handshaking,
    Connecting,
    Ready,
    Unhealthy,
    Draining,
    Stopping(Step),
    Exited,
}

/// How far the stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Asked,
    Terminated,
    Killed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// The shell was asked to start it.
    Starting,
    Running,
    /// It ended, or never began.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    None,
    Connecting,
    Open,
    Closed,
}

/// The heartbeat: at most one `$ping` is unanswered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    pub(super) look: Instant,
    pub(super) pinged: Option<Instant>,
}

/// What the shell has still to be told about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one action")]
pub(super) struct Todo {
    pub(super) spawn: bool,
    pub(super) disconnect: bool,
    /// Whether to read the connection, if that changed.
    pub(super) reading: Option<bool>,
    pub(super) ping: bool,
    pub(super) shutdown: bool,
    pub(super) signal: Option<Signal>,
    pub(super) write: bool,
    pub(super) auth: bool,
    pub(super) release: bool,
}

impl Instance {
    pub(super) fn new(now: Instant, worker: u32, max_frame: u32) -> Self {
        Self {
            worker,
            phase: Phase::Spawned,
            since: now,
            process: Process::Starting,
            connection: Connection::None,
            features: None,
            ready: None,
            retiring: false,
            beat: None,
            calls: List::EMPTY,
            outbox: List::EMPTY,
            taken: 0,
            frames: 0,
            sent: 0,
            ids: Ids::new(),
            decoder: Decoder::new(MaxPayload::new(max_frame)),
            incoming: Incoming::Skip,
            held_up: 0,
            violations: [None; 2],
            random: 0,
            todo: Todo { spawn: true, ..Todo::default() },
            sibling: Link::NONE,
            action: Link::NONE,
        }
    }

    /// Whether it may be given calls.
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether it has not been ready yet and may still become so.
    pub(super) const fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Spawned | Phase::Handshaking | Phase::Connecting)
    }

    /// Whether process and connection are gone.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.process, Process::Ended)
            && matches!(self.connection, Connection::None | Connection::Closed)
    }

    /// When something has to happen by itself.
    pub(super) fn deadline(&self, config: &WorkerConfig) -> Option<Instant> {
        let after = |time| Some(self.since.saturating_add(time));
        match self.phase {
            Phase::Spawned | Phase::Handshaking | Phase::Connecting => after(config.init_timeout),
            Phase::Ready => {
                let idle = self.calls.is_empty() && !config.idle_stop.is_zero();
                let idle = idle.then(|| self.since.saturating_add(config.idle_stop));
                earliest(idle, self.beat.map(|beat| beat.look))
            }
            Phase::Unhealthy | Phase::Stopping(Step::Asked) => after(config.shutdown_grace),
            Phase::Draining => after(config.drain_timeout),
            Phase::Stopping(Step::Terminated) => after(TERM_GRACE),
            Phase::Stopping(Step::Killed) => None,
            Phase::Exited if self.connection == Connection::Open => after(READ_OUT),
            Phase::Exited => None,
        }
    }

    /// Notes a violation of the call protocol; true if it was one too many.
    pub(super) fn note_violation(&mut self, now: Instant) -> bool {
        let [older, newer] = self.violations;
        self.violations = [newer, Some(now)];
        older.is_some_and(|older| now.saturating_since(older) <= VIOLATION_WINDOW)
    }

    pub(super) fn sibling(&mut self) -> &mut Link {
        &mut self.sibling
    }

    pub(super) fn action(&mut self) -> &mut Link {
        &mut self.action
    }
}
