//! Instances start, become ready, fail and are replaced.

use forebay_core_procwire::control::Message;
use forebay_core_time::Instant;

use super::event::{LineOutcome, Signal};
use super::instance::{Beat, Connection, Instance, Phase, Process, Step};
use super::worker::Features;
use super::{Home, Storage};
use crate::{Exit, InstanceId, Refusal, StartFailure, Text};

impl<S: Storage> Home<S> {
    /// The process of an instance runs. `random` decides how far the delay of a later restart
    /// deviates.
    pub fn handle_spawned(&mut self, now: Instant, instance: InstanceId, random: u32) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        instance.process = Process::Running;
        instance.random = random;
        match instance.phase {
            Phase::Spawned => instance.phase = Phase::Handshaking,
            // It was given up while it started.
            Phase::Stopping(_) => {
                self.tell_instance(index, |todo| todo.signal = Some(Signal::Kill))
            }
            Phase::Handshaking
            | Phase::Connecting
            | Phase::Ready
            | Phase::Unhealthy
            | Phase::Draining
            | Phase::Exited => {}
        }
        self.arm_instance(now, index);
    }

    /// The process of an instance could not be started: the error number of the system.
    pub fn handle_spawn_failed(
        &mut self,
        now: Instant,
        instance: InstanceId,
        error: i32,
        random: u32,
    ) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        instance.process = Process::Ended;
        instance.random = random;
        self.fail_start(now, index, StartFailure::Spawn(error));
        self.settle(now, index);
    }

    /// A line that the process wrote to its standard output, without the line feed. The path to
    /// connect to is written to `path`.
    pub fn handle_line(
        &mut self,
        now: Instant,
        instance: InstanceId,
        line: &[u8],
        path: &mut [u8],
    ) -> LineOutcome {
        let Some(index) = self.place(instance) else { return LineOutcome::Nothing };
        let Some(instance) = self.instances.at_mut(index) else { return LineOutcome::Nothing };
        let is_waiting = matches!(instance.phase, Phase::Spawned | Phase::Handshaking);
        match Message::parse(line) {
            Some(Message::Init(init)) if is_waiting => {
                let init = init.map_err(StartFailure::Init);
                let features = init.and_then(|init| Ok((Features::of(&init)?, init.pipe())));
                let pipe = features.and_then(|(features, pipe)| {
                    let pipe = pipe.unescape(path).ok_or(StartFailure::PathNotAllowed)?;
                    Ok((features, pipe.len()))
                });
                match pipe {
                    Ok((features, path_len)) => {
                        instance.features = Some(features);
                        instance.phase = Phase::Connecting;
                        instance.connection = Connection::Connecting;
                        return LineOutcome::Connect { path_len };
                    }
                    Err(failure) => self.fail_start(now, index, failure),
                }
            }
            Some(Message::Error(text)) if is_waiting => {
                let worker = instance.worker;
                self.fail_start(now, index, StartFailure::Reported);
                if let (Some(text), Some(worker)) = (text, self.workers.at_mut(worker)) {
                    worker.failure_text = Text::from_chars(text.chars());
                }
            }
            Some(Message::Pong) => {
                if let Some(beat) = &mut instance.beat {
                    beat.pinged = None;
                }
            }
            Some(Message::Init(_) | Message::Error(_) | Message::Ping | Message::Shutdown)
            | None => {}
        }
        LineOutcome::Nothing
    }

    /// A line of the process begins with `{` and is longer than 64 KiB.
    pub fn handle_line_too_long(&mut self, now: Instant, instance: InstanceId) {
        let Some(index) = self.place(instance) else { return };
        if self.instances.at(index).is_some_and(Instance::is_starting) {
            self.fail_start(now, index, StartFailure::LineTooLong);
        }
    }

    /// The data connection stands.
    pub fn handle_connected(&mut self, now: Instant, instance: InstanceId) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        if instance.phase != Phase::Connecting {
            return;
        }
        let place = instance.worker;
        let Some(worker) = self.workers.at_mut(place) else { return };
        instance.phase = Phase::Ready;
        instance.connection = Connection::Open;
        instance.since = now;
        instance.ready = Some(now);
        instance.todo.auth = worker.config.auth;
        if !worker.config.ping_interval.is_zero() {
            let look = now.saturating_add(worker.config.ping_interval);
            instance.beat = Some(Beat { look, pinged: Some(now) });
            instance.todo.ping = true;
        }
        worker.features = instance.features;
        worker.restarts.handle_ready();
        worker.census.starting = worker.census.starting.saturating_sub(1);
        if worker.census.ready == 0 {
            worker.counts_from = now;
        }
        worker.census.ready = worker.census.ready.saturating_add(1);
        self.tell_instance(index, |todo| todo.write |= todo.auth);
        self.arm_instance(now, index);
        self.replace_one(now, place);
        self.dispatch(now, place);
        self.settle_leaving(now, place);
    }

    /// The data connection could not be made.
    pub fn handle_connect_failed(
        &mut self,
        now: Instant,
        instance: InstanceId,
        failure: StartFailure,
    ) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        if instance.connection == Connection::Connecting {
            instance.connection = Connection::None;
            self.fail_start(now, index, failure);
            self.settle(now, index);
        }
    }

    /// The data connection ended, by whichever side but [`Action::Disconnect`].
    ///
    /// [`Action::Disconnect`]: super::Action::Disconnect
    ///
    /// # Bound
    /// One step for each call of the instance.
    pub fn handle_disconnected(&mut self, now: Instant, instance: InstanceId) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        if instance.connection != Connection::Open {
            return;
        }
        instance.connection = Connection::Closed;
        self.lose_connection(now, index);
    }

    /// The process ended and was waited for. What its connection still holds is read out.
    pub fn handle_exited(&mut self, now: Instant, instance: InstanceId, exit: Exit) {
        let Some(index) = self.place(instance) else { return };
        let Some(instance) = self.instances.at_mut(index) else { return };
        instance.process = Process::Ended;
        if instance.is_starting() {
            self.fail_start(now, index, StartFailure::Exited(exit));
        } else if instance.connection == Connection::Open {
            self.leave_ready(now, index, true);
            self.enter(now, index, Phase::Exited);
            self.after_loss(now, index);
        }
        self.settle(now, index);
    }

    /// The process grew beyond `max_rss`: it is replaced.
    pub fn handle_outgrown(&mut self, now: Instant, instance: InstanceId) {
        if let Some(index) = self.place(instance) {
            self.retire(now, index);
        }
    }

    /// Starts an instance if one is missing and may be started: one at a time for each worker.
    pub(super) fn consider_start(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at_mut(place) else { return };
        let census = worker.census;
        let live = census.starting.saturating_add(census.ready).saturating_sub(census.retiring);
        let staying = worker.leaving.is_none();
        let below_minimum = staying && live < worker.config.min_instances;
        let replacement = staying && census.retiring > 0;
        let wanted = below_minimum || replacement || !worker.queue.is_empty();
        let allowed = census.starting == 0 && worker.restarts.is_allowed();
        if !wanted || !allowed || live >= worker.config.max_instances.max(1) {
            return;
        }
        let instance = Instance::new(now, place, worker.config.max_frame);
        // Without a free place the calls wait as long as they may, then they are refused.
        let Ok(key) = self.instances.insert(instance) else { return };
        worker.members.push_back(&mut self.instances, key.index, Instance::sibling);
        worker.census.starting = 1;
        self.tell_instance(key.index, |todo| todo.spawn = true);
        self.arm_instance(now, key.index);
    }

    /// An instance did not become ready: it is killed, and calls that waited for it are answered.
    pub(super) fn fail_start(&mut self, now: Instant, index: u32, failure: StartFailure) {
        let Some(instance) = self.instances.at_mut(index).filter(|one| one.is_starting()) else {
            return;
        };
        let (place, random) = (instance.worker, instance.random);
        self.kill(now, index);
        let Some(worker) = self.workers.at_mut(place) else { return };
        worker.census.starting = worker.census.starting.saturating_sub(1);
        worker.census.ending = worker.census.ending.saturating_add(1);
        worker.failure = Some(failure);
        worker.failure_text = Text::EMPTY;
        worker.totals.failures = worker.totals.failures.saturating_add(1);
        let restart = worker.config.restart;
        worker.restarts.handle_failure(now, None, &restart, random);
        if worker.census.ready == 0 {
            self.refuse_waiting(now, place, Refusal::FailedToStart);
        }
        self.dispatch(now, place);
        self.settle_leaving(now, place);
    }

    /// An instance gets no new call from now on. `failed`: it was lost, not told to end.
    pub(super) fn leave_ready(&mut self, now: Instant, index: u32, failed: bool) {
        let Some(instance) = self.instances.at_mut(index).filter(|one| one.is_ready()) else {
            return;
        };
        let (place, ready, random) = (instance.worker, instance.ready, instance.random);
        let retiring = core::mem::take(&mut instance.retiring);
        instance.beat = None;
        let Some(worker) = self.workers.at_mut(place) else { return };
        let census = &mut worker.census;
        census.ready = census.ready.saturating_sub(1);
        census.retiring = census.retiring.saturating_sub(retiring.into());
        census.ending = census.ending.saturating_add(1);
        if census.ready == 0 {
            worker.counts_from = now;
        }
        if failed {
            worker.totals.failures = worker.totals.failures.saturating_add(1);
            let restart = worker.config.restart;
            worker.restarts.handle_failure(now, ready, &restart, random);
        }
    }

    /// An instance is to end as soon as another one has taken its place.
    pub(super) fn retire(&mut self, now: Instant, index: u32) {
        let Some(instance) = self.instances.at_mut(index) else { return };
        let place = instance.worker;
        if !instance.is_ready() || instance.retiring {
            return;
        }
        let Some(worker) = self.workers.at_mut(place).filter(|one| one.leaving.is_none()) else {
            return;
        };
        instance.retiring = true;
        worker.census.retiring = worker.census.retiring.saturating_add(1);
        self.consider_start(now, place);
    }

    /// An instance became ready: one that waits for its replacement can go.
    fn replace_one(&mut self, now: Instant, place: u32) {
        let Some(worker) = self.workers.at(place).filter(|one| one.census.retiring > 0) else {
            return;
        };
        let mut next = worker.members.first();
        while let Some(index) = next {
            let Some(instance) = self.instances.at(index) else { return };
            if instance.retiring {
                self.drain(now, index);
                return;
            }
            next = instance.sibling.next();
        }
    }

    /// The connection is gone: its calls fail or are sent again, the process is killed.
    pub(super) fn lose_connection(&mut self, now: Instant, index: u32) {
        self.leave_ready(now, index, true);
        let ends_already = |one: &Instance| {
            one.process == Process::Ended || matches!(one.phase, Phase::Stopping(_))
        };
        if !self.instances.at(index).is_some_and(ends_already) {
            self.kill(now, index);
        }
        self.fail_calls(now, index);
        self.after_loss(now, index);
        self.settle(now, index);
    }

    /// Nobody answers `$ping`: the instance gets no more calls and ends.
    pub(super) fn give_up(&mut self, now: Instant, index: u32) {
        self.leave_ready(now, index, true);
        self.enter(now, index, Phase::Unhealthy);
        self.disconnect(index);
        self.fail_calls(now, index);
        self.after_loss(now, index);
    }

    /// What becomes of the calls that wait now that an instance is lost.
    fn after_loss(&mut self, now: Instant, index: u32) {
        let Some(place) = self.instances.at(index).map(|instance| instance.worker) else { return };
        self.refuse_if_open(now, place);
        self.dispatch(now, place);
        self.settle_leaving(now, place);
    }

    /// Ends the process by force and gives the connection up.
    pub(super) fn kill(&mut self, now: Instant, index: u32) {
        self.disconnect(index);
        self.enter(now, index, Phase::Stopping(Step::Killed));
        if self.instances.at(index).is_some_and(|one| one.process == Process::Running) {
            self.tell_instance(index, |todo| todo.signal = Some(Signal::Kill));
        }
    }

    pub(super) fn disconnect(&mut self, index: u32) {
        let Some(instance) = self.instances.at_mut(index) else { return };
        match instance.connection {
            Connection::Connecting | Connection::Open => {
                instance.connection = Connection::Closed;
                self.tell_instance(index, |todo| todo.disconnect = true);
            }
            Connection::None | Connection::Closed => {}
        }
    }

    pub(super) fn enter(&mut self, now: Instant, index: u32, phase: Phase) {
        if let Some(instance) = self.instances.at_mut(index) {
            instance.phase = phase;
            instance.since = now;
        }
        self.arm_instance(now, index);
    }

    /// Lets the instance go once process and connection are gone.
    pub(super) fn settle(&mut self, now: Instant, index: u32) {
        let over = |one: &&Instance| one.is_over() && !one.todo.release;
        let Some(instance) = self.instances.at(index).filter(over) else { return };
        if instance.phase != Phase::Exited {
            self.enter(now, index, Phase::Exited);
        }
        self.fail_calls(now, index);
        self.cancel_instance(index);
        self.tell_instance(index, |todo| *todo = super::instance::Todo { release: true, ..*todo });
    }
}
