//! An engine whose events are kept, and servers that say what a test tells them.

use core::cell::{Cell, RefCell};
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use forebay_node::engine::options::{H2Options, Protocol};
use forebay_node::engine::{
    Body, ClientId, ClientOptions, Command, Connected, Engine, Event, EventSink, Failure, Head,
    Look, Proxy, Question, Request, RequestFlags, RequestHead, RequestId, Version, Via,
};

/// Nothing that a test waits for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An event, with all that it borrowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Offer(RequestId),
    Informational(RequestId, Answer),
    Head(RequestId, Answer),
    Data(RequestId, Vec<u8>),
    /// `trailers`
    End(RequestId, String),
    Response(RequestId, Answer, Vec<u8>, String),
    BodyCredit(RequestId, u32),
    BodySent(RequestId),
    Upgrade(RequestId, Answer),
    Error(RequestId, Failure),
    /// Client, number, host, certificates.
    Ask(ClientId, u32, String, usize),
    Connected(ClientId, Connected),
    Disconnected(ClientId, Failure),
    ConnectFailed(ClientId, Failure),
    Closed(ClientId),
}

/// Head, body, trailers.
pub(crate) type Whole = (Answer, Vec<u8>, String);

/// A response's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) reason: String,
    pub(crate) fields: String,
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn answer(head: &Head<'_>) -> Answer {
    let (reason, fields) = (text(head.reason), text(head.fields));
    Answer { status: head.status, version: head.version, reason, fields }
}

struct Sink {
    sender: Sender<Vec<Told>>,
    batch: Vec<Told>,
    full: Arc<AtomicBool>,
    /// The next hints are answered with a panic.
    armed: Arc<AtomicBool>,
    /// Who wants all that is offered.
    offered: Sender<RequestId>,
}

impl EventSink for Sink {
    fn emit(&mut self, event: Event<'_>) {
        let hints = matches!(event, Event::Informational { .. });
        assert!(!(hints && self.armed.swap(false, Ordering::SeqCst)), "a panic on purpose");
        if let Event::Connecting { .. } = event {
            return;
        }
        self.batch.push(match event {
            Event::Offer { id } => {
                let _ = self.offered.send(id);
                Told::Offer(id)
            }
            Event::Informational { id, head } => Told::Informational(id, answer(&head)),
            Event::Head { id, head } => Told::Head(id, answer(&head)),
            Event::Data { id, data } => Told::Data(id, data.as_slice().to_vec()),
            Event::End { id, trailers } => Told::End(id, text(trailers)),
            Event::Response { id, head, body, trailers } => {
                Told::Response(id, answer(&head), body.to_vec(), text(trailers))
            }
            Event::BodyCredit { id, bytes } => Told::BodyCredit(id, bytes),
            Event::BodySent { id } => Told::BodySent(id),
            Event::Upgrade { id, head } => Told::Upgrade(id, answer(&head)),
            Event::Error { id, failure } => Told::Error(id, failure),
            Event::Ask { client, number, question: Question::Lookup { host } } => {
                Told::Ask(client, number, host.to_owned(), 0)
            }
            Event::Ask { client, number, question: Question::Socket { .. } } => {
                Told::Ask(client, number, String::new(), 0)
            }
            Event::Ask { client, number, question: Question::Identity { host, chain } } => {
                Told::Ask(client, number, host.to_owned(), chain.len())
            }
            Event::Connected { client, info } => Told::Connected(client, info),
            Event::Disconnected { client, failure } => Told::Disconnected(client, failure),
            Event::ConnectFailed { client, failure } => Told::ConnectFailed(client, failure),
            Event::Closed { client } => Told::Closed(client),
            other => panic!("unknown event {other:?}"),
        });
    }

    fn flush(&mut self) -> bool {
        if !self.batch.is_empty() {
            // A test that has ended reads no more.
            drop(self.sender.send(core::mem::take(&mut self.batch)));
        }
        false
    }

    fn is_full(&self) -> bool {
        self.full.load(Ordering::SeqCst)
    }
}

/// An engine, and what it has told.
pub(crate) struct Harness {
    pub(crate) engine: Arc<Engine>,
    /// For what is told on the test's own thread, and how often that was.
    here: RefCell<Sink>,
    direct: Cell<u32>,
    receiver: Receiver<Vec<Told>>,
    waiting: VecDeque<Told>,
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) armed: Arc<AtomicBool>,
    next: u32,
}

impl Harness {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = channel();
        let full = Arc::new(AtomicBool::new(false));
        let armed = Arc::new(AtomicBool::new(false));
        let (offered, offers) = channel();
        let sink = |sender| {
            let (full, armed) = (Arc::clone(&full), Arc::clone(&armed));
            Sink { sender, batch: Vec::new(), full, armed, offered: offered.clone() }
        };
        let here = RefCell::new(sink(sender.clone()));
        let engine = Arc::new(Engine::start(Box::new(sink(sender))).expect("a thread"));
        let weak = Arc::downgrade(&engine);
        std::thread::spawn(move || {
            for id in offers {
                let Some(engine) = weak.upgrade() else { return };
                engine.submit(vec![Command::Go { id }]);
            }
        });
        let (waiting, direct) = (VecDeque::new(), Cell::new(0));
        Self { engine, here, direct, receiver, waiting, full, armed, next: 0 }
    }

    pub(crate) fn tell(&self, command: Command) {
        if self.engine.submit(vec![command]) {
            self.direct.set(self.direct.get() + 1);
            let mut here = self.here.borrow_mut();
            while self.engine.look(&mut *here) == Look::Waiting {}
            here.flush();
        }
    }

    /// Requests that were written on this thread.
    pub(crate) const fn direct(&self) -> u32 {
        self.direct.get()
    }

    pub(crate) fn open(&self, options: ClientOptions) -> ClientId {
        let client = ClientId(0);
        self.tell(Command::Open { client, options: Arc::new(options) });
        client
    }

    /// Sends a request, and gives its name.
    pub(crate) fn dispatch(&mut self, ask: Ask) -> RequestId {
        let id = RequestId { slot: self.next, generation: self.next + 100 };
        self.next += 1;
        self.tell(Command::Dispatch(Box::new(ask.request(id))));
        id
    }

    /// The next event.
    pub(crate) fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.waiting.pop_front() {
                return told;
            }
            let batch = self.receiver.recv_timeout(PATIENCE).expect("an event in time");
            self.waiting.extend(batch);
        }
    }

    /// The next event about this request; others are passed over.
    pub(crate) fn next_of(&mut self, id: RequestId) -> Told {
        loop {
            let told = self.next();
            if told.request() == Some(id) {
                return told;
            }
        }
    }

    /// The next event that is as wanted; others are passed over.
    pub(crate) fn skip_to(&mut self, wanted: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.next();
            if wanted(&told) {
                return told;
            }
        }
    }

    /// Whether nothing is told for so long.
    pub(crate) fn is_quiet(&mut self, time: Duration) -> bool {
        if self.waiting.is_empty()
            && let Ok(batch) = self.receiver.recv_timeout(time)
        {
            self.waiting.extend(batch);
        }
        self.waiting.is_empty()
    }

    /// The whole response to a request: head, body, trailers.
    pub(crate) fn response(&mut self, id: RequestId) -> Result<Whole, Box<Failure>> {
        let mut head = None;
        let mut body = Vec::new();
        loop {
            match self.next_of(id) {
                Told::Offer(_)
                | Told::Informational(..)
                | Told::BodyCredit(..)
                | Told::BodySent(_) => {}
                Told::Head(_, answer) => head = Some(answer),
                Told::Data(_, data) => {
                    let bytes = u32::try_from(data.len()).expect("a piece");
                    self.tell(Command::Credit { id, bytes });
                    body.extend(data);
                }
                Told::End(_, trailers) => return Ok((head.expect("a head"), body, trailers)),
                Told::Response(_, answer, body, trailers) => return Ok((answer, body, trailers)),
                Told::Error(_, failure) => return Err(Box::new(failure)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next failure of a client's connection, to come or to stay.
    pub(crate) fn connection_failure(&mut self) -> Failure {
        loop {
            if let Told::Disconnected(_, failure) | Told::ConnectFailed(_, failure) = self.next() {
                return failure;
            }
        }
    }
}

impl Told {
    pub(crate) fn request(&self) -> Option<RequestId> {
        match self {
            Self::Offer(id)
            | Self::Informational(id, _)
            | Self::Head(id, _)
            | Self::Data(id, _)
            | Self::End(id, _)
            | Self::Response(id, ..)
            | Self::BodyCredit(id, _)
            | Self::BodySent(id)
            | Self::Upgrade(id, _)
            | Self::Error(id, _) => Some(*id),
            Self::Ask(..)
            | Self::Connected(..)
            | Self::Disconnected(..)
            | Self::ConnectFailed(..)
            | Self::Closed(_) => None,
        }
    }
}

/// A request in the words of a test.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) upgrade: &'static str,
    pub(crate) fields: String,
    pub(crate) body: Body,
    pub(crate) flags: RequestFlags,
    pub(crate) headers_timeout_ms: u32,
    pub(crate) body_timeout_ms: u32,
    pub(crate) credit: u32,
    pub(crate) servername: Option<Box<str>>,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        Self {
            method: "GET",
            path: path.to_owned(),
            upgrade: "",
            fields: String::new(),
            body: Body::None,
            flags: RequestFlags { idempotent: true, ..RequestFlags::default() },
            headers_timeout_ms: 10_000,
            body_timeout_ms: 10_000,
            credit: 1 << 20,
            servername: None,
        }
    }

    pub(crate) fn post(path: &str, body: Body) -> Self {
        Self { method: "POST", body, flags: RequestFlags::default(), ..Self::get(path) }
    }

    pub(crate) fn whole(bytes: &[u8]) -> Body {
        Body::Whole(Bytes::copy_from_slice(bytes))
    }

    fn request(self, id: RequestId) -> Request {
        let mut bytes = Vec::new();
        let parts = [self.method, &self.path, "a.do", self.upgrade];
        let ends = parts.map(|part| {
            bytes.extend_from_slice(part.as_bytes());
            u32::try_from(bytes.len()).expect("short")
        });
        bytes.extend_from_slice(self.fields.as_bytes());
        Request {
            id,
            client: ClientId(0),
            head: RequestHead::new(bytes.into(), ends).expect("ends in order"),
            body: self.body,
            flags: self.flags,
            headers_timeout_ms: self.headers_timeout_ms,
            body_timeout_ms: self.body_timeout_ms,
            credit: self.credit,
            type_of_service: None,
            servername: self.servername,
        }
    }
}

/// Options for plain HTTP to this address.
/// A proxy at this server.
pub(crate) fn proxy(server: &Server) -> Proxy {
    let (host, port) = (server.address.ip().to_string(), server.address.port());
    Proxy { host, port, tls: None, connect_timeout_ms: 5_000 }
}

pub(crate) fn options(address: SocketAddr) -> ClientOptions {
    ClientOptions {
        host: address.ip().to_string(),
        port: address.port(),
        tls: None,
        protocol: Protocol::Http1,
        socket_path: None,
        local_address: None,
        via: Via::Direct,
        connect_timeout_ms: 5_000,
        family: 0,
        asks_lookup: false,
        asks_socket: false,
        auto_select_family: true,
        attempt_timeout_ms: 250,
        tcp_keep_alive_ms: Some(60_000),
        keep_alive_timeout_ms: 4_000,
        keep_alive_max_timeout_ms: 600_000,
        keep_alive_threshold_ms: 2_000,
        pipelining: 1,
        max_requests: None,
        max_header_size: 16_384,
        max_response_size: None,
        h2: H2Options {
            max_concurrent_streams: 100,
            connection_window: 524_288,
            stream_window: 262_144,
            ping_interval_ms: 0,
        },
    }
}

/// A server whose connections are played by a function: how many there were before, the socket.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    failed: Arc<Mutex<Vec<JoinHandle<()>>>>,
    stopped: Arc<AtomicBool>,
}

impl Drop for Server {
    /// Ends the thread that listens, by a connection that it does not play.
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

impl Server {
    pub(crate) fn start(play: impl Fn(usize, Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let failed = Arc::new(Mutex::new(Vec::new()));
        let (play, threads) = (Arc::new(play), Arc::clone(&failed));
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        std::thread::spawn(move || {
            for (count, stream) in listener.incoming().enumerate() {
                let (Ok(stream), play) = (stream, Arc::clone(&play)) else {
                    return;
                };
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                let played = std::thread::spawn(move || play(count, Peer { stream, kept: vec![] }));
                threads.lock().expect("not poisoned").push(played);
            }
        });
        Self { address, failed, stopped }
    }

    /// A server that reads one head after the other and answers each with these bytes.
    pub(crate) fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, mut peer| {
            while peer.try_head().is_some() {
                peer.write(&answer);
            }
        })
    }

    /// Waits for the connections that were made, whose assertions count.
    pub(crate) fn finish(&self) {
        let played = core::mem::take(&mut *self.failed.lock().expect("not poisoned"));
        for thread in played {
            thread.join().expect("the server's side went as it should");
        }
    }
}

/// The server's side of a connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    kept: Vec<u8>,
}

impl Peer {
    /// A head, with its empty line; nothing at the end of the stream.
    pub(crate) fn try_head(&mut self) -> Option<String> {
        loop {
            let end = self.kept.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head: Vec<u8> = self.kept.drain(..end + 4).collect();
                return Some(text(&head));
            }
            self.more()?;
        }
    }

    pub(crate) fn head(&mut self) -> String {
        self.try_head().expect("a request")
    }

    /// So many bytes of a body.
    pub(crate) fn body(&mut self, len: usize) -> Vec<u8> {
        while self.kept.len() < len {
            self.more().expect("more of a body");
        }
        self.kept.drain(..len).collect()
    }

    /// All until the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().is_some() {}
        core::mem::take(&mut self.kept)
    }

    fn more(&mut self) -> Option<()> {
        let mut buf = [0; 16 << 10];
        match self.stream.read(&mut buf) {
            Ok(0) | Err(_) => None,
            Ok(len) => {
                self.kept.extend_from_slice(&buf[..len]);
                Some(())
            }
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // The client may have left: its events tell.
        drop(self.stream.write_all(bytes));
    }

    pub(crate) fn end(&mut self) {
        drop(self.stream.shutdown(Shutdown::Write));
    }
}
