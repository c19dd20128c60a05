//! Other threads: wake-ups and messages.

use core::time::Duration;
use std::time::Instant;

use forebay_reactor::{Flags, OpId, PostError};

use crate::bench::{Bench, DEADLINE};

pub(crate) fn wakes_a_sleeping_reactor(mut bench: Bench) {
    for _ in 0..20 {
        let remote = bench.reactor.remote();
        let start = Instant::now();
        let waker = std::thread::spawn(move || {
            remote.wake();
            remote.wake();
        });
        // Whether it comes before the wait or during it, the wait ends.
        bench.turn(DEADLINE);
        assert!(start.elapsed() < DEADLINE);
        waker.join().expect("no panic");
        bench.turn(Duration::ZERO);
        bench.turn(Duration::ZERO);
    }
}

pub(crate) fn messages_arrive_in_order_from_many_threads(mut bench: Bench) {
    const THREADS: u64 = 4;
    const EACH: u64 = 2000;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let remote = bench.reactor.remote();
            std::thread::spawn(move || {
                for at in 0..EACH {
                    while remote.post(thread << 32 | at) == Err(PostError::Full) {
                        std::thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; THREADS as usize];
    for _ in 0..THREADS * EACH {
        let seen = bench.next(|completion| completion.flags.contains(Flags::MESSAGE)).completion;
        assert_eq!(seen.op, OpId::NONE);
        let (thread, at) = ((seen.token >> 32) as usize, seen.token & 0xffff_ffff);
        assert_eq!(next[thread], at);
        next[thread] += 1;
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
    bench.expect_quiet();
}

pub(crate) fn a_full_inbox_says_so(mut bench: Bench) {
    let remote = bench.reactor.remote();
    let posted = (0..).take_while(|message| remote.post(*message).is_ok()).count();
    assert_eq!(remote.post(0), Err(PostError::Full));
    for at in 0..posted {
        let seen = bench.next(|_| true).completion;
        assert_eq!(seen.token, at as u64);
    }
    assert_eq!(remote.post(0), Ok(()));
}

pub(crate) fn a_gone_reactor_says_so(bench: Bench) {
    let remote = bench.reactor.remote();
    drop(bench);
    assert_eq!(remote.post(1), Err(PostError::Closed));
    remote.wake();
}

pub(crate) fn spinning_finds_messages(bench: Bench) {
    let mut bench = bench.again(|config| config.spin = Duration::from_micros(50));
    for at in 0..50 {
        let remote = bench.reactor.remote();
        let poster = std::thread::spawn(move || remote.post(at));
        assert_eq!(bench.next(|_| true).completion.token, at);
        poster.join().expect("no panic").expect("room");
    }
}
