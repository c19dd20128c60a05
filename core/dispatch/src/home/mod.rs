//! One core's workers: their calls, queues, instances and times.

mod action;
mod admit;
mod body;
mod call;
mod config;
mod end;
mod event;
mod instance;
mod receive;
mod requests;
mod restart;
mod stop;
mod supervise;
mod timer;
mod transmit;
mod worker;

pub use call::Call;
pub use config::{FAILURES_MAX, Restart, Retry, WorkerConfig};
pub use event::{
    Action, Body, Event, Line, LineOutcome, NewCall, Part, Payload, Signal, Status, Step, Transmit,
};
pub use instance::Instance;
pub use requests::Request;
pub use worker::Worker;

use core::fmt;

use forebay_core_time::{Instant, TimerSlot, Wheel};

use crate::list::List;
use crate::table::{Key, Table};
use crate::{CallId, Full, InstanceId, Slot, StartFailure, WorkerId};

/// Entries of [`Storage::Requests`] that an instance needs for each call that it has at once: the
/// call itself, parts of its body that the worker has not acknowledged, and the end of the body.
pub const REQUESTS_PER_CALL: usize = 1 + call::PARTS + 1;

/// The memory of a home.
pub trait Storage {
    /// One place for each call underway or waiting. May start small, see [`Home::grow`].
    type Calls: AsRef<[Slot<Call>]> + AsMut<[Slot<Call>]>;
    /// One for each instance, those that are ending included.
    type Instances: AsRef<[Slot<Instance>]> + AsMut<[Slot<Instance>]>;
    /// One for each worker, those that are being removed included.
    type Workers: AsRef<[Slot<Worker>]> + AsMut<[Slot<Worker>]>;
    /// One timer for each call, instance and worker together.
    type Timers: AsRef<[TimerSlot]> + AsMut<[TimerSlot]>;
    /// Requests that await an answer, shared out evenly among the instances:
    /// [`REQUESTS_PER_CALL`] for each call that an instance may have at once.
    type Requests: AsRef<[Request]> + AsMut<[Request]>;
}

/// The memory itself.
#[expect(missing_debug_implementations, reason = "raw memory has nothing to tell")]
pub struct Memory<S: Storage> {
    /// See [`Storage::Calls`].
    pub calls: S::Calls,
    /// See [`Storage::Instances`].
    pub instances: S::Instances,
    /// See [`Storage::Workers`].
    pub workers: S::Workers,
    /// See [`Storage::Timers`].
    pub timers: S::Timers,
    /// See [`Storage::Requests`].
    pub requests: S::Requests,
}

/// The half of the brain that owns workers.
pub struct Home<S: Storage> {
    calls: Table<Call, S::Calls>,
    instances: Table<Instance, S::Instances>,
    workers: Table<Worker, S::Workers>,
    /// Ids: instances first, then workers, then calls, whose number may grow; each by place.
    timers: Wheel<S::Timers>,
    requests: S::Requests,
    /// Calls and instances that the shell has to be told about.
    call_actions: List,
    instance_actions: List,
    stopping: bool,
}

impl<S: Storage> fmt::Debug for Home<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("calls", &self.calls.len())
            .field("instances", &self.instances.len())
            .field("workers", &self.workers.len())
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Home<S> {
    /// A home without workers.
    ///
    /// # Panics
    /// If there are fewer timers than calls, instances and workers together.
    #[must_use]
    pub fn new(memory: Memory<S>) -> Self {
        let Memory { calls, instances, workers, timers, mut requests } = memory;
        requests.as_mut().fill(Request::default());
        let home = Self {
            calls: Table::new(calls),
            instances: Table::new(instances),
            workers: Table::new(workers),
            timers: Wheel::new(timers),
            requests,
            call_actions: List::EMPTY,
            instance_actions: List::EMPTY,
            stopping: false,
        };
        let needed = home.calls.capacity().saturating_add(home.instances.capacity());
        let needed = needed.saturating_add(home.workers.capacity());
        assert!(home.timers.capacity() >= needed, "too few timers for the tables");
        home
    }

    /// Adds places for `additional` calls, and their timers, to storage that can grow. What runs
    /// is not disturbed.
    pub fn grow(&mut self, additional: usize)
    where
        S::Calls: Extend<Slot<Call>>,
        S::Timers: Extend<TimerSlot>,
    {
        self.calls.grow(additional);
        self.timers.grow(additional);
    }

    /// How many calls there is a place for.
    #[must_use]
    pub fn call_capacity(&self) -> usize {
        self.calls.capacity()
    }

    /// Adds a worker. Its `min_instances` are started, one after another.
    ///
    /// # Errors
    /// [`Full`] without a free place.
    pub fn deploy(&mut self, now: Instant, config: WorkerConfig) -> Result<WorkerId, Full> {
        let key = self.workers.insert(Worker::new(config)).map_err(|_| Full)?;
        self.consider_start(now, key.index);
        Ok(WorkerId(key))
    }

    /// Why the worker's last start failed, and the text of its `$error` if it said one.
    #[must_use]
    pub fn start_failure(&self, worker: WorkerId) -> Option<(StartFailure, &str)> {
        let worker = self.workers.get(worker.0)?;
        worker.failure.map(|failure| (failure, worker.failure_text.as_str()))
    }

    /// What a worker is doing.
    #[must_use]
    pub fn status(&self, now: Instant, worker: WorkerId) -> Option<Status> {
        self.workers.get(worker.0).map(|worker| worker.status(now))
    }

    /// Calls that are waiting or underway, those included whose end was not polled yet.
    #[must_use]
    pub const fn call_count(&self) -> u32 {
        self.calls.len()
    }

    /// Instances that have not been released.
    #[must_use]
    pub const fn instance_count(&self) -> u32 {
        self.instances.len()
    }

    /// Requests of one instance that await an answer.
    fn requests_of(&mut self, instance: u32) -> &mut [Request] {
        let each = self.requests_each();
        let start = usize::try_from(instance).unwrap_or(usize::MAX).saturating_mul(each);
        self.requests.as_mut().get_mut(start..start.saturating_add(each)).unwrap_or(&mut [])
    }

    fn requests_each(&self) -> usize {
        self.requests.as_ref().len().checked_div(self.instances.capacity()).unwrap_or(0)
    }

    fn instance_id(&self, index: u32) -> Option<InstanceId> {
        self.instances.key_at(index).map(InstanceId)
    }

    fn call_id(&self, index: u32) -> Option<CallId> {
        self.calls.key_at(index).map(CallId)
    }

    fn worker_id(&self, index: u32) -> Option<WorkerId> {
        self.workers.key_at(index).map(WorkerId)
    }

    /// The place of an instance that has not been released.
    fn place(&self, instance: InstanceId) -> Option<u32> {
        let InstanceId(key @ Key { index, .. }) = instance;
        self.instances.get(key).map(|_| index)
    }
}

#[cfg(test)]
mod tests;
