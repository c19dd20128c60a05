//! Requests and responses over plain HTTP/1.1.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use bytes::Bytes;
use forebay_node::engine::{Body, ClientOptions, Command, Kind, RequestFlags, Version};
use forebay_tests::random::{Random, seeds};

use crate::support::{Ask, Harness, PATIENCE, Server, Told, options};

const OK: &str = "HTTP/1.1 200 Fine by me\r\nX-Case: Kept\r\nContent-Length: 5\r\n\r\nhello";

/// A response with a body of some hundred KiB, framed in one of two ways; the body.
fn large_response(random: &mut Random) -> (Vec<u8>, Vec<u8>) {
    let mut body = vec![0; random.index(400_000)];
    random.fill(&mut body);
    let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
    if random.chance(2) {
        bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        bytes.extend_from_slice(&body);
    } else {
        bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = &body[..];
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(1 + random.index(rest.len().min(150_000)));
            bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend(b"\r\n");
            rest = after;
        }
        bytes.extend(b"0\r\n\r\n");
    }
    (bytes, body)
}

#[test]
fn large_bodies_arrive_unchanged_however_they_are_cut() {
    for seed in seeds(10) {
        let mut random = Random::new(seed);
        let responses: Vec<_> = (0..6).map(|_| large_response(&mut random)).collect();
        let cut = 1 + random.index(100_000);
        let (bytes, bodies): (Vec<_>, Vec<_>) = responses.into_iter().unzip();
        let server = Server::start(move |_, mut peer| {
            for bytes in &bytes {
                peer.head();
                bytes.chunks(cut).for_each(|part| peer.write(part));
            }
        });
        let mut harness = Harness::new();
        harness.open(options(server.address));
        for (index, body) in bodies.into_iter().enumerate() {
            let id = harness.dispatch(Ask::get("/"));
            let (_, got, _) = harness.response(id).expect("a response");
            assert!(got == body, "seed {seed}, response {index}: {} of {}", got.len(), body.len());
        }
        server.finish();
    }
}

#[test]
fn a_small_response_is_one_event() {
    let server = Server::start(|_, mut peer| {
        assert_eq!(
            peer.head(),
            "GET /a?b HTTP/1.1\r\nhost: a.do\r\nconnection: keep-alive\r\nX-One: 1\r\n\r\n"
        );
        peer.write(OK.as_bytes());
        assert_eq!(peer.rest(), b"");
    });
    let mut harness = Harness::new();
    let client = harness.open(options(server.address));
    let id = harness.dispatch(Ask { fields: "X-One: 1\r\n".to_owned(), ..Ask::get("/a?b") });
    let Told::Connected(connected, info) = harness.next() else { panic!("not connected") };
    assert_eq!((connected, info.version), (client, Version::Http11));
    assert_eq!(info.remote, Some(server.address));
    assert_eq!(harness.next(), Told::Offer(id));
    let Told::Response(of, head, body, trailers) = harness.next() else { panic!("no response") };
    assert_eq!((of, head.status, body.as_slice()), (id, 200, b"hello".as_slice()));
    assert_eq!((head.reason.as_str(), trailers.as_str()), ("Fine by me", ""));
    assert_eq!(head.fields, "X-Case: Kept\r\nContent-Length: 5\r\n");
    harness.tell(Command::Close { client });
    let failure = harness.connection_failure();
    assert_eq!(failure.kind, Kind::Destroyed);
    assert_eq!(harness.next(), Told::Closed(client));
    server.finish();
}

#[test]
fn requests_take_turns_on_one_connection() {
    let server = Server::start(|count, mut peer| {
        assert_eq!(count, 0, "one connection");
        for path in ["/0", "/1", "/2"] {
            assert!(peer.head().starts_with(&format!("GET {path} ")));
            peer.write(OK.as_bytes());
        }
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let ids = ["/0", "/1", "/2"].map(|path| harness.dispatch(Ask::get(path)));
    for id in ids {
        assert_eq!(harness.response(id).expect("a response").1, b"hello");
    }
    server.finish();
}

#[test]
fn idempotent_requests_are_pipelined() {
    let server = Server::start(|_, mut peer| {
        let heads: Vec<_> = (0..3).map(|_| peer.head()).collect();
        assert!(heads.iter().all(|head| head.starts_with("GET ")), "before any answer");
        for _ in heads {
            peer.write(OK.as_bytes());
        }
        assert!(peer.head().starts_with("POST "), "not before the answers");
        peer.write(OK.as_bytes());
    });
    let mut harness = Harness::new();
    harness.open(ClientOptions { pipelining: 4, ..options(server.address) });
    let gets = [(); 3].map(|()| harness.dispatch(Ask::get("/")));
    let post = harness.dispatch(Ask::post("/", Ask::whole(b"x")));
    for id in gets.into_iter().chain([post]) {
        assert_eq!(harness.response(id).expect("a response").1, b"hello");
    }
    server.finish();
}

#[test]
fn bodies_are_framed_by_what_is_known() {
    let server = Server::start(|_, mut peer| {
        assert!(peer.head().ends_with("\r\ncontent-length: 3\r\n\r\n"));
        assert_eq!(peer.body(3), b"abc");
        peer.write(OK.as_bytes());
        assert!(peer.head().ends_with("\r\ntransfer-encoding: chunked\r\n\r\n"));
        let chunks = b"3\r\nabc\r\n6\r\ndefghi\r\n0\r\n\r\n";
        assert_eq!(peer.body(chunks.len()), chunks);
        peer.write(OK.as_bytes());
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let whole = harness.dispatch(Ask::post("/", Ask::whole(b"abc")));
    assert_eq!(harness.next_of(whole), Told::Offer(whole));
    assert_eq!(harness.next_of(whole), Told::BodySent(whole));
    harness.response(whole).expect("a response");
    let id = harness.dispatch(Ask::post("/", Body::Stream { length: None }));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    let Told::BodyCredit(_, credit) = harness.next_of(id) else { panic!("no room") };
    assert!(credit >= 64 << 10);
    for chunk in [b"abc".as_slice(), b"defghi"] {
        harness.tell(Command::BodyChunk { id, chunk: Bytes::from_static(chunk) });
    }
    harness.tell(Command::BodyEnd { id });
    harness.response(id).expect("a response");
    server.finish();
}

#[test]
fn an_empty_stream_is_no_chunk() {
    let server = Server::start(|_, mut peer| {
        assert!(peer.head().ends_with("\r\ncontent-length: 0\r\n\r\n"));
        peer.write(OK.as_bytes());
        assert!(peer.head().ends_with("\r\nconnection: keep-alive\r\n\r\n"));
        peer.write(OK.as_bytes());
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    for method in ["POST", "DELETE"] {
        let ask = Ask { method, ..Ask::post("/", Body::Stream { length: None }) };
        let id = harness.dispatch(ask);
        harness.tell(Command::BodyEnd { id });
        harness.response(id).expect("a response");
    }
    server.finish();
}

#[test]
fn an_upload_is_bounded_by_what_the_server_takes() {
    const LEN: usize = 8 << 20;
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let server = Server::start(move |_, mut peer| {
        peer.head();
        wait.lock().expect("alone").recv_timeout(PATIENCE).expect("the test goes on");
        assert_eq!(peer.body(LEN), vec![7; LEN]);
        peer.write(OK.as_bytes());
        assert_eq!(peer.rest(), b"");
    });
    let mut harness = Harness::new();
    let client = harness.open(options(server.address));
    let id = harness.dispatch(Ask::post("/", Body::Stream { length: Some(LEN as u64) }));
    let (mut room, mut sent, mut asked) = (0, 0, false);
    while sent < LEN {
        while room > 0 && sent < LEN {
            let len = room.min(32 << 10).min(LEN - sent);
            harness.tell(Command::BodyChunk { id, chunk: vec![7; len].into() });
            (room, sent) = (room - len, sent + len);
        }
        if !asked && sent > 0 && harness.is_quiet(Duration::from_millis(200)) {
            assert!(sent < LEN, "the server takes nothing");
            go.send(()).expect("the server waits");
            asked = true;
        }
        if let Told::BodyCredit(_, bytes) = harness.next_of(id) {
            room += bytes as usize;
        }
    }
    assert!(asked, "the engine took all of it");
    harness.tell(Command::BodyEnd { id });
    harness.response(id).expect("a response");
    harness.tell(Command::Close { client });
    server.finish();
}

#[test]
fn a_download_stops_without_credit_and_while_paused() {
    const LEN: usize = 16 << 20;
    let server = Server::start(|_, mut peer| {
        peer.head();
        peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n").as_bytes());
        peer.write(&vec![9; LEN]);
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask { credit: 100_000, ..Ask::get("/") });
    let mut got = 0;
    let mut head = false;
    while got < 100_000 {
        match harness.next_of(id) {
            Told::Head(..) => head = true,
            Told::Data(_, data) => got += data.len(),
            _ => {}
        }
    }
    assert_eq!((got, head), (100_000, true), "no more than the credit");
    assert!(harness.is_quiet(Duration::from_millis(100)));
    harness.tell(Command::Pause { id });
    harness.tell(Command::Credit { id, bytes: 1_000_000 });
    assert!(harness.is_quiet(Duration::from_millis(100)), "paused");
    harness.tell(Command::Resume { id });
    harness.tell(Command::Credit { id, bytes: u32::MAX });
    while let Told::Data(_, data) = harness.next_of(id) {
        got += data.len();
    }
    assert_eq!(got, LEN);
}

#[test]
fn an_abort_frees_the_connection_and_those_behind_are_sent_again() {
    let (seen, arrived) = channel();
    let server = Server::start(move |count, mut peer| {
        let first = peer.head();
        if count == 0 {
            assert!(first.starts_with("GET /0 "));
            assert!(peer.head().starts_with("GET /1 "));
            seen.send(()).expect("somebody waits");
            assert_eq!(peer.rest(), b"");
        } else {
            assert!(first.starts_with("GET /1 "));
            peer.write(OK.as_bytes());
        }
    });
    let mut harness = Harness::new();
    harness.open(ClientOptions { pipelining: 2, ..options(server.address) });
    let [first, second] = ["/0", "/1"].map(|path| harness.dispatch(Ask::get(path)));
    assert_eq!(harness.next_of(second), Told::Offer(second));
    arrived.recv().expect("both requests");
    harness.tell(Command::Abort { id: first });
    let failure = harness.connection_failure();
    assert_eq!((failure.kind, &*failure.message), (Kind::Informational, "aborted"));
    assert_eq!(harness.next_of(second), Told::Offer(second), "again");
    harness.response(second).expect("a response");
    server.finish();
}

#[test]
fn a_request_in_the_queue_leaves_it_when_aborted() {
    let server = Server::start(|_, mut peer| {
        for path in ["/0", "/2"] {
            assert!(peer.head().starts_with(&format!("GET {path} ")));
            peer.write(OK.as_bytes());
        }
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let [first, second, third] = ["/0", "/1", "/2"].map(|path| harness.dispatch(Ask::get(path)));
    harness.tell(Command::Abort { id: second });
    harness.response(first).expect("a response");
    harness.response(third).expect("a response");
    server.finish();
}

#[test]
fn early_hints_trailers_and_chunks_come_through() {
    let server = Server::answering(
        "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         \r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n",
    );
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    let Told::Informational(_, head) = harness.next_of(id) else { panic!("no hints") };
    assert_eq!((head.status, head.fields.as_str()), (103, "Link: </a>\r\n"));
    let (head, body, trailers) = harness.response(id).expect("a response");
    assert_eq!((head.status, body.as_slice()), (200, b"abcde".as_slice()));
    assert_eq!(trailers, "X-Sum: 5\r\n");
}

#[test]
fn an_upgraded_connection_is_a_stream_of_bytes() {
    let server = Server::start(|count, mut peer| {
        let head = peer.head();
        if count > 0 {
            peer.write(OK.as_bytes());
            return;
        }
        assert!(head.contains("\r\nconnection: upgrade\r\nupgrade: echo\r\n"));
        peer.write(b"HTTP/1.1 101 Go\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nearly");
        assert_eq!(peer.body(4), b"ping");
        peer.write(b"pong");
        assert_eq!(peer.rest(), b"");
        peer.end();
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask { upgrade: "echo", ..Ask::get("/") });
    let after = harness.dispatch(Ask::get("/"));
    let Told::Upgrade(_, head) = harness.skip_to(|told| matches!(told, Told::Upgrade(..))) else {
        panic!("no upgrade")
    };
    assert_eq!(head.status, 101);
    let mut data = Vec::new();
    harness.tell(Command::BodyChunk { id, chunk: Bytes::from_static(b"ping") });
    let mut answered = false;
    while data.len() < 9 || !answered {
        match harness.next() {
            Told::Data(of, part) if of == id => data.extend(part),
            Told::Response(of, ..) => answered = of == after,
            Told::Disconnected(_, failure) if !answered => assert_eq!(failure.message, "upgrade"),
            _ => {}
        }
    }
    assert_eq!(data, b"earlypong", "and a new connection for the next request");
    harness.tell(Command::BodyEnd { id });
    assert_eq!(harness.next_of(id), Told::BodySent(id));
    assert_eq!(harness.next_of(id), Told::End(id, String::new()));
    server.finish();
}

#[test]
fn connect_hands_over_whatever_the_status() {
    let server = Server::answering("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nabc");
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let flags = RequestFlags { connect: true, ..RequestFlags::default() };
    let id = harness.dispatch(Ask { method: "CONNECT", flags, ..Ask::get("a.do:443") });
    let Told::Upgrade(_, head) = harness.skip_to(|told| matches!(told, Told::Upgrade(..))) else {
        panic!("no upgrade")
    };
    assert_eq!(head.status, 403);
    let Told::Data(_, data) = harness.skip_to(|told| matches!(told, Told::Data(..))) else {
        panic!("no data")
    };
    assert_eq!(data, b"abc");
    harness.tell(Command::Abort { id });
}

#[test]
fn destroy_ends_everything_without_a_word_about_requests() {
    let (seen, arrived) = channel();
    let server = Server::start(move |_, mut peer| {
        peer.head();
        seen.send(()).expect("somebody waits");
        assert_eq!(peer.rest(), b"");
    });
    let mut harness = Harness::new();
    let client = harness.open(options(server.address));
    let id = harness.dispatch(Ask::get("/"));
    harness.dispatch(Ask::get("/"));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    arrived.recv().expect("the first request");
    harness.tell(Command::Destroy { client });
    let Told::Disconnected(_, failure) = harness.next() else { panic!("still connected") };
    assert_eq!(failure.kind, Kind::Destroyed);
    assert_eq!(harness.next(), Told::Closed(client));
    assert!(harness.is_quiet(Duration::from_millis(50)));
    server.finish();
}

#[test]
fn a_full_sink_stops_the_reading() {
    let server = Server::answering(OK);
    let mut harness = Harness::new();
    harness.open(options(server.address));
    harness.full.store(true, Ordering::SeqCst);
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    assert!(harness.is_quiet(Duration::from_millis(100)));
    harness.full.store(false, Ordering::SeqCst);
    harness.tell(Command::Drained);
    harness.response(id).expect("a response");
}
