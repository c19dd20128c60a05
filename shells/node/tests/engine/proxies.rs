//! Ways to an origin: proxies, a Unix socket, an address of ours.

use forebay_node::engine::{ClientOptions, Failure, Kind, Proxy, Via};

use crate::support::{Ask, Harness, Server, options, proxy};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A client of an origin that only the proxy knows.
fn through(server: &Server, via: impl FnOnce(Proxy) -> Via) -> ClientOptions {
    ClientOptions {
        host: "origin.test".to_owned(),
        port: 8080,
        via: via(proxy(server)),
        ..options(server.address)
    }
}

fn tunnel(server: &Server) -> ClientOptions {
    let fields = b"proxy-authorization: Basic YTpi\r\n".to_vec();
    through(server, |proxy| Via::Connect { proxy, fields })
}

fn socks(server: &Server, auth: Option<(&str, &str)>) -> ClientOptions {
    let auth = auth.map(|(name, password)| (name.to_owned(), password.to_owned()));
    through(server, |proxy| Via::Socks5 { proxy, auth })
}

/// The failure of a connection by this way.
fn refusal(options: ClientOptions) -> Failure {
    let mut harness = Harness::new();
    harness.open(options);
    let id = harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!(harness.response(id).expect_err("no way").kind, Kind::Connect);
    failure
}

fn answered(options: ClientOptions) {
    let mut harness = Harness::new();
    harness.open(options);
    for _ in 0..2 {
        let id = harness.dispatch(Ask::get("/"));
        assert_eq!(harness.response(id).expect("a response").1, b"hello");
    }
}

#[test]
fn a_tunnel_is_asked_for_and_used() {
    let server = Server::start(|_, mut peer| {
        assert_eq!(
            peer.head(),
            "CONNECT origin.test:8080 HTTP/1.1\r\nhost: origin.test:8080\r\nconnection: close\r\n\
             proxy-authorization: Basic YTpi\r\n\r\n"
        );
        peer.write(b"HTTP/1.1 200 Established\r\nX-A: b\r\n\r\n");
        for _ in 0..2 {
            assert!(peer.head().starts_with("GET / HTTP/1.1\r\nhost: a.do\r\n"));
            peer.write(OK.as_bytes());
        }
    });
    answered(tunnel(&server));
    server.finish();
}

#[test]
fn a_tunnel_that_is_refused_has_its_status() {
    let server = Server::answering("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
    let failure = refusal(tunnel(&server));
    assert_eq!(failure.kind, Kind::Aborted);
    assert_eq!(failure.message, "Proxy response (407) !== 200 when HTTP Tunneling");
}

#[test]
fn a_proxy_that_breaks_off_is_the_cause() {
    let server = Server::start(|_, mut peer| {
        peer.head();
    });
    let failure = refusal(tunnel(&server));
    assert_eq!(failure.kind, Kind::Proxy);
    assert_eq!(
        (failure.causes[0].kind, &*failure.causes[0].message),
        (Kind::Socket, "other side closed")
    );
}

#[test]
fn socks_names_the_origin() {
    let server = Server::start(|_, mut peer| {
        assert_eq!(peer.body(3), [5, 1, 0]);
        peer.write(&[5, 0]);
        assert_eq!(peer.body(18), *b"\x05\x01\x00\x03\x0Borigin.test\x1F\x90");
        peer.write(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
        for _ in 0..2 {
            peer.head();
            peer.write(OK.as_bytes());
        }
    });
    answered(socks(&server, None));
    server.finish();
}

#[test]
fn socks_asks_who_it_is() {
    let server = Server::start(|_, mut peer| {
        assert_eq!(peer.body(4), [5, 2, 2, 0]);
        peer.write(&[5, 2]);
        assert_eq!(peer.body(7), *b"\x01\x01a\x03bcd");
        peer.write(&[1, 0]);
        peer.body(18);
        peer.write(b"\x05\x00\x00\x03\x04a.do\x00\x50");
        for _ in 0..2 {
            peer.head();
            peer.write(OK.as_bytes());
        }
    });
    answered(socks(&server, Some(("a", "bcd"))));
    server.finish();
}

#[test]
fn each_refusal_of_socks_has_its_code() {
    for (answers, code) in [
        ([b"\x04\x00".as_slice(), b"", b""], "UND_ERR_SOCKS5_VERSION"),
        ([b"\x05\xFF", b"", b""], "UND_ERR_SOCKS5_AUTH_REJECTED"),
        ([b"\x05\x01", b"", b""], "UND_ERR_SOCKS5_AUTH_METHOD"),
        ([b"\x05\x02", b"\x02\x00", b""], "UND_ERR_SOCKS5_AUTH_VERSION"),
        ([b"\x05\x02", b"\x01\x01", b""], "UND_ERR_SOCKS5_AUTH_FAILED"),
        ([b"\x05\x02", b"\x01\x00", b"\x04\x00\x00\x01"], "UND_ERR_SOCKS5_REPLY_VERSION"),
        ([b"\x05\x02", b"\x01\x00", b"\x05\x05\x00\x01"], "UND_ERR_SOCKS5_REPLY_5"),
        ([b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x09"], "UND_ERR_SOCKS5_ADDR_TYPE"),
        ([b"\x05", b"", b""], "UND_ERR_SOCKS5"),
    ] {
        let server = Server::start(move |_, mut peer| {
            for (answer, asked) in answers.iter().zip([4, 7, 18]) {
                if !answer.is_empty() {
                    peer.body(asked);
                    peer.write(answer);
                }
            }
            peer.end();
        });
        let failure = refusal(socks(&server, Some(("a", "bcd"))));
        assert_eq!((failure.kind, &*failure.code), (Kind::Socks5, code), "{answers:?}");
    }
}

// macOS has one loopback address unless it is told otherwise.
#[cfg(not(target_os = "macos"))]
#[test]
fn an_address_of_ours_can_be_chosen() {
    let server = Server::start(|_, mut peer| {
        let address = peer.stream.peer_addr().expect("an address");
        assert_eq!(address.ip().to_string(), "127.0.0.9");
        peer.head();
        peer.write(OK.as_bytes());
    });
    let mut harness = Harness::new();
    let local_address = Some([127, 0, 0, 9].into());
    harness.open(ClientOptions { local_address, ..options(server.address) });
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
    server.finish();
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_as_good() {
    use std::io::{Read as _, Write as _};
    let dir = std::env::temp_dir().join(format!("forebay-engine-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let path = dir.join("server.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    let played = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        assert!(stream.read(&mut [0; 1024]).expect("a request") > 0);
        stream.write_all(OK.as_bytes()).expect("a client");
    });
    let any = Server::answering(OK);
    let mut harness = Harness::new();
    let socket_path = Some(path.to_str().expect("a plain name").to_owned());
    harness.open(ClientOptions { socket_path, ..options(any.address) });
    let id = harness.dispatch(Ask::get("/"));
    assert_eq!(harness.response(id).expect("a response").1, b"hello");
    played.join().expect("the server's side went as it should");
    drop(harness);
    std::fs::remove_dir_all(&dir).expect("the directory");
    let socket_path = Some(path.to_str().expect("a plain name").to_owned());
    let failure =
        refusal(ClientOptions { socket_path: socket_path.clone(), ..options(any.address) });
    assert_eq!((failure.kind, &*failure.code), (Kind::System, "ENOENT"));
    assert_eq!((failure.syscall, Some(failure.address.into_owned())), ("connect", socket_path));
}
