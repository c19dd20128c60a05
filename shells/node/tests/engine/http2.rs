//! HTTP/2, by prior knowledge: streams, their bodies, their ends.

use core::future::Future;
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use forebay_node::engine::options::Protocol;
use forebay_node::engine::{Body, ClientOptions, Command, Kind, RequestFlags, Version};
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::secure::{Authority, Identity, trusting};
use crate::support::{Ask, Harness, PATIENCE, Told, options};

type Peer = Connection<TcpStream, Bytes>;
type Asked = (Request<RecvStream>, SendResponse<Bytes>);

/// A server whose connections are played by a function, with their number.
fn serve<F>(play: impl Fn(usize, Peer) -> F + Send + 'static) -> ClientOptions
where
    F: Future<Output = ()> + 'static,
{
    let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        tokio::task::LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            sender.send(listener.local_addr().expect("an address")).expect("the test listens");
            for count in 0.. {
                let (stream, _) = listener.accept().await.expect("a connection");
                let peer = h2::server::Builder::new()
                    .enable_connect_protocol()
                    .handshake(stream)
                    .await
                    .expect("a client that speaks HTTP/2");
                tokio::task::spawn_local(play(count, peer));
            }
        });
    });
    let address = receiver.recv_timeout(PATIENCE).expect("an address");
    ClientOptions { protocol: Protocol::H2Prior, ..options(address) }
}

/// A server that plays each request with a function.
fn answer<F>(play: impl Fn(Asked) -> F + Send + Copy + 'static) -> ClientOptions
where
    F: Future<Output = ()> + 'static,
{
    serve(move |_, mut peer| async move {
        while let Some(Ok(asked)) = peer.accept().await {
            tokio::task::spawn_local(play(asked));
        }
    })
}

/// All of a body.
async fn read(mut body: RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.expect("a good body");
        body.flow_control().release_capacity(data.len()).expect("a window");
        all.extend_from_slice(&data);
    }
    all
}

fn ok(mut respond: SendResponse<Bytes>, body: &'static str) {
    let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
    stream.send_data(Bytes::from_static(body.as_bytes()), true).expect("a stream");
}

/// A server over TLS that offers these protocols, and answers with the one that was chosen.
fn serve_tls(identity: &Identity, offers: &'static [&'static [u8]]) -> SocketAddr {
    let mut config = (*identity.config(None)).clone();
    config.alpn_protocols = offers.iter().map(|name| name.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            sender.send(listener.local_addr().expect("an address")).expect("the test listens");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let mut stream = acceptor.accept(stream).await.expect("a handshake");
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let mut peer = h2::server::handshake(stream).await.expect("HTTP/2");
                    while let Some(Ok((_, respond))) = peer.accept().await {
                        ok(respond, "h2");
                    }
                } else {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        stream.read_buf(&mut head).await.expect("a request");
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhttp/1.1";
                    stream.write_all(answer).await.expect("a client");
                }
            }
        });
    });
    receiver.recv_timeout(PATIENCE).expect("an address")
}

#[test]
fn the_server_chooses_by_alpn() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| ());
    let (both, one): (&[&[u8]], &[&[u8]]) = (&[b"h2", b"http/1.1"], &[b"http/1.1"]);
    for (offers, protocol, chosen) in [
        (both, Protocol::Alpn, "h2"),
        (both, Protocol::AlpnPreferH2, "h2"),
        (both, Protocol::Http1, "http/1.1"),
        (one, Protocol::Alpn, "http/1.1"),
    ] {
        let tls = Some(trusting(&authority.pem()));
        let host = "localhost".to_owned();
        let address = serve_tls(&identity, offers);
        let mut harness = Harness::new();
        harness.open(ClientOptions { host, tls, protocol, ..options(address) });
        let id = harness.dispatch(Ask::get("/"));
        assert_eq!(harness.response(id).expect("a response").1, chosen.as_bytes());
    }
}

#[test]
fn a_request_for_http1_alone_gets_a_connection_of_its_own() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| ());
    let tls = Some(trusting(&authority.pem()));
    let address = serve_tls(&identity, &[b"h2", b"http/1.1"]);
    let mut harness = Harness::new();
    let host = "localhost".to_owned();
    let protocol = Protocol::AlpnPreferH2;
    harness.open(ClientOptions { host, tls, protocol, ..options(address) });
    for (no_h2, chosen) in [(false, "h2"), (true, "http/1.1")] {
        let flags = RequestFlags { no_h2, ..RequestFlags::default() };
        let id = harness.dispatch(Ask { flags, ..Ask::get("/") });
        assert_eq!(harness.response(id).expect("a response").1, chosen.as_bytes());
    }
}

#[test]
fn requests_share_a_connection_and_need_not_wait_for_each_other() {
    let options = serve(|count, mut peer| async move {
        assert_eq!(count, 0, "one connection");
        let mut asked = Vec::new();
        while asked.len() < 3 {
            asked.push(peer.accept().await.expect("a request").expect("a good one"));
        }
        for (request, respond) in asked.into_iter().rev() {
            assert_eq!(request.uri().to_string(), "http://a.do/a?b");
            assert_eq!(request.headers()["x-one"], "1");
            assert!(!request.headers().contains_key("keep-alive"));
            ok(respond, "hello");
        }
        while peer.accept().await.is_some() {}
    });
    let mut harness = Harness::new();
    harness.open(options);
    let fields = "X-One: 1\r\nKeep-Alive: 5\r\n".to_owned();
    let ids =
        [(); 3].map(|()| harness.dispatch(Ask { fields: fields.clone(), ..Ask::get("/a?b") }));
    let Told::Connected(_, info) = harness.next() else { panic!("not connected") };
    assert_eq!(info.version, Version::Http2);
    let mut answered = Vec::new();
    while answered.len() < 3 {
        match harness.next() {
            Told::End(id, _) => answered.push(id),
            Told::Head(_, head) => {
                assert_eq!((head.status, head.version), (200, Version::Http2));
                assert_eq!((head.reason.as_str(), head.fields.as_str()), ("", ""));
            }
            _ => {}
        }
    }
    assert!(ids.iter().all(|id| answered.contains(id)));
}

#[test]
fn bodies_and_trailers_go_both_ways() {
    let options = answer(|(request, mut respond)| async move {
        assert_eq!(request.headers().get("content-length").map(|len| len.as_bytes()), None);
        let body = read(request.into_body()).await;
        let mut response = Response::new(());
        response.headers_mut().insert("x-len", body.len().into());
        let mut stream = respond.send_response(response, false).expect("a stream");
        stream.send_data(body.into(), false).expect("a stream");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().expect("a value"));
        stream.send_trailers(trailers).expect("a stream");
    });
    let mut harness = Harness::new();
    harness.open(options);
    let id = harness.dispatch(Ask::post("/", Body::Stream { length: None }));
    let (mut room, mut sent) = (0usize, 0usize);
    while sent < 1_000_000 {
        if let Told::BodyCredit(_, bytes) = harness.next_of(id) {
            room += bytes as usize;
        }
        let len = room.min(1_000_000 - sent);
        if len > 0 {
            harness.tell(Command::BodyChunk { id, chunk: vec![5; len].into() });
        }
        (room, sent) = (room - len, sent + len);
    }
    harness.tell(Command::BodyEnd { id });
    let (head, body, trailers) = harness.response(id).expect("a response");
    assert_eq!(head.fields, "x-len: 1000000\r\n");
    assert_eq!((body, trailers.as_str()), (vec![5; 1_000_000], "x-sum: 1\r\n"));
}

#[test]
fn a_stream_without_credit_holds_back_its_server_alone() {
    let options = answer(|(request, respond)| async move {
        if request.uri().path() == "/small" {
            return ok(respond, "hello");
        }
        let mut respond = respond;
        let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
        stream.send_data(vec![1; 4 << 20].into(), true).expect("a stream");
    });
    let mut harness = Harness::new();
    harness.open(options);
    let large = harness.dispatch(Ask { credit: 1_000, ..Ask::get("/large") });
    let mut got = 0;
    while got < 1_000 {
        if let Told::Data(_, data) = harness.next_of(large) {
            got += data.len();
        }
    }
    assert_eq!(got, 1_000, "no more than the credit");
    let small = harness.dispatch(Ask::get("/small"));
    assert_eq!(harness.response(small).expect("a response").1, b"hello");
    harness.tell(Command::Credit { id: large, bytes: u32::MAX });
    while let Told::Data(_, data) = harness.next_of(large) {
        got += data.len();
    }
    assert_eq!(got, 4 << 20);
}

#[test]
fn an_abort_ends_one_stream() {
    let options = answer(|(request, mut respond)| async move {
        if request.uri().path() == "/never" {
            let reason = core::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            assert_eq!(reason.expect("a reset"), Reason::CANCEL);
        } else {
            ok(respond, "hello");
        }
    });
    let mut harness = Harness::new();
    harness.open(options);
    let never = harness.dispatch(Ask::get("/never"));
    assert_eq!(harness.next_of(never), Told::Offer(never));
    harness.tell(Command::Abort { id: never });
    let other = harness.dispatch(Ask::get("/"));
    harness.response(other).expect("a response on the same connection");
    assert!(harness.is_quiet(Duration::from_millis(50)));
}

#[test]
fn a_reset_is_the_failure_of_one_request() {
    let options = answer(|(request, mut respond)| async move {
        if request.uri().path() == "/bad" {
            respond.send_reset(Reason::INTERNAL_ERROR);
        } else {
            ok(respond, "hello");
        }
    });
    let mut harness = Harness::new();
    harness.open(options);
    let bad = harness.dispatch(Ask::get("/bad"));
    let failure = harness.response(bad).expect_err("a reset");
    assert_eq!((failure.kind, &*failure.code), (Kind::Http2, "ERR_HTTP2_STREAM_ERROR"));
    assert_eq!(failure.message, "Stream closed with error code NGHTTP2_INTERNAL_ERROR");
    let good = harness.dispatch(Ask::get("/"));
    harness.response(good).expect("a response");
}

#[test]
fn what_was_refused_is_sent_again_but_not_for_ever() {
    let options = serve(|_, mut peer| async move {
        let mut count = 0;
        while let Some(Ok((request, mut respond))) = peer.accept().await {
            count += 1;
            if count < 2 || request.uri().path() == "/never" {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                ok(respond, "hello");
            }
        }
    });
    let mut harness = Harness::new();
    harness.open(options);
    let id = harness.dispatch(Ask::post("/", Ask::whole(b"again")));
    harness.response(id).expect("a response");
    let id = harness.dispatch(Ask::get("/never"));
    let failure = harness.response(id).expect_err("always refused");
    assert_eq!(failure.message, "Stream closed with error code NGHTTP2_REFUSED_STREAM");
}

#[test]
fn after_a_farewell_there_is_another_connection() {
    let options = serve(|count, mut peer| async move {
        let (_, respond) = peer.accept().await.expect("a request").expect("a good one");
        ok(respond, if count == 0 { "first" } else { "second" });
        if count == 0 {
            peer.graceful_shutdown();
        }
        while peer.accept().await.is_some() {}
    });
    let mut harness = Harness::new();
    harness.open(options);
    let first = harness.dispatch(Ask::get("/"));
    // The farewell may be told before the end of the response that came with it.
    let (mut body, mut ended, mut failure) = (Vec::new(), false, None);
    while !ended || failure.is_none() {
        match harness.next() {
            Told::Data(id, data) if id == first => body = data,
            Told::End(id, _) => ended = id == first,
            Told::Disconnected(_, why) => failure = Some(why.kind),
            _ => {}
        }
    }
    assert_eq!((body.as_slice(), failure), (b"first".as_slice(), Some(Kind::Informational)));
    let second = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.response(second).expect("a response").1, b"second");
}

#[test]
fn a_body_can_wait_until_it_is_wanted() {
    let options = answer(|(request, respond)| async move {
        let mut respond = respond;
        assert_eq!(request.headers()["expect"], "100-continue");
        let early = Response::builder().status(100).body(()).expect("a response");
        respond.send_informational(early).expect("a stream");
        assert_eq!(read(request.into_body()).await, b"body");
        ok(respond, "hello");
    });
    let mut harness = Harness::new();
    harness.open(options);
    let flags = RequestFlags { expect_continue: true, ..RequestFlags::default() };
    let id = harness.dispatch(Ask { flags, ..Ask::post("/", Ask::whole(b"body")) });
    assert_eq!(harness.response(id).expect("a response").1, b"hello");
}

#[test]
fn hints_come_early() {
    let options = answer(|(_, mut respond)| async move {
        let early = Response::builder().status(103).header("link", "</a>").body(());
        respond.send_informational(early.expect("a response")).expect("a stream");
        ok(respond, "hello");
    });
    let mut harness = Harness::new();
    harness.open(options);
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    let Told::Informational(_, head) = harness.next_of(id) else { panic!("no hints") };
    assert_eq!((head.status, head.fields.as_str()), (103, "link: </a>\r\n"));
    harness.response(id).expect("a response");
}

#[test]
fn a_websocket_is_an_extended_connect() {
    let options = answer(|(request, mut respond)| async move {
        assert_eq!(request.method(), "CONNECT");
        let protocol = request.extensions().get::<h2::ext::Protocol>().expect("a protocol");
        assert_eq!(protocol.as_str(), "websocket");
        let mut out = respond.send_response(Response::new(()), false).expect("a stream");
        out.send_data(Bytes::from_static(b"early"), false).expect("a stream");
        assert_eq!(read(request.into_body()).await, b"ping");
        out.send_data(Bytes::from_static(b"pong"), true).expect("a stream");
    });
    let mut harness = Harness::new();
    harness.open(options);
    let id = harness.dispatch(Ask { upgrade: "websocket", ..Ask::get("/chat") });
    assert_eq!(harness.next_of(id), Told::Offer(id));
    let Told::Upgrade(_, head) = harness.next_of(id) else { panic!("no upgrade") };
    assert_eq!(head.status, 200);
    harness.tell(Command::BodyChunk { id, chunk: Bytes::from_static(b"ping") });
    harness.tell(Command::BodyEnd { id });
    let mut data = Vec::new();
    loop {
        match harness.next_of(id) {
            Told::Data(_, part) => data.extend(part),
            Told::End(..) => break,
            _ => {}
        }
    }
    assert_eq!(data, b"earlypong");
}

#[test]
fn time_runs_per_stream() {
    let options = answer(|(request, mut respond)| async move {
        if request.uri().path() == "/head" {
            core::future::pending::<()>().await;
        }
        let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
        stream.send_data(Bytes::from_static(b"a"), false).expect("a stream");
        core::future::pending::<()>().await;
        drop(stream);
    });
    let mut harness = Harness::new();
    harness.open(options);
    let head = harness.dispatch(Ask { headers_timeout_ms: 50, ..Ask::get("/head") });
    let failure = harness.response(head).expect_err("no head");
    assert_eq!(failure.kind, Kind::HeadersTimeout);
    assert_eq!(failure.message, "HTTP/2: \"headers timeout after 50\"");
    let body = harness.dispatch(Ask { body_timeout_ms: 50, ..Ask::get("/body") });
    let failure = harness.response(body).expect_err("no body");
    assert_eq!(failure.kind, Kind::BodyTimeout);
}

#[test]
fn destroy_says_nothing_about_requests() {
    let options = answer(|(_, respond)| async move {
        core::future::pending::<()>().await;
        drop(respond);
    });
    let mut harness = Harness::new();
    let client = harness.open(options);
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.next_of(id), Told::Offer(id));
    harness.tell(Command::Destroy { client });
    assert_eq!(harness.connection_failure().kind, Kind::Destroyed);
    assert_eq!(harness.next(), Told::Closed(client));
    assert!(harness.is_quiet(Duration::from_millis(50)));
}

#[test]
fn a_panic_fails_one_stream() {
    let options = answer(|(_, mut respond)| async move {
        let hints = Response::builder().status(103).body(()).expect("a head");
        respond.send_informational(hints).expect("a stream");
        ok(respond, "ok");
    });
    let mut harness = Harness::new();
    let client = harness.open(options);
    harness.armed.store(true, Ordering::SeqCst);
    let broken = harness.dispatch(Ask::get("/"));
    let failure = harness.response(broken).expect_err("a panic");
    assert_eq!((failure.kind, failure.message.as_ref()), (Kind::Socket, "internal error"));
    let next = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.response(next).expect("a response").1, b"ok");
    // The connection knows that nothing is on its way.
    harness.tell(Command::Close { client });
    assert_eq!(harness.connection_failure().kind, Kind::Destroyed);
}

#[test]
fn a_connection_that_rests_is_closed_in_time() {
    let options = answer(|(_, respond)| async move { ok(respond, "ok") });
    let mut harness = Harness::new();
    harness.open(ClientOptions { keep_alive_timeout_ms: 50, ..options });
    for _ in 0..2 {
        let id = harness.dispatch(Ask::get("/"));
        harness.response(id).expect("a response");
        let failure = harness.connection_failure();
        assert_eq!(failure.kind, Kind::Informational);
        assert_eq!(failure.message, "socket idle timeout");
    }
}

#[test]
fn too_many_fields_are_refused() {
    let options = answer(|(request, mut respond)| async move {
        let long = HeaderValue::from_bytes(&[b'x'; 20_000]).expect("a value");
        let mut fields = HeaderMap::new();
        fields.insert("long", long);
        let mut response = Response::new(());
        if request.uri().path() == "/head" {
            *response.headers_mut() = fields;
            drop(respond.send_response(response, true));
        } else if let Ok(mut stream) = respond.send_response(response, false) {
            drop(stream.send_trailers(fields));
        }
    });
    let mut harness = Harness::new();
    harness.open(options);
    for path in ["/head", "/trailers"] {
        let id = harness.dispatch(Ask::get(path));
        let failure = harness.response(id).expect_err("too many");
        assert_eq!(failure.kind, Kind::HeadersOverflow);
    }
}
