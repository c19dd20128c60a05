//! What a home knows about a worker.

use core::time::Duration;

use forebay_core_procwire::control::Init;
use forebay_core_procwire::{MethodId, ResponseType};
use forebay_core_time::Instant;

use super::config::WorkerConfig;
use super::event::Status;
use super::restart::Restarts;
use crate::list::List;
use crate::{StartFailure, Text};

/// A queue that was never empty for so long is a standing one: its calls may wait a quarter.
const STANDING: Duration = Duration::from_millis(100);

/// A worker, from its deployment until its last instance has gone.
#[derive(Debug)]
pub struct Worker {
    pub(super) config: WorkerConfig,
    /// Its instances.
    pub(super) members: List,
    /// Calls that wait, oldest first.
    pub(super) queue: List,
    /// Calls whose bodies are collected before they may wait.
    pub(super) gathering: List,
    /// Since when the queue has not been empty.
    pub(super) queued_since: Instant,
    /// Waiting counts from here at the earliest: a cold start is not overload.
    pub(super) counts_from: Instant,
    /// The instance that got the last call.
    pub(super) last: u32,
    pub(super) census: Census,
    pub(super) restarts: Restarts,
    /// What its instances can do, once one was ready.
    pub(super) features: Option<Features>,
    /// It is being removed; leftovers are cut off at this instant, `MAX` once they were.
    pub(super) leaving: Option<Instant>,
    pub(super) failure: Option<StartFailure>,
    pub(super) failure_text: Text<1024>,
    pub(super) totals: Totals,
}

/// Instances by what they do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Census {
    pub(super) starting: u16,
    pub(super) ready: u16,
    /// Of the ready ones, those that wait for a replacement.
    pub(super) retiring: u16,
    pub(super) ending: u16,
}

/// Counters for metrics.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) in_flight: u32,
    pub(super) failures: u64,
    pub(super) violations: u64,
    pub(super) late_frames: u64,
    pub(super) stalled: u64,
}

/// The methods that matter of those that an instance announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) http: MethodId,
    /// `http` streams; otherwise it answers with one frame.
    pub(super) stream: bool,
    pub(super) body: Option<MethodId>,
    pub(super) grant: Option<MethodId>,
}

impl Worker {
    pub(super) const fn new(config: WorkerConfig) -> Self {
        Self {
            config,
            members: List::EMPTY,
            queue: List::EMPTY,
            gathering: List::EMPTY,
            queued_since: Instant::ZERO,
            counts_from: Instant::ZERO,
            last: u32::MAX,
            census: Census { starting: 0, ready: 0, retiring: 0, ending: 0 },
            restarts: Restarts::new(),
            features: None,
            leaving: None,
            failure: None,
            failure_text: Text::EMPTY,
            totals: Totals { in_flight: 0, failures: 0, violations: 0, late_frames: 0, stalled: 0 },
        }
    }

    /// Until when a call may wait that came at `since` and is the oldest; `None`: the start that is
    /// underway bounds it.
    pub(super) fn patience(&self, since: Instant) -> Option<Instant> {
        if self.census.ready == 0 && self.census.starting > 0 {
            return None;
        }
        let since = since.max(self.counts_from);
        let full = since.saturating_add(self.config.queue_timeout);
        if self.census.ready == 0 {
            return Some(full);
        }
        let quarter = since.saturating_add(quarter(self.config.queue_timeout));
        let standing = self.queued_since.saturating_add(STANDING);
        Some(full.min(quarter.max(standing)))
    }

    pub(super) fn status(&self, now: Instant) -> Status {
        Status {
            queued: self.queue.len(),
            in_flight: self.totals.in_flight,
            starting: self.census.starting,
            ready: self.census.ready,
            ending: self.census.ending,
            open: self.restarts.open_for(now).is_some(),
            failures: self.totals.failures,
            violations: self.totals.violations,
            late_frames: self.totals.late_frames,
            stalled: self.totals.stalled,
        }
    }
}

fn quarter(time: Duration) -> Duration {
    time.checked_div(4).unwrap_or(time)
}

impl Features {
    pub(super) fn of(init: &Init<'_>) -> Result<Self, StartFailure> {
        let http = init.method("http").ok_or(StartFailure::NoHttpMethod)?;
        let stream = match http.response {
            ResponseType::Stream => true,
            ResponseType::Result => false,
            ResponseType::Ack | ResponseType::None => return Err(StartFailure::WrongResponseType),
        };
        Ok(Self {
            http: http.id,
            stream,
            body: init.need_method("http.body", ResponseType::Ack).ok(),
            grant: init.need_method("http.grant", ResponseType::None).ok(),
        })
    }
}
