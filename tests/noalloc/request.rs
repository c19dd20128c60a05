//! The whole core path of a request: client bytes to a front, its home, a worker's session, and
//! back.

use core::time::Duration;

use forebay_core_dispatch::front::{
    Circumstances, Event as FrontEvent, Front, Site, Templates, Work,
};
use forebay_core_dispatch::home::{
    Action, Body as CallBody, Call, Event as HomeEvent, Home, Instance, LineOutcome, Memory,
    NewCall, Part, Payload, REQUESTS_PER_CALL, Request, Storage, Transmit, Worker, WorkerConfig,
};
use forebay_core_dispatch::message::{GATHER_LEN, SLOT_LEN};
use forebay_core_dispatch::{CallId, InstanceId, Slot, WorkerId};
use forebay_core_frame::Loan;
use forebay_core_http1::{After, Config, FieldSlot, Framing};
use forebay_core_procwire::child::{self, CallEntry, ChildSession, Method, Reply};
use forebay_core_procwire::{Body, MaxPayload, ResponseType};
use forebay_core_route::Table;
use forebay_core_time::{Instant, TimerSlot};
use forebay_tests::allocator::{Counts, count};

use crate::front::{DATE, table};

const GET: &[u8] = b"GET /api/db/query?x=1 HTTP/1.1\r\nHost: do\r\nAccept: */*\r\n\r\n";
const POST: &[u8] =
    b"POST /api/db/rows HTTP/1.1\r\nHost: do\r\nContent-Length: 10\r\n\r\n0123456789";
const NOWHERE: &[u8] = b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n";
const INIT: &[u8] = br#"{"method":"$init","params":{"pipe":"/run/w.sock","schema":{"methods":{"http":{"id":1,"response":"stream"},"http.body":{"id":2,"response":"ack"},"http.grant":{"id":3,"response":"none"}},"events":{}}}}"#;
/// `{"s": 200, "h": []}`
const HEAD_200: &[u8] = b"\x82\xa1s\xcc\xc8\xa1h\x90";
/// A part of 100 bytes.
const PART: &[u8] = &[b'x'; 100];
const PART_HEAD: &[u8] = b"\xc4\x64";
const NIL: &[u8] = b"\xc0";

struct Boxes;

impl Storage for Boxes {
    type Calls = Box<[Slot<Call>]>;
    type Instances = Box<[Slot<Instance>]>;
    type Workers = Box<[Slot<Worker>]>;
    type Timers = Box<[TimerSlot]>;
    type Requests = Box<[Request]>;
}

type Routes = Table<Vec<forebay_core_route::Slot>, Vec<u8>>;

/// What a gateway holds for one client and one instance, with every byte allocated beforehand.
struct Shell {
    now: Instant,
    front: Front,
    home: Home<Boxes>,
    worker: WorkerId,
    instance: InstanceId,
    child: ChildSession<Vec<Method>, Vec<CallEntry>, Vec<Loan>>,
    child_slots: Vec<u8>,
    routes: Routes,
    templates: Templates,
    scratch: Vec<u8>,
    out: Vec<u8>,
    gather: Vec<u8>,
    memory: Vec<u8>,
    to_worker: Vec<u8>,
    from_worker: Vec<u8>,
    /// The worker's open call.
    open: Option<child::Call>,
    /// The running call has a body.
    streams: bool,
    answered: usize,
    /// Field lines that a head may have; a remembered head needs none.
    field_slots: usize,
}

fn slots<T>(count: usize) -> Box<[Slot<T>]> {
    core::iter::repeat_with(Slot::default).take(count).collect()
}

impl Shell {
    fn new() -> Self {
        let now = Instant::from_millis(1000);
        let mut home = Home::<Boxes>::new(Memory {
            calls: slots(8),
            instances: slots(1),
            workers: slots(1),
            timers: vec![TimerSlot::EMPTY; 10].into(),
            requests: vec![Request::default(); 8 * REQUESTS_PER_CALL].into(),
        });
        let config = WorkerConfig { ping_interval: Duration::ZERO, ..WorkerConfig::DEFAULT };
        let worker = home.deploy(now, config).expect("room");
        let method = |response| Method { response, counted: response == ResponseType::Stream };
        let storage = child::Storage {
            methods: [ResponseType::Stream, ResponseType::Ack, ResponseType::None]
                .map(method)
                .to_vec(),
            calls: vec![CallEntry::default(); 16],
            loans: vec![Loan::default(); 16],
        };
        let child = ChildSession::new(
            child::Config {
                max_payload: MaxPayload::default(),
                max_concurrency: 8,
                event_count: 0,
            },
            storage,
        );
        let mut shell = Self {
            now,
            front: Front::new(now, Config::default()),
            // Set as soon as the first call asks for it.
            instance: InstanceId::from_bits(0),
            home,
            worker,
            child_slots: vec![0; child.slots_len()],
            child,
            routes: table(),
            templates: Templates::new(DATE).expect("short heads"),
            scratch: vec![0; 64 << 10],
            out: vec![0; 4 << 10],
            gather: vec![0; GATHER_LEN],
            memory: vec![0; 1 << 10],
            to_worker: Vec::with_capacity(64 << 10),
            from_worker: Vec::with_capacity(64 << 10),
            open: None,
            streams: false,
            answered: 0,
            field_slots: 32,
        };
        // The first request starts the worker: what follows is the steady state.
        shell.serve(GET);
        shell
    }

    /// One request to its end.
    fn serve(&mut self, request: &[u8]) {
        let before = self.answered;
        let mut rest = request;
        let mut call = None;
        for _ in 0..8 {
            rest = self.read(rest, &mut call);
            self.act();
            self.work();
            self.receive();
            if self.answered > before {
                break;
            }
        }
        assert_eq!((self.answered, rest.len()), (before + 1, 0), "the request got one answer");
        assert_eq!(self.front.handle_written(self.now), After::Open);
    }

    /// Offers bytes of the client to the front, once.
    fn read<'i>(&mut self, input: &'i [u8], call: &mut Option<CallId>) -> &'i [u8] {
        let mut fields = [const { FieldSlot::uninit() }; 32];
        let site = Site {
            routes: &self.routes,
            deployed: &[true; 3],
            environment: "production",
            has_namespace: true,
            expose_errors: false,
            generation: 1,
            date: DATE,
            templates: &self.templates,
        };
        let circumstances = Circumstances { peer: "127.0.0.1:50000", request_id: [7; 16] };
        let mut work =
            Work { out: &mut self.out, scratch: &mut self.scratch, memory: &mut self.memory };
        let step = self.front.handle_bytes(
            self.now,
            input,
            &mut fields[..self.field_slots],
            &site,
            (&circumstances, &mut work),
        );
        match step.event {
            Some(FrontEvent::Call(new)) => {
                self.streams = new.framing != Framing::None;
                let body = match new.framing {
                    Framing::None => CallBody::None,
                    Framing::Length(len) => CallBody::Streamed(Some(len)),
                    Framing::Chunked => CallBody::Streamed(None),
                };
                let new = NewCall {
                    origin: 42,
                    worker: self.worker,
                    message_len: new.message_len as u32,
                    body,
                    idempotent: new.idempotent,
                };
                *call = Some(self.home.handle_call(self.now, new).expect("room for the call"));
            }
            Some(FrontEvent::Body(bytes)) => {
                let call = call.expect("a body has a call");
                let last = !self.front.is_reading_body();
                let mut slot = [0; SLOT_LEN];
                let len = bytes.len() as u32;
                match self.home.handle_body(self.now, call, len, last, &mut slot) {
                    Part::Send { transmit, .. } => self.append(transmit, &slot, bytes),
                    Part::Discard => panic!("the body is wanted"),
                }
            }
            Some(FrontEvent::Answered(_)) => self.answered += 1,
            Some(FrontEvent::End { .. }) | None => {}
            Some(FrontEvent::Refused { error, .. }) => panic!("refused: {error}"),
        }
        &input[step.used..]
    }

    /// Does what the home asks for.
    fn act(&mut self) {
        while let Some(action) = self.home.poll_action(self.now) {
            match action {
                Action::Spawn { instance, .. } => self.bring_up(instance),
                Action::Write { instance } => {
                    let mut slot = [0; SLOT_LEN];
                    while let Some(transmit) =
                        self.home.poll_transmit(self.now, instance, &mut slot)
                    {
                        self.append(transmit, &slot, &[]);
                    }
                }
                Action::ReadBody { bytes, .. } => self.front.grant_body(self.now, bytes.into()),
                other => panic!("nothing of this is needed here: {other:?}"),
            }
        }
    }

    fn bring_up(&mut self, instance: InstanceId) {
        self.instance = instance;
        self.home.handle_spawned(self.now, instance, 0);
        let mut path = [0; 108];
        let outcome = self.home.handle_line(self.now, instance, INIT, &mut path);
        assert_eq!(outcome, LineOutcome::Connect { path_len: 11 });
        self.home.handle_connected(self.now, instance);
    }

    /// Puts a frame on the wire to the worker.
    fn append(&mut self, transmit: Transmit, slot: &[u8], part: &[u8]) {
        let (head, tail) = slot[..transmit.len.into()].split_at(transmit.head.into());
        self.to_worker.extend_from_slice(head);
        match transmit.payload {
            Payload::Call { inline, .. } => {
                assert_eq!(inline, 0);
                let message = self.message_len(head, tail);
                self.to_worker.extend_from_slice(&self.scratch[..message]);
                self.to_worker.extend_from_slice(tail);
            }
            Payload::Part => {
                self.to_worker.extend_from_slice(tail);
                self.to_worker.extend_from_slice(part);
            }
            Payload::None => self.to_worker.extend_from_slice(tail),
            Payload::Token => panic!("no token was asked for"),
        }
        self.home.handle_sent(self.instance, 1);
    }

    /// How long the call's message is, by the header of its frame.
    fn message_len(&self, head: &[u8], tail: &[u8]) -> usize {
        let header = head.first_chunk().expect("a frame begins with its header");
        let header = forebay_core_procwire::Header::parse(*header, MaxPayload::default());
        let payload_len = header.expect("a well-formed header").payload_len as usize;
        payload_len + forebay_core_procwire::HEADER_LEN - head.len() - tail.len()
    }

    /// The worker: answers a call at once, or when its body has come (in one part).
    fn work(&mut self) {
        let Self { child, child_slots, from_worker, to_worker, open, streams, .. } = self;
        let mut rest = to_worker.as_slice();
        while !rest.is_empty() {
            let step = child.handle_bytes(rest).expect("well-formed frames");
            rest = &rest[step.used..];
            let Some(child::Event::Request { call, method, .. }) = step.event else { continue };
            let mut send = |call, reply, prefix: &[u8], payload: &[u8]| {
                let body = Body { prefix, payload_len: payload.len() as u32 };
                let sent = child.send(call, reply, body, child_slots).expect("room");
                from_worker.extend_from_slice(sent.head(child_slots));
                from_worker.extend_from_slice(payload);
                child.handle_sent(sent.slot).expect("on loan");
            };
            let ready = match method.value() {
                1 => {
                    *open = Some(call);
                    !*streams
                }
                2 => {
                    send(call, Reply::Ack, NIL, &[]);
                    true
                }
                _ => false,
            };
            if ready {
                let call = open.take().expect("a body follows its call");
                send(call, Reply::Chunk, HEAD_200, &[]);
                send(call, Reply::Chunk, PART_HEAD, PART);
                send(call, Reply::End, &[], &[]);
            }
        }
        to_worker.clear();
    }

    /// Takes what the worker sent to the client.
    fn receive(&mut self) {
        let Self { home, front, from_worker, gather, out, now, instance, .. } = self;
        let mut rest = from_worker.as_slice();
        while !rest.is_empty() {
            let step = home.handle_bytes(*now, *instance, rest, gather);
            rest = &rest[step.used..];
            match step.event {
                Some(HomeEvent::Head { head, length, last, .. }) => {
                    front.write_head(&head, length, DATE, out).expect("room");
                    assert!(!last);
                }
                Some(HomeEvent::Body { bytes, last, call, .. }) => {
                    let written = front.write_part(bytes.len(), out).expect("room");
                    home.handle_drained(*now, call, written.take as u64);
                    if last {
                        front.write_end(None, out).expect("room");
                        self.answered += 1;
                    }
                }
                Some(other) => panic!("not from this worker: {other:?}"),
                None => {}
            }
        }
        from_worker.clear();
    }
}

#[test]
fn a_request_goes_to_a_worker_and_back_without_allocating() {
    let mut shell = Shell::new();
    let ((), counts) = count(|| {
        for _ in 0..200 {
            shell.serve(GET);
            shell.serve(POST);
            shell.serve(NOWHERE);
        }
    });
    assert_eq!(shell.answered, 601);
    assert_eq!(shell.home.call_count(), 0);
    assert_eq!(counts, Counts::default());
}

#[test]
fn a_head_is_remembered_in_as_much_memory_as_the_front_says() {
    let mut shell = Shell::new();
    shell.memory = Vec::new();
    shell.front.forget();
    for request in [GET, NOWHERE] {
        shell.field_slots = 32;
        shell.serve(request);
        assert!(shell.front.memory_len() > request.len());
        shell.memory = vec![0; shell.front.memory_len()];
        shell.serve(request);
        shell.field_slots = 0;
        shell.serve(request);
    }
}
