//! The home in fake time, beside a worker that is played by hand.

use core::time::Duration;
use std::boxed::Box;
use std::string::String;
use std::vec;
use std::vec::Vec;

use forebay_core_procwire::msgpack::Writer;
use forebay_core_procwire::{Flags, HEADER_LEN, Header, MaxPayload, RequestId, WireId};
use forebay_core_time::{Instant, TimerSlot};

use super::*;
use crate::Refusal;
use crate::message::{Fields, GATHER_LEN, SLOT_LEN};

mod bodies;
mod calls;
mod life;
mod model;
mod responses;

pub(super) struct Boxes;

impl Storage for Boxes {
    type Calls = Box<[Slot<Call>]>;
    type Instances = Box<[Slot<Instance>]>;
    type Workers = Box<[Slot<Worker>]>;
    type Timers = Box<[TimerSlot]>;
    type Requests = Box<[Request]>;
}

pub(super) const CALLS: usize = 16;
pub(super) const INSTANCES: usize = 6;
pub(super) const WORKERS: usize = 3;

fn slots<T>(count: usize) -> Box<[Slot<T>]> {
    core::iter::repeat_with(Slot::default).take(count).collect()
}

fn home() -> Home<Boxes> {
    Home::new(Memory {
        calls: slots(CALLS),
        instances: slots(INSTANCES),
        workers: slots(WORKERS),
        timers: vec![TimerSlot::EMPTY; CALLS + INSTANCES + WORKERS].into(),
        requests: vec![Request::default(); INSTANCES * 8 * REQUESTS_PER_CALL].into(),
    })
}

/// A frame that the home sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) id: WireId,
    pub(super) request: Option<RequestId>,
    pub(super) payload_len: u32,
    /// The payload as far as it lies in the slot.
    pub(super) prefix: Vec<u8>,
    pub(super) payload: Payload,
}

/// What a client was told.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Informational {
        origin: u64,
        fields: String,
    },
    Head {
        origin: u64,
        status: u16,
        fields: String,
        length: Option<u64>,
        body: Vec<u8>,
        last: bool,
    },
    Body {
        origin: u64,
        bytes: Vec<u8>,
        last: bool,
    },
    Trailers {
        origin: u64,
        fields: String,
    },
    Refused {
        origin: u64,
        refusal: Refusal,
        detail: String,
    },
    Broken(u64),
}

/// A home with its shell: a clock, and the connection of every instance.
pub(super) struct Bench {
    pub(super) home: Home<Boxes>,
    pub(super) now: Instant,
    pub(super) worker: WorkerId,
    gather: Vec<Vec<u8>>,
}

pub(super) const CONFIG: WorkerConfig = WorkerConfig {
    ping_interval: Duration::ZERO,
    restart: Restart { jitter_permille: 0, ..Restart::DEFAULT },
    ..WorkerConfig::DEFAULT
};

pub(super) const INIT: &str = concat!(
    r#"{"jsonrpc":"2.0","method":"$init","params":{"pipe":"/run/w.sock","schema":{"methods":"#,
    r#"{"http":{"id":1,"response":"stream"},"http.body":{"id":2,"response":"ack"},"#,
    r#""http.grant":{"id":3,"response":"none"}},"events":{}},"version":"2.0.0"}}"#,
);
pub(super) const PLAIN_INIT: &str = concat!(
    r#"{"method":"$init","params":{"pipe":"/run/w.sock","schema":{"methods":"#,
    r#"{"http":{"id":1,"response":"stream"}},"events":{}}}}"#,
);
pub(super) const RESULT_INIT: &str = concat!(
    r#"{"method":"$init","params":{"pipe":"/run/w.sock","schema":{"methods":"#,
    r#"{"http":{"id":1,"response":"result"}},"events":{}}}}"#,
);

impl Bench {
    pub(super) fn new(config: WorkerConfig) -> Self {
        let mut home = home();
        let now = Instant::from_millis(1000);
        let worker = home.deploy(now, config).unwrap();
        Self { home, now, worker, gather: vec![vec![0; GATHER_LEN]; INSTANCES] }
    }

    /// Moves the clock in steps of 10 ms at most, as timers do.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.saturating_add(Duration::from_millis(ms));
        while let Some(at) = self.home.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.home.handle_timeout(self.now);
        }
        self.now = end;
        self.home.handle_timeout(end);
    }

    pub(super) fn call(&mut self, origin: u64) -> Result<CallId, Refusal> {
        self.call_with(origin, Body::None)
    }

    pub(super) fn call_with(&mut self, origin: u64, body: Body) -> Result<CallId, Refusal> {
        let new = NewCall { origin, worker: self.worker, message_len: 100, body, idempotent: true };
        self.home.handle_call(self.now, new)
    }

    pub(super) fn actions(&mut self) -> Vec<Action> {
        core::iter::from_fn(|| self.home.poll_action(self.now)).collect()
    }

    /// The instance that the actions ask to spawn.
    pub(super) fn spawn(&mut self) -> InstanceId {
        let spawned = self.actions().into_iter().find_map(|action| match action {
            Action::Spawn { instance, .. } => Some(instance),
            _ => None,
        });
        spawned.expect("a spawn was asked for")
    }

    pub(super) fn bring_up(&mut self, instance: InstanceId, init: &str) {
        self.home.handle_spawned(self.now, instance, 0);
        let mut path = [0; 108];
        let outcome = self.home.handle_line(self.now, instance, init.as_bytes(), &mut path);
        assert_eq!(outcome, LineOutcome::Connect { path_len: 11 });
        assert_eq!(&path[..11], b"/run/w.sock");
        self.home.handle_connected(self.now, instance);
    }

    /// An instance that is ready, without its actions.
    pub(super) fn ready(&mut self, init: &str) -> InstanceId {
        let instance = self.spawn();
        self.bring_up(instance, init);
        instance
    }

    pub(super) fn transmit(&mut self, instance: InstanceId) -> Option<Sent> {
        let mut slot = [0; SLOT_LEN];
        let transmit = self.home.poll_transmit(self.now, instance, &mut slot)?;
        Some(sent(&slot, transmit))
    }

    /// The request id of the next frame, which must be a call.
    pub(super) fn take_call(&mut self, instance: InstanceId) -> RequestId {
        let sent = self.transmit(instance).expect("a call to transmit");
        assert!(matches!(sent.payload, Payload::Call { .. }), "{sent:?}");
        sent.request.unwrap()
    }

    pub(super) fn receive(&mut self, instance: InstanceId, bytes: &[u8]) -> Vec<Told> {
        let mut told = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let gather = &mut self.gather[instance.index() as usize];
            let step = self.home.handle_bytes(self.now, instance, rest, gather);
            assert!(step.used > 0);
            if let Some(event) = step.event {
                let taken = &rest[..step.used];
                told.push(tell(&event, taken));
            }
            rest = &rest[step.used..];
        }
        told
    }

    pub(super) fn respond(
        &mut self,
        instance: InstanceId,
        request: RequestId,
        flags: Flags,
        payload: &[u8],
    ) -> Vec<Told> {
        let bytes = frame(request, flags, payload);
        self.receive(instance, &bytes)
    }

    /// Hands a part of a body in.
    pub(super) fn try_part(&mut self, call: CallId, len: u32, last: bool) -> Option<Sent> {
        let mut slot = [0; SLOT_LEN];
        match self.home.handle_body(self.now, call, len, last, &mut slot) {
            Part::Send { transmit, .. } => Some(sent(&slot, transmit)),
            Part::Discard => None,
        }
    }

    pub(super) fn part(&mut self, call: CallId, len: u32, last: bool) -> Sent {
        self.try_part(call, len, last).expect("the part is wanted")
    }

    pub(super) fn status(&self) -> Status {
        self.home.status(self.now, self.worker).unwrap()
    }
}

pub(super) fn answered(actions: &[Action]) -> Vec<(u64, Refusal)> {
    let answer = |action: &Action| match *action {
        Action::Answer { origin, refusal, .. } => Some((origin, refusal)),
        _ => None,
    };
    actions.iter().filter_map(answer).collect()
}

pub(super) fn answers(bench: &mut Bench) -> Vec<(u64, Refusal)> {
    answered(&bench.actions())
}

pub(super) fn sent(slot: &[u8; SLOT_LEN], transmit: Transmit) -> Sent {
    let bytes = slot.first_chunk::<HEADER_LEN>().unwrap();
    let header = Header::parse(*bytes, MaxPayload::DEFAULT).unwrap();
    assert_eq!(header.flags, Flags::REQUEST);
    let prefix = slot[HEADER_LEN..usize::from(transmit.len)].to_vec();
    let Transmit { payload, .. } = transmit;
    Sent {
        id: header.id,
        request: header.request,
        payload_len: header.payload_len,
        prefix,
        payload,
    }
}

pub(super) fn frame(request: RequestId, flags: Flags, payload: &[u8]) -> Vec<u8> {
    let payload_len = payload.len().try_into().unwrap();
    let id = WireId::new(1).unwrap();
    let mut bytes = Header { id, flags, request: Some(request), payload_len }.emit().to_vec();
    bytes.extend(payload);
    bytes
}

/// ` name=value` for each.
fn list(fields: Fields<'_>) -> String {
    let one = |(name, value): (&[u8], &[u8])| {
        std::format!(" {}={}", name.escape_ascii(), value.escape_ascii())
    };
    fields.iter().map(one).collect()
}

fn tell(event: &Event<'_>, taken: &[u8]) -> Told {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match *event {
        Event::Informational { origin, head } => {
            Told::Informational { origin, fields: list(head.fields) }
        }
        Event::Head { origin, head, length, body, last, .. } => {
            assert!(taken.ends_with(body));
            let fields = list(head.fields);
            Told::Head { origin, status: head.status, fields, length, body: body.to_vec(), last }
        }
        Event::Body { origin, bytes, last, .. } => {
            assert!(taken.ends_with(bytes));
            Told::Body { origin, bytes: bytes.to_vec(), last }
        }
        Event::Trailers { origin, fields } => Told::Trailers { origin, fields: list(fields) },
        Event::Refused { origin, refusal, detail, .. } => {
            Told::Refused { origin, refusal, detail: text(detail) }
        }
        Event::Broken { origin } => Told::Broken(origin),
    }
}

/// `{"s": status, "h": fields, "b": body}`, without `b` if there is none.
pub(super) fn map(status: u64, fields: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let mut memory = vec![0; 1 << 20];
    let mut out = Writer::new(&mut memory);
    out.map(2 + u32::from(body.is_some())).unwrap();
    out.str("s").unwrap();
    out.uint(status).unwrap();
    out.str("h").unwrap();
    out.array(fields.len() as u32 * 2).unwrap();
    for (name, value) in fields {
        out.str(name).unwrap();
        out.str(value).unwrap();
    }
    if let Some(body) = body {
        out.str("b").unwrap();
        out.bin(body).unwrap();
    }
    out.written().to_vec()
}

pub(super) fn bin(bytes: &[u8]) -> Vec<u8> {
    let mut memory = vec![0; bytes.len() + 5];
    let mut out = Writer::new(&mut memory);
    out.bin(bytes).unwrap();
    out.written().to_vec()
}
