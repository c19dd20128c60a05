//! What happens by itself when its time has come.
//!
//! A timer is armed for the earliest instant at which something may be due. When a deadline moves
//! later the timer stays where it is: when it fires, the deadline is looked at again.

use core::time::Duration;

use forebay_core_time::{Instant, earliest};

use super::call::{Call, STALL, Stage};
use super::instance::{Beat, Phase};
use super::{Home, Storage};
use crate::Refusal;

impl<S: Storage> Home<S> {
    /// Acts on deadlines that have passed. Early or repeated calls are harmless.
    ///
    /// # Bound
    /// One step for each timer that is due, and what their ends cost.
    pub fn handle_timeout(&mut self, now: Instant) {
        let instances = u32::try_from(self.instances.capacity()).unwrap_or(u32::MAX);
        let workers = u32::try_from(self.workers.capacity()).unwrap_or(u32::MAX);
        while let Some(timer) = self.timers.poll_expired(now) {
            match timer.checked_sub(instances) {
                None => self.instance_timer(now, timer),
                Some(rest) => match rest.checked_sub(workers) {
                    None => self.worker_timer(now, rest),
                    Some(index) => self.call_timer(now, index),
                },
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). Ask again after every call.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.poll_timeout()
    }

    /// When a call has taken too long.
    fn call_deadline(&self, call: &Call) -> Option<Instant> {
        let config = &self.workers.at(call.worker)?.config;
        let after = |time: Duration| (!time.is_zero()).then(|| call.since.saturating_add(time));
        match call.stage {
            // Until the client sends the rest of the body, the worker waits.
            Stage::Sent if call.is_uploading() && call.upload.parts_held() == 0 => None,
            Stage::Assigned | Stage::Sent => after(config.request_timeout),
            Stage::Responding | Stage::Trailed if call.download.holds_up() => after(STALL),
            // Until the client takes what it was sent, the worker waits.
            Stage::Responding | Stage::Trailed if call.download.is_blocked() => None,
            Stage::Responding | Stage::Trailed => after(config.stream_timeout),
            Stage::Waiting | Stage::Gathering | Stage::Ended { .. } => None,
        }
    }

    fn call_timer(&mut self, now: Instant, index: u32) {
        let Some(call) = self.calls.at(index) else { return };
        let Some(deadline) = self.call_deadline(call) else { return };
        if !deadline.is_reached(now) {
            self.arm_call(index);
        } else if call.download.holds_up() {
            self.stalled(now, index);
        } else {
            self.fail(now, index, Refusal::Timeout, true);
        }
    }

    /// A client did not take a byte for a while, and its call holds up the connection.
    fn stalled(&mut self, now: Instant, index: u32) {
        let Some(call) = self.calls.at_mut(index) else { return };
        call.since = now;
        let (holder, place) = (call.instance, call.worker);
        let others = self.instances.at(holder).is_some_and(|one| one.calls.len() > 1);
        if others {
            if let Some(worker) = self.workers.at_mut(place) {
                worker.totals.stalled = worker.totals.stalled.saturating_add(1);
            }
            self.fail(now, index, Refusal::Timeout, true);
        } else {
            self.arm_call(index);
        }
    }

    fn instance_timer(&mut self, now: Instant, index: u32) {
        let Some(instance) = self.instances.at(index) else { return };
        let Some(worker) = self.workers.at(instance.worker) else { return };
        let due = instance.deadline(&worker.config).is_some_and(|at| at.is_reached(now));
        if due {
            match instance.phase {
                Phase::Spawned | Phase::Handshaking | Phase::Connecting => {
                    self.fail_start(now, index, crate::StartFailure::Timeout);
                    self.settle(now, index);
                }
                Phase::Ready => self.look_at(now, index),
                Phase::Draining => self.finish_drain(now, index),
                Phase::Unhealthy => self.kill(now, index),
                Phase::Stopping(step) => self.press(now, index, step),
                Phase::Exited => {
                    self.disconnect(index);
                    self.fail_calls(now, index);
                    self.settle(now, index);
                }
            }
        }
        self.arm_instance(now, index);
    }

    /// A ready instance: does it live, and is it needed?
    fn look_at(&mut self, now: Instant, index: u32) {
        let Some(instance) = self.instances.at_mut(index) else { return };
        let Some(worker) = self.workers.at(instance.worker) else { return };
        let config = &worker.config;
        if let Some(Beat { look, pinged }) = instance.beat.filter(|beat| beat.look.is_reached(now))
        {
            let old = |pinged| now.saturating_since(pinged) >= config.ping_timeout;
            if pinged.is_some_and(old) {
                self.give_up(now, index);
                return;
            }
            let look = look.max(now).saturating_add(config.ping_interval);
            instance.beat = Some(Beat { look, pinged: Some(pinged.unwrap_or(now)) });
            if pinged.is_none() {
                self.tell_instance(index, |todo| todo.ping = true);
            }
        }
        self.stop_if_idle(now, index);
    }

    fn stop_if_idle(&mut self, now: Instant, index: u32) {
        let Some(instance) = self.instances.at_mut(index) else { return };
        let Some(worker) = self.workers.at(instance.worker) else { return };
        let idle_stop = worker.config.idle_stop;
        let idle = instance.calls.is_empty() && !idle_stop.is_zero();
        if !idle || now.saturating_since(instance.since) < idle_stop {
            return;
        }
        let others = worker.census.ready.saturating_sub(worker.census.retiring);
        if others > worker.config.min_instances || instance.retiring {
            self.drain(now, index);
        } else {
            instance.since = now;
        }
    }

    fn worker_timer(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at_mut(place) else { return };
        worker.restarts.handle_timeout(now);
        let leaves = worker.leaving.is_some_and(|at| at.is_reached(now));
        self.shed(now, place);
        if leaves {
            self.cut_off(now, place);
        }
        self.dispatch(now, place);
    }

    /// Refuses calls that have waited too long.
    fn shed(&mut self, now: Instant, place: u32) {
        while let Some(index) = self.overdue(now, place) {
            self.fail(now, index, Refusal::QueueTimeout, false);
        }
    }

    /// The oldest call that waits, if it has waited too long.
    fn overdue(&self, now: Instant, place: u32) -> Option<u32> {
        let worker = self.workers.at(place)?;
        let first = worker.queue.first()?;
        let call = self.calls.at(first)?;
        worker.patience(call.since).filter(|at| at.is_reached(now)).map(|_| first)
    }

    /// Arms the timer of a call unless it is armed already.
    pub(super) fn arm_call(&mut self, index: u32) {
        if !self.timers.is_armed(self.call_timer_id(index)) {
            self.schedule_call(index);
        }
    }

    /// Arms the timer of a call for a deadline that may be earlier than before.
    pub(super) fn rearm_call(&mut self, now: Instant, index: u32) {
        if let Some(call) = self.calls.at_mut(index) {
            call.since = now;
        }
        self.schedule_call(index);
    }

    pub(super) fn schedule_call(&mut self, index: u32) {
        let Some(deadline) = self.calls.at(index).and_then(|call| self.call_deadline(call)) else {
            return;
        };
        let scheduled = self.timers.schedule(self.call_timer_id(index), deadline);
        debug_assert!(scheduled.is_ok(), "a timer for every call");
    }

    pub(super) fn cancel_call(&mut self, index: u32) {
        self.timers.cancel(self.call_timer_id(index));
    }

    pub(super) fn arm_instance(&mut self, now: Instant, index: u32) {
        let Some(instance) = self.instances.at(index) else { return };
        let Some(worker) = self.workers.at(instance.worker) else { return };
        let deadline = instance.deadline(&worker.config);
        self.arm(now, index, deadline);
    }

    pub(super) fn cancel_instance(&mut self, index: u32) {
        self.timers.cancel(index);
    }

    pub(super) fn arm_worker(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at(place) else { return };
        let first = worker.queue.first().and_then(|first| self.calls.at(first));
        let queue = first.and_then(|call| worker.patience(call.since));
        let leaving = worker.leaving.filter(|at| *at < Instant::MAX);
        let deadline = earliest(queue, earliest(worker.restarts.poll_timeout(), leaving));
        self.arm(now, self.worker_timer_id(place), deadline);
    }

    pub(super) fn cancel_worker(&mut self, place: u32) {
        self.timers.cancel(self.worker_timer_id(place));
    }

    fn arm(&mut self, now: Instant, timer: u32, deadline: Option<Instant>) {
        match deadline {
            Some(deadline) => {
                let scheduled = self.timers.schedule(timer, deadline.max(now));
                debug_assert!(scheduled.is_ok(), "a timer for everything");
            }
            None => {
                self.timers.cancel(timer);
            }
        }
    }

    fn worker_timer_id(&self, place: u32) -> u32 {
        u32::try_from(self.instances.capacity()).unwrap_or(u32::MAX).saturating_add(place)
    }

    fn call_timer_id(&self, index: u32) -> u32 {
        let before = self.instances.capacity().saturating_add(self.workers.capacity());
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(index)
    }
}
