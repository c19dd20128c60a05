//! A parent of one real worker process: `ParentSession` over its pipes and its socket, with
//! threads and blocking calls.

use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant as Clock;

use forebay_core_frame::Loan;
use forebay_core_procwire::control::{Init, PING_LINE, PONG_LINE};
use forebay_core_procwire::parent::{
    Config, Event, Expect, Line, NewCall, ParentSession, PendingEntry, Source, Storage,
};
use forebay_core_procwire::{
    Body, EventId, MethodId, RequestId, ResponseKind, ResponseType, Transmit,
};
use forebay_core_time::Instant;

use crate::program::example;
use crate::until;

/// How long a worker may take for anything that is not itself under test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A request that may be pending at a time.
const PENDING_MAX: usize = 8192;

const SLOTS: usize = 16;

type Session = ParentSession<Vec<PendingEntry>, [Loan; SLOTS]>;

/// A worker process and the parent's side of it. Killed when dropped.
#[derive(Debug)]
pub struct Parent {
    child: Child,
    /// `None` once it was closed.
    pub stdin: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    /// The data connection; use it directly to send what a well-behaved parent would not.
    pub socket: UnixStream,
    /// Where the worker listened.
    pub pipe: PathBuf,
    methods: Vec<(String, MethodId, ResponseType)>,
    events: Vec<(String, EventId)>,
    session: Session,
    slots: Vec<u8>,
    received: VecDeque<Received>,
    input: Vec<u8>,
}

/// A frame of the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// What it belongs to.
    pub source: Of,
    /// Its whole payload.
    pub payload: Vec<u8>,
}

/// What a frame belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// A request, and which kind of answer it is.
    Request(u32, ResponseKind),
    /// An event, by its name.
    Event(String),
}

/// A worker that has announced itself and is not connected to.
#[derive(Debug)]
pub struct Announced {
    /// The process.
    pub child: Child,
    /// Its stdin.
    pub stdin: ChildStdin,
    /// Lines of its stdout after `$init`.
    pub lines: Receiver<Vec<u8>>,
    /// `$init` itself.
    pub init: Vec<u8>,
    session: Session,
}

impl Announced {
    /// Starts a worker and waits for its `$init`.
    ///
    /// # Panics
    /// When that does not come, or cannot be used.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the worker starts");
        let stdin = child.stdin.take().expect("it is piped");
        let lines = lines(&mut child);
        let storage = Storage {
            pending: vec![PendingEntry::default(); PENDING_MAX],
            loans: [Loan::default(); SLOTS],
        };
        let session = Session::new(Instant::ZERO, Config::default(), storage);
        let init = lines.recv_timeout(PATIENCE).expect("the worker announces itself");
        Self { child, stdin, lines, init, session }
    }

    /// Where the worker listens.
    ///
    /// # Panics
    /// When `$init` cannot be used.
    #[must_use]
    pub fn pipe(&self) -> PathBuf {
        let Line::Init(init) =
            self.session.clone().handle_line(Instant::ZERO, &self.init).expect("it is $init")
        else {
            panic!("not $init: {}", String::from_utf8_lossy(&self.init));
        };
        text(init.pipe()).into()
    }

    /// Connects, and proves `token` if there is one.
    ///
    /// # Panics
    /// When the worker cannot be connected to.
    #[must_use]
    pub fn connect(mut self, token: Option<&str>) -> Parent {
        let Ok(Line::Init(init)) = self.session.handle_line(Instant::ZERO, &self.init) else {
            panic!("not $init: {}", String::from_utf8_lossy(&self.init));
        };
        let pipe: PathBuf = text(init.pipe()).into();
        let (methods, events) = schema(&init);
        let socket = UnixStream::connect(&pipe).expect("the worker listens");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        socket.set_write_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let mut slots = vec![0; self.session.slots_len()];
        let len = token.map(|token| u32::try_from(token.len()).expect("a token is short"));
        let auth = self.session.handle_connected(Instant::ZERO, len, &mut slots);
        let mut parent = Parent {
            child: self.child,
            stdin: Some(self.stdin),
            lines: self.lines,
            socket,
            pipe,
            methods,
            events,
            session: self.session,
            slots,
            received: VecDeque::new(),
            input: Vec::new(),
        };
        if let Some(auth) = auth.expect("the session waits for it") {
            parent.write(auth, token.unwrap_or_default().as_bytes());
        }
        parent
    }
}

impl Parent {
    /// Starts an example of `forebay-worker`, with these variables in its environment, and
    /// connects to it.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn of_example(name: &str, env: &[(&str, &str)]) -> Self {
        Announced::start(example_command(name, env)).connect(None)
    }

    /// The worker's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and returns its id.
    ///
    /// # Panics
    /// When the worker did not announce the method, or does not take the bytes.
    pub fn call(&mut self, method: &str, payload: &[u8]) -> u32 {
        let (id, response) = self.method(method);
        let expect = Expect::of(response).expect("a method that answers");
        let call = NewCall { method: id, expect, key: 0 };
        let sent = self.session.send_request(call, body(payload), &mut self.slots);
        let (request, transmit) = sent.expect("a slot and a place are free");
        self.write(transmit, payload);
        request.value()
    }

    /// Sends a request that expects no answer.
    ///
    /// # Panics
    /// As [`call`](Self::call).
    pub fn notice(&mut self, method: &str, payload: &[u8]) {
        let (id, _) = self.method(method);
        let sent = self.session.send_notice(id, body(payload), &mut self.slots);
        self.write(sent.expect("a slot is free"), payload);
    }

    /// Gives a request up, and tells the worker.
    ///
    /// # Panics
    /// When the worker does not take the bytes.
    pub fn abort(&mut self, request: u32) {
        let request = RequestId::new(request).expect("a request has an id");
        self.session.abort(request).expect("the request is pending");
        while let Some(transmit) = self.session.poll_transmit(&mut self.slots) {
            self.write(transmit, &[]);
        }
    }

    /// The next frame.
    ///
    /// # Panics
    /// When none comes within the read timeout, or the connection ended.
    pub fn receive(&mut self) -> Received {
        self.try_receive().expect("a frame comes").expect("the connection stands")
    }

    /// The next frame; `None` at the end of the connection.
    ///
    /// # Errors
    /// The socket's, its timeout included.
    ///
    /// # Panics
    /// When the worker breaks the protocol.
    pub fn try_receive(&mut self) -> io::Result<Option<Received>> {
        loop {
            if let Some(received) = self.received.pop_front() {
                return Ok(Some(received));
            }
            let mut buf = [0; 65_536];
            let len = self.socket.read(&mut buf)?;
            if len == 0 {
                return Ok(None);
            }
            self.take(buf.get(..len).expect("so much was read"));
        }
    }

    /// The one answer of a request, whatever else comes before it.
    ///
    /// # Panics
    /// As [`receive`](Self::receive).
    pub fn answer(&mut self, request: u32) -> (ResponseKind, Vec<u8>) {
        let mut others = VecDeque::new();
        loop {
            let received = self.receive();
            match received.source {
                Of::Request(id, kind) if id == request => {
                    others.append(&mut self.received);
                    self.received = others;
                    return (kind, received.payload);
                }
                Of::Request(..) | Of::Event(_) => others.push_back(received),
            }
        }
    }

    /// Calls and takes the answer.
    ///
    /// # Panics
    /// As [`call`](Self::call) and [`receive`](Self::receive).
    pub fn ask(&mut self, method: &str, payload: &[u8]) -> (ResponseKind, Vec<u8>) {
        let request = self.call(method, payload);
        self.answer(request)
    }

    /// Sends `$ping` and returns how long `$pong` took.
    ///
    /// # Panics
    /// When there is none within `limit`.
    pub fn ping(&mut self, limit: Duration) -> Duration {
        let start = Clock::now();
        self.stdin.as_mut().expect("stdin is open").write_all(PING_LINE).expect("the worker lives");
        let line = self.lines.recv_timeout(limit).expect("$pong comes in time");
        assert_eq!(line, PONG_LINE.trim_ascii_end());
        start.elapsed()
    }

    /// Writes a line to the worker's stdin.
    ///
    /// # Panics
    /// When that is closed.
    pub fn line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is open");
        stdin.write_all(line.as_bytes()).expect("the worker lives");
    }

    /// The next line of the worker's stdout.
    ///
    /// # Errors
    /// None came in time, or stdout has ended.
    pub fn next_line(&mut self, limit: Duration) -> Result<Vec<u8>, RecvTimeoutError> {
        self.lines.recv_timeout(limit)
    }

    /// Waits for the process to end.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub fn exit(&mut self, limit: Duration) -> ExitStatus {
        until("the worker ends", limit, || self.child.try_wait().expect("it is our child"))
    }

    fn method(&self, name: &str) -> (MethodId, ResponseType) {
        let found = self.methods.iter().find(|(method, ..)| method == name);
        let (_, id, response) = found.unwrap_or_else(|| panic!("no method {name}"));
        (*id, *response)
    }

    fn write(&mut self, transmit: Transmit, payload: &[u8]) {
        let mut bytes = transmit.head(&self.slots).to_vec();
        bytes.extend_from_slice(payload);
        self.session.handle_sent(transmit.slot).expect("it is on loan");
        self.socket.write_all(&bytes).expect("the worker reads");
    }

    fn take(&mut self, mut bytes: &[u8]) {
        loop {
            let step = self.session.handle_bytes(bytes).expect("the worker keeps the protocol");
            bytes = bytes.get(step.used..).expect("no more is used than there is");
            let (source, payload) = match step.event {
                None => return,
                Some(Event::Start { .. }) => {
                    self.input.clear();
                    continue;
                }
                Some(Event::Part { source, bytes, last, .. }) => {
                    self.input.extend_from_slice(bytes);
                    if !last {
                        continue;
                    }
                    (source, core::mem::take(&mut self.input))
                }
                Some(Event::Frame { source, payload }) => (source, payload.to_vec()),
            };
            let source = match source {
                Source::Response { request, kind, .. } => Of::Request(request.value(), kind),
                Source::Event(id) => {
                    let event = self.events.iter().find(|(_, event)| *event == id);
                    Of::Event(event.expect("the event was announced").0.clone())
                }
            };
            self.received.push_back(Received { source, payload });
        }
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        // Both fail when the process has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example of `forebay-worker`, with these variables in its environment and none of ours that
/// would change it.
#[must_use]
pub fn example_command(name: &str, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(example("forebay-worker", name));
    // Handlers that panic on demand need not tell where.
    command.env("RUST_BACKTRACE", "0");
    command.env_remove("PROCWIRE_TOKEN").envs(env.iter().copied());
    command
}

/// Peak resident memory of a process in bytes.
///
/// # Panics
/// When the process is gone.
#[must_use]
pub fn peak_memory(pid: u32) -> u64 {
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    let status = std::fs::read_to_string(status).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

fn body(payload: &[u8]) -> Body<'static> {
    Body::span(u32::try_from(payload.len()).expect("a payload below 4 GiB"))
}

fn text(text: forebay_core_procwire::control::JsonStr<'_>) -> String {
    text.chars().collect()
}

type Schema = (Vec<(String, MethodId, ResponseType)>, Vec<(String, EventId)>);

fn schema(init: &Init<'_>) -> Schema {
    let methods = init.methods().map(|method| (text(method.name), method.id, method.response));
    let events = init.events().map(|event| (text(event.name), event.id));
    (methods.collect(), events.collect())
}

/// Collects the lines of stdout on a thread, so that the worker never waits for us.
fn lines(child: &mut Child) -> Receiver<Vec<u8>> {
    let stdout = child.stdout.take().expect("it is piped");
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
