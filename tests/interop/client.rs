//! Our parent session drives `@procwire/client`.

use core::time::Duration;
use std::path::Path;
use std::process::Command;

use forebay_core_procwire::ResponseKind;
use forebay_core_procwire::msgpack::Reader;
use forebay_tests::parent::{Announced, Of, PATIENCE, Parent, Received};
use forebay_tests::until;

use crate::node::{file, node};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn announced(token: Option<&str>) -> Announced {
    let mut command = Command::new(node());
    command.arg(file("client.mjs")).env_remove("PROCWIRE_TOKEN");
    command.envs(token.map(|token| ("PROCWIRE_TOKEN", token)));
    Announced::start(command)
}

fn connected() -> Parent {
    announced(None).connect(None)
}

/// A MessagePack string below 32 bytes.
fn text(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("short");
    assert!(len < 32);
    [&[0xA0 | len], text.as_bytes()].concat()
}

fn event(name: &str, payload: Vec<u8>) -> Received {
    Received { source: Of::Event(name.to_owned()), payload }
}

/// Waits until so many requests are parked.
fn until_waiting(parent: &mut Parent, count: u8) {
    until("the requests wait", PATIENCE, || {
        (parent.ask("waiting", &[0xC0]).1 == [count]).then_some(())
    });
}

#[test]
fn every_response_type() {
    let mut parent = connected();
    let hello = text("hello");
    assert_eq!(parent.ask("echo", &hello), (ResponseKind::Result, hello.clone()));
    assert_eq!(parent.ask("line\u{2028}separator", &[1]), (ResponseKind::Result, vec![1]));
    assert_eq!(parent.ask("ack_data", &hello), (ResponseKind::Ack, hello.clone()));
    // What npm's own parent rejects: no data at all.
    assert_eq!(parent.ask("ack_empty", &hello), (ResponseKind::Ack, vec![]));
    parent.notice("note", &hello);
    assert_eq!(parent.receive(), event("progress", hello));

    let stream = parent.call("count", &[3]);
    let frame = |kind, payload| Received { source: Of::Request(stream, kind), payload };
    for n in 0..3 {
        assert_eq!(parent.receive(), frame(ResponseKind::Chunk, vec![n]));
    }
    assert_eq!(parent.receive(), frame(ResponseKind::End, vec![]));
}

#[test]
fn large_payloads_come_back_whole() {
    let mut parent = connected();
    for len in [0, 1, 65_535, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|n: u32| n.to_le_bytes()[0]).collect();
        assert_eq!(parent.ask("echo_raw", &bytes), (ResponseKind::Result, bytes));
    }
}

#[test]
fn errors_are_msgpack_whatever_the_codec() {
    let mut parent = connected();
    let message = |payload: &[u8]| Reader::new(payload).read_str().map(str::to_owned);
    for (method, expected) in [("fail", "boom"), ("fail_raw", "raw")] {
        let (kind, payload) = parent.ask(method, &text("boom"));
        assert_eq!((kind, message(&payload)), (ResponseKind::Error, Ok(expected.to_owned())));
    }
    let (kind, payload) = parent.ask("fail_structured", &[42]);
    let expected = [&[0x82], &*text("message"), &text("bad"), &text("code"), &[42]].concat();
    assert_eq!((kind, payload), (ResponseKind::Error, expected));

    let stream = parent.call("fail_midway", &[0xC0]);
    assert_eq!(parent.receive().payload, [1]);
    let Received { source, payload } = parent.receive();
    assert_eq!(source, Of::Request(stream, ResponseKind::StreamError));
    assert_eq!(message(&payload), Ok("mid".to_owned()));
}

/// The worker hears of it, stops, and what it had under way does not confuse anybody.
#[test]
fn aborts_reach_the_handler() {
    let mut parent = connected();
    let parked = parent.call("park", &[0xC0]);
    until_waiting(&mut parent, 1);
    parent.abort(parked);
    assert_eq!(parent.receive(), event("progress", text("aborted")));
    until_waiting(&mut parent, 0);

    let stream = parent.call("count", &[0xCE, 0x3B, 0x9A, 0xCA, 0x00]);
    assert_eq!(parent.receive().payload, [0]);
    parent.abort(stream);
    let (kind, payload) = parent.ask("echo", &[7]);
    assert_eq!((kind, payload), (ResponseKind::Result, vec![7]));
}

#[test]
fn a_thousand_requests_at_once() {
    let mut parent = connected();
    let calls: Vec<u32> = (0..1000_u16)
        .map(|n| {
            let [high, low] = n.to_be_bytes();
            parent.call("echo_raw", &[high, low])
        })
        .collect();
    for (n, call) in (0..1000_u16).zip(calls) {
        assert_eq!(parent.answer(call), (ResponseKind::Result, n.to_be_bytes().to_vec()));
    }
}

#[test]
fn the_token_is_proved() {
    let mut parent = announced(Some(TOKEN)).connect(Some(TOKEN));
    assert_eq!(parent.ask("echo", &[1]).1, [1]);
}

#[test]
fn pings_are_answered() {
    let mut parent = connected();
    for _ in 0..3 {
        parent.ping(PATIENCE);
    }
}

#[test]
fn every_way_to_end_it_ends_it() {
    let ways: [fn(&mut Parent); 3] = [
        |parent| parent.line("{\"jsonrpc\":\"2.0\",\"method\":\"$shutdown\",\"params\":{}}\n"),
        |parent| parent.stdin = None,
        |parent| parent.socket.shutdown(std::net::Shutdown::Both).expect("it is open"),
    ];
    for end in ways {
        let mut parent = connected();
        assert_eq!(parent.ask("echo", &[1]).1, [1]);
        end(&mut parent);
        assert_eq!(parent.exit(Duration::from_secs(10)).code(), Some(0));
        assert!(!Path::new(&parent.pipe).exists());
    }
}
