//! One core's part of the gateway: its loop, its client connections, the workers whose home it is.
//!
//! Shards share nothing that a request needs. A call whose worker has its home on another core
//! travels as mail (`mail`); everything else of it stays where its connection was accepted.

mod client;
mod clients;
mod input;
mod instance;
mod io;
mod launch;
mod mail;
mod outbox;
mod post;
mod token;
mod workers;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use forebay_core_time::{Instant, earliest};
use forebay_reactor::{Completion, Core, Flags};

use crate::config::{self, Config, RouteTable};
use crate::process::Starter;
use clients::Clients;
use io::Io;
use launch::Launch;
use mail::{Mail, Mailbox, Way};
use post::Post;
use token::Kind;
use workers::Workers;

/// Completions taken in one turn.
const BATCH: usize = 256;
/// Instances of one worker that may be ending beside those that run.
const ENDING_MAX: usize = 2;
/// How long at most until a shard looks again whether it may accept connections or deliver mail.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The most cores: a token has eight bits for them.
pub const CORES_MAX: usize = 256;

/// What all shards have in common and none of them changes, but for the counters.
#[derive(Debug)]
pub struct Shared {
    config: Config,
    limits: forebay_core_http1::Config,
    routes: RouteTable,
    /// By the position of the service.
    deployed: Vec<bool>,
    places: Vec<Place>,
    has_namespace: bool,
    cores: usize,
    mailboxes: Vec<Mailbox>,
    /// Client connections of all shards.
    connections: AtomicUsize,
    /// The gateway is to stop.
    stopping: AtomicBool,
    /// Shards that have nothing left to do.
    finished: AtomicUsize,
}

/// Where a service's calls go.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// The home of its worker.
    core: u8,
    /// The longest body that goes inside a call.
    inline_max: u32,
}

/// How large the tables of a shard's home are.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    calls: usize,
    instances: usize,
    workers: usize,
    concurrency: usize,
}

impl Shared {
    /// What `cores` shards need to know of a configuration.
    ///
    /// # Errors
    /// When the configuration names no valid routes, which a parsed one does not.
    pub fn new(config: Config, cores: usize) -> Result<Self, forebay_core_route::BuildError> {
        let services = config.dispatch.services.len();
        let mut deployed = vec![false; services];
        let mut places = vec![Place::default(); services];
        for (index, (service, worker)) in placed(&config).enumerate() {
            let core = u8::try_from(index % cores).unwrap_or(0);
            deployed[usize::from(service)] = true;
            places[usize::from(service)] = Place { core, inline_max: worker.limits.inline_body };
        }
        Ok(Self {
            limits: config.http.limits,
            routes: config.dispatch.routes()?,
            deployed,
            places,
            has_namespace: config.namespace().is_some(),
            cores,
            mailboxes: (0..cores).map(|_| Mailbox::new()).collect(),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            finished: AtomicUsize::new(0),
            config,
        })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Asks all shards to stop, once they are woken.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    fn service_count(&self) -> usize {
        self.deployed.len()
    }

    fn service_name(&self, service: u16) -> &str {
        self.config.dispatch.services.get(usize::from(service)).map_or("", String::as_str)
    }

    fn place(&self, service: u16) -> Place {
        self.places.get(usize::from(service)).copied().unwrap_or_default()
    }

    /// The workers whose home is `core`, with the positions of their services.
    fn workers_of(&self, core: u8) -> impl Iterator<Item = (u16, &config::Worker)> {
        placed(&self.config).filter(move |(service, _)| self.place(*service).core == core)
    }

    fn sizes(&self, core: u8) -> Sizes {
        let mut sizes = Sizes {
            calls: self.config.reactor.calls as usize,
            instances: 0,
            workers: 0,
            concurrency: 1,
        };
        for (_, worker) in self.workers_of(core) {
            sizes.workers += 1;
            sizes.instances += usize::from(worker.limits.max_instances) + ENDING_MAX;
            sizes.concurrency = sizes.concurrency.max(worker.limits.max_concurrency.into());
        }
        sizes
    }
}

/// The active workers that can be addressed, with the positions of their services.
fn placed(config: &Config) -> impl Iterator<Item = (u16, &config::Worker)> {
    let workers = config.namespace().into_iter().flat_map(|namespace| &namespace.workers);
    workers.filter_map(|worker| {
        let service = config.dispatch.services.iter().position(|it| *it == worker.service)?;
        Some((u16::try_from(service).ok()?, worker))
    })
}

/// Runs a shard until the gateway has stopped.
///
/// # Errors
/// When the reactor or a listener cannot be used.
pub fn run(
    core: Core,
    shared: &Arc<Shared>,
    listeners: Vec<OwnedFd>,
    (starter, run_dir): (Starter, &Path),
) -> std::io::Result<()> {
    let mut shard = Shard::new(core, shared, listeners, (starter, run_dir))?;
    while !shard.is_finished() {
        shard.turn()?;
    }
    Ok(())
}

struct Shard {
    io: Io,
    post: Post,
    clients: Clients,
    workers: Workers,
    mailbox: Mailbox,
    completions: Box<[Completion; BATCH]>,
    stop: Stop,
    /// Letters wait for another core.
    left_behind: bool,
}

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The shard serves.
    No,
    /// What runs is finished, nothing new is taken.
    Draining,
    /// This shard has nothing left, others may need it.
    Finished,
}

impl Shard {
    fn new(
        core: Core,
        shared: &Arc<Shared>,
        listeners: Vec<OwnedFd>,
        (starter, run_dir): (Starter, &Path),
    ) -> std::io::Result<Self> {
        let index = u8::try_from(core.index).map_err(std::io::Error::other)?;
        let boxes = shared.mailboxes.iter().cloned().zip(core.remotes().iter().cloned());
        let ways = boxes.map(|(mailbox, bell)| Way::new(mailbox, bell)).collect();
        let mailbox = shared.mailboxes[core.index].clone();
        let bell = core.remotes()[core.index].clone();
        let launch = Launch::new(&shared.config, run_dir, starter, (mailbox.clone(), bell))?;
        let mut io = Io::new(core.reactor, Arc::clone(shared));
        io.read_clock();
        let clients = Clients::new(&mut io, listeners)?;
        let workers = Workers::new(&io, index, launch);
        Ok(Self {
            io,
            post: Post::new(index, ways),
            clients,
            workers,
            mailbox,
            completions: Box::new([Completion::EMPTY; BATCH]),
            stop: Stop::No,
            left_behind: false,
        })
    }

    /// Waits for something to happen and does all that follows from it.
    fn turn(&mut self) -> std::io::Result<()> {
        let timeout = self.timeout();
        let count = self.io.reactor.wait(&mut self.completions[..], timeout)?;
        self.io.read_clock();
        for index in 0..count {
            let completion = self.completions[index];
            self.handle_completion(&completion);
        }
        while let Some(mail) = self.mailbox.take() {
            self.handle_mail(mail);
        }
        self.workers.handle_timeout(self.io.now);
        self.clients.handle_timeouts(&mut self.io, &mut self.post);
        self.settle();
        self.left_behind = self.post.deliver();
        self.go_on_stopping();
        Ok(())
    }

    /// Everything that was caused in this turn happens before the next wait.
    fn settle(&mut self) {
        if self.clients.is_paused() {
            self.clients.accept(&mut self.io);
        }
        loop {
            self.workers.act(&mut self.io, &mut self.post);
            if self.deliver_letters() {
                continue;
            }
            self.workers.settle(&mut self.io, &mut self.post);
            self.clients.settle(&mut self.io, &mut self.post);
            if self.post.is_quiet() {
                break;
            }
        }
    }

    /// Delivers what stays on this core; true if there was something.
    fn deliver_letters(&mut self) -> bool {
        let mut any = false;
        while let Some(letter) = self.post.to_home.pop_front() {
            self.workers.handle_letter(&mut self.io, &mut self.post, letter);
            any = true;
        }
        while let Some((origin, letter)) = self.post.to_client.pop_front() {
            self.clients.handle_letter(&mut self.io, &mut self.post, origin, letter);
            any = true;
        }
        any
    }

    fn handle_completion(&mut self, completion: &Completion) {
        if completion.flags.contains(Flags::MESSAGE) {
            return;
        }
        let Some((kind, owner)) = token::parse(completion.token) else { return };
        let Self { io, post, .. } = self;
        match kind {
            Kind::Accept => self.clients.handle_accepted(io, owner, completion),
            Kind::ClientRecv | Kind::ClientSend | Kind::ClientHangup | Kind::ClientBuffer => {
                self.clients.handle_completion(io, post, (kind, owner), completion);
            }
            Kind::Connect
            | Kind::InstanceRecv
            | Kind::InstanceSend
            | Kind::InstanceBuffer
            | Kind::Stdout
            | Kind::Stderr
            | Kind::Exit
            | Kind::Stdin => self.workers.handle_completion(io, post, (kind, owner), completion),
        }
    }

    fn handle_mail(&mut self, mail: Mail) {
        match mail {
            Mail::ToHome(letter) => {
                self.workers.handle_letter(&mut self.io, &mut self.post, letter);
            }
            Mail::ToClient { origin, letter } => {
                self.clients.handle_letter(&mut self.io, &mut self.post, origin, letter);
            }
            Mail::Started { instance, process } => {
                self.workers.handle_started(&mut self.io, instance, process);
            }
        }
    }

    /// How long the next wait may last.
    fn timeout(&self) -> Option<Duration> {
        let deadline = earliest(self.clients.deadline(), self.workers.deadline());
        let timeout = deadline.map(|deadline| self.until(deadline));
        let looks = self.left_behind || self.clients.is_paused() || self.stop != Stop::No;
        if looks { Some(timeout.map_or(LOOK_AGAIN, |it| it.min(LOOK_AGAIN))) } else { timeout }
    }

    fn until(&self, deadline: Instant) -> Duration {
        deadline.saturating_since(self.io.now)
    }

    fn go_on_stopping(&mut self) {
        match self.stop {
            Stop::No if self.io.scene.shared.stopping.load(Ordering::Acquire) => {
                self.stop = Stop::Draining;
                self.clients.stop(&mut self.io);
                self.workers.stop(self.io.now);
                self.settle();
            }
            Stop::Draining if self.workers.is_stopped() => {
                self.clients.close_idle(&mut self.io, &mut self.post);
                if self.clients.count() == 0 {
                    self.stop = Stop::Finished;
                    self.io.scene.shared.finished.fetch_add(1, Ordering::AcqRel);
                }
            }
            Stop::No | Stop::Draining | Stop::Finished => {}
        }
    }

    /// Whether every shard has nothing left to do, so that none can want anything of this one.
    fn is_finished(&self) -> bool {
        let shared = &self.io.scene.shared;
        self.stop == Stop::Finished && shared.finished.load(Ordering::Acquire) == shared.cores
    }
}
