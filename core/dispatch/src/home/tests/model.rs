//! The home beside a plain account of what it said: random events, and what must always hold.
//!
//! No call goes to an instance that is not ready, none holds more than its limit, every call ends
//! exactly once, and nothing is left at the end (dispatch 13.2).

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Exit, StartFailure};

#[derive(Debug, Clone, Copy)]
enum Op {
    Call { streamed: bool, inline: bool, idempotent: bool },
    Gone(usize),
    Body { which: usize, last: bool },
    Gathered(usize),
    Drained(usize),
    Spawned { which: usize, fails: bool },
    Init { which: usize, kind: u8 },
    Connected { which: usize, fails: bool },
    Respond { which: usize, kind: u8 },
    Acknowledge { which: usize, refuse: bool },
    Disconnected(usize),
    Exited(usize),
    Sent(usize),
    Time(u16),
    Remove,
    Stop,
}

/// What is known of a process and its connection.
#[derive(Debug, Default)]
struct Peer {
    spawned: bool,
    connecting: bool,
    connected: bool,
    exited: bool,
    /// Told to end, or lost: no call may come any more.
    ending: bool,
    calls: BTreeMap<u32, u64>,
    parts: Vec<RequestId>,
    unsent: u32,
}

struct Model {
    bench: Bench,
    peers: BTreeMap<InstanceId, Peer>,
    /// Calls that were accepted and have not ended, with their names.
    open: BTreeMap<u64, CallId>,
    gathering: BTreeSet<u64>,
    /// What may be sent of bodies: bytes, parts.
    credit: BTreeMap<u64, (u32, u8)>,
    next: u64,
    limit: usize,
}

impl Model {
    fn new(config: WorkerConfig) -> Self {
        let limit = config.max_concurrency.into();
        Self {
            bench: Bench::new(config),
            peers: BTreeMap::new(),
            open: BTreeMap::new(),
            gathering: BTreeSet::new(),
            credit: BTreeMap::new(),
            next: 0,
            limit,
        }
    }

    fn peer(&mut self, which: usize) -> Option<(InstanceId, &mut Peer)> {
        let count = self.peers.len();
        let (id, peer) = self.peers.iter_mut().nth(which.checked_rem(count)?)?;
        Some((*id, peer))
    }

    fn pick(&self, which: usize) -> Option<(u64, CallId)> {
        let (origin, call) = self.open.iter().nth(which.checked_rem(self.open.len())?)?;
        Some((*origin, *call))
    }

    fn close(&mut self, origin: u64) {
        assert!(self.open.remove(&origin).is_some(), "call {origin} ended twice");
        self.gathering.remove(&origin);
        self.credit.remove(&origin);
        for peer in self.peers.values_mut() {
            peer.calls.retain(|_, other| *other != origin);
        }
    }

    fn apply(&mut self, op: Op) {
        let now = self.bench.now;
        match op {
            Op::Call { streamed, inline, idempotent } => self.call(streamed, inline, idempotent),
            Op::Gone(which) => {
                if let Some((origin, call)) = self.pick(which) {
                    self.bench.home.handle_gone(now, call);
                    self.close(origin);
                }
            }
            Op::Body { which, last } => self.body(which, last),
            Op::Gathered(which) => {
                let waiting: Vec<_> = self.gathering.iter().copied().collect();
                if let Some(origin) = which.checked_rem(waiting.len()).map(|at| waiting[at]) {
                    self.gathering.remove(&origin);
                    self.bench.home.handle_gathered(now, self.open[&origin], 5);
                }
            }
            Op::Drained(which) => {
                if let Some((_, call)) = self.pick(which) {
                    self.bench.home.handle_drained(now, call, 700);
                }
            }
            Op::Spawned { which, fails } => self.spawned(which, fails),
            Op::Init { which, kind } => self.init(which, kind),
            Op::Connected { which, fails } => self.connected(which, fails),
            Op::Respond { which, kind } => self.respond(which, kind),
            Op::Acknowledge { which, refuse } => self.acknowledge(which, refuse),
            Op::Disconnected(which) => {
                if let Some((id, peer)) = self.peer(which)
                    && peer.connected
                {
                    peer.connected = false;
                    peer.ending = true;
                    peer.calls.clear();
                    peer.parts.clear();
                    self.bench.home.handle_disconnected(now, id);
                }
            }
            Op::Exited(which) => {
                if let Some((id, peer)) = self.peer(which)
                    && peer.spawned
                    && !peer.exited
                {
                    peer.exited = true;
                    peer.ending = true;
                    self.bench.home.handle_exited(now, id, Exit::Code(0));
                }
            }
            Op::Sent(which) => {
                if let Some((id, peer)) = self.peer(which) {
                    let frames = core::mem::take(&mut peer.unsent);
                    self.bench.home.handle_sent(id, frames);
                }
            }
            Op::Time(ms) => self.bench.pass(ms.into()),
            Op::Remove => self.bench.home.remove(now, self.bench.worker),
            Op::Stop => self.bench.home.stop(now),
        }
    }

    fn call(&mut self, streamed: bool, inline: bool, idempotent: bool) {
        let body = match (streamed, inline) {
            (true, _) => Body::Streamed(None),
            (false, true) => Body::Inline(10),
            (false, false) => Body::None,
        };
        let origin = self.next;
        self.next += 1;
        let worker = self.bench.worker;
        let new = NewCall { origin, worker, message_len: 50, body, idempotent };
        if let Ok(call) = self.bench.home.handle_call(self.bench.now, new) {
            self.open.insert(origin, call);
        }
    }

    fn body(&mut self, which: usize, last: bool) {
        let Some((origin, call)) = self.pick(which) else { return };
        let Some((bytes, parts)) = self.credit.get(&origin).copied() else { return };
        let len = bytes.min(100);
        if parts == 0 || (len == 0 && !last) {
            return;
        }
        self.credit.insert(origin, (bytes - len, parts - 1));
        if last {
            self.credit.remove(&origin);
        }
        let mut slot = [0; SLOT_LEN];
        if let Part::Send { instance, transmit } =
            self.bench.home.handle_body(self.bench.now, call, len, last, &mut slot)
        {
            let peer = self.peers.get_mut(&instance).expect("a part for an instance that lives");
            assert!(peer.connected, "a part for a lost connection");
            peer.parts.push(sent(&slot, transmit).request.unwrap());
            peer.unsent += 1;
        }
    }

    fn spawned(&mut self, which: usize, fails: bool) {
        let now = self.bench.now;
        let Some((id, peer)) = self.peer(which).filter(|(_, peer)| !peer.spawned) else { return };
        peer.spawned = true;
        if fails {
            peer.exited = true;
            peer.ending = true;
            self.bench.home.handle_spawn_failed(now, id, 2, 7);
        } else {
            self.bench.home.handle_spawned(now, id, 7);
        }
    }

    fn init(&mut self, which: usize, kind: u8) {
        let line = match kind % 8 {
            0 => "{\"method\":\"$init\"}",
            1 => PLAIN_INIT,
            2 => RESULT_INIT,
            3 => "{\"method\":\"$error\",\"params\":{\"message\":\"x\"}}",
            _ => INIT,
        };
        let now = self.bench.now;
        let Some((id, peer)) = self.peer(which).filter(|(_, peer)| peer.spawned) else { return };
        let outcome = {
            let ending = peer.ending || peer.exited;
            (!ending).then(|| self.bench.home.handle_line(now, id, line.as_bytes(), &mut [0; 108]))
        };
        if matches!(outcome, Some(LineOutcome::Connect { .. })) {
            self.peers.get_mut(&id).unwrap().connecting = true;
        }
    }

    fn connected(&mut self, which: usize, fails: bool) {
        let now = self.bench.now;
        let Some((id, peer)) = self.peer(which).filter(|(_, peer)| peer.connecting) else { return };
        peer.connecting = false;
        if fails {
            let failure = StartFailure::Connect(111);
            self.bench.home.handle_connect_failed(now, id, failure);
        } else {
            peer.connected = true;
            self.bench.home.handle_connected(now, id);
        }
    }

    fn respond(&mut self, which: usize, kind: u8) {
        let Some((id, peer)) = self.peer(which).filter(|(_, peer)| peer.connected) else { return };
        let request = match peer.calls.iter().nth(usize::from(kind) % peer.calls.len().max(1)) {
            Some((request, _)) => *request,
            None => 1 + u32::from(kind),
        };
        let request = RequestId::new(request).unwrap();
        let (flags, payload) = match kind % 9 {
            0 | 1 => (Flags::RESULT, map(200, &[], Some(b"body"))),
            2 => (Flags::CHUNK, map(103, &[], None)),
            3 | 4 => (Flags::CHUNK, map(200, &[("a", "b")], None)),
            5 => (Flags::CHUNK, bin(&[1; 300])),
            6 => (Flags::END, vec![]),
            7 => (Flags::ERROR, b"\xa1x".to_vec()),
            _ => (Flags::RESULT, b"\xc1".to_vec()),
        };
        let told = self.bench.respond(id, request, flags, &payload);
        for one in told {
            self.told(&one);
        }
    }

    fn told(&mut self, told: &Told) {
        match told {
            Told::Informational { origin, .. } | Told::Trailers { origin, .. } => {
                assert!(self.open.contains_key(origin), "{told:?} for a call that is over");
            }
            Told::Head { origin, last, .. } | Told::Body { origin, last, .. } => {
                assert!(self.open.contains_key(origin), "{told:?} for a call that is over");
                if *last {
                    self.close(*origin);
                }
            }
            Told::Refused { origin, .. } | Told::Broken(origin) => self.close(*origin),
        }
    }

    fn acknowledge(&mut self, which: usize, refuse: bool) {
        let Some((id, peer)) = self.peer(which) else { return };
        let Some(part) = peer.parts.pop() else { return };
        let flags = if refuse { Flags::ERROR } else { Flags::ACK };
        let told = self.bench.respond(id, part, flags, b"\xc0");
        assert_eq!(told, []);
    }

    /// Does what the home wants, and checks that it may want it.
    fn drain(&mut self) {
        let mut asked = Vec::new();
        while let Some(action) = self.bench.home.poll_action(self.bench.now) {
            match action {
                Action::Spawn { instance, .. } => {
                    assert!(self.peers.insert(instance, Peer::default()).is_none());
                }
                Action::Write { instance } => self.write(instance),
                Action::WriteLine { instance, line } => {
                    if line == Line::Shutdown {
                        let peer = self.peers.get_mut(&instance).unwrap();
                        peer.ending = true;
                        asked.push(instance);
                    }
                }
                Action::Kill { instance, .. } => {
                    self.peers.get_mut(&instance).unwrap().ending = true;
                }
                Action::Disconnect { instance } => {
                    let peer = self.peers.get_mut(&instance).unwrap();
                    assert!(peer.connected || peer.connecting);
                    (peer.connected, peer.connecting, peer.ending) = (false, false, true);
                    peer.calls.clear();
                    peer.parts.clear();
                }
                Action::StopReading { instance } | Action::ResumeReading { instance } => {
                    assert!(self.peers.contains_key(&instance));
                }
                Action::Release { instance, .. } => {
                    let peer = self.peers.remove(&instance).expect("released once");
                    assert!(peer.exited && !peer.connected, "{peer:?}");
                }
                Action::ReadBody { origin, bytes, parts, .. } => {
                    let credit = self.credit.entry(origin).or_default();
                    credit.0 += bytes;
                    credit.1 += parts;
                    assert!(self.open.contains_key(&origin));
                    assert!(credit.0 <= 1000 && credit.1 <= 8, "{credit:?}");
                }
                Action::Gather { origin, .. } => {
                    assert!(self.open.contains_key(&origin));
                    self.gathering.insert(origin);
                }
                Action::DiscardBody { origin, .. } => {
                    self.credit.remove(&origin);
                }
                Action::Answer { origin, .. } | Action::Abort { origin, .. } => self.close(origin),
            }
        }
        for peer in asked.iter().filter_map(|instance| self.peers.get(instance)) {
            assert!(peer.calls.is_empty(), "a shutdown while calls are in flight");
        }
    }

    fn write(&mut self, instance: InstanceId) {
        while let Some(sent) = self.bench.transmit(instance) {
            let peer = self.peers.get_mut(&instance).unwrap();
            assert!(peer.connected, "a frame for a lost connection");
            peer.unsent += 1;
            if let Payload::Call { call, .. } = sent.payload {
                assert!(!peer.ending, "a call for an instance that is not ready");
                let origin = self.open.iter().find(|(_, id)| **id == call);
                let origin = *origin.expect("a call that is open").0;
                peer.calls.insert(sent.request.unwrap().value(), origin);
                let limit = self.limit;
                assert!(peer.calls.len() <= limit, "more calls than the limit");
            }
        }
    }

    /// Every process ends, every client waits: nothing may be left.
    fn finish(&mut self) {
        self.bench.home.stop(self.bench.now);
        for _ in 0..200 {
            self.drain();
            let ids: Vec<_> = self.peers.keys().copied().collect();
            for id in ids {
                let peer = self.peers.get_mut(&id).unwrap();
                if !peer.spawned {
                    peer.spawned = true;
                    self.bench.home.handle_spawned(self.bench.now, id, 3);
                } else if peer.ending && !peer.exited {
                    peer.exited = true;
                    self.bench.home.handle_exited(self.bench.now, id, Exit::Code(0));
                } else if peer.ending && peer.connected {
                    peer.connected = false;
                    self.bench.home.handle_disconnected(self.bench.now, id);
                }
                self.drain();
            }
            self.bench.pass(1_000);
        }
        self.drain();
        assert_eq!(self.open.len(), 0, "calls that never ended");
        assert_eq!(self.bench.home.call_count(), 0, "places of calls that were not freed");
        assert_eq!(self.bench.home.instance_count(), 0, "instances that were not released");
        assert!(self.bench.home.is_stopped());
        let taken = self.bench.home.requests.iter().filter(|request| !request.is_free()).count();
        assert_eq!(taken, 0, "requests that were not freed");
        assert_eq!(self.bench.home.poll_timeout(), None, "timers that were not cancelled");
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_map(|(streamed, inline, idempotent)| Op::Call { streamed, inline, idempotent }),
        2 => any::<usize>().prop_map(Op::Gone),
        4 => (any::<usize>(), any::<bool>()).prop_map(|(which, last)| Op::Body { which, last }),
        2 => any::<usize>().prop_map(Op::Gathered),
        2 => any::<usize>().prop_map(Op::Drained),
        4 => (any::<usize>(), prop::bool::weighted(0.1))
            .prop_map(|(which, fails)| Op::Spawned { which, fails }),
        4 => (any::<usize>(), any::<u8>()).prop_map(|(which, kind)| Op::Init { which, kind }),
        4 => (any::<usize>(), prop::bool::weighted(0.1))
            .prop_map(|(which, fails)| Op::Connected { which, fails }),
        10 => (any::<usize>(), any::<u8>()).prop_map(|(which, kind)| Op::Respond { which, kind }),
        3 => (any::<usize>(), prop::bool::weighted(0.2))
            .prop_map(|(which, refuse)| Op::Acknowledge { which, refuse }),
        1 => any::<usize>().prop_map(Op::Disconnected),
        1 => any::<usize>().prop_map(Op::Exited),
        2 => any::<usize>().prop_map(Op::Sent),
        3 => (0u16..500).prop_map(Op::Time),
        1 => (0u16..40_000).prop_map(Op::Time),
        1 => prop::bool::weighted(0.03)
            .prop_map(|rare| if rare { Op::Remove } else { Op::Time(10) }),
        1 => prop::bool::weighted(0.03).prop_map(|rare| if rare { Op::Stop } else { Op::Time(10) }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// dispatch 13.2: the supervisor and the call table.
    #[test]
    fn every_call_ends_exactly_once_and_nothing_leaks(
        ops in prop::collection::vec(op(), 1..150),
        max_instances in 1u16..4,
        min_instances in 0u16..2,
        max_concurrency in 1u16..5,
        max_calls in 0u64..6,
        retry in prop_oneof![Just(Retry::Never), Just(Retry::Unsent), Just(Retry::Idempotent)],
        pings in any::<bool>(),
    ) {
        let config = WorkerConfig {
            max_instances,
            min_instances,
            max_concurrency,
            max_calls,
            retry,
            queue_len: 6,
            window: 1000,
            chunk: 100,
            ping_interval: Duration::from_secs(if pings { 5 } else { 0 }),
            ..CONFIG
        };
        let mut model = Model::new(config);
        model.drain();
        for op in ops {
            model.apply(op);
            model.drain();
        }
        model.finish();
    }
}
