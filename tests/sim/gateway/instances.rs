//! The processes of workers and their connections.

use std::collections::{BTreeMap, VecDeque};

use forebay_core_dispatch::home::{Event, LineOutcome, Payload};
use forebay_core_dispatch::message::{Fields, GATHER_LEN, Head, SLOT_LEN};
use forebay_core_dispatch::{CallId, InstanceId, Refusal, StartFailure};
use forebay_core_procwire::{Header, MaxPayload, RequestId, WireId};
use forebay_core_time::Instant;

use super::{DATE, Gateway, Gather, Peer};
use crate::pipe::Pipe;
use crate::worker::Process;

impl Gateway {
    pub(super) fn pause(&mut self, instance: InstanceId, paused: bool) {
        let peer = self.instances.get_mut(&instance).expect("an instance that lives");
        assert_ne!(peer.paused, paused, "told twice");
        peer.paused = paused;
    }

    pub(super) fn spawn(&mut self, now: Instant, instance: InstanceId) {
        let random = self.random.fork();
        let limit = 300 + self.random.index(4000);
        let process = Process::new(now, random, self.abilities, self.calm);
        let peer = Peer {
            process: Some(process),
            to: Pipe::new(limit),
            from: Pipe::new(limit),
            gather: Gather(vec![0; GATHER_LEN]),
            out: VecDeque::new(),
            written: 0,
            connecting: false,
            connected: false,
            paused: false,
            exited: false,
            ending: false,
            calls: BTreeMap::new(),
        };
        assert!(self.instances.insert(instance, peer).is_none());
        let jitter = self.random.next_u64() as u32;
        if !self.calm && self.random.chance(50) {
            let peer = self.instances.get_mut(&instance).expect("just put there");
            peer.process = None;
            peer.exited = true;
            self.home.handle_spawn_failed(now, instance, 2, jitter);
        } else {
            self.home.handle_spawned(now, instance, jitter);
        }
    }

    pub(super) fn transmit(&mut self, now: Instant, instance: InstanceId) {
        let mut slot = [0; SLOT_LEN];
        while let Some(transmit) = self.home.poll_transmit(now, instance, &mut slot) {
            let (head, tail) = slot[..transmit.len.into()].split_at(transmit.head.into());
            let peer = self.instances.get_mut(&instance).expect("an instance that lives");
            assert!(peer.connected, "a frame for a lost connection");
            let header = Header::parse(*head.first_chunk().expect("a header"), MaxPayload::DEFAULT);
            let Header { id, request, .. } = header.expect("a good header");
            let request = request.map_or(0, RequestId::value);
            if id == WireId::ABORT {
                peer.calls.remove(&request);
            }
            let frame = match transmit.payload {
                Payload::None => head.to_vec(),
                Payload::Call { call, inline } => {
                    assert!(!peer.ending, "a call for an instance that is not ready");
                    peer.calls.insert(request, call);
                    let limit = usize::from(self.config.max_concurrency);
                    assert!(peer.calls.len() <= limit, "more calls than the limit");
                    let of = self.clients.iter().filter_map(|client| client.call.as_ref());
                    let running = of.into_iter().find(|running| running.id == call);
                    let running = running.expect("a call that has not ended");
                    assert_eq!(running.inline.len(), inline as usize);
                    [head, &running.message, tail, &running.inline].concat()
                }
                Payload::Part | Payload::Token => panic!("not polled"),
            };
            peer.out.push_back(frame);
        }
    }

    pub(super) fn instance_turn(&mut self, now: Instant, id: InstanceId) -> bool {
        let Some(peer) = self.instances.get_mut(&id) else { return false };
        let mut moved = false;
        if let Some(process) = &mut peer.process {
            moved |= process.step(now, &mut peer.to, &mut peer.from);
        }
        moved |= self.lines(now, id);
        moved |= self.instance_write(id);
        moved |= self.instance_read(now, id);
        moved |= self.instance_end(now, id);
        moved
    }

    pub(super) fn lines(&mut self, now: Instant, id: InstanceId) -> bool {
        let Some(peer) = self.instances.get_mut(&id) else { return false };
        if core::mem::take(&mut peer.connecting) {
            if !self.calm && self.random.chance(30) {
                self.home.handle_connect_failed(now, id, StartFailure::Connect(111));
            } else {
                peer.connected = true;
                self.home.handle_connected(now, id);
            }
            self.act(now);
            return true;
        }
        let line = peer.process.as_mut().and_then(|process| process.lines.pop_front());
        let Some(line) = line else { return false };
        let outcome = self.home.handle_line(now, id, &line, &mut [0; 108]);
        peer.connecting = matches!(outcome, LineOutcome::Connect { .. });
        self.act(now);
        true
    }

    pub(super) fn instance_write(&mut self, id: InstanceId) -> bool {
        let Some(peer) = self.instances.get_mut(&id) else { return false };
        let Some(frame) = peer.out.front() else { return false };
        let taken = peer.to.write(&frame[peer.written..], &mut self.random);
        if taken > 0 && peer.written == 0 {
            self.home.handle_sent(id, 1);
        }
        peer.written += taken;
        if peer.written == frame.len() {
            peer.out.pop_front();
            peer.written = 0;
        }
        taken > 0
    }

    pub(super) fn instance_read(&mut self, now: Instant, id: InstanceId) -> bool {
        let Some(peer) = self.instances.get_mut(&id) else { return false };
        if !peer.connected || peer.paused {
            return false;
        }
        let bytes = peer.from.read(&mut self.random);
        let mut gather = core::mem::take(&mut peer.gather);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let step = self.home.handle_bytes(now, id, rest, &mut gather.0);
            assert!(step.used > 0);
            rest = &rest[step.used..];
            if let Some(event) = step.event {
                let told = self.tell(now, &event);
                if let Some((index, call, refusal)) = told {
                    self.home.handle_gone(now, call);
                    self.forget(call);
                    self.refuse(now, index, refusal, b"");
                }
            }
            self.act(now);
        }
        if let Some(peer) = self.instances.get_mut(&id) {
            peer.gather = gather;
            if peer.connected && !peer.paused && peer.from.is_at_end() {
                peer.disconnect();
                self.home.handle_disconnected(now, id);
                self.act(now);
            }
        }
        !bytes.is_empty()
    }

    /// Whether the process has ended, and what that means for the connection.
    pub(super) fn instance_end(&mut self, now: Instant, id: InstanceId) -> bool {
        let Some(peer) = self.instances.get_mut(&id) else { return false };
        let Some(exit) = peer.process.as_ref().and_then(|process| process.exit) else {
            return false;
        };
        peer.process = None;
        peer.from.end();
        peer.to.break_off();
        peer.exited = true;
        peer.ending = true;
        self.home.handle_exited(now, id, exit);
        self.act(now);
        true
    }

    /// Passes a part of a response on. A response that HTTP does not allow is refused instead.
    pub(super) fn tell(
        &mut self,
        now: Instant,
        event: &Event<'_>,
    ) -> Option<(usize, CallId, Refusal)> {
        let mut out = vec![0; 40 << 10];
        match *event {
            Event::Informational { origin, head } => {
                let client = &mut self.clients[(origin >> 32) as usize];
                let len = client.front.write_informational(&head, &mut out).expect("103");
                client.push(out[..len].to_vec(), None);
            }
            Event::Head { origin, call, head, length, body, last } => {
                let index = self.client_of(origin, call);
                return self.tell_head(now, (index, call), &head, (length, body, last));
            }
            Event::Body { origin, call, bytes, last } => {
                let index = self.client_of(origin, call);
                self.tell_body(now, (index, call), bytes, last);
            }
            Event::Trailers { origin, fields } => {
                let client = &mut self.clients[(origin >> 32) as usize];
                let running = client.call.as_mut().expect("a call that has not ended");
                running.trailers = Some(fields.as_bytes().to_vec());
            }
            Event::Refused { origin, refusal, detail, .. } => {
                let index = (origin >> 32) as usize;
                let running = self.clients[index].call.take().expect("a call that has not ended");
                self.forget(running.id);
                self.refuse(now, index, refusal, detail);
            }
            Event::Broken { origin } => {
                assert!(self.clients[(origin >> 32) as usize].call.is_some());
                self.broken((origin >> 32) as usize);
            }
        }
        None
    }

    pub(super) fn tell_head(
        &mut self,
        now: Instant,
        (index, call): (usize, CallId),
        head: &Head<'_>,
        (length, body, last): (Option<u64>, &[u8], bool),
    ) -> Option<(usize, CallId, Refusal)> {
        let mut out = vec![0; 40 << 10];
        let client = &mut self.clients[index];
        match client.front.write_head(head, length, DATE, &mut out) {
            Ok(len) => client.push(out[..len].to_vec(), None),
            Err(_) => return Some((index, call, Refusal::InvalidResponse)),
        }
        self.tell_body(now, (index, call), body, last);
        None
    }

    pub(super) fn tell_body(
        &mut self,
        now: Instant,
        (index, call): (usize, CallId),
        bytes: &[u8],
        last: bool,
    ) {
        let mut out = vec![0; 40 << 10];
        let client = &mut self.clients[index];
        let mut ends = last;
        if !bytes.is_empty() {
            let written = client.front.write_part(bytes.len(), &mut out).expect("a body goes on");
            client.push(out[..written.len].to_vec(), None);
            client.push(bytes[..written.take].to_vec(), Some(call));
            if written.full && !last {
                self.home.handle_gone(now, call);
            }
            ends |= written.full;
        }
        if !ends {
            return;
        }
        let running = self.clients[index].call.take().expect("a call that has not ended");
        self.forget(call);
        let trailers = running.trailers.as_deref().map(Fields::from_bytes);
        let client = &mut self.clients[index];
        match client.front.write_end(trailers, &mut out) {
            Ok(len) => client.push(out[..len].to_vec(), None),
            Err(_) => client.front.break_response(),
        }
        client.owes_word = true;
    }
}

impl Peer {
    pub(super) fn disconnect(&mut self) {
        (self.connected, self.connecting, self.ending) = (false, false, true);
        self.to.end();
        self.from.break_off();
        self.out.clear();
        self.written = 0;
    }
}
