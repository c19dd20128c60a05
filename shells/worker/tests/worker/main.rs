//! Real worker processes, driven by `core/procwire`'s parent over real pipes and sockets.
#![cfg(unix)]

mod answers;
mod control;
mod flow;
mod http;

use forebay_core_procwire::ResponseKind;
use forebay_core_procwire::msgpack::Reader;
use forebay_tests::parent::{Of, PATIENCE, Parent, Received};
use forebay_tests::until;

/// A worker on one thread, and one on two: handlers run in the driver there and beside it here.
fn on_each_runtime(test: impl Fn(&mut dyn FnMut(&[(&str, &str)]) -> Parent)) {
    test(&mut |env| Parent::of_example("everything", env));
    test(&mut |env| {
        let threads = [("WORKER_THREADS", "2")];
        Parent::of_example("everything", &[&threads, env].concat())
    });
}

/// A MessagePack string below 32 bytes.
fn text(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).expect("short");
    assert!(len < 32);
    [&[0xA0 | len], text.as_bytes()].concat()
}

/// The text of an error answer.
fn message(payload: &[u8]) -> &str {
    Reader::new(payload).read_str().expect("a message is text")
}

/// The payload of the next event.
fn event(parent: &mut Parent, name: &str) -> Vec<u8> {
    let Received { source, payload } = parent.receive();
    assert_eq!(source, Of::Event(name.to_owned()));
    payload
}

/// Waits until so many requests are parked.
fn until_waiting(parent: &mut Parent, count: u16) {
    let [high, low] = count.to_be_bytes();
    let expected = if count < 128 { vec![low] } else { vec![0xCD, high, low] };
    until("the requests wait", PATIENCE, || {
        (parent.ask("waiting", &[0xC0]).1 == expected).then_some(())
    });
}

/// Waits until the worker takes another request.
fn until_room(parent: &mut Parent) {
    until("there is room for a request", PATIENCE, || {
        (parent.ask("echo", &[1]).0 == ResponseKind::Result).then_some(())
    });
}

/// Asserts that a request fails with this text.
fn assert_fails(parent: &mut Parent, method: &str, payload: &[u8], expected: &str) {
    let (kind, payload) = parent.ask(method, payload);
    assert!(matches!(kind, ResponseKind::Error | ResponseKind::StreamError), "{method}: {kind:?}");
    assert_eq!(message(&payload), expected, "{method}");
}
