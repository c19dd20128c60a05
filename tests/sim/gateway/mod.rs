//! A shell of the gateway in memory: fronts, a home, and the bytes that wait between them.

mod clients;
mod instances;

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use forebay_core_dispatch::front::{Front, Templates};
use forebay_core_dispatch::home::{
    Action, Call, Home, Instance, Line, Memory, REQUESTS_PER_CALL, Request, Retry, Signal, Status,
    Storage, Worker, WorkerConfig,
};
use forebay_core_dispatch::{CallId, InstanceId, Slot, WorkerId};
use forebay_core_http1::Config;
use forebay_core_route::{MultiLevel, Names, PathServices, Table};
use forebay_core_time::{Instant, TimerSlot, earliest};
use forebay_tests::random::Random;

use crate::client::Link;
use crate::pipe::Pipe;
use crate::worker::{Abilities, Process};

/// The memory of the home.
#[derive(Debug)]
pub(crate) struct Small;

const CALLS: usize = 12;
const INSTANCES: usize = 4;

impl Storage for Small {
    type Calls = Vec<Slot<Call>>;
    type Instances = Vec<Slot<Instance>>;
    type Workers = Vec<Slot<Worker>>;
    type Timers = Vec<TimerSlot>;
    type Requests = Vec<Request>;
}

type Routes = Table<Vec<forebay_core_route::Slot>, Vec<u8>>;

const DATE: &[u8; 29] = b"Sat, 21 Nov 2026 04:00:00 GMT";

#[derive(Debug)]
pub(crate) struct Gateway {
    random: Random,
    home: Home<Small>,
    worker: WorkerId,
    config: WorkerConfig,
    abilities: Abilities,
    calm: bool,
    limits: Config,
    routes: Routes,
    templates: Templates,
    pub(crate) clients: Vec<Client>,
    instances: BTreeMap<InstanceId, Peer>,
    scratch: Vec<u8>,
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Client {
    front: Front,
    pub(crate) link: Link,
    input: Vec<u8>,
    /// Bytes to be sent; those of a response's body belong to a call.
    out: VecDeque<(Vec<u8>, Option<CallId>)>,
    call: Option<Running>,
    memory: Vec<u8>,
    serial: u32,
    owes_word: bool,
    knows_end: bool,
    is_refused: bool,
    pub(crate) is_over: bool,
}

#[derive(Debug)]
struct Running {
    id: CallId,
    upload: Upload,
    message: Vec<u8>,
    inline: Vec<u8>,
    trailers: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Upload {
    Done,
    Parts {
        bytes: u64,
        parts: u32,
        chunk: u64,
        granted: u64,
    },
    /// It is over, before the worker takes parts of it.
    Ended {
        trailers: Vec<u8>,
    },
    Gathered {
        limit: usize,
        bytes: Vec<u8>,
    },
    Dropped,
}

/// Memory that is not worth showing.
#[derive(Default)]
struct Gather(Vec<u8>);

impl core::fmt::Debug for Gather {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("..")
    }
}

/// An instance: its process and the connection to it.
#[derive(Debug)]
struct Peer {
    process: Option<Process>,
    to: Pipe,
    from: Pipe,
    gather: Gather,
    /// Frames to be written, and how much of the first has been.
    out: VecDeque<Vec<u8>>,
    written: usize,
    connecting: bool,
    connected: bool,
    paused: bool,
    exited: bool,
    /// Nothing new may go to it.
    ending: bool,
    /// The calls that it has, by request.
    calls: BTreeMap<u32, CallId>,
}

impl Gateway {
    pub(crate) fn new(now: Instant, mut random: Random, calm: bool) -> Self {
        let names = Names {
            zones: &["do"],
            services: &["gateway", "db"],
            default_service: "gateway",
            default_labels: &["api"],
            path_prefix: "/api/",
            path_services: PathServices::All,
            multi_level: MultiLevel::Leftmost,
        };
        let slots = vec![forebay_core_route::Slot::default(); names.slot_count()];
        let routes = Table::build(&names, slots, vec![0; names.text_len()]).expect("good names");
        let mut home = Home::new(Memory {
            // Grows up to the limit.
            calls: Vec::new(),
            instances: (0..INSTANCES).map(|_| Slot::default()).collect(),
            workers: vec![Slot::default()],
            timers: vec![TimerSlot::EMPTY; INSTANCES + 1],
            requests: vec![Request::default(); INSTANCES * 4 * REQUESTS_PER_CALL],
        });
        let config = worker_config(&mut random, calm);
        let worker = home.deploy(now, config).expect("a free place");
        let abilities = Abilities {
            streams: random.chance(800),
            takes_parts: random.chance(750),
            // Without grants a slow client holds up the others, for which nobody is to blame.
            takes_grants: random.chance(700) || calm,
            limit: config.max_concurrency.into(),
        };
        let templates = Templates::new(DATE).expect("constant heads");
        let limits = Config::new();
        Self {
            home,
            worker,
            config,
            abilities,
            calm,
            limits,
            routes,
            templates,
            clients: Vec::new(),
            instances: BTreeMap::new(),
            scratch: vec![0; 128 << 10],
            random,
        }
    }

    pub(crate) fn accept(&mut self, now: Instant) -> usize {
        let limit = 200 + self.random.index(3000);
        self.clients.push(Client {
            front: Front::new(now, self.limits),
            link: Link { up: Pipe::new(limit), down: Pipe::new(limit) },
            input: Vec::new(),
            out: VecDeque::new(),
            call: None,
            memory: vec![0; if self.random.chance(700) { 1024 } else { 0 }],
            serial: 0,
            owes_word: false,
            knows_end: false,
            is_refused: false,
            is_over: false,
        });
        self.clients.len() - 1
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let fronts = self.clients.iter().filter(|client| !client.is_over);
        let fronts = fronts.filter_map(|client| client.front.poll_timeout()).min();
        let workers =
            self.instances.values().filter_map(|peer| peer.process.as_ref()?.wakes()).min();
        earliest(earliest(self.home.poll_timeout(), fronts), workers)
    }

    /// One turn: everyone who can do something does one thing, in an order that the seed decides.
    pub(crate) fn turn(&mut self, now: Instant) -> bool {
        let mut moved = false;
        self.home.handle_timeout(now);
        self.act(now);
        for index in shuffled(self.clients.len(), &mut self.random) {
            moved |= self.client_turn(now, index);
        }
        let ids: Vec<_> = self.instances.keys().copied().collect();
        for index in shuffled(ids.len(), &mut self.random) {
            moved |= self.instance_turn(now, ids[index]);
        }
        self.assert_reading();
        moved
    }

    /// Reading an instance stops only while a call of it has bytes that its client did not take.
    fn assert_reading(&self) {
        for peer in self.instances.values().filter(|peer| peer.paused && peer.connected) {
            let is_held_up = |call: &CallId| {
                let mut out = self.clients.iter().flat_map(|client| &client.out);
                out.any(|(_, of)| of.as_ref() == Some(call))
            };
            assert!(peer.calls.values().any(is_held_up), "stopped for nobody: {:?}", peer.calls);
        }
    }

    pub(crate) fn stop(&mut self, now: Instant) {
        self.home.stop(now);
        for client in &mut self.clients {
            client.front.handle_stop();
            client.owes_word = true;
        }
        self.act(now);
    }

    pub(crate) fn status(&self, now: Instant) -> Status {
        self.home.status(now, self.worker).expect("the worker is deployed")
    }

    /// Nothing may be left once everything was stopped.
    pub(crate) fn assert_empty(&self) {
        assert_eq!(self.home.call_count(), 0, "calls that were not freed");
        assert_eq!(self.home.instance_count(), 0, "instances that were not released");
        assert!(self.instances.is_empty() && self.home.is_stopped());
        assert_eq!(self.home.poll_timeout(), None, "timers that were not cancelled");
        assert!(self.clients.iter().all(|client| client.is_over), "connections that stay");
    }

    /// What everyone here is waiting for.
    pub(crate) fn told(&self) -> String {
        let Self { home, config, abilities, instances, .. } = self;
        let clients = self.clients.iter().map(|client| {
            let Client { front, out, call, input, link, .. } = client;
            format!("{front:?} {call:?} out {} in {} {link:?}", out.len(), input.len())
        });
        let clients: Vec<_> = clients.collect();
        format!("{home:?} {config:?} {abilities:?} {clients:#?} {instances:?}")
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.home.is_stopped() && self.clients.iter().all(|client| client.is_over)
    }

    /// No instance counts the call any more.
    fn forget(&mut self, id: CallId) {
        for peer in self.instances.values_mut() {
            peer.calls.retain(|_, other| *other != id);
        }
    }

    /// Does everything that the home wants.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.home.poll_action(now) {
            match action {
                Action::Spawn { instance, .. } => self.spawn(now, instance),
                Action::Write { instance } => self.transmit(now, instance),
                Action::WriteLine { instance, line } => {
                    let peer = self.instances.get_mut(&instance).expect("an instance that lives");
                    peer.ending |= line == Line::Shutdown;
                    if let Some(process) = &mut peer.process {
                        process.handle_line(match line {
                            Line::Ping => "{\"method\":\"$ping\"}",
                            Line::Shutdown => "{\"method\":\"$shutdown\",\"params\":{}}",
                        });
                    }
                }
                Action::Kill { instance, signal } => {
                    let peer = self.instances.get_mut(&instance).expect("an instance that lives");
                    peer.ending = true;
                    if let Some(process) = &mut peer.process {
                        process.kill(match signal {
                            Signal::Terminate => 15,
                            Signal::Kill => 9,
                        });
                    }
                }
                Action::Disconnect { instance } => {
                    let peer = self.instances.get_mut(&instance).expect("an instance that lives");
                    peer.disconnect();
                }
                Action::StopReading { instance } => self.pause(instance, true),
                Action::ResumeReading { instance } => self.pause(instance, false),
                Action::Release { instance, .. } => {
                    let peer = self.instances.remove(&instance).expect("released once");
                    assert!(peer.exited && !peer.connected, "released too early");
                }
                Action::ReadBody { origin, call, bytes, parts, chunk } => {
                    self.read_body(now, (origin, call), (bytes, parts, chunk));
                }
                Action::Gather { origin, call, limit } => {
                    let index = self.client_of(origin, call);
                    self.gather(now, index, limit as usize);
                }
                Action::DiscardBody { origin, call } => {
                    let index = self.client_of(origin, call);
                    let client = &mut self.clients[index];
                    client.call.as_mut().expect("checked").upload = Upload::Dropped;
                    client.front.discard_body(now);
                }
                Action::Answer { origin, call, refusal, .. } => {
                    let index = self.client_of(origin, call);
                    self.forget(call);
                    let text = self.home.start_failure(self.worker);
                    let text = text.map(|(failure, text)| format!("{failure}{text}"));
                    self.refuse(now, index, refusal, text.unwrap_or_default().as_bytes());
                }
                Action::Abort { origin, call } => {
                    let index = self.client_of(origin, call);
                    self.broken(index);
                }
            }
        }
    }

    /// The client of a call that has not ended: nothing may be said about any other.
    fn client_of(&self, origin: u64, call: CallId) -> usize {
        let index = usize::try_from(origin >> 32).expect("an index");
        let client = &self.clients[index];
        assert_eq!(u64::from(client.serial), origin & 0xffff_ffff, "an old call was told of");
        let running = client.call.as_ref().map(|running| running.id);
        assert_eq!(running, Some(call), "a call that has ended was told of");
        index
    }
}

fn worker_config(random: &mut Random, calm: bool) -> WorkerConfig {
    let pick = |random: &mut Random, of: [u64; 3]| of[random.index(3)];
    WorkerConfig {
        min_instances: random.below(2) as u16,
        max_instances: 1 + random.below(2) as u16,
        max_concurrency: 1 + random.below(3) as u16,
        queue_len: if calm { 64 } else { 2 + random.below(8) as u32 },
        queue_timeout: Duration::from_secs(if calm { 600 } else { 1 }),
        // A slow client may take longer than an instance that retires has by default.
        drain_timeout: Duration::from_secs(if calm { 600 } else { 30 }),
        request_timeout: Duration::from_secs(pick(random, [5, 30, 30])),
        stream_timeout: Duration::from_secs(pick(random, [5, 60, 60])),
        max_calls: if random.chance(200) { 3 } else { 0 },
        inline_body: pick(random, [0, 100, 4096]) as u32,
        chunk: pick(random, [16, 100, 256]) as u32,
        window: pick(random, [256, 500, 4096]) as u32,
        retry: [Retry::Never, Retry::Unsent, Retry::Idempotent][random.index(3)],
        ..WorkerConfig::DEFAULT
    }
}

/// The numbers below `count` in random order.
pub(crate) fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<_> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, random.index(at + 1));
    }
    order
}
