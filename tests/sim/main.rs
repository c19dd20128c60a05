//! The whole brain of the gateway in memory: fronts, a home and worker sessions, driven in one
//! thread by a clock that only the test moves, from one seed.
//!
//! Clients and workers are slow, cut bytes anywhere, vanish, crash and misbehave. Whatever they do:
//! every request ends exactly once, with a well-formed response or a closed connection; no call
//! goes to an instance that is not ready; limits hold; bytes delivered are a prefix of bytes sent;
//! and at the end nothing is left. `cargo xtask sim --seed N --count 1` runs one seed again.

mod client;
mod gateway;
mod pipe;
mod response;
mod worker;

use core::time::Duration;
use std::collections::BTreeMap;
use std::panic::{catch_unwind, resume_unwind};

use forebay_core_dispatch::home::Status;
use forebay_core_time::Instant;
use forebay_tests::clock::Clock;
use forebay_tests::random::{Random, seeds};

use client::Client;
use gateway::{Gateway, shuffled};

/// A world never needs as much; one that does hangs.
const TURNS_MAX: u32 = 200_000;
const TIME_MAX: Duration = Duration::from_secs(3600);

/// Clients, the gateway between, and the workers inside it.
struct World {
    clock: Clock,
    random: Random,
    gateway: Gateway,
    clients: Vec<Client>,
    turns: u32,
    begun: Instant,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let clock = Clock::new();
        // A fifth of all worlds know no evil: there, every request must succeed.
        let calm = seed.is_multiple_of(5);
        let mut gateway = Gateway::new(clock.now(), random.fork(), calm);
        let count = 1 + random.below(6);
        let clients = (0..count)
            .map(|n| {
                gateway.accept(clock.now());
                Client::new(random.fork(), seed * 10 + n, calm)
            })
            .collect();
        let begun = clock.now();
        Self { clock, random, gateway, clients, turns: 0, begun }
    }

    /// Everyone does one thing; where nobody has anything to do, time goes on to the next deadline.
    fn turn(&mut self) {
        self.turns += 1;
        let mut now = self.clock.now();
        assert!(self.turns < TURNS_MAX, "this world does not come to rest: {}", self.told());
        let passed = now.saturating_since(self.begun);
        assert!(passed < TIME_MAX, "an hour, and still not at rest: {}", self.told());
        if self.random.chance(200) {
            now = self.clock.advance(Duration::from_micros(self.random.below(3000)));
        }
        let mut moved = self.gateway.turn(now);
        for index in shuffled(self.clients.len(), &mut self.random) {
            moved |= self.clients[index].step(now, &mut self.gateway.clients[index].link);
        }
        if !moved {
            let wakes = self.clients.iter().filter_map(Client::wakes).min();
            let next = wakes.into_iter().chain(self.gateway.deadline()).min();
            let next = next.unwrap_or(now).max(now.saturating_add(Duration::from_millis(1)));
            self.clock.jump_to(next);
        }
    }

    /// What everyone is waiting for.
    fn told(&self) -> String {
        format!("{:#?} {}", self.clients, self.gateway.told())
    }

    /// Lives until every client has got, or lost, what it asked for, and then ends everything.
    fn run(&mut self) -> Status {
        while !self.clients.iter().all(Client::is_done) {
            self.turn();
        }
        let status = self.gateway.status(self.clock.now());
        self.gateway.stop(self.clock.now());
        while !(self.gateway.is_stopped() && self.clients.iter().all(Client::is_over)) {
            self.turn();
        }
        self.gateway.assert_empty();
        status
    }
}

/// What became of the requests of some worlds.
#[derive(Debug, Default)]
struct Tally {
    by_status: BTreeMap<u16, u64>,
    violations: u64,
    stalled: u64,
    late_frames: u64,
    failures: u64,
}

impl Tally {
    fn add(&mut self, world: &World, status: Status) {
        for outcome in world.clients.iter().flat_map(|client| &client.outcomes) {
            *self.by_status.entry(*outcome).or_default() += 1;
        }
        self.violations += status.violations;
        self.stalled += status.stalled;
        self.late_frames += status.late_frames;
        self.failures += status.failures;
    }

    /// Worlds in which nothing happens would keep every promise.
    fn assert_rich(&self, worlds: u64) {
        let statuses = [0, 200, 204, 400, 404, 413, 500, 503, 504];
        let missing = statuses.iter().find(|status| !self.by_status.contains_key(status));
        assert_eq!(missing, None, "no such outcome in {worlds} worlds: {self:?}");
        assert!(self.by_status[&200] > worlds, "{self:?}");
        let events = [self.violations, self.stalled, self.late_frames, self.failures];
        assert!(events.iter().all(|count| *count > 0), "{self:?}");
    }
}

fn run(seed: u64) -> (World, Status) {
    let mut world = World::new(seed);
    let status = world.run();
    (world, status)
}

#[test]
fn every_world_keeps_its_promises() {
    let seeds = seeds(300);
    let (mut tally, count) = (Tally::default(), seeds.end - seeds.start);
    for seed in seeds {
        match catch_unwind(|| run(seed)) {
            Ok((world, status)) => tally.add(&world, status),
            Err(panic) => {
                say(&format!(
                    "seed {seed} failed; `cargo xtask sim --seed {seed} --count 1` repeats it"
                ));
                resume_unwind(panic);
            }
        }
    }
    if count >= 1000 {
        tally.assert_rich(count);
    }
}

#[expect(clippy::print_stderr, reason = "a test that fails names its seed")]
fn say(text: &str) {
    eprintln!("{text}");
}
