//! A worker process: a child session that answers as each request asks, or as badly as it likes.

use core::time::Duration;
use std::collections::VecDeque;

use forebay_core_dispatch::Exit;
use forebay_core_frame::Loan;
use forebay_core_procwire::child::{
    Call, CallEntry, ChildSession, Config, Event, Method, Reply, Storage,
};
use forebay_core_procwire::msgpack::{Reader, Token, Writer};
use forebay_core_procwire::{Body, MaxPayload, MethodId, ResponseType, Transmit};
use forebay_core_time::Instant;
use forebay_tests::random::Random;

use crate::pipe::{Pipe, body, pattern};

type Session = ChildSession<Vec<Method>, Vec<CallEntry>, Vec<Loan>>;

/// What a worker can do, the same for all its instances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    pub(crate) streams: bool,
    pub(crate) takes_parts: bool,
    pub(crate) takes_grants: bool,
    /// Calls that it may be given at once.
    pub(crate) limit: u32,
}

/// How an instance begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Good,
    /// After a while.
    Slow,
    Never,
    Error,
    BadInit,
    Exits,
}

#[derive(Debug)]
pub(crate) struct Process {
    random: Random,
    abilities: Abilities,
    calm: bool,
    start: Start,
    says_at: Instant,
    said: bool,
    session: Session,
    slots: Vec<u8>,
    /// Bytes to be written to the data connection.
    out: VecDeque<u8>,
    /// Bytes that the session has not taken.
    input: Vec<u8>,
    /// The request that is arriving in parts.
    partial: Option<(Call, MethodId, Vec<u8>)>,
    jobs: Vec<Job>,
    /// Parts to be acknowledged.
    parts: VecDeque<(Call, bool)>,
    pub(crate) lines: VecDeque<Vec<u8>>,
    pub(crate) exit: Option<Exit>,
    ignores_shutdown: bool,
    answers_pings: bool,
}

#[derive(Debug)]
struct Job {
    call: Call,
    request: u32,
    name: u64,
    action: String,
    answer_len: u64,
    piece_len: u64,
    /// What came of the request's body, and whether that is all.
    got: u64,
    complete: bool,
    /// What may still be sent before a grant; none without a window.
    window: Option<u64>,
    sent: u64,
    has_head: bool,
}

impl Process {
    pub(crate) fn new(now: Instant, mut random: Random, abilities: Abilities, calm: bool) -> Self {
        let start = match random.below(if calm { 2 } else { 14 }) {
            0 => Start::Slow,
            10 => Start::Never,
            11 => Start::Error,
            12 => Start::BadInit,
            13 => Start::Exits,
            _ => Start::Good,
        };
        let Abilities { streams, takes_parts, takes_grants, limit } = abilities;
        let response = if streams { ResponseType::Stream } else { ResponseType::Result };
        let mut methods = vec![Method { response, counted: true }];
        if takes_parts {
            methods.push(Method { response: ResponseType::Ack, counted: false });
        }
        if takes_grants {
            methods.push(Method { response: ResponseType::None, counted: false });
        }
        let max_payload = MaxPayload::DEFAULT;
        let config = Config { max_payload, max_concurrency: limit, event_count: 0 };
        let storage = Storage {
            methods,
            calls: vec![CallEntry::default(); 256],
            loans: vec![Loan::default(); 4],
        };
        let session = ChildSession::new(config, storage);
        let delay = if start == Start::Slow { random.below(3000) } else { 0 };
        Self {
            slots: vec![0; session.slots_len()],
            session,
            abilities,
            calm,
            start,
            says_at: now.saturating_add(Duration::from_millis(delay)),
            said: false,
            out: VecDeque::new(),
            input: Vec::new(),
            partial: None,
            jobs: Vec::new(),
            parts: VecDeque::new(),
            lines: VecDeque::new(),
            exit: None,
            ignores_shutdown: !calm && random.chance(100),
            answers_pings: calm || !random.chance(50),
            random,
        }
    }

    pub(crate) fn wakes(&self) -> Option<Instant> {
        (!self.said && self.exit.is_none()).then_some(self.says_at)
    }

    pub(crate) fn handle_line(&mut self, line: &str) {
        if line.contains("$shutdown") && !self.ignores_shutdown {
            self.exit = Some(Exit::Code(0));
        }
        if line.contains("$ping") && self.answers_pings {
            self.lines.push_back(b"{\"method\":\"$pong\"}".to_vec());
        }
    }

    pub(crate) fn kill(&mut self, signal: i32) {
        let stubborn = signal == 15 && self.ignores_shutdown;
        if !stubborn {
            self.exit.get_or_insert(Exit::Signal(signal));
        }
    }

    /// Does one thing, if there is one to do.
    pub(crate) fn step(&mut self, now: Instant, to: &mut Pipe, from: &mut Pipe) -> bool {
        if self.exit.is_some() {
            return false;
        }
        if !self.said && self.says_at.is_reached(now) {
            self.said = true;
            return self.say();
        }
        let wrote = self.write(from);
        let read = self.read(to);
        let worked = self.work();
        wrote || read || worked
    }

    fn say(&mut self) -> bool {
        match self.start {
            Start::Never => return false,
            Start::Good | Start::Slow => {
                self.lines.push_back(b"listening soon".to_vec());
                self.lines.push_back(self.init().into_bytes());
            }
            Start::Error => {
                let line = r#"{"method":"$error","params":{"message":"no \"db\" here"}}"#;
                self.lines.push_back(line.into());
            }
            Start::BadInit => self.lines.push_back(br#"{"method":"$init","params":{}}"#.to_vec()),
            Start::Exits => self.exit = Some(Exit::Code(3)),
        }
        true
    }

    fn init(&self) -> String {
        let Abilities { streams, takes_parts, takes_grants, .. } = self.abilities;
        let response = if streams { "stream" } else { "result" };
        let mut methods = format!(r#""http":{{"id":1,"response":"{response}"}}"#);
        if takes_parts {
            methods += r#","http.body":{"id":2,"response":"ack"}"#;
        }
        if takes_grants {
            let id = if takes_parts { 3 } else { 2 };
            methods += &format!(r#","http.grant":{{"id":{id},"response":"none"}}"#);
        }
        let schema = format!(r#"{{"methods":{{{methods}}},"events":{{}}}}"#);
        format!(r#"{{"method":"$init","params":{{"pipe":"/run/w","schema":{schema}}}}}"#)
    }

    fn write(&mut self, from: &mut Pipe) -> bool {
        let taken = from.write(self.out.make_contiguous(), &mut self.random);
        self.out.drain(..taken);
        taken > 0
    }

    fn read(&mut self, to: &mut Pipe) -> bool {
        if !self.session.wants_read() {
            return false;
        }
        let bytes = to.read(&mut self.random);
        self.input.extend(&bytes);
        let input = core::mem::take(&mut self.input);
        let mut rest = &input[..];
        loop {
            let step = self.session.handle_bytes(rest).expect("the gateway keeps the protocol");
            rest = &rest[step.used..];
            let Some(event) = step.event else { break };
            self.handle_event(&event);
        }
        self.input = rest.to_vec();
        if to.is_at_end() {
            self.exit.get_or_insert(Exit::Code(0));
        }
        !bytes.is_empty()
    }

    fn handle_event(&mut self, event: &Event<'_>) {
        match *event {
            Event::Request { call, method, payload } => self.handle_request(call, method, payload),
            Event::Start { call, method, .. } => self.partial = Some((call, method, Vec::new())),
            Event::Part { bytes, last, .. } => {
                let (_, _, gathered) = self.partial.as_mut().expect("a part behind its start");
                gathered.extend_from_slice(bytes);
                if last && let Some((call, method, payload)) = self.partial.take() {
                    self.handle_request(call, method, &payload);
                }
            }
            Event::Abort { call } => {
                self.jobs.retain(|job| job.call != call);
                if self.partial.as_ref().is_some_and(|(other, ..)| *other == call) {
                    self.partial = None;
                }
                assert_eq!(self.session.close(call, &mut self.slots), Ok(None));
            }
            Event::Refused { reason, .. } => panic!("the gateway went over the limit: {reason:?}"),
        }
    }

    fn handle_request(&mut self, call: Call, method: MethodId, payload: &[u8]) {
        match method.value() {
            1 => self.jobs.push(Job::parse(
                call,
                self.session.request(call).expect("a call").value(),
                payload,
            )),
            2 if self.abilities.takes_parts => self.handle_part(call, payload),
            _ => {
                let mut reader = Reader::new(payload);
                assert_eq!(reader.read_array(), Ok(2));
                let request = reader.read_u64().expect("the call");
                let bytes = reader.read_u64().expect("the grant");
                if let Some(job) =
                    self.jobs.iter_mut().find(|job| u64::from(job.request) == request)
                {
                    *job.window.as_mut().expect("a window") += bytes;
                }
                assert_eq!(self.session.close(call, &mut self.slots), Ok(None));
            }
        }
    }

    /// Bytes delivered are what was sent, in order and without gaps.
    fn handle_part(&mut self, call: Call, payload: &[u8]) {
        let mut reader = Reader::new(payload);
        let count = reader.read_array().expect("an array");
        let request = reader.read_u64().expect("the call");
        let offset = reader.read_u64().expect("the offset");
        let last = reader.read_bool().expect("whether it is the last");
        let data = reader.read_bytes().expect("the data");
        assert!(count == 4 || (count == 5 && last && data.is_empty()));
        let job = self.jobs.iter_mut().find(|job| u64::from(job.request) == request);
        let refuses = job.as_ref().is_some_and(|job| job.action == "refuse");
        if let Some(job) = job {
            assert_eq!((offset, job.complete), (job.got, false), "a gap in the body");
            let right = (offset..).zip(data).all(|(at, byte)| *byte == pattern(job.name, at));
            assert!(right, "other bytes than the client sent");
            job.got += data.len() as u64;
            job.complete = last;
        }
        self.parts.push_back((call, refuses));
    }

    fn work(&mut self) -> bool {
        if self.out.len() > 2000 {
            return false;
        }
        if let Some(&(call, refuses)) = self.parts.front()
            && self.random.chance(500)
        {
            let reply = if refuses { Reply::Error } else { Reply::Ack };
            let text: &[u8] = if refuses { b"\xa2no" } else { b"\xc0" };
            self.put(call, reply, text, &[]);
            self.parts.pop_front();
            return true;
        }
        if self.jobs.is_empty() {
            return !self.parts.is_empty();
        }
        if !self.calm && self.random.below(400) == 0 {
            self.exit = Some(Exit::Signal(11));
            return true;
        }
        let index = self.random.index(self.jobs.len());
        let job = self.jobs.swap_remove(index);
        let (worked, job) = self.advance(job);
        self.jobs.extend(job);
        worked || !self.parts.is_empty()
    }

    /// Takes an answer one step further; gives the job back unless it has ended.
    fn advance(&mut self, mut job: Job) -> (bool, Option<Job>) {
        let patient = matches!(job.action.as_str(), "echo" | "stream" | "break" | "none" | "drop");
        if patient && !job.complete {
            return (false, Some(job));
        }
        let call = job.call;
        match job.action.as_str() {
            "hang" => return (false, Some(job)),
            "exit" => self.exit = Some(Exit::Code(7)),
            "error" => self.put(call, Reply::Error, b"\xa4boom", &[]),
            "drop" => {
                let sent = self.session.close(call, &mut self.slots).expect("a free slot");
                let sent = sent.expect("an error is owed");
                self.take(sent, &[]);
            }
            "bad" => {
                let reply = if self.abilities.streams { Reply::Chunk } else { Reply::Result };
                self.put(call, reply, b"\x81\xa1s\x07", &[]);
                return (true, None);
            }
            "none" => self.complete_frame(&job, 204, 0),
            "stream" | "flood" | "break" if self.abilities.streams => return self.stream(job),
            _ => self.complete_frame(&job, 200, job.answer_len),
        }
        job.has_head = true;
        (true, None)
    }

    fn complete_frame(&mut self, job: &Job, status: u64, len: u64) {
        let mut head = job.head(status, true);
        let data = body(job.name, 0, len);
        put_bin_head(&mut head, data.len());
        let fits = job.window.is_none_or(|window| len <= window);
        if !self.abilities.streams {
            self.put(job.call, Reply::Result, &head, &data);
        } else if fits && self.random.chance(500) {
            self.put(job.call, Reply::Chunk, &head, &data);
            self.put(job.call, Reply::End, &[], &[]);
        } else {
            self.raw_result(job, &head, &data);
        }
    }

    /// One step of a streamed answer.
    fn stream(&mut self, mut job: Job) -> (bool, Option<Job>) {
        if !job.has_head {
            if self.random.chance(200) {
                let hint = job.head(103, false);
                self.put(job.call, Reply::Chunk, &hint, &[]);
            }
            let head = job.head(200, false);
            self.put(job.call, Reply::Chunk, &head, &[]);
            job.has_head = true;
            return (true, Some(job));
        }
        let floods = job.action == "flood";
        let room = job.window.filter(|_| !floods).unwrap_or(u64::MAX);
        let len = (job.answer_len - job.sent).min(job.piece_len).min(room);
        if len == 0 && job.sent < job.answer_len {
            return (false, Some(job));
        }
        if len > 0 {
            let mut head = Vec::new();
            let data = body(job.name, job.sent, job.sent + len);
            put_bin_head(&mut head, data.len());
            self.put(job.call, Reply::Chunk, &head, &data);
            job.sent += len;
            job.window = job.window.map(|window| window.saturating_sub(len));
            if job.action == "break" && self.random.chance(300) {
                self.put(job.call, Reply::Error, b"\xa4half", &[]);
                return (true, None);
            }
            return (true, Some(job));
        }
        if job.name.is_multiple_of(3) {
            self.put(job.call, Reply::Chunk, b"\x81\xa1t\x92\xa5x-end\xa3yes", &[]);
        }
        self.put(job.call, Reply::End, &[], &[]);
        (true, None)
    }

    /// Writes a frame.
    fn put(&mut self, call: Call, reply: Reply, prefix: &[u8], data: &[u8]) {
        let all = [prefix, data].concat();
        let len = u32::try_from(all.len()).expect("short");
        let sent = self.session.send(call, reply, Body::span(len), &mut self.slots);
        let sent = sent.expect("a free slot and a call that is open");
        self.take(sent, if reply == Reply::End { &[] } else { &all });
    }

    fn take(&mut self, sent: Transmit, payload: &[u8]) {
        self.out.extend(sent.head(&self.slots));
        self.out.extend(payload);
        self.session.handle_sent(sent.slot).expect("on loan");
    }

    /// What a foreign library may do: one complete frame from a streaming method.
    fn raw_result(&mut self, job: &Job, prefix: &[u8], data: &[u8]) {
        let len = u32::try_from(prefix.len() + data.len()).expect("short").to_be_bytes();
        let request = job.request.to_be_bytes();
        self.out.extend([0, 1, 3].iter().chain(&request).chain(&len).chain(prefix).chain(data));
        // For the session the stream ends; its frame is not written.
        let sent = self.session.send(job.call, Reply::End, Body::EMPTY, &mut self.slots);
        self.session.handle_sent(sent.expect("a free slot").slot).expect("on loan");
    }
}

impl Job {
    fn parse(call: Call, request: u32, payload: &[u8]) -> Self {
        let mut reader = Reader::new(payload);
        assert_eq!(reader.read_map(), Ok(14), "members of a call");
        let (mut target, mut window, mut inline) = (String::new(), 0, None);
        let mut streams = false;
        for _ in 0..14 {
            match reader.read_str().expect("a key") {
                "t" => target = reader.read_str().expect("a target").into(),
                "w" => window = reader.read_u64().expect("a window"),
                "b" => match reader.peek().expect("a body") {
                    Token::Nil => reader.skip().expect("nil"),
                    Token::Map(1) => {
                        streams = true;
                        reader.skip().expect("a map");
                    }
                    _ => inline = Some(reader.read_bytes().expect("bytes").to_vec()),
                },
                _ => reader.skip().expect("a value"),
            }
        }
        assert_eq!(reader.finish(), Ok(()));
        let mut parts = target.split('/').skip(1);
        let mut number = |what: &str| parts.next().and_then(|text| text.parse().ok()).expect(what);
        let name = number("a name");
        let action = target.split('/').nth(2).expect("an action").to_owned();
        parts.next();
        let mut number = |what: &str| parts.next().and_then(|text| text.parse().ok()).expect(what);
        let (answer_len, piece_len) = (number("a length"), number("a piece"));
        if let Some(inline) = &inline {
            assert_eq!(*inline, body(name, 0, inline.len() as u64), "other bytes than were sent");
        }
        Self {
            call,
            request,
            name,
            action,
            answer_len,
            piece_len,
            got: 0,
            complete: !streams,
            window: (window > 0).then_some(window),
            sent: 0,
            has_head: false,
        }
    }

    /// `{"s", "h", "b"}` up to the body, whose key is the last thing.
    fn head(&self, status: u64, with_body: bool) -> Vec<u8> {
        let mut memory = [0; 128];
        let mut out = Writer::new(&mut memory);
        let name = self.name.to_string();
        let written = (|| {
            out.map(if with_body { 3 } else { 2 })?;
            out.str("s")?;
            out.uint(status)?;
            out.str("h")?;
            out.array(2)?;
            out.str("x-name")?;
            out.str(&name)?;
            if with_body { out.str("b") } else { Ok(()) }
        })();
        written.expect("room for a head");
        out.written().to_vec()
    }
}

fn put_bin_head(out: &mut Vec<u8>, len: usize) {
    let mut memory = [0; 8];
    let mut writer = Writer::new(&mut memory);
    writer.bin_head(u32::try_from(len).expect("short")).expect("room");
    out.extend(writer.written());
}
