//! Instances drain and stop; workers are removed; everything ends.

use forebay_core_time::Instant;

use super::event::Signal;
use super::instance::{Instance, Phase, Process, Step};
use super::{Home, Storage};
use crate::{Refusal, WorkerId};

impl<S: Storage> Home<S> {
    /// Takes a worker away: new calls are refused with 404, waiting ones are still served, then
    /// its instances drain and stop. What is left after `drain_timeout` is cut off.
    pub fn remove(&mut self, now: Instant, worker: WorkerId) {
        if self.workers.get(worker.0).is_some() {
            self.leave(now, worker.0.index);
        }
    }

    /// Stops everything: new calls are refused with 503, running and waiting ones get
    /// `drain_timeout`, then what is left is cut off.
    ///
    /// # Bound
    /// One step for each worker and each of its instances.
    pub fn stop(&mut self, now: Instant) {
        self.stopping = true;
        for place in 0..u32::try_from(self.workers.capacity()).unwrap_or(u32::MAX) {
            self.leave(now, place);
        }
    }

    /// Whether a stop is complete: no call and no instance is left.
    #[must_use]
    pub const fn is_stopped(&self) -> bool {
        self.stopping && self.calls.len() == 0 && self.instances.len() == 0
    }

    fn leave(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at_mut(place).filter(|one| one.leaving.is_none()) else {
            return;
        };
        worker.leaving = Some(now.saturating_add(worker.config.drain_timeout));
        self.settle_leaving(now, place);
        self.arm_worker(now, place);
    }

    /// A worker that leaves and has no call waiting: its instances go too, and at last itself.
    pub(super) fn settle_leaving(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at(place) else { return };
        let waiting = !worker.queue.is_empty() || !worker.gathering.is_empty();
        if worker.leaving.is_none() || waiting {
            return;
        }
        let mut next = worker.members.first();
        while let Some(index) = next {
            let Some(instance) = self.instances.at(index) else { break };
            next = instance.sibling.next();
            if instance.is_ready() {
                self.drain(now, index);
            } else if instance.is_starting() {
                self.abandon_start(now, index);
            }
        }
        self.forget(place);
    }

    /// Frees the place of a worker that has left.
    pub(super) fn forget(&mut self, place: u32) {
        let done = |worker: &super::Worker| {
            let idle = worker.queue.is_empty() && worker.gathering.is_empty();
            worker.leaving.is_some() && worker.members.is_empty() && idle
        };
        if self.workers.at(place).is_some_and(done)
            && let Some(key) = self.workers.key_at(place)
        {
            self.workers.remove(key);
            self.cancel_worker(place);
        }
    }

    /// The time of a worker that leaves is up.
    pub(super) fn cut_off(&mut self, now: Instant, place: u32) {
        let refusal = if self.stopping { Refusal::Stopping } else { Refusal::NotDeployed };
        if let Some(worker) = self.workers.at_mut(place) {
            worker.leaving = Some(Instant::MAX);
        }
        self.refuse_waiting(now, place, refusal);
        self.refuse_gathering(now, place, refusal);
        self.settle_leaving(now, place);
        let Some(worker) = self.workers.at(place) else { return };
        let mut next = worker.members.first();
        while let Some(index) = next {
            let Some(instance) = self.instances.at(index) else { break };
            next = instance.sibling.next();
            if instance.phase == Phase::Draining {
                self.finish_drain(now, index);
            }
        }
    }

    /// An instance finishes its calls and then stops; it gets no new one, ever.
    pub(super) fn drain(&mut self, now: Instant, index: u32) {
        if !self.instances.at(index).is_some_and(Instance::is_ready) {
            return;
        }
        self.leave_ready(now, index, false);
        self.enter(now, index, Phase::Draining);
        self.drained(now, index);
    }

    /// Stops an instance that drains if it has no call left.
    pub(super) fn drained(&mut self, now: Instant, index: u32) {
        let empty = |one: &Instance| one.phase == Phase::Draining && one.calls.is_empty();
        if self.instances.at(index).is_some_and(empty) {
            self.ask_to_stop(now, index);
        }
    }

    /// The time of an instance that drains is up: what is left of its calls is aborted.
    pub(super) fn finish_drain(&mut self, now: Instant, index: u32) {
        self.abort_calls(now, index);
        if self.instances.at(index).is_some_and(|one| one.phase == Phase::Draining) {
            self.ask_to_stop(now, index);
        }
    }

    /// `$shutdown`, and signals if that does not help.
    fn ask_to_stop(&mut self, now: Instant, index: u32) {
        self.enter(now, index, Phase::Stopping(Step::Asked));
        self.tell_instance(index, |todo| {
            todo.shutdown = true;
            todo.ping = false;
        });
    }

    /// An instance that is not ready yet is not needed any more.
    fn abandon_start(&mut self, now: Instant, index: u32) {
        let Some(place) = self.instances.at(index).map(|instance| instance.worker) else { return };
        if let Some(worker) = self.workers.at_mut(place) {
            worker.census.starting = worker.census.starting.saturating_sub(1);
            worker.census.ending = worker.census.ending.saturating_add(1);
        }
        self.kill(now, index);
    }

    /// The next step of a stop whose time is up.
    pub(super) fn press(&mut self, now: Instant, index: u32, step: Step) {
        let (signal, step) = match step {
            Step::Asked => (Signal::Terminate, Step::Terminated),
            Step::Terminated | Step::Killed => (Signal::Kill, Step::Killed),
        };
        self.enter(now, index, Phase::Stopping(step));
        if self.instances.at(index).is_some_and(|one| one.process == Process::Running) {
            self.tell_instance(index, |todo| todo.signal = Some(signal));
        }
    }
}
