//! What the shell has to do, one thing at a time.

use forebay_core_time::Instant;

use super::call::{Call, Verdict};
use super::event::{Action, Line};
use super::instance::Instance;
use super::{Home, Storage};

impl<S: Storage> Home<S> {
    /// What to do next; call until `None`.
    ///
    /// # Bound
    /// Constant, but for the release of the last instance of a worker.
    #[must_use]
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        while let Some(index) = self.instance_actions.first() {
            if let Some(action) = self.instance_action(now, index) {
                return Some(action);
            }
            self.instance_actions.remove(&mut self.instances, index, Instance::action);
        }
        while let Some(index) = self.call_actions.first() {
            if let Some(action) = self.call_action(index) {
                return Some(action);
            }
            self.call_actions.remove(&mut self.calls, index, Call::action);
        }
        None
    }

    fn instance_action(&mut self, now: Instant, index: u32) -> Option<Action> {
        let id = self.instance_id(index)?;
        let instance = self.instances.at_mut(index)?;
        let place = instance.worker;
        let todo = &mut instance.todo;
        let action = if core::mem::take(&mut todo.spawn) {
            Action::Spawn { instance: id, worker: self.worker_id(place)? }
        } else if core::mem::take(&mut todo.disconnect) {
            Action::Disconnect { instance: id }
        } else if let Some(on) = todo.reading.take() {
            if on {
                Action::ResumeReading { instance: id }
            } else {
                Action::StopReading { instance: id }
            }
        } else if core::mem::take(&mut todo.write) {
            Action::Write { instance: id }
        } else if core::mem::take(&mut todo.ping) {
            Action::WriteLine { instance: id, line: Line::Ping }
        } else if core::mem::take(&mut todo.shutdown) {
            Action::WriteLine { instance: id, line: Line::Shutdown }
        } else if let Some(signal) = todo.signal.take() {
            Action::Kill { instance: id, signal }
        } else if core::mem::take(&mut todo.release) {
            let worker = self.worker_id(place)?;
            self.release(now, index);
            Action::Release { instance: id, worker }
        } else {
            return None;
        };
        Some(action)
    }

    fn release(&mut self, now: Instant, index: u32) {
        self.instance_actions.remove(&mut self.instances, index, Instance::action);
        let Some(key) = self.instances.key_at(index) else { return };
        let Some(place) = self.instances.at(index).map(|instance| instance.worker) else { return };
        if let Some(worker) = self.workers.at_mut(place) {
            worker.members.remove(&mut self.instances, index, Instance::sibling);
            worker.census.ending = worker.census.ending.saturating_sub(1);
        }
        self.instances.remove(key);
        self.requests_of(index).fill(super::Request::default());
        self.forget(place);
        self.consider_start(now, place);
    }

    fn call_action(&mut self, index: u32) -> Option<Action> {
        let id = self.call_id(index)?;
        let call = self.calls.at_mut(index)?;
        let origin = call.origin;
        let worker = call.worker_id;
        let config = self.workers.at(call.worker).map(|worker| &worker.config);
        let todo = &mut call.todo;
        let action = if core::mem::take(&mut todo.gather) {
            Action::Gather { origin, call: id, limit: config?.inline_body }
        } else if core::mem::take(&mut todo.discard) {
            Action::DiscardBody { origin, call: id }
        } else if core::mem::take(&mut todo.read_body) {
            let bytes = core::mem::take(&mut call.upload.grant_bytes);
            let parts = core::mem::take(&mut call.upload.grant_parts);
            Action::ReadBody { origin, call: id, bytes, parts, chunk: config?.chunk }
        } else {
            let verdict = todo.end.take()?;
            self.free(index);
            match verdict {
                Verdict::Answer(refusal) => Action::Answer { origin, call: id, worker, refusal },
                Verdict::Abort => Action::Abort { origin, call: id },
            }
        };
        Some(action)
    }
}
