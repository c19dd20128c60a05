//! Loans of pool buffers.

use std::io::Write;

use forebay_reactor::{Piece, PoolClass};

use crate::bench::{Bench, read_exact};

pub(crate) fn loans_end_on_any_thread(bench: Bench) {
    let mut bench = bench.again(|config| config.small_bytes = 8 * 4096);
    for round in 0..200u32 {
        let mut loans = Vec::new();
        while let Some(mut buf) = bench.reactor.alloc(PoolClass::Small) {
            buf[..4].copy_from_slice(&round.to_le_bytes());
            loans.push(buf.freeze(4));
        }
        assert_eq!(loans.len(), 8);
        let clones: Vec<_> = loans.iter().map(|loan| loan.slice(0..2)).collect();
        let other = std::thread::spawn(move || {
            assert!(clones.iter().all(|clone| clone[..] == round.to_le_bytes()[..2]));
        });
        drop(loans);
        other.join().expect("no panic");
    }
}

pub(crate) fn loans_outlive_the_reactor(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let op = bench.recv(socket, 1);
    peer.write_all(b"remember").expect("open");
    let buf = bench.of(op).buf.expect("bytes");
    let clone = buf.clone();
    drop(bench);
    assert_eq!(&*buf, b"remember");
    drop(buf);
    let other = std::thread::spawn(move || clone.to_vec());
    assert_eq!(other.join().expect("no panic"), b"remember");
}

pub(crate) fn memory_is_bounded_by_the_configuration(bench: Bench) {
    let mut bench = bench.again(|config| {
        config.small_bytes = 16 * 4096;
        config.bulk_bytes = 2 * 128 * 1024;
    });
    let small: Vec<_> = core::iter::from_fn(|| bench.reactor.alloc(PoolClass::Small)).collect();
    let bulk: Vec<_> = core::iter::from_fn(|| bench.reactor.alloc(PoolClass::Bulk)).collect();
    assert_eq!((small.len(), bulk.len()), (16, 2));
    assert!(small.iter().all(|buf| buf.len() == 4096));
    assert!(bulk.iter().all(|buf| buf.len() == 128 * 1024));
    drop(small);
    assert!(bench.reactor.alloc(PoolClass::Small).is_some());
}

pub(crate) fn nothing_is_lost_in_a_long_run(bench: Bench) {
    // Few buffers and many messages: a loan that did not come back would end this soon.
    let mut bench = bench.again(|config| config.small_bytes = 4 * 4096);
    let (socket, mut peer) = bench.pair();
    let recv = bench.recv(socket, 1);
    for round in 0..2000u32 {
        peer.write_all(&round.to_le_bytes()).expect("open");
        let seen = bench.of(recv);
        let buf = seen.buf.expect("bytes");
        assert_eq!(buf.len(), 4);
        let mut pieces = vec![Piece::from(buf.slice(0..2)), Piece::from(buf.slice(2..4))];
        drop(buf);
        let send = bench.reactor.send(socket, &mut pieces, 2).expect("accepted");
        bench.expect_sent(send, 4);
        assert_eq!(read_exact(&mut peer, 4), round.to_le_bytes());
    }
    assert!(!bench.is_uring() || bench.reactor.stats().starved == 0);
}

pub(crate) fn tiny_queues_lose_nothing(bench: Bench) {
    const COUNT: usize = 100;
    // Two entries: every queue of the kernel runs over, again and again.
    let mut bench = bench.again(|config| config.entries = 2);
    let mut pairs: Vec<_> = (0..COUNT).map(|_| bench.pair()).collect();
    let recvs: Vec<_> = pairs.iter().map(|(socket, _)| bench.recv(*socket, 0)).collect();
    for round in 0..10u8 {
        for (_, peer) in &mut pairs {
            peer.write_all(&[round; 100]).expect("open");
        }
        let mut sends = Vec::new();
        for (recv, (socket, _)) in recvs.iter().zip(&pairs) {
            let bytes = bench.receive(*recv, 100);
            sends.push(bench.send(*socket, &bytes, 1));
        }
        for send in sends {
            bench.expect_sent(send, 100);
        }
        for (_, peer) in &mut pairs {
            assert_eq!(read_exact(peer, 100), [round; 100]);
        }
    }
    for (_, peer) in &mut pairs {
        peer.write_all(b"late").expect("open");
    }
    for recv in &recvs {
        bench.reactor.cancel(*recv);
    }
    let mut late = 0;
    for recv in recvs {
        loop {
            let seen = bench.of(recv);
            late += seen.buf.map_or(0, |buf| buf.len());
            if seen.completion.is_terminal() {
                break;
            }
        }
    }
    let again: Vec<_> = pairs.iter().map(|(socket, _)| bench.recv(*socket, 0)).collect();
    let rest = COUNT * 4 - late;
    let mut got = 0;
    while got < rest {
        let seen = bench.next(|completion| again.contains(&completion.op));
        got += seen.buf.map_or(0, |buf| buf.len());
    }
    assert_eq!(got, rest);
    assert_eq!(bench.reactor.op_count(), COUNT);
}
