//! Receives: stopping, order, pools.

use std::io::Write;
use std::net::Shutdown;

use forebay_reactor::{Backend, Flags, PoolClass, Tier};
use rustix::io::Errno;

use crate::bench::{Bench, pattern, reset};

pub(crate) fn stopping_and_starting_again_loses_nothing(mut bench: Bench) {
    const LEN: usize = 4 << 20;
    let (socket, peer) = bench.pair();
    let sender = std::thread::spawn(move || {
        let mut peer = peer;
        peer.write_all(&pattern(LEN)).expect("they are read");
        peer.shutdown(Shutdown::Write).expect("open");
        peer
    });
    let mut got = Vec::new();
    let mut starts = 0;
    'starts: loop {
        let op = bench.recv(socket, starts);
        starts += 1;
        let mut stopped = false;
        loop {
            let seen = bench.of(op);
            assert_eq!(seen.completion.token, starts - 1);
            got.extend(seen.buf.iter().flat_map(|buf| buf.iter().copied()));
            if seen.completion.is_terminal() && seen.completion.result == 0 {
                break 'starts;
            }
            if seen.completion.is_terminal() {
                assert!(stopped && seen.completion.flags.contains(Flags::CANCELLED));
                break;
            }
            if !stopped {
                bench.reactor.cancel(op);
                stopped = true;
            }
        }
    }
    assert!(starts > 4, "it was stopped often");
    assert!(got == pattern(LEN), "{} of {LEN}", got.len());
    sender.join().expect("no panic");
    bench.expect_quiet();
}

pub(crate) fn a_receive_behind_another_waits_for_it(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let first = bench.recv(socket, 1);
    peer.write_all(b"one").expect("open");
    assert_eq!(bench.receive(first, 3), b"one");
    let second = bench.recv(socket, 2);
    bench.reactor.cancel(first);
    peer.write_all(b"two").expect("open");
    // The bytes come to one of them, whole and in order.
    let mut got = Vec::new();
    while got.len() < 3 {
        let seen = bench.next(|completion| completion.op == first || completion.op == second);
        got.extend(seen.buf.iter().flat_map(|buf| buf.iter().copied()));
    }
    assert_eq!(got, b"two");
    drop(peer);
    assert_eq!(bench.end_of(second).completion.result, 0);
}

pub(crate) fn bulk_buffers_take_large_reads(mut bench: Bench) {
    const LEN: usize = 1 << 20;
    let (socket, peer) = bench.pair();
    let sender = std::thread::spawn(move || (&peer).write_all(&pattern(LEN)).map(|()| peer));
    let op = bench.reactor.recv_multi(socket, PoolClass::Bulk, 1).expect("accepted");
    let mut got = Vec::new();
    let mut largest = 0;
    while got.len() < LEN {
        let buf = bench.of(op).buf.expect("bytes");
        largest = largest.max(buf.len());
        got.extend_from_slice(&buf);
    }
    assert!(largest > PoolClass::Small.buffer_len(), "{largest}");
    assert!(got == pattern(LEN));
    sender.join().expect("no panic").expect("they were read");
}

pub(crate) fn a_pipe_is_received_like_a_socket(mut bench: Bench) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let reader = bench.attach(reader);
    let op = bench.recv(reader, 1);
    bench.expect_quiet();
    (&writer).write_all(&pattern(10_000)).expect("it fits");
    assert_eq!(bench.receive(op, 10_000), pattern(10_000));
    (&writer).write_all(b"end").expect("it fits");
    drop(writer);
    assert_eq!(bench.receive(op, 3), b"end");
    let end = bench.of(op).completion;
    assert!(end.is_terminal() && end.result == 0);
}

pub(crate) fn an_empty_pool_ends_receives_until_buffers_return(bench: Bench) {
    let mut bench = bench.again(|config| config.small_bytes = 4 * 4096);
    let (socket, mut peer) = bench.pair();
    let op = bench.recv(socket, 1);
    peer.write_all(&pattern(64 * 1024)).expect("the kernel takes it");
    peer.shutdown(Shutdown::Write).expect("open");
    let mut loans = Vec::new();
    let mut got = Vec::new();
    let end = loop {
        let seen = bench.of(op);
        if seen.completion.is_terminal() {
            break seen.completion;
        }
        let buf = seen.buf.expect("bytes");
        got.extend_from_slice(&buf);
        loans.push(buf);
    };
    assert_eq!(end.result, -Errno::NOBUFS.raw_os_error());
    assert!(bench.reactor.stats().starved > 0);
    let wait = bench.reactor.await_buffers(PoolClass::Small, 2).expect("accepted");
    bench.expect_quiet();
    while !loans.is_empty() || got.len() < 64 * 1024 {
        loans.clear();
        let _ = bench.reactor.cancel(wait);
        let op = bench.recv(socket, 3);
        loop {
            let seen = bench.of(op);
            got.extend(seen.buf.iter().flat_map(|buf| buf.iter().copied()));
            if seen.completion.is_terminal() {
                break;
            }
        }
    }
    assert!(got == pattern(64 * 1024), "{}", got.len());
    assert!(bench.end_of(wait).completion.result <= 0);
}

pub(crate) fn buffers_of_another_thread_wake_the_reactor(bench: Bench) {
    let mut bench = bench.again(|config| config.small_bytes = 2 * 4096);
    let (socket, mut peer) = bench.pair();
    let op = bench.recv(socket, 1);
    peer.write_all(&pattern(32 * 1024)).expect("the kernel takes it");
    let mut loans = Vec::new();
    loop {
        let seen = bench.of(op);
        if seen.completion.is_terminal() {
            break;
        }
        loans.extend(seen.buf);
    }
    // Whatever is outside of the kernel's hands, too.
    while let Some(buf) = bench.reactor.alloc(PoolClass::Small) {
        loans.push(buf.freeze(1));
    }
    let wait = bench.reactor.await_buffers(PoolClass::Small, 2).expect("accepted");
    bench.expect_quiet();
    let giver = std::thread::spawn(move || drop(loans));
    assert_eq!(bench.of(wait).completion.result, 0);
    giver.join().expect("no panic");
    let op = bench.recv(socket, 3);
    assert!(bench.of(op).completion.result > 0);
}

pub(crate) fn pipelined_bytes_before_a_reset_arrive(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let op = bench.recv(socket, 1);
    peer.write_all(b"bytes").expect("open");
    assert_eq!(bench.receive(op, 5), b"bytes");
    reset(peer);
    let end = bench.of(op).completion;
    assert!(end.is_terminal());
    assert_eq!(end.result, -Errno::CONNRESET.raw_os_error());
    assert!(end.flags.contains(Flags::HUP));
}

pub(crate) fn a_single_receive_ends_with_its_bytes(mut bench: Bench) {
    const LEN: usize = 1 << 20;
    let (socket, peer) = bench.pair();
    let sender = std::thread::spawn(move || {
        (&peer).write_all(&pattern(LEN)).expect("they are read");
        peer.shutdown(Shutdown::Write).expect("open");
        peer
    });
    let mut got = Vec::new();
    loop {
        let op = bench.reactor.recv(socket, PoolClass::Bulk, 1).expect("accepted");
        let seen = bench.of(op);
        assert!(seen.completion.is_terminal(), "one receive, one completion");
        let Some(buf) = seen.buf else {
            assert_eq!(seen.completion.result, 0);
            break;
        };
        got.extend_from_slice(&buf);
    }
    assert!(got == pattern(LEN), "{} of {LEN}", got.len());
    sender.join().expect("no panic");
    bench.expect_quiet();
}

pub(crate) fn single_receives_wait_side_by_side(mut bench: Bench) {
    let pairs: Vec<_> = (0..64).map(|_| bench.pair()).collect();
    let mut ops = Vec::new();
    for (socket, _) in &pairs {
        ops.push(bench.reactor.recv(*socket, PoolClass::Bulk, 1).expect("accepted"));
    }
    let (_, mut last) = pairs.into_iter().next_back().expect("there are 64");
    last.write_all(b"x").expect("open");
    let seen = bench.of(ops[63]);
    assert_eq!(seen.buf.as_deref(), Some(&b"x"[..]));
}

pub(crate) fn a_burst_on_many_sockets_keeps_no_buffers(bench: Bench) {
    const COUNT: usize = 300;
    let one_each = bench.config.backend != Backend::Epoll && bench.config.tier_max == Tier::One;
    let mut bench = bench.again(|config| {
        // Where the kernel cannot choose from a ring, every receive has a buffer of its own.
        config.small_bytes = if one_each { 512 * 4096 } else { 256 * 4096 };
    });
    let pairs: Vec<_> = (0..COUNT).map(|_| bench.pair()).collect();
    for (token, (socket, _)) in (0..).zip(&pairs) {
        bench.recv(*socket, token);
    }
    for round in 0..5u8 {
        for (_, peer) in &pairs {
            (&mut &*peer).write_all(&[round]).expect("open");
        }
        let mut got = 0;
        while got < COUNT {
            let seen = bench.next(|_| true);
            if let Some(buf) = seen.buf {
                assert_eq!(&*buf, &[round]);
                got += 1;
            }
            if seen.completion.is_terminal() {
                assert_eq!(seen.completion.result, -Errno::NOBUFS.raw_os_error());
                let token = seen.completion.token;
                let index = usize::try_from(token).expect("an index");
                bench.recv(pairs[index].0, token);
            }
        }
    }
    let free: Vec<_> = core::iter::from_fn(|| bench.reactor.alloc(PoolClass::Small)).collect();
    assert!(free.len() >= 64, "{} buffers are left although nothing is underway", free.len());
}
