//! Calls come in, wait and get an instance.

use forebay_core_time::Instant;

use super::call::{Call, Stage};
use super::event::{Body, NewCall};
use super::instance::Instance;
use super::{Home, REQUESTS_PER_CALL, Storage, Worker};
use crate::{CallId, Refusal};

impl<S: Storage> Home<S> {
    /// Takes a call: gives it to an instance or lets it wait.
    ///
    /// # Errors
    /// What its client is to be told; the call is then over.
    ///
    /// # Bound
    /// One step for each instance of the worker.
    pub fn handle_call(&mut self, now: Instant, call: NewCall) -> Result<CallId, Refusal> {
        let worker = self.workers.get(call.worker.0).ok_or(Refusal::NotDeployed)?;
        self.admit(now, worker)?;
        let gather = worker.must_gather(call.body);
        let key = self.calls.insert(Call::new(now, &call)).map_err(|_| Refusal::Capacity)?;
        if gather {
            self.gather(key.index);
        } else {
            self.enqueue(now, key.index);
        }
        Ok(CallId(key))
    }

    /// The body that [`Action::Gather`](super::Action::Gather) asked for is complete, `len` bytes.
    pub fn handle_gathered(&mut self, now: Instant, call: CallId, len: u32) {
        let gathering = |call: &&mut Call| call.stage == Stage::Gathering;
        if let Some(waiting) = self.calls.get_mut(call.0).filter(gathering) {
            waiting.body = Body::Inline(len);
            waiting.stage = Stage::Waiting;
            waiting.since = now;
            if let Some(worker) = self.workers.at_mut(waiting.worker) {
                worker.gathering.remove(&mut self.calls, call.0.index, Call::member);
            }
            self.enqueue(now, call.0.index);
        }
    }

    /// Whether the worker takes one call more.
    fn admit(&self, now: Instant, worker: &Worker) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::Stopping);
        }
        if worker.leaving.is_some() {
            return Err(Refusal::NotDeployed);
        }
        if worker.census.ready == 0
            && let Some(retry_after_s) = worker.restarts.open_for(now)
        {
            return Err(Refusal::CircuitOpen { retry_after_s });
        }
        let full = worker.queue.len() >= worker.config.queue_len;
        if full && self.pick(worker).is_none() {
            return Err(Refusal::QueueFull);
        }
        Ok(())
    }

    /// Puts a call at the end of its worker's queue, from where it may go on at once.
    fn enqueue(&mut self, now: Instant, index: u32) {
        let Some(place) = self.calls.at(index).map(|call| call.worker) else { return };
        let Some(worker) = self.workers.at_mut(place) else { return };
        if worker.queue.is_empty() {
            worker.queued_since = now;
        }
        worker.queue.push_back(&mut self.calls, index, Call::member);
        self.dispatch(now, place);
    }

    /// Hands out waiting calls as far as there are instances for them, and has one more started
    /// if there are not.
    ///
    /// # Bound
    /// One step for each call that is handed out.
    pub(super) fn dispatch(&mut self, now: Instant, place: u32) {
        while let Some(worker) = self.workers.at_mut(place)
            && let Some(first) = worker.queue.first()
        {
            if self.calls.at(first).is_some_and(|call| worker.must_gather(call.body)) {
                worker.queue.remove(&mut self.calls, first, Call::member);
                self.gather(first);
                continue;
            }
            let Some(worker) = self.workers.at(place) else { break };
            let Some(instance) = self.pick(worker) else { break };
            self.assign(now, place, first, instance);
        }
        self.consider_start(now, place);
        self.arm_worker(now, place);
    }

    /// The ready instance with the fewest calls and room for one more; of several, the next after
    /// the one that got the last call.
    fn pick(&self, worker: &Worker) -> Option<u32> {
        let room = self.requests_each() / REQUESTS_PER_CALL;
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let room = room.min(worker.config.max_concurrency.into());
        let mut best = None;
        let mut is_behind = false;
        let mut next = worker.members.first();
        while let Some(index) = next {
            let instance = self.instances.at(index)?;
            let load = instance.calls.len();
            let rank = (load, !is_behind);
            if instance.is_ready() && load < room && best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, index));
            }
            is_behind |= index == worker.last;
            next = instance.sibling.next();
        }
        best.map(|(_, index)| index)
    }

    fn assign(&mut self, now: Instant, place: u32, index: u32, to: u32) {
        let Some(worker) = self.workers.at_mut(place) else { return };
        let Some(instance) = self.instances.at_mut(to) else { return };
        worker.queue.remove(&mut self.calls, index, Call::member);
        worker.last = to;
        worker.totals.in_flight = worker.totals.in_flight.saturating_add(1);
        instance.calls.push_back(&mut self.calls, index, Call::member);
        instance.outbox.push_back(&mut self.calls, index, Call::turn);
        instance.taken = instance.taken.saturating_add(1);
        let max_calls = worker.config.max_calls;
        let worn_out = max_calls != 0 && instance.taken >= max_calls;
        if let Some(call) = self.calls.at_mut(index) {
            call.stage = Stage::Assigned;
            call.instance = to;
            call.since = now;
        }
        self.arm_call(index);
        self.tell_instance(to, |todo| todo.write = true);
        if worn_out {
            self.retire(now, to);
        }
    }

    fn gather(&mut self, index: u32) {
        let Some(call) = self.calls.at_mut(index) else { return };
        call.stage = Stage::Gathering;
        if let Some(worker) = self.workers.at_mut(call.worker) {
            worker.gathering.push_back(&mut self.calls, index, Call::member);
        }
        self.tell_call(index, |todo| todo.gather = true);
    }

    /// Has [`poll_action`](Self::poll_action) look at an instance.
    pub(super) fn tell_instance(
        &mut self,
        index: u32,
        what: impl FnOnce(&mut super::instance::Todo),
    ) {
        if let Some(instance) = self.instances.at_mut(index) {
            what(&mut instance.todo);
            self.instance_actions.push_back(&mut self.instances, index, Instance::action);
        }
    }

    /// Has [`poll_action`](Self::poll_action) look at a call.
    pub(super) fn tell_call(&mut self, index: u32, what: impl FnOnce(&mut super::call::Todo)) {
        if let Some(call) = self.calls.at_mut(index) {
            what(&mut call.todo);
            self.call_actions.push_back(&mut self.calls, index, Call::action);
        }
    }
}

impl Worker {
    /// Whether the body has to be collected, since the worker takes it only inside the call.
    fn must_gather(&self, body: Body) -> bool {
        let streamed = matches!(body, Body::Streamed(_));
        streamed && self.features.is_some_and(|features| features.body.is_none())
    }
}
