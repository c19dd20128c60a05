//! Workers that fail to start, crash, hang or break the protocol: the client gets the exact error,
//! and the gateway goes on.

use forebay_tests::gateway::{Gateway, PATIENCE, signal};
use forebay_tests::http::Client;
use forebay_tests::until;

use crate::{DEMO, Setup, bad_worker, on_each_backend};

fn start(backend: &str, mode: &str, keys: &str) -> Gateway {
    Setup { backend, workers: &bad_worker(mode, keys), ..DEMO }.start()
}

/// One request to a bad worker; the gateway must still answer afterwards.
fn ask(mode: &str, keys: &str) -> (u16, String) {
    let gateway = start("auto", mode, keys);
    let answer = Client::connect(gateway.addr()).get("gateway.do", "/");
    assert_eq!(Client::connect(gateway.addr()).get("unknown.do", "/").status, 404);
    (answer.status, answer.text())
}

fn internal_error(message: &str) -> String {
    let message = message.replace('"', "\\\"");
    format!(r#"{{"error":"Internal server error","message":"{message}"}}"#)
}

/// A start that fails once is the answer; the restart policy is the unit tests' business.
fn assert_fails_to_start(mode: &str, keys: &str, reason: &str) {
    let (status, body) = ask(mode, keys);
    let prefix =
        r#"{"error":"Internal server error","message":"Worker \"gateway\" failed to start: "#;
    assert_eq!(status, 500, "{mode}: {body}");
    assert!(body.starts_with(prefix), "{mode}: {body}");
    assert!(body.contains(reason), "{mode}: {body}");
}

#[test]
fn a_start_that_fails_says_why() {
    assert_fails_to_start("exit", "", "3");
    assert_fails_to_start("error", "", "no licence");
    assert_fails_to_start("silent", "init_timeout = \"300ms\"", "$init");
    assert_fails_to_start("no-http", "", "no http method");
    assert_fails_to_start("http-ack", "", "http");
    assert_fails_to_start("long-line", "", "line");
    assert_fails_to_start("elsewhere", "", "socket path not allowed");
}

#[test]
fn a_command_that_does_not_exist_says_so() {
    let workers = "[namespaces.production.workers.gateway]\ncommand = [\"./nothing-here\"]\n";
    let gateway = Setup { workers, ..DEMO }.start();
    let answer = Client::connect(gateway.addr()).get("gateway.do", "/");
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("No such file"), "{}", answer.text());
}

#[test]
fn a_worker_that_goes_away_before_its_answer_is_an_error() {
    let exited = internal_error("Worker \"gateway\" exited while handling the request");
    for mode in ["die", "hang-up", "garbage", "huge"] {
        assert_eq!(ask(mode, ""), (500, exited.clone()), "{mode}");
    }
}

#[test]
fn an_answer_that_breaks_the_protocol_is_an_error() {
    let invalid = internal_error("Worker \"gateway\" sent an invalid response");
    for mode in ["status-99", "status-101", "no-map", "body-first", "empty"] {
        assert_eq!(ask(mode, ""), (500, invalid.clone()), "{mode}");
    }
}

#[test]
fn a_complete_answer_to_a_stream_is_taken() {
    assert_eq!(ask("result", ""), (200, String::new()));
}

#[test]
fn an_error_of_the_worker_carries_its_text_unless_hidden() {
    assert_eq!(ask("refuse", ""), (500, internal_error("boom")));
    let workers = bad_worker("refuse", "");
    let gateway = Setup { dispatch: "expose_errors = false", workers: &workers, ..DEMO }.start();
    let answer = Client::connect(gateway.addr()).get("gateway.do", "/");
    assert_eq!(answer.text(), internal_error("Unknown error"));
    // The log has the real text.
    gateway.expect_log("boom");
}

#[test]
fn a_worker_that_does_not_answer_is_a_timeout() {
    let late =
        r#"{"error":"Worker timeout","message":"Worker \"gateway\" did not answer in time"}"#;
    for mode in ["mute", "deaf"] {
        assert_eq!(ask(mode, "request_timeout = \"300ms\""), (504, late.into()), "{mode}");
    }
}

#[test]
fn a_worker_that_takes_no_body_is_a_timeout() {
    on_each_backend(|backend| {
        let gateway = start(backend, "no-ack", "request_timeout = \"300ms\"");
        let mut client = Client::connect(gateway.addr());
        client.send("POST / HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: 10000000\r\n\r\n");
        // The windows fill up; the answer comes while the client still has most of it to send.
        let _stopped = client.try_send(vec![b'x'; 300_000]);
        let answer = client.answer();
        assert_eq!(answer.status, 504);
        assert_eq!(answer.field("connection"), Some("close"));
    });
}

#[test]
fn an_answer_that_stops_halfway_is_visibly_incomplete() {
    on_each_backend(|backend| {
        for (mode, keys) in [("die-later", ""), ("stall", "stream_timeout = \"300ms\"")] {
            let gateway = start(backend, mode, keys);
            let mut client = Client::connect(gateway.addr());
            client.send("GET / HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
            let head = client.head();
            assert_eq!((head.status, head.field("transfer-encoding")), (200, Some("chunked")));
            // The end of a chunk comes with what follows it, and nothing does.
            assert_eq!(client.rest(), b"3\r\nabc", "{mode}: no last chunk, then the end");
        }
    });
}

#[test]
fn a_worker_that_floods_is_held_back_or_cut_off() {
    on_each_backend(|backend| {
        for mode in ["flood", "flood-granted"] {
            let gateway = start(backend, mode, "");
            let mut client = Client::connect(gateway.addr());
            client.send("GET / HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
            assert_eq!(client.head().status, 200);
            // The client reads nothing for a while, the gateway's memory stays bounded, another
            // client is served.
            let other = Client::connect(gateway.addr()).get("unknown.do", "/");
            assert_eq!(other.status, 404);
            if mode == "flood-granted" {
                gateway.expect_log("broke the protocol");
            }
            let mut taken = 0;
            while taken < 64_000_000 {
                match client.read(1 << 20) {
                    Ok(0) | Err(_) => break,
                    Ok(len) => taken += len,
                }
            }
            if mode == "flood" {
                assert!(taken >= 64_000_000, "a worker without grants is only held back");
            } else {
                assert!(taken < 64_000_000, "one that ignores its grants is cut off");
            }
            let peak = Gateway::peak_memory(gateway.pid());
            assert!(peak < 64 << 20, "{mode}: the gateway held {peak} bytes");
        }
    });
}

#[test]
fn a_worker_killed_at_any_moment_is_replaced_for_the_next_request() {
    on_each_backend(|backend| {
        // One core: what one client sent is with the worker before the next one is answered. A call
        // that did not get so far would be sent again to the next worker.
        let text = Setup { backend, ..DEMO }.text().replace("cores = 2", "cores = 1");
        let gateway = Gateway::start(&text);
        let mut client = Client::connect(gateway.addr());
        assert_eq!(client.get("gateway.do", "/health").status, 200);
        let first = gateway.workers()[0];
        // Idle.
        signal(first, "KILL");
        gateway.expect_log("worker ended");
        assert_eq!(client.get("gateway.do", "/health").status, 200);
        // With a call in flight.
        let second = until("a new worker", PATIENCE, || gateway.workers().first().copied());
        client.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        let mut other = Client::connect(gateway.addr());
        assert_eq!(other.get("gateway.do", "/health").status, 200);
        signal(second, "KILL");
        let answer = client.answer();
        let exited = internal_error("Worker \"gateway\" exited while handling the request");
        assert_eq!((answer.status, answer.text()), (500, exited));
        // In the middle of an answer.
        assert_eq!(client.get("gateway.do", "/health").status, 200);
        let third = until("a new worker", PATIENCE, || gateway.workers().first().copied());
        client.send(
            "GET /stream?chunks=1000000&size=1000&delay=1ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n",
        );
        assert_eq!(client.head().status, 200);
        assert!(client.chunk().is_some());
        signal(third, "KILL");
        let rest = client.rest();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "an incomplete body must not look whole");
        let next = Client::connect(gateway.addr()).get("gateway.do", "/health");
        assert_eq!((next.status, next.text().contains("ok")), (200, true), "{}", next.text());
    });
}

#[test]
fn a_worker_that_exits_on_demand_is_an_error_and_then_replaced() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        assert_eq!(client.get("gateway.do", "/exit").status, 500);
        assert_eq!(client.get("gateway.do", "/health").status, 200);
    });
}
