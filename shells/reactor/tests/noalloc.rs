//! An echo in steady state allocates nothing, on either backend.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::alloc::System;
use std::io::{Read, Write};

use forebay_reactor::{
    Backend, Completion, Config, Flags, Handle, Piece, PoolClass, Reactor, ReactorError, Tier,
};

/// Counts what the thread that is watched allocates.
struct Counting;

static WATCHED: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local!(static MINE: core::cell::Cell<bool> = const { core::cell::Cell::new(false) });

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.load(Ordering::Relaxed) && MINE.get() {
            COUNT.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's duties are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's duties are the same.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One message there and back, as three pieces.
fn echo(reactor: &mut Reactor, socket: Handle, pieces: &mut Vec<Piece>) {
    let mut out = [Completion::EMPTY; 16];
    let mut sent = false;
    while !sent {
        let count = reactor.wait(&mut out, None).expect("the loop goes on");
        for completion in &out[..count] {
            if completion.flags.contains(Flags::BUFFER) {
                let buf = reactor.take_buf(completion).expect("bytes");
                let mut head = reactor.alloc(PoolClass::Small).expect("a buffer");
                head[..4].copy_from_slice(b"head");
                pieces.push(head.freeze(4).into());
                pieces.push(buf.slice(0..2).into());
                pieces.push(buf.slice(2..10).into());
                sent = reactor.send(socket, pieces, 1).expect("accepted").is_none();
            } else {
                sent = completion.result == 14;
            }
        }
    }
}

fn run(config: &Config) {
    let mut reactor = match Reactor::new(config) {
        Ok(reactor) => reactor,
        Err(ReactorError::UringNotAvailable(_)) => return,
        Err(error) => panic!("{error}"),
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
    let mut peer =
        std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
    let (ours, _) = listener.accept().expect("connected");
    let socket = reactor.attach(ours.into()).map_err(|(_, error)| error).expect("a socket");
    reactor.recv_multi(socket, PoolClass::Small, 0).expect("accepted");
    let mut pieces = Vec::new();
    for round in 0..2000 {
        if round == 1000 {
            COUNT.store(0, Ordering::Relaxed);
            WATCHED.store(true, Ordering::Relaxed);
        }
        peer.write_all(b"ten bytes.").expect("open");
        echo(&mut reactor, socket, &mut pieces);
        let mut bytes = [0; 14];
        peer.read_exact(&mut bytes).expect("they come");
        assert_eq!(&bytes, b"headten bytes.");
    }
    WATCHED.store(false, Ordering::Relaxed);
    assert_eq!(COUNT.load(Ordering::Relaxed), 0, "{config:?}");
}

#[test]
fn an_echo_in_steady_state_allocates_nothing() {
    MINE.set(true);
    run(&Config { backend: Backend::Epoll, ..Config::default() });
    for tier_max in [Tier::One, Tier::Two, Tier::Three] {
        run(&Config { backend: Backend::IoUring, tier_max, ..Config::default() });
    }
}
