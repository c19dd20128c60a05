//! Cancelling: exactly one terminal completion, and everything comes back.

use core::time::Duration;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

use forebay_reactor::{CancelOutcome, Completion, Flags, Interest};
use rustix::io::Errno;

use crate::bench::{Bench, pattern};

fn expect_cancelled(completion: Completion) {
    assert!(completion.is_terminal());
    assert!(completion.flags.contains(Flags::CANCELLED), "{completion:?}");
    assert_eq!(completion.result, -Errno::CANCELED.raw_os_error());
}

pub(crate) fn a_receive(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let op = bench.recv(socket, 1);
    bench.expect_quiet();
    assert_eq!(bench.reactor.cancel(op), CancelOutcome::Requested);
    expect_cancelled(bench.of(op).completion);
    assert_eq!(bench.reactor.cancel(op), CancelOutcome::NotFound);
    peer.write_all(b"kept by the kernel").expect("open");
    bench.expect_quiet();
    let op = bench.recv(socket, 2);
    assert_eq!(bench.receive(op, 18), b"kept by the kernel");
}

pub(crate) fn an_accept(mut bench: Bench) {
    let (listener, addr) = bench.listener();
    let op = bench.reactor.accept_multi(listener, 1).expect("accepted");
    let peer = TcpStream::connect(addr).expect("it listens");
    bench.reactor.cancel(op);
    // The connection was taken before, or waits for the next accept; it is not lost between.
    let mut taken = 0;
    loop {
        let seen = bench.of(op);
        taken += u32::from(seen.handle.is_some());
        if seen.completion.is_terminal() {
            expect_cancelled(seen.completion);
            break;
        }
    }
    let op = bench.reactor.accept_multi(listener, 2).expect("accepted");
    if taken == 0 {
        assert!(bench.of(op).handle.is_some());
    }
    drop(peer);
    bench.reactor.close(listener).expect("open");
    expect_cancelled(bench.end_of(op).completion);
}

pub(crate) fn a_send_that_is_stuck(mut bench: Bench) {
    let (socket, peer) = bench.pair();
    let bytes = bytes::Bytes::from(pattern(16 << 20));
    let mut pieces = vec![bytes.clone().into()];
    let op = bench.reactor.send(socket, &mut pieces, 1).expect("accepted").expect("too much");
    bench.expect_quiet();
    assert!(!bytes.is_unique(), "the reactor holds a loan");
    bench.reactor.cancel(op);
    let seen = bench.of(op);
    // The kernel reports a send that had begun by its count, and a send that had not as cancelled.
    assert!(seen.completion.is_terminal());
    expect_cancelled(seen.completion);
    assert!(seen.sent > 0 && seen.sent < 16 << 20, "{}", seen.sent);
    assert!(bytes.is_unique(), "the loan came back");
    drop(peer);
}

pub(crate) fn an_operation_in_the_queue(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let first = bench.recv(socket, 1);
    let second = bench.recv(socket, 2);
    let third = bench.recv(socket, 3);
    assert_eq!(bench.reactor.cancel(second), CancelOutcome::Requested);
    expect_cancelled(bench.of(second).completion);
    peer.write_all(b"first").expect("open");
    assert_eq!(bench.receive(first, 5), b"first");
    bench.reactor.cancel(first);
    expect_cancelled(bench.end_of(first).completion);
    peer.write_all(b"third").expect("open");
    assert_eq!(bench.receive(third, 5), b"third");
}

pub(crate) fn a_poll(mut bench: Bench) {
    let (socket, _peer) = bench.pair();
    let polls: Vec<_> = (0..3)
        .map(|token| bench.reactor.poll(socket, Interest::READABLE, token).expect("accepted"))
        .collect();
    bench.expect_quiet();
    bench.reactor.cancel(polls[1]);
    expect_cancelled(bench.of(polls[1]).completion);
    bench.expect_quiet();
    (&_peer).write_all(b"x").expect("open");
    for op in [polls[0], polls[2]] {
        assert!(bench.of(op).completion.flags.contains(Flags::READABLE));
    }
}

pub(crate) fn what_has_ended(mut bench: Bench) {
    let (socket, peer) = bench.pair();
    let op = bench.recv(socket, 1);
    drop(peer);
    let poll = bench.reactor.poll(socket, Interest::READ_CLOSED, 2).expect("accepted");
    bench.of(poll);
    // Its terminal completion is queued or will be: the cancel changes nothing or comes first.
    bench.reactor.cancel(op);
    let end = bench.end_of(op).completion;
    assert!(end.result == 0 || end.flags.contains(Flags::CANCELLED));
    assert_eq!(bench.reactor.cancel(op), CancelOutcome::NotFound);
    bench.expect_quiet();
}

pub(crate) fn deadlines_cancel(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let start = Instant::now();
    let op = bench.recv(socket, 1);
    bench.reactor.set_deadline(op, Duration::from_millis(50)).expect("it runs");
    let other = bench.reactor.poll(socket, Interest::READABLE, 2).expect("accepted");
    bench.reactor.set_deadline(other, Duration::from_secs(3600)).expect("it runs");
    expect_cancelled(bench.of(op).completion);
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(bench.reactor.set_deadline(op, Duration::ZERO).is_err());
    peer.write_all(b"x").expect("open");
    bench.of(other);
    bench.expect_quiet();
}

pub(crate) fn timeouts_fire(mut bench: Bench) {
    let start = Instant::now();
    let never = bench.reactor.timeout(Duration::from_secs(3600), 1).expect("accepted");
    let late = bench.reactor.timeout(Duration::from_millis(60), 2).expect("accepted");
    let soon = bench.reactor.timeout(Duration::from_millis(20), 3).expect("accepted");
    let first = bench.next(|_| true).completion;
    assert_eq!((first.op, first.result, first.token), (soon, 0, 3));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(bench.of(late).completion.result, 0);
    assert!(start.elapsed() >= Duration::from_millis(60));
    bench.reactor.cancel(never);
    expect_cancelled(bench.of(never).completion);
}
