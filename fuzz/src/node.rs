//! Requests whose server keeps to nothing.

use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use forebay_node::engine::fuzzing::{CLIENT, Player};
use forebay_node::engine::options::{H2Options, Protocol};
use forebay_node::engine::{
    Body, ClientOptions, Command, Event, EventSink, Request, RequestFlags, RequestHead, RequestId,
    Via,
};
use tokio::task::{LocalSet, yield_now};

/// How long anything may take before the engine counts as stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the first byte says of all requests.
struct Config(u8);

/// What happens behind each piece: as many as there can be cuts.
const ACTIONS: usize = 8;

/// Plays `data`: a byte of configuration, eight actions, and what the server sends, with its cuts.
///
/// # Panics
/// When a request has not exactly one end, or is told what must not follow.
pub fn run(data: &[u8]) {
    let Some((head, rest)) = data.split_at_checked(1 + ACTIONS) else { return };
    let (_, pieces) = crate::cut(rest);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime can be made");
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, play(Config(head[0]), &head[1..], &pieces));
}

async fn play(config: Config, actions: &[u8], pieces: &[&[u8]]) {
    let told = Arc::new(Mutex::new(Told::default()));
    let player = Player::new(Box::new(Sink(Arc::clone(&told))), config.options());
    let caller = Caller { player: &player, told: &told, config: &config, next: RefCell::new(0) };
    let (mut server, ours) = UnixStream::pair().expect("sockets are free");
    server.set_nonblocking(true).expect("it is a socket");
    for _ in 0..3 {
        caller.ask();
    }
    let served = Cell::new(false);
    let serving = async {
        player.serve(ours).await.expect("watched");
        served.set(true);
    };
    let calling = async {
        for (piece, action) in pieces.iter().zip(actions) {
            // What the engine does not read any more is lost.
            let _ = server.write(piece);
            yield_now().await;
            caller.act(*action);
            yield_now().await;
        }
        let _ = server.shutdown(Shutdown::Write);
        // A reader that rests would never see the end.
        while !caller.let_go() {
            // There is no other connection.
            if served.get() {
                player.fail_all();
            }
            yield_now().await;
        }
    };
    let all = async { tokio::join!(serving, calling) };
    tokio::time::timeout(PATIENCE, all).await.expect("every request has an end");
}

impl Config {
    fn options(&self) -> ClientOptions {
        ClientOptions {
            host: "a.do".to_owned(),
            port: 80,
            tls: None,
            protocol: Protocol::Http1,
            socket_path: None,
            local_address: None,
            via: Via::Direct,
            connect_timeout_ms: 0,
            family: 0,
            asks_lookup: false,
            asks_socket: false,
            auto_select_family: false,
            attempt_timeout_ms: 250,
            tcp_keep_alive_ms: None,
            keep_alive_timeout_ms: 4_000,
            keep_alive_max_timeout_ms: 600_000,
            keep_alive_threshold_ms: 2_000,
            pipelining: u32::from(self.0 & 3),
            max_requests: None,
            max_header_size: 256,
            max_response_size: (self.0 & 4 != 0).then_some(8),
            h2: H2Options {
                max_concurrent_streams: 1,
                connection_window: 65_535,
                stream_window: 65_535,
                ping_interval_ms: 0,
            },
        }
    }

    fn request(&self, id: RequestId) -> Request {
        let (connect, upgrade) = (self.0 & 8 != 0, self.0 & 16 != 0);
        let parts =
            [if connect { "CONNECT" } else { "GET" }, "/", "a.do", if upgrade { "x" } else { "" }];
        let mut bytes = Vec::new();
        let ends = parts.map(|part| {
            bytes.extend_from_slice(part.as_bytes());
            u32::try_from(bytes.len()).expect("short")
        });
        let body = match self.0 >> 6 {
            0 | 1 => Body::None,
            2 => Body::Whole(b"abc".as_slice().into()),
            _ => Body::Stream { length: None },
        };
        let head = self.0 & 32 != 0;
        let flags = RequestFlags { idempotent: true, connect, head, ..RequestFlags::default() };
        Request {
            id,
            client: CLIENT,
            head: RequestHead::new(bytes.into(), ends).expect("ends in order"),
            body,
            flags,
            headers_timeout_ms: 0,
            body_timeout_ms: 0,
            credit: 4,
            type_of_service: None,
            servername: None,
        }
    }
}

/// Who asks, and may change its mind.
struct Caller<'a> {
    player: &'a Player,
    told: &'a Mutex<Told>,
    config: &'a Config,
    next: RefCell<u32>,
}

impl Caller<'_> {
    fn ask(&self) {
        let slot = self.next.replace_with(|next| *next + 1);
        let id = RequestId { slot, generation: slot + 7 };
        let requests = &mut self.told.lock().expect("no panic").requests;
        requests.insert(id, (Stage::Queued, 4));
        let request = Box::new(self.config.request(id));
        self.player.tell(Command::Dispatch(request));
    }

    /// Who says so before it is asked is not asked.
    fn go(&self, id: RequestId) {
        if let Some((stage @ Stage::Queued, _)) =
            self.told.lock().expect("no panic").requests.get_mut(&id)
        {
            *stage = Stage::Started;
        }
        self.player.tell(Command::Go { id });
    }

    fn act(&self, action: u8) {
        let slot = u32::from(action >> 4) % *self.next.borrow();
        let id = RequestId { slot, generation: slot + 7 };
        match action & 7 {
            0 => self.go(id),
            1 => self.player.tell(Command::Pause { id }),
            2 => self.player.tell(Command::Resume { id }),
            3 => self.grant(id, 2),
            4 => {
                self.player.tell(Command::Abort { id });
                self.told.lock().expect("no panic").requests.insert(id, (Stage::Over, 0));
            }
            5 => self.ask(),
            6 => self.player.tell(Command::BodyChunk { id, chunk: b"abc".as_slice().into() }),
            7 => self.player.tell(Command::BodyEnd { id }),
            _ => {}
        }
    }

    fn grant(&self, id: RequestId, bytes: u32) {
        if let Some((_, credit)) = self.told.lock().expect("no panic").requests.get_mut(&id) {
            *credit += u64::from(bytes);
        }
        self.player.tell(Command::Credit { id, bytes });
    }

    /// Wants everything; says whether all is over.
    fn let_go(&self) -> bool {
        let told = self.told.lock().expect("no panic");
        let open = told.requests.iter().filter(|(_, (stage, _))| *stage != Stage::Over);
        let open: Vec<_> = open.map(|(id, _)| *id).collect();
        drop(told);
        for id in &open {
            self.grant(*id, 1 << 16);
            self.go(*id);
            self.player.tell(Command::Resume { id: *id });
            self.player.tell(Command::BodyEnd { id: *id });
        }
        open.is_empty()
    }
}

/// What is permitted next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Started,
    Body,
    Raw,
    Over,
}

/// Every request, and how many bytes it may still be told.
#[derive(Default)]
struct Told {
    requests: HashMap<RequestId, (Stage, u64)>,
}

struct Sink(Arc<Mutex<Told>>);

impl EventSink for Sink {
    fn emit(&mut self, event: Event<'_>) {
        let told = format!("{event:?}");
        let (id, len, next): (_, _, fn(Stage) -> Option<Stage>) = match event {
            Event::Offer { id } => (id, 0, |stage| {
                matches!(stage, Stage::Queued | Stage::Started).then_some(Stage::Started)
            }),
            Event::Informational { id, .. } => {
                (id, 0, |stage| (stage == Stage::Started).then_some(Stage::Started))
            }
            Event::Head { id, .. } => {
                (id, 0, |stage| (stage == Stage::Started).then_some(Stage::Body))
            }
            Event::Data { id, ref data } => (id, data.as_slice().len(), |stage| {
                matches!(stage, Stage::Body | Stage::Raw).then_some(stage)
            }),
            Event::End { id, .. } => {
                (id, 0, |stage| matches!(stage, Stage::Body | Stage::Raw).then_some(Stage::Over))
            }
            Event::Response { id, body, .. } => {
                (id, body.len(), |stage| (stage == Stage::Started).then_some(Stage::Over))
            }
            Event::Upgrade { id, .. } => {
                (id, 0, |stage| (stage == Stage::Started).then_some(Stage::Raw))
            }
            Event::Error { id, .. } => {
                (id, 0, |stage| (stage != Stage::Over).then_some(Stage::Over))
            }
            Event::BodyCredit { id, .. } | Event::BodySent { id } => {
                (id, 0, |stage| (stage != Stage::Queued).then_some(stage))
            }
            _ => return,
        };
        let mut all = self.0.lock().expect("no panic");
        let (stage, credit) = all.requests.get_mut(&id).expect("a request of ours");
        *stage = next(*stage).unwrap_or_else(|| panic!("{told} in {stage:?}"));
        let len = len as u64;
        assert!(len <= *credit, "{len} bytes where {credit} are wanted");
        *credit -= len;
    }

    fn flush(&mut self) -> bool {
        false
    }

    fn is_full(&self) -> bool {
        false
    }
}
