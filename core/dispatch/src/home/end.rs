//! Calls end: exactly once, and with them everything that was kept for them.

use forebay_core_time::Instant;

use super::call::{Call, Download, Stage, Upload, Verdict};
use super::config::Retry;
use super::event::{Body, Event};
use super::instance::{Connection, Phase, Todo};
use super::{Home, Storage, requests};
use crate::{CallId, Refusal};

impl<S: Storage> Home<S> {
    /// The client is gone, or wants no more of the response. Nothing more is said about the call.
    pub fn handle_gone(&mut self, now: Instant, call: CallId) {
        if self.calls.get(call.0).is_some() {
            self.end(now, call.0.index, None, true);
        }
    }

    /// Ends a call. With a `verdict` the client's side learns of it from an action. `abort`: the
    /// worker has to be told, if it knows of the call.
    pub(super) fn end(&mut self, now: Instant, index: u32, verdict: Option<Verdict>, abort: bool) {
        let Some(call) = self.calls.at_mut(index) else { return };
        if call.is_ended() {
            // The other side was told already; this one does not want to hear it.
            call.todo.end = call.todo.end.filter(|_| verdict.is_some());
            self.free(index);
            return;
        }
        let stage = call.stage;
        let request = call.request;
        let place = call.worker;
        let holder = call.instance;
        call.todo = super::call::Todo { end: verdict, ..Default::default() };
        self.cancel_call(index);
        let knows = match stage {
            Stage::Waiting => {
                if let Some(worker) = self.workers.at_mut(place) {
                    worker.queue.remove(&mut self.calls, index, Call::member);
                }
                None
            }
            Stage::Gathering => {
                if let Some(worker) = self.workers.at_mut(place) {
                    worker.gathering.remove(&mut self.calls, index, Call::member);
                }
                None
            }
            Stage::Ended { .. } => None,
            Stage::Assigned => {
                self.detach(index);
                None
            }
            Stage::Sent | Stage::Responding | Stage::Trailed => {
                self.detach(index);
                request.filter(|_| abort && self.is_connected(holder))
            }
        };
        if let Some(call) = self.calls.at_mut(index) {
            call.stage = Stage::Ended { abort: knows };
        }
        if knows.is_some() {
            if let Some(instance) = self.instances.at_mut(holder) {
                instance.outbox.push_back(&mut self.calls, index, Call::turn);
            }
            self.tell_instance(holder, |todo| todo.write = true);
        }
        if verdict.is_some() {
            self.tell_call(index, |_| {});
        }
        self.free(index);
        self.after_end(now, stage, place, holder);
    }

    /// Ends a call before its response head with a refusal, after it by breaking off.
    pub(super) fn fail(&mut self, now: Instant, index: u32, refusal: Refusal, abort: bool) {
        let has_head = self.calls.at(index).is_some_and(Call::has_head);
        let verdict = if has_head { Verdict::Abort } else { Verdict::Answer(refusal) };
        self.end(now, index, Some(verdict), abort);
    }

    /// As [`fail`](Self::fail), where the client's side learns of it from the event returned.
    pub(super) fn fail_with_event<'i>(
        &mut self,
        now: Instant,
        index: u32,
        refusal: Refusal,
        detail: &'i [u8],
        abort: bool,
    ) -> Option<Event<'i>> {
        let call = self.calls.at(index)?;
        let origin = call.origin;
        let event = if call.has_head() {
            Event::Broken { origin }
        } else {
            Event::Refused { origin, worker: call.worker_id, refusal, detail }
        };
        self.end(now, index, None, abort);
        Some(event)
    }

    /// Frees the place of a call that has ended and about which everything was said.
    pub(super) fn free(&mut self, index: u32) {
        let Some(call) = self.calls.at(index) else { return };
        if !call.is_ended() || !call.todo.is_empty() {
            return;
        }
        self.call_actions.remove(&mut self.calls, index, Call::action);
        if self.calls.at(index).is_some_and(|call| !call.turn.is_linked())
            && let Some(key) = self.calls.key_at(index)
        {
            self.calls.remove(key);
        }
    }

    /// Every call that waits for the worker is refused.
    pub(super) fn refuse_waiting(&mut self, now: Instant, place: u32, refusal: Refusal) {
        while let Some(index) = self.workers.at(place).and_then(|worker| worker.queue.first()) {
            self.fail(now, index, refusal, false);
        }
    }

    /// So is every call whose body is still collected.
    pub(super) fn refuse_gathering(&mut self, now: Instant, place: u32, refusal: Refusal) {
        while let Some(index) = self.workers.at(place).and_then(|one| one.gathering.first()) {
            self.fail(now, index, refusal, false);
        }
    }

    /// Calls do not wait for a worker that will not be started soon.
    pub(super) fn refuse_if_open(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at(place).filter(|one| one.census.ready == 0) else {
            return;
        };
        if let Some(retry_after_s) = worker.restarts.open_for(now) {
            self.refuse_waiting(now, place, Refusal::CircuitOpen { retry_after_s });
        }
    }

    /// An instance was lost: its calls fail, or wait for another one.
    pub(super) fn fail_calls(&mut self, now: Instant, index: u32) {
        while let Some(call) = self.instances.at(index).and_then(|one| one.calls.last()) {
            if self.can_retry(call) {
                self.requeue(now, call);
            } else {
                self.fail(now, call, Refusal::Exited, false);
            }
        }
        self.clear_outbox(index);
    }

    /// The time of an instance is up: its calls are cut off.
    pub(super) fn abort_calls(&mut self, now: Instant, index: u32) {
        while let Some(call) = self.instances.at(index).and_then(|one| one.calls.first()) {
            self.fail(now, call, Refusal::Exited, true);
        }
    }

    /// Whether the call may be sent to another instance if its own is lost now.
    pub(super) fn can_retry(&self, index: u32) -> bool {
        let Some(call) = self.calls.at(index).filter(|call| !call.retried) else { return false };
        let Some(worker) = self.workers.at(call.worker) else { return false };
        // Parts of a body are not kept.
        let is_whole = !matches!(call.body, Body::Streamed(_));
        let untouched = call.stage == Stage::Assigned;
        let sent = self.instances.at(call.instance).map_or(0, |instance| instance.sent);
        let unsent = untouched || (is_whole && call.stage == Stage::Sent && call.frame >= sent);
        let harmless = is_whole && call.idempotent && call.stage == Stage::Sent && !call.answered;
        match worker.config.retry {
            Retry::Never => false,
            Retry::Unsent => unsent,
            Retry::Idempotent => unsent || harmless,
        }
    }

    /// Whether the call may still be sent to another instance, so that its inline body must be
    /// kept.
    #[must_use]
    pub fn may_retry(&self, call: CallId) -> bool {
        let Some(known) = self.calls.get(call.0) else { return false };
        match known.stage {
            Stage::Waiting | Stage::Gathering => true,
            Stage::Assigned | Stage::Sent => self.can_retry(call.0.index),
            Stage::Responding | Stage::Trailed | Stage::Ended { .. } => false,
        }
    }

    /// Puts a call back in front of its worker's queue.
    fn requeue(&mut self, now: Instant, index: u32) {
        self.cancel_call(index);
        self.detach(index);
        let Some(call) = self.calls.at_mut(index) else { return };
        let place = call.worker;
        call.stage = Stage::Waiting;
        call.retried = true;
        call.request = None;
        call.upload = Upload::new(0);
        call.download = Download::shared(0);
        call.todo = super::call::Todo::default();
        self.call_actions.remove(&mut self.calls, index, Call::action);
        let Some(worker) = self.workers.at_mut(place) else { return };
        // The queue stays in the order of `since`, by which its head is judged.
        let head = worker.queue.first().and_then(|first| self.calls.at(first));
        let since = head.map_or(now, |head| head.since);
        if worker.queue.is_empty() {
            worker.queued_since = now;
        }
        if let Some(call) = self.calls.at_mut(index) {
            call.since = since;
        }
        worker.queue.push_front(&mut self.calls, index, Call::member);
    }

    /// Takes a call from its instance.
    fn detach(&mut self, index: u32) {
        let Some(call) = self.calls.at_mut(index) else { return };
        let (holder, place) = (call.instance, call.worker);
        let ids = [call.request.take()].into_iter().chain(call.upload.parts);
        let held_up = call.download.holds_up();
        let places = self.requests_of(holder);
        for id in ids.flatten() {
            requests::remove(places, id);
        }
        if let Some(instance) = self.instances.at_mut(holder) {
            instance.calls.remove(&mut self.calls, index, Call::member);
            instance.outbox.remove(&mut self.calls, index, Call::turn);
        }
        if let Some(worker) = self.workers.at_mut(place) {
            worker.totals.in_flight = worker.totals.in_flight.saturating_sub(1);
        }
        if held_up {
            self.let_go(holder);
        }
    }

    /// What a call that ended makes possible.
    fn after_end(&mut self, now: Instant, stage: Stage, place: u32, holder: u32) {
        match stage {
            Stage::Waiting => self.arm_worker(now, place),
            Stage::Gathering | Stage::Ended { .. } => {}
            Stage::Assigned | Stage::Sent | Stage::Responding | Stage::Trailed => {
                self.dispatch(now, place);
                let Some(instance) = self.instances.at_mut(holder) else { return };
                if instance.calls.is_empty() && instance.phase == Phase::Ready {
                    instance.since = now;
                    self.arm_instance(now, holder);
                }
                self.drained(now, holder);
            }
        }
        self.settle_leaving(now, place);
    }

    fn is_connected(&self, index: u32) -> bool {
        self.instances.at(index).is_some_and(|one| one.connection == Connection::Open)
    }

    /// Nothing can be transmitted to the instance any more.
    fn clear_outbox(&mut self, index: u32) {
        while let Some(call) = self.instances.at(index).and_then(|one| one.outbox.first()) {
            if let Some(instance) = self.instances.at_mut(index) {
                instance.outbox.remove(&mut self.calls, call, Call::turn);
            }
            self.free(call);
        }
    }

    /// A call holds up its instance's connection no longer.
    pub(super) fn let_go(&mut self, index: u32) {
        let Some(instance) = self.instances.at_mut(index) else { return };
        instance.held_up = instance.held_up.saturating_sub(1);
        if instance.held_up == 0 {
            self.tell_instance(index, Todo::resume);
        }
    }
}
