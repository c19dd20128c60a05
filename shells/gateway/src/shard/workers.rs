//! The workers whose home is this shard, their instances and their calls.

use std::sync::Arc;

use forebay_core_dispatch::home::{
    Action, Call, Event, Home, Instance as HomeInstance, LineOutcome, Memory, NewCall as HomeCall,
    Part, Payload, REQUESTS_PER_CALL, Request, Signal, Storage, Transmit, Worker,
};
use forebay_core_dispatch::message::SLOT_LEN;
use forebay_core_dispatch::{CallId, Exit, InstanceId, Refusal, Slot, StartFailure, WorkerId};
use forebay_core_time::{Instant, TimerSlot};
use forebay_reactor::{Completion, Piece};

use super::instance::{Instance, Received};
use super::io::Io;
use super::launch::{self, Launch};
use super::mail::{NewCall, ToClient, ToHome};
use super::outbox::{copied, slice};
use super::post::Post;
use super::token::{Kind, Owner};

/// Calls for which a home has places once it has had one.
const CALLS_MIN: usize = 32;

/// The home's memory, sized by the configuration.
struct Heap;

impl Storage for Heap {
    type Calls = Vec<Slot<Call>>;
    type Instances = Box<[Slot<HomeInstance>]>;
    type Workers = Box<[Slot<Worker>]>;
    type Timers = Vec<TimerSlot>;
    type Requests = Box<[Request]>;
}

/// What the shell keeps of a call.
#[derive(Debug, Default)]
struct Kept {
    message: Option<Piece>,
    inline: Option<Piece>,
}

/// The workers of one shard.
pub(super) struct Workers {
    home: Home<Heap>,
    /// By the position of the service; `None` for those whose home is elsewhere.
    deployed: Vec<Option<WorkerId>>,
    /// By the place of the worker in the home.
    services: Vec<u16>,
    /// By the place of the call.
    calls: Vec<Kept>,
    /// Calls that the home may have at once.
    calls_max: usize,
    /// By the place of the instance.
    instances: Vec<Option<Instance>>,
    launch: Launch,
}

impl Workers {
    /// Deploys the workers whose home is `core`.
    pub(super) fn new(io: &Io, core: u8, launch: Launch) -> Self {
        let shared = Arc::clone(&io.scene.shared);
        let sizes = shared.sizes(core);
        let memory = Memory {
            calls: Vec::new(),
            instances: (0..sizes.instances).map(|_| Slot::default()).collect(),
            workers: (0..sizes.workers).map(|_| Slot::default()).collect(),
            timers: vec![TimerSlot::default(); sizes.instances + sizes.workers],
            requests: vec![
                Request::default();
                sizes.instances * sizes.concurrency * REQUESTS_PER_CALL
            ]
            .into_boxed_slice(),
        };
        let mut workers = Self {
            home: Home::new(memory),
            deployed: vec![None; shared.service_count()],
            services: vec![0; sizes.workers],
            calls: Vec::new(),
            calls_max: sizes.calls,
            instances: (0..sizes.instances).map(|_| None).collect(),
            launch,
        };
        for (service, worker) in shared.workers_of(core) {
            let id = workers.home.deploy(io.now, worker.limits).expect("there is a place for each");
            workers.deployed[usize::from(service)] = Some(id);
            workers.services[id.index() as usize] = service;
        }
        workers
    }

    /// When a timer is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.home.poll_timeout()
    }

    /// Lets those whose time has come act.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.home.handle_timeout(now);
    }

    /// Begins to stop everything.
    pub(super) fn stop(&mut self, now: Instant) {
        self.home.stop(now);
    }

    /// Whether no instance is left.
    pub(super) fn is_stopped(&self) -> bool {
        self.home.is_stopped()
    }

    /// A letter from a client's core.
    pub(super) fn handle_letter(&mut self, io: &mut Io, post: &mut Post, letter: ToHome) {
        match letter {
            ToHome::Call(call) => self.handle_call(io, post, call),
            ToHome::Body { call, part, last } => self.handle_part(io, call, part, last),
            ToHome::Trailers { call, trailers } => self.handle_trailers(io, call, trailers),
            ToHome::Gathered { call, body } => {
                let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
                self.kept(call).inline = Some(body);
                self.home.handle_gathered(io.now, call, len);
            }
            ToHome::Drained { call, bytes } => self.home.handle_drained(io.now, call, bytes),
            ToHome::Gone { call } => self.home.handle_gone(io.now, call),
        }
    }

    /// A process was started, or not.
    pub(super) fn handle_started(
        &mut self,
        io: &mut Io,
        id: InstanceId,
        process: std::io::Result<(crate::process::Process, crate::process::Pipes)>,
    ) {
        let random = io.random() as u32;
        // A process that nobody waits for any more is killed with its value.
        let Some(instance) = find(&mut self.instances, id) else { return };
        match process.and_then(|process| instance.attach(&mut io.reactor, process)) {
            Ok(()) => {
                let service = io.scene.shared.service_name(instance.service);
                tracing::info!(service, pid = instance.pid(), "worker started");
                self.home.handle_spawned(io.now, id, random);
            }
            Err(error) => {
                let code = error.raw_os_error().unwrap_or(0);
                self.home.handle_spawn_failed(io.now, id, code, random);
            }
        }
    }

    /// Something happened to an instance's process, pipes or connection.
    pub(super) fn handle_completion(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        (kind, owner): (Kind, Owner),
        completion: &Completion,
    ) {
        let Some(instance) = self.instances.get_mut(owner.slot as usize) else { return };
        let Some(instance) = instance.as_mut().filter(|it| super::instance::owner(it.id) == owner)
        else {
            return;
        };
        let id = instance.id;
        let service = instance.service;
        match kind {
            Kind::Connect => match instance.handle_connected(&mut io.reactor, completion) {
                Some(Ok(())) => self.home.handle_connected(io.now, id),
                Some(Err(error)) => {
                    self.home.handle_connect_failed(io.now, id, StartFailure::Connect(error));
                }
                None => {}
            },
            Kind::InstanceRecv => {
                let received = instance.handle_received(&mut io.reactor, completion);
                self.received(io, post, id, received);
            }
            Kind::InstanceSend => {
                let (frames, all) = instance.handle_sent(&mut io.reactor, completion);
                self.home.handle_sent(id, frames);
                if !all && instance.is_connected() {
                    instance.disconnect(&mut io.reactor);
                    self.home.handle_disconnected(io.now, id);
                }
            }
            Kind::InstanceBuffer => {
                let received = instance.handle_starved(&mut io.reactor);
                self.received(io, post, id, received);
            }
            Kind::Stdout => self.read_lines(io, id),
            Kind::Stderr => {
                instance.read_log(&mut io.reactor, io.scene.shared.service_name(service))
            }
            Kind::Stdin => instance.write_orders(&mut io.reactor),
            Kind::Exit => self.handle_exit(io, id),
            Kind::Accept
            | Kind::ClientRecv
            | Kind::ClientSend
            | Kind::ClientHangup
            | Kind::ClientBuffer => {}
        }
    }

    /// Ends the turn: does what the home asks for, and sends what it has for its instances.
    pub(super) fn settle(&mut self, io: &mut Io, post: &mut Post) {
        let crowded = post.is_crowded();
        loop {
            for index in 0..self.instances.len() {
                self.read_on(io, post, index, crowded);
            }
            self.act(io, post);
            for index in 0..self.instances.len() {
                self.end_turn(io, index);
            }
            // A call that has been sent may ask for its body, and no completion will tell of it.
            let Some(action) = self.home.poll_action(io.now) else { return };
            self.perform(io, post, action);
        }
    }

    /// Does what the home asks for.
    pub(super) fn act(&mut self, io: &mut Io, post: &mut Post) {
        while let Some(action) = self.home.poll_action(io.now) {
            self.perform(io, post, action);
        }
    }

    /// The home's tables have places for the calls there were at once so far, and grow with them.
    fn make_room(&mut self) {
        let capacity = self.home.call_capacity();
        if self.home.call_count() as usize == capacity && capacity < self.calls_max {
            self.home.grow(capacity.max(CALLS_MIN).min(self.calls_max - capacity));
        }
    }

    fn handle_call(&mut self, io: &mut Io, post: &mut Post, call: NewCall) {
        let NewCall { origin, service, message, inline, body, idempotent } = call;
        let worker = self.deployed.get(usize::from(service)).copied().flatten();
        let Some(worker) = worker else {
            return refuse(post, origin, service, Refusal::NotDeployed);
        };
        let message_len = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let new = HomeCall { origin, worker, message_len, body, idempotent };
        self.make_room();
        match self.home.handle_call(io.now, new) {
            Ok(id) => {
                *self.kept(id) = Kept { message: Some(message), inline };
                post.send_client(origin, ToClient::Accepted { core: post.core(), call: id });
            }
            Err(Refusal::FailedToStart) => self.refuse_start(io, post, origin, worker),
            Err(refusal) => refuse(post, origin, service, refusal),
        }
    }

    fn handle_part(&mut self, io: &mut Io, call: CallId, part: Option<Piece>, last: bool) {
        let len = part.as_ref().map_or(0, Piece::len);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let mut slot = [0; SLOT_LEN];
        if let Part::Send { instance, transmit } =
            self.home.handle_body(io.now, call, len, last, &mut slot)
            && let Some(instance) = find(&mut self.instances, instance)
        {
            instance.push_frame(&mut io.reactor, (&slot, transmit), (None, part));
        }
    }

    fn handle_trailers(&mut self, io: &mut Io, call: CallId, trailers: Piece) {
        let len = u32::try_from(trailers.len()).unwrap_or(u32::MAX);
        let mut slot = [0; SLOT_LEN];
        if let Part::Send { instance, transmit } =
            self.home.handle_trailers(io.now, call, len, &mut slot)
            && let Some(instance) = find(&mut self.instances, instance)
        {
            instance.push_frame(&mut io.reactor, (&slot, transmit), (None, Some(trailers)));
        }
    }

    /// Passes on what an instance sent, and notices its end.
    fn received(&mut self, io: &mut Io, post: &mut Post, id: InstanceId, received: Received) {
        self.read_on(io, post, id.index() as usize, post.is_crowded());
        if received == Received::Ended {
            if let Some(instance) = find(&mut self.instances, id) {
                instance.disconnect(&mut io.reactor);
            }
            self.home.handle_disconnected(io.now, id);
        }
    }

    /// Gives received bytes to the home, unless it wants none for now.
    fn read_on(&mut self, io: &mut Io, post: &mut Post, index: usize, crowded: bool) {
        loop {
            let Some(Some(instance)) = self.instances.get_mut(index) else { return };
            if instance.held || crowded {
                return;
            }
            let Some(input) = instance.unread.pop_front() else { return };
            let id = instance.id;
            let mut gather = core::mem::take(&mut instance.gather);
            let bytes = input.as_slice();
            let step = self.home.handle_bytes(io.now, id, bytes, &mut gather);
            let used = step.used;
            if let Some(event) = step.event {
                tell(io, post, &self.services, (&input, used), event);
            }
            instance.gather = gather;
            if used < bytes.len() {
                instance.unread.push_front(slice(&input, used..bytes.len()));
            }
            self.act(io, post);
        }
    }

    fn read_lines(&mut self, io: &mut Io, id: InstanceId) {
        let Self { home, instances, .. } = self;
        let Some(instance) = find(instances, id) else { return };
        let now = io.now;
        let mut path = [0; 256];
        let mut connect = None;
        instance.read_lines(&mut io.reactor, |line| match line {
            None => home.handle_line_too_long(now, id),
            Some(line) => match home.handle_line(now, id, line, &mut path) {
                LineOutcome::Connect { path_len } => connect = Some(path_len),
                LineOutcome::Nothing => {}
            },
        });
        let Some(path) = connect.and_then(|len| path.get(..len)) else { return };
        let outcome = match self.launch.allowed(path) {
            Some(path) => instance
                .connect(&mut io.reactor, path)
                .map_err(|error| StartFailure::Connect(error.raw_os_error().unwrap_or(0))),
            None => Err(StartFailure::PathNotAllowed),
        };
        if let Err(failure) = outcome {
            home.handle_connect_failed(now, id, failure);
        }
    }

    fn handle_exit(&mut self, io: &mut Io, id: InstanceId) {
        let Some(instance) = find(&mut self.instances, id) else { return };
        let Some(exit) = instance.try_wait(&mut io.reactor) else { return };
        let service = io.scene.shared.service_name(instance.service);
        instance.read_log(&mut io.reactor, service);
        let pid = instance.pid();
        match exit {
            Exit::Code(code) => tracing::info!(service, pid, code, "worker ended"),
            Exit::Signal(signal) => tracing::info!(service, pid, signal, "worker ended"),
        }
        // What the process said before its end may still be in the pipe.
        self.read_lines(io, id);
        self.home.handle_exited(io.now, id, exit);
    }

    fn perform(&mut self, io: &mut Io, post: &mut Post, action: Action) {
        match action {
            Action::Spawn { instance, worker } => self.spawn(io, post, instance, worker),
            Action::Write { instance } => {
                if let Some(instance) = find(&mut self.instances, instance) {
                    instance.has_frames = true;
                }
            }
            Action::WriteLine { instance, line } => {
                if let Some(instance) = find(&mut self.instances, instance) {
                    instance.order(&mut io.reactor, line);
                }
            }
            Action::Kill { instance, signal } => {
                if let Some(instance) = find(&mut self.instances, instance) {
                    instance.signal(match signal {
                        Signal::Terminate => rustix::process::Signal::TERM,
                        Signal::Kill => rustix::process::Signal::KILL,
                    });
                }
            }
            Action::Disconnect { instance } => {
                if let Some(instance) = find(&mut self.instances, instance) {
                    instance.disconnect(&mut io.reactor);
                }
            }
            Action::StopReading { instance } => self.hold(instance, true),
            Action::ResumeReading { instance } => self.hold(instance, false),
            Action::Release { instance, worker } => self.release(io, instance, worker),
            Action::ReadBody { origin, bytes, parts, chunk, .. } => {
                post.send_client(origin, ToClient::ReadBody { bytes, parts, chunk });
            }
            Action::Gather { origin, limit, .. } => {
                post.send_client(origin, ToClient::Gather { limit });
            }
            Action::DiscardBody { origin, .. } => post.send_client(origin, ToClient::DiscardBody),
            Action::Answer { origin, worker, refusal: Refusal::FailedToStart, .. } => {
                self.refuse_start(io, post, origin, worker);
            }
            Action::Answer { origin, worker, refusal, .. } => {
                refuse(post, origin, self.service(worker), refusal);
            }
            Action::Abort { origin, .. } => {
                tracing::warn!("a response was broken off");
                post.send_client(origin, ToClient::Broken);
            }
        }
    }

    fn spawn(&mut self, io: &mut Io, post: &Post, id: InstanceId, worker: WorkerId) {
        let service = self.service(worker);
        let token = self.launch.token(service);
        self.instances[id.index() as usize] = Some(Instance::new(id, service, token.clone()));
        if let Err(error) = self.launch.start(post.core(), id, service, token.as_deref()) {
            let code = error.raw_os_error().unwrap_or(0);
            let random = io.random() as u32;
            self.home.handle_spawn_failed(io.now, id, code, random);
        }
    }

    fn release(&mut self, io: &mut Io, id: InstanceId, worker: WorkerId) {
        let service = io.scene.shared.service_name(self.service(worker));
        if let Some(place) = self.instances.get_mut(id.index() as usize)
            && let Some(mut instance) = place.take_if(|instance| instance.id == id)
        {
            if let Some((failure, text)) = self.home.start_failure(worker) {
                let reason = launch::reason(failure, text);
                tracing::debug!(service, reason, stderr = instance.log_tail(), "last failure");
            }
            instance.close(&mut io.reactor, service);
        }
    }

    fn hold(&mut self, id: InstanceId, held: bool) {
        if let Some(instance) = find(&mut self.instances, id) {
            instance.held = held;
        }
    }

    fn end_turn(&mut self, io: &mut Io, index: usize) {
        let Some(Some(instance)) = self.instances.get_mut(index) else { return };
        let id = instance.id;
        let mut slot = [0; SLOT_LEN];
        loop {
            while instance.has_frames && instance.has_room() {
                match self.home.poll_transmit(io.now, id, &mut slot) {
                    Some(transmit) => {
                        push(io, instance, &mut self.calls, &slot, (transmit, &self.home));
                    }
                    None => instance.has_frames = false,
                }
            }
            match instance.flush(&mut io.reactor) {
                Ok(frames) => self.home.handle_sent(id, frames),
                Err(_) => {
                    instance.disconnect(&mut io.reactor);
                    self.home.handle_disconnected(io.now, id);
                }
            }
            // What the kernel took at once made room that no completion will tell of.
            if !(instance.has_frames && instance.has_room()) {
                break;
            }
        }
        instance.steer(&mut io.reactor);
    }

    /// The answer to a call whose worker could not be started, with the reason.
    fn refuse_start(&self, io: &mut Io, post: &mut Post, origin: u64, worker: WorkerId) {
        let reason = match self.home.start_failure(worker) {
            Some((failure, text)) => launch::reason(failure, text),
            None => String::new(),
        };
        let detail = copied(&mut io.reactor, reason.as_bytes());
        let service = self.service(worker);
        let refusal = Refusal::FailedToStart;
        post.send_client(origin, ToClient::Refused { service, refusal, detail });
    }

    fn service(&self, worker: WorkerId) -> u16 {
        self.services.get(worker.index() as usize).copied().unwrap_or(0)
    }

    fn kept(&mut self, call: CallId) -> &mut Kept {
        let index = call.index() as usize;
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, Kept::default);
        }
        &mut self.calls[index]
    }
}

fn find(instances: &mut [Option<Instance>], id: InstanceId) -> Option<&mut Instance> {
    instances.get_mut(id.index() as usize)?.as_mut().filter(|instance| instance.id == id)
}

/// Appends the frame that the home has made.
fn push(
    io: &mut Io,
    instance: &mut Instance,
    calls: &mut [Kept],
    slot: &[u8; SLOT_LEN],
    (transmit, home): (Transmit, &Home<Heap>),
) {
    let Payload::Call { call, .. } = transmit.payload else {
        return instance.push_frame(&mut io.reactor, (slot, transmit), (None, None));
    };
    let Some(kept) = calls.get_mut(call.index() as usize) else { return };
    if home.may_retry(call) {
        let (message, inline) = (kept.message.clone(), kept.inline.clone());
        instance.push_frame(&mut io.reactor, (slot, transmit), (message.as_ref(), inline));
    } else {
        let (message, inline) = (kept.message.take(), kept.inline.take());
        instance.push_frame(&mut io.reactor, (slot, transmit), (message.as_ref(), inline));
    }
}

fn refuse(post: &mut Post, origin: u64, service: u16, refusal: Refusal) {
    let detail = Piece::Static(b"");
    post.send_client(origin, ToClient::Refused { service, refusal, detail });
}

/// Tells a client what its worker said; `input[..used]` is where it said it.
fn tell(
    io: &mut Io,
    post: &mut Post,
    services: &[u16],
    (input, used): (&Piece, usize),
    event: Event<'_>,
) {
    let span = |len: usize| slice(input, used - len..used);
    match event {
        Event::Informational { origin, head } => {
            let fields = copied(&mut io.reactor, head.fields.as_bytes());
            post.send_client(origin, ToClient::Informational { status: head.status, fields });
        }
        Event::Head { origin, head, length, body, last, .. } => {
            let fields = copied(&mut io.reactor, head.fields.as_bytes());
            post.send_client(origin, ToClient::Head { status: head.status, fields, length });
            if !body.is_empty() {
                post.send_client(origin, ToClient::Part { part: span(body.len()) });
            }
            if last {
                post.send_client(origin, ToClient::End);
            }
        }
        Event::Body { origin, bytes, last, .. } => {
            if !bytes.is_empty() {
                post.send_client(origin, ToClient::Part { part: span(bytes.len()) });
            }
            if last {
                post.send_client(origin, ToClient::End);
            }
        }
        Event::Trailers { origin, fields } => {
            let trailers = copied(&mut io.reactor, fields.as_bytes());
            post.send_client(origin, ToClient::Trailers { trailers });
        }
        Event::Refused { origin, worker, refusal, detail } => {
            let detail = copied(&mut io.reactor, detail);
            let service = services.get(worker.index() as usize).copied().unwrap_or(0);
            post.send_client(origin, ToClient::Refused { service, refusal, detail });
        }
        Event::Broken { origin } => {
            tracing::warn!("a worker broke the protocol in a response");
            post.send_client(origin, ToClient::Broken);
        }
    }
}
