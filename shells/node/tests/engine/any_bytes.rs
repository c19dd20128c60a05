//! Whatever a server sends, cut anywhere: each request has one end, and the engine goes on.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::sync::Arc;

use forebay_node::engine::{ClientOptions, Command, RequestFlags, RequestId};
use forebay_tests::chopper::Chopper;
use forebay_tests::random::{Random, seeds};

use crate::support::{Ask, Harness, Server, Told, options};

/// Pieces of responses, good and bad, that meet each other in any order.
const PIECES: [&str; 26] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 \r\n",
    "HTTP/1.1 103 E\r\nA: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 204 N\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/",
    "\r\n",
    "\r\n\r\n",
    "\n",
    " ",
    ":",
    "A: b\r\n",
    "A: \u{e9}\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 70000\r\n\r\n",
    "Connection: close\r\n",
    "Keep-Alive: timeout=1\r\n",
    "5\r\nhello\r\n",
    "ffff\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "hello",
    "\0",
];

/// The bytes of one connection.
fn bytes(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(12) {
        match random.below(12) {
            0 => bytes.extend((0..random.below(9)).map(|_| random.next_u64() as u8)),
            1 => bytes.extend(core::iter::repeat_n(b'x', random.index(80_000))),
            _ => bytes.extend(random.pick(&PIECES).as_bytes()),
        }
    }
    bytes
}

fn asked(random: &mut Random) -> Ask {
    let flags = RequestFlags {
        idempotent: true,
        head: random.chance(100),
        connect: random.chance(50),
        ..RequestFlags::default()
    };
    let upgrade = if random.chance(100) { "x" } else { "" };
    Ask { flags, upgrade, credit: u32::MAX, ..Ask::get("/") }
}

/// What is permitted after what was told of a request; nothing: it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    Started,
    Body,
    Raw,
    Over,
}

fn follow(stage: Stage, told: &Told) -> Stage {
    match (stage, told) {
        (Stage::Queued | Stage::Started, Told::Offer(_)) => Stage::Started,
        (Stage::Started, Told::Informational(..)) => Stage::Started,
        (Stage::Started, Told::Head(..)) => Stage::Body,
        (Stage::Started, Told::Upgrade(..)) => Stage::Raw,
        (Stage::Raw, Told::BodyCredit(..) | Told::Data(..)) => Stage::Raw,
        // The two sides of a stream end in any order.
        (Stage::Raw | Stage::Over, Told::BodySent(..)) => stage,
        (Stage::Body, Told::Data(..)) => Stage::Body,
        (Stage::Started, Told::Response(..))
        | (Stage::Body | Stage::Raw, Told::End(..))
        | (Stage::Queued | Stage::Started | Stage::Body | Stage::Raw, Told::Error(..)) => {
            Stage::Over
        }
        (stage, told) => panic!("{told:?} in {stage:?}"),
    }
}

fn play(seed: u64) {
    let mut random = Random::new(seed);
    let played = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&played);
    let server = Server::start(move |_, mut peer| {
        let mut random = Random::new(seed * 1_000 + count.fetch_add(1, Ordering::SeqCst));
        let bytes = bytes(&mut random);
        for piece in Chopper::new(random.next_u64()).pieces(&bytes) {
            peer.write(piece);
        }
        peer.end();
        peer.rest();
    });
    let mut harness = Harness::new();
    let pipelining = u32::try_from(random.below(4)).expect("below 4");
    let client = harness.open(ClientOptions { pipelining, ..options(server.address) });
    let mut stages: HashMap<RequestId, Stage> =
        (0..6).map(|_| (harness.dispatch(asked(&mut random)), Stage::Queued)).collect();
    while stages.values().any(|stage| *stage != Stage::Over) {
        let told = harness.next();
        let Some(id) = told.request() else { continue };
        let stage = stages.get_mut(&id).expect("a request of ours");
        *stage = follow(*stage, &told);
        // Nobody writes to what was upgraded.
        if let Told::Upgrade(..) = told {
            harness.tell(Command::BodyEnd { id });
        }
    }
    harness.tell(Command::Close { client });
    harness.skip_to(|told| matches!(told, Told::Closed(_)));
}

#[test]
fn each_request_has_one_end() {
    for seed in seeds(150) {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "seed {seed}");
    }
}
