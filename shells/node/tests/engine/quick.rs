//! Requests one at a time from a server that answers at once: some are written and read by who
//! submits them, and nobody can tell which.

use core::time::Duration;
use std::time::Instant;

use forebay_node::engine::{Body, Command, Kind};
use forebay_tests::random::{Random, seeds};

use crate::support::{Ask, Harness, Server, Told, Whole, options};

/// What the server does for a path.
const ANSWERS: [(&str, &str); 8] = [
    ("/plain", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n|plain"),
    ("/split", "HTTP/1.1 200 OK\r\nConte|nt-Length: 5\r\n\r\nsp|lit"),
    ("/early", "HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"),
    (
        "/chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nchu\r\n4\r\nnked\r\n0\r\n\r\n",
    ),
    (
        "/trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ntrailers\r\n0\r\nT: u\r\n\r\n",
    ),
    ("/close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nclose"),
    ("/empty", "HTTP/1.1 204 None\r\n\r\n"),
    ("/eof", ""),
];

fn server() -> Server {
    Server::start(|_, mut peer| {
        while let Some(head) = peer.try_head() {
            let path = head.split(' ').nth(1).expect("a path");
            if let Some(len) = head.split("content-length: ").nth(1) {
                peer.body(len.split("\r\n").next().expect("a line").parse().expect("a number"));
            }
            let (path, answer) = ANSWERS.into_iter().find(|(of, _)| *of == path).expect("known");
            for (index, part) in answer.split('|').enumerate() {
                if index > 0 {
                    let later = Instant::now() + Duration::from_micros(200);
                    while Instant::now() < later {
                        std::thread::yield_now();
                    }
                }
                peer.write(part.as_bytes());
            }
            if ["/close", "/eof"].contains(&path) {
                return;
            }
        }
    })
}

fn body_of(path: &str) -> &[u8] {
    if path == "/empty" { b"" } else { &path.as_bytes()[1..] }
}

/// Plain requests until one was written by who submits; a busy machine may never be quick enough.
fn warm_up(harness: &mut Harness) {
    let before = harness.direct();
    let deadline = Instant::now() + Duration::from_secs(2);
    while harness.direct() == before && Instant::now() < deadline {
        ask(harness, Ask::get("/empty"));
    }
}

fn ask(harness: &mut Harness, mut ask: Ask) -> Whole {
    ask.flags.started = true;
    let id = harness.dispatch(ask);
    harness.response(id).expect("a response")
}

#[test]
fn every_answer_is_as_from_the_engine() {
    let server = server();
    for seed in seeds(20) {
        let mut random = Random::new(seed);
        let mut harness = Harness::new();
        let client = harness.open(options(server.address));
        for _ in 0..6 {
            warm_up(&mut harness);
            let (path, _) = *random.pick(&ANSWERS);
            let get = random.chance(500);
            let body = Ask::whole(&vec![b'x'; random.index(40_000) + 1]);
            let asked = if get { Ask::get(path) } else { Ask::post(path, body) };
            let id = harness.dispatch(asked);
            match harness.response(id) {
                Ok((_, body, trailers)) => {
                    assert_eq!(body, body_of(path), "seed {seed}");
                    assert_eq!(trailers.is_empty(), path != "/trailers");
                }
                Err(failure) => assert_eq!((path, failure.kind), ("/eof", Kind::Socket)),
            }
        }
        harness.tell(Command::Close { client });
        harness.skip_to(|told| matches!(told, Told::Closed(_)));
    }
}

#[test]
fn several_at_once_come_after_one() {
    let server = server();
    let mut harness = Harness::new();
    harness.open(options(server.address));
    for _ in 0..20 {
        warm_up(&mut harness);
        let ids = ["/plain", "/split", "/chunked"].map(|path| harness.dispatch(Ask::get(path)));
        let bodies = ids.map(|id| harness.response(id).expect("a response").1);
        assert_eq!(bodies, [b"plain".to_vec(), b"split".to_vec(), b"chunked".to_vec()]);
    }
}

#[test]
fn a_timeout_holds_for_a_server_that_was_quick() {
    let server = Server::start(|_, mut peer| {
        while let Some(head) = peer.try_head() {
            if !head.starts_with("GET /never") {
                peer.write(b"HTTP/1.1 204 None\r\n\r\n");
            }
        }
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    warm_up(&mut harness);
    let id = harness.dispatch(Ask { headers_timeout_ms: 50, ..Ask::get("/never") });
    let failure = harness.response(id).expect_err("no answer");
    assert_eq!(failure.kind, Kind::HeadersTimeout);
}

#[test]
fn a_client_is_destroyed_while_an_answer_is_awaited() {
    let server = Server::start(|_, mut peer| {
        while let Some(head) = peer.try_head() {
            if !head.starts_with("GET /never") {
                peer.write(b"HTTP/1.1 204 None\r\n\r\n");
            }
        }
    });
    let mut harness = Harness::new();
    let client = harness.open(options(server.address));
    warm_up(&mut harness);
    harness.dispatch(Ask { body: Body::None, ..Ask::get("/never") });
    harness.tell(Command::Destroy { client });
    assert_eq!(harness.connection_failure().kind, Kind::Destroyed);
    harness.skip_to(|told| matches!(told, Told::Closed(_)));
}
