//! Each way to fail over plain HTTP/1.1, with the terms that Node.js has for it.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::Ordering;
use core::time::Duration;

use forebay_node::engine::{Answer, Body, ClientOptions, Command, Failure, Kind};
use socket2::{Domain, Socket, Type};

use crate::support::{Ask, Harness, Server, Told, options, proxy};

/// The failure of a GET whose connection is answered with these bytes, then ended.
fn failure(answer: &str) -> Box<Failure> {
    let answer = answer.to_owned();
    let server = Server::start(move |_, mut peer| {
        peer.head();
        peer.write(answer.as_bytes());
        peer.end();
        peer.rest();
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect_err("a failure")
}

/// A port that is taken, so that nobody else gets it, and at which nobody listens.
fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().expect("an address").as_socket().expect("of IP");
    (socket, address)
}

#[test]
fn a_closed_port_refuses() {
    let (_held, address) = closed_port();
    let mut harness = Harness::new();
    let client = harness.open(options(address));
    let ids = [(); 2].map(|()| harness.dispatch(Ask::get("/")));
    let Told::ConnectFailed(of, failure) = harness.next() else { panic!("connected") };
    assert_eq!((of, failure.kind, &*failure.code), (client, Kind::System, "ECONNREFUSED"));
    assert_eq!((failure.syscall, &*failure.address), ("connect", "127.0.0.1"));
    assert_eq!(failure.port, address.port());
    if cfg!(target_os = "linux") {
        assert_eq!(failure.errno, -111);
    }
    for id in ids {
        let Told::Error(of, failure) = harness.next() else { panic!("no error") };
        assert_eq!((of, failure.kind), (id, Kind::Connect));
    }
}

#[test]
fn two_addresses_that_refuse_are_an_aggregate() {
    let (_held, address) = closed_port();
    let mut harness = Harness::new();
    harness.open(ClientOptions { host: "localhost".to_owned(), ..options(address) });
    harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!(failure.code, "ECONNREFUSED");
    // A machine without IPv6 has one address for the name.
    match failure.kind {
        Kind::Aggregate => assert_eq!(failure.causes.len(), 2),
        kind => assert_eq!((kind, failure.causes.len()), (Kind::System, 0)),
    }
}

#[test]
fn a_name_that_nobody_has_is_not_found() {
    let any = Server::answering("");
    let mut harness = Harness::new();
    harness.open(ClientOptions { host: "nobody.invalid".to_owned(), ..options(any.address) });
    harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!((failure.kind, failure.syscall), (Kind::System, "getaddrinfo"));
    assert_eq!(failure.address, "nobody.invalid");
    // A machine without a resolver cannot know.
    assert!(["ENOTFOUND", "EAI_AGAIN"].contains(&&*failure.code), "{failure:?}");
}

#[test]
fn a_connection_that_takes_too_long_is_given_up() {
    // The kernel completes no more connections than the backlog has room for.
    let server = Server::start(|_, mut peer| {
        peer.rest();
    });
    let via = forebay_node::engine::Via::Socks5 { proxy: proxy(&server), auth: None };
    let mut harness = Harness::new();
    harness.open(ClientOptions { connect_timeout_ms: 100, via, ..options(server.address) });
    harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!(failure.kind, Kind::ConnectTimeout);
    let (host, port) = (server.address.ip(), server.address.port());
    assert_eq!(
        failure.message,
        format!("Connect Timeout Error (attempted address: {host}:{port}, timeout: 100ms)")
    );
}

#[test]
fn an_early_end_is_told_by_what_it_interrupts() {
    let closed = [
        "",
        "HTTP/1.1 2",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        // Too short a time to use the connection again, and no farewell.
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 5\r\n\r\nab",
    ];
    for answer in closed {
        let failure = failure(answer);
        assert_eq!((failure.kind, &*failure.message), (Kind::Socket, "other side closed"));
        let info = failure.socket.expect("about the socket");
        assert_eq!((info.bytes_read, info.bytes_written > 0), (answer.len() as u64, true));
    }
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\n";
    assert_eq!(failure(&format!("{last}Content-Length: 5\r\n\r\nab")).kind, Kind::ResponseLength);
    let cut = failure(&format!("{last}Transfer-Encoding: chunked\r\n\r\n5\r\nab"));
    assert_eq!((cut.kind, &*cut.message), (Kind::Parser, "Invalid EOF state"));
}

#[test]
fn what_is_no_response_is_told_in_the_parsers_words() {
    for (answer, reason) in [
        ("garbage\r\n\r\n", "Expected HTTP/, RTSP/ or ICE/"),
        ("HTTP/1.1 200 OK\nA: b\n\n", "Missing expected CR after response line"),
        ("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", "Invalid header token"),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "Invalid character in Content-Length"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "Invalid character in chunk size",
        ),
    ] {
        let failure = failure(answer);
        assert_eq!((failure.kind, &*failure.message), (Kind::Parser, reason));
        assert!(!failure.detail.is_empty());
    }
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    for fields in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let failure = failure(&format!("HTTP/1.1 200 OK\r\n{fields}\r\nab"));
        assert_eq!(failure.kind, Kind::ResponseLength);
    }
}

#[test]
fn too_much_is_refused() {
    let long = "x".repeat(16_384);
    assert_eq!(
        failure(&format!("HTTP/1.1 200 OK\r\nA: {long}\r\n\r\n")).kind,
        Kind::HeadersOverflow
    );
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let mut harness = Harness::new();
    harness.open(ClientOptions { max_response_size: Some(4), ..options(server.address) });
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.response(id).expect_err("five bytes").kind, Kind::ResponseSize);
}

#[test]
fn what_nobody_asked_for_ends_the_connection() {
    let failure = |answer| {
        let failure = failure(answer);
        assert_eq!(failure.kind, Kind::Socket);
        failure.message
    };
    assert_eq!(failure("HTTP/1.1 100 Continue\r\n\r\n"), "bad response");
    assert_eq!(failure("HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n"), "bad upgrade");
    let server = Server::answering("HTTP/1.1 204 N\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
    assert_eq!(harness.connection_failure().message, "bad response");
}

#[test]
fn a_reset_is_a_system_error_unless_the_server_had_said_farewell() {
    let server = Server::start(|_, mut peer| {
        if peer.head().starts_with("GET /last ") {
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
            peer.write(head);
        }
        let socket = socket2::SockRef::from(&peer.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket");
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask::get("/"));
    let failure = harness.response(id).expect_err("a reset");
    assert_eq!(
        (failure.kind, &*failure.code, failure.syscall),
        (Kind::System, "ECONNRESET", "read")
    );
    let last = harness.dispatch(Ask::get("/last"));
    assert_eq!(harness.response(last).expect_err("a reset").kind, Kind::ResponseLength);
}

#[test]
fn no_head_and_no_body_in_time() {
    let server = Server::start(|_, mut peer| {
        if peer.head().starts_with("GET /body") {
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na");
        }
        peer.rest();
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let head = harness.dispatch(Ask { headers_timeout_ms: 50, ..Ask::get("/head") });
    assert_eq!(harness.response(head).expect_err("no head").kind, Kind::HeadersTimeout);
    let body = harness.dispatch(Ask { body_timeout_ms: 50, ..Ask::get("/body") });
    assert_eq!(harness.response(body).expect_err("no body").kind, Kind::BodyTimeout);
}

#[test]
fn a_pause_stops_the_clock() {
    let server = Server::start(|_, mut peer| {
        peer.head();
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\na");
        peer.head();
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let id = harness.dispatch(Ask { body_timeout_ms: 500, ..Ask::get("/") });
    harness.skip_to(|told| matches!(told, Told::Data(..)));
    harness.tell(Command::Pause { id });
    assert!(harness.is_quiet(Duration::from_millis(800)));
    harness.tell(Command::Resume { id });
    assert_eq!(harness.response(id).expect_err("no body").kind, Kind::BodyTimeout);
}

#[test]
fn an_idle_connection_is_closed_in_time() {
    let server = Server::answering("HTTP/1.1 204 N\r\nKeep-Alive: timeout=1\r\n\r\n");
    let mut harness = Harness::new();
    harness.open(ClientOptions { keep_alive_threshold_ms: 900, ..options(server.address) });
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
    let failure = harness.connection_failure();
    assert_eq!((failure.kind, &*failure.message), (Kind::Informational, "socket idle timeout"));
}

#[test]
fn a_body_that_is_too_long_or_too_short_is_not_sent_as_if_it_were_right() {
    let server = Server::start(|_, mut peer| {
        peer.rest();
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    for chunk in [b"ab".as_slice(), b"abcd"] {
        let id = harness.dispatch(Ask::post("/", Body::Stream { length: Some(3) }));
        harness.tell(Command::BodyChunk { id, chunk: bytes::Bytes::from_static(chunk) });
        harness.tell(Command::BodyEnd { id });
        assert_eq!(harness.response(id).expect_err("not three").kind, Kind::RequestLength);
    }
}

#[test]
fn the_next_request_gets_the_next_connection() {
    let server = Server::start(|count, mut peer| {
        peer.head();
        if count > 0 {
            peer.write(b"HTTP/1.1 204 N\r\n\r\n");
            peer.rest();
        }
    });
    let mut harness = Harness::new();
    harness.open(options(server.address));
    let [first, second] = [(); 2].map(|()| harness.dispatch(Ask::get("/")));
    harness.response(first).expect_err("closed");
    assert_eq!(harness.response(second).expect("a response").0.status, 204);
}

#[test]
fn a_name_that_the_caller_looks_up() {
    let server = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut harness = Harness::new();
    let own =
        ClientOptions { host: "made.up".to_owned(), asks_lookup: true, ..options(server.address) };
    let client = harness.open(own);
    let mut ask = |addresses: Option<Vec<IpAddr>>| {
        let id = harness.dispatch(Ask::get("/"));
        let told = harness.skip_to(|told| matches!(told, Told::Ask(..)));
        let Told::Ask(of, number, host, _) = told else { panic!("no question") };
        assert_eq!((of, host.as_str()), (client, "made.up"));
        // What was not asked is not heard.
        let answer = addresses.map(|addresses| Answer { addresses, ..Answer::default() });
        let late = Some(Answer::default());
        harness.tell(Command::Answer { client, number, answer });
        harness.tell(Command::Answer { client, number: number.wrapping_sub(1), answer: late });
        harness.response(id)
    };
    let refused = ask(None).expect_err("no address");
    assert_eq!(refused.kind, Kind::Connect);
    assert!(ask(Some(Vec::new())).is_err());
    assert_eq!(ask(Some(vec![server.address.ip()])).expect("a response").1, b"ok");
}

#[test]
fn a_panic_fails_the_clients_requests_and_the_client_goes_on() {
    let server =
        Server::answering("HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut harness = Harness::new();
    let client = harness.open(options(server.address));
    harness.armed.store(true, Ordering::SeqCst);
    let ids = [(); 3].map(|()| harness.dispatch(Ask::get("/")));
    for id in ids {
        let failure = harness.response(id).expect_err("a panic");
        assert_eq!((failure.kind, failure.message.as_ref()), (Kind::Socket, "internal error"));
    }
    assert_eq!(harness.connection_failure().message, "internal error");
    let next = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.response(next).expect("a response").1, b"ok");
    harness.tell(Command::Close { client });
    harness.skip_to(|told| matches!(told, Told::Closed(_)));
}
