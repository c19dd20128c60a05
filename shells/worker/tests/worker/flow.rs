//! Bounded memory in both directions, and nothing that waits for what it should not.

use core::time::Duration;
use std::collections::HashSet;
use std::time::Instant;

use forebay_core_procwire::ResponseKind;
use forebay_tests::parent::{Of, PATIENCE, Parent, peak_memory};
use forebay_tests::until;

use crate::{message, on_each_runtime, until_room, until_waiting};

const NIL: &[u8] = &[0xC0];

/// `[chunks, len]`.
fn flood(chunks: u32, len: u32) -> Vec<u8> {
    let mut payload = vec![0x92, 0xCE];
    payload.extend(chunks.to_be_bytes());
    payload.push(0xCE);
    payload.extend(len.to_be_bytes());
    payload
}

/// CPU time of a process, in clock ticks.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    fields[11].parse::<u64>().expect("a number") + fields[12].parse::<u64>().expect("a number")
}

/// A stream of 1 GiB whose reader pauses: nothing is lost, little is held, nothing spins.
#[test]
fn a_paused_reader_costs_bounded_memory_and_no_polling() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("flood", &flood(4096, 65_536));
        assert_eq!(parent.answer(request).0, ResponseKind::Chunk);
        let mut rounds = 0;
        // It may take a moment until everything is full.
        until("the worker comes to rest", PATIENCE, || {
            rounds += 1;
            let before = cpu_ticks(parent.pid());
            std::thread::park_timeout(Duration::from_millis(300));
            (cpu_ticks(parent.pid()) - before <= 1).then_some(())
        });
        assert!(rounds < 10, "it went on although nobody reads");
        let pause = Instant::now();
        while pause.elapsed() < Duration::from_secs(1) {
            parent.ping(Duration::from_secs(1));
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let mut chunks = 1;
        loop {
            match parent.answer(request) {
                (ResponseKind::Chunk, payload) => assert_eq!(payload.len(), 65_536),
                (ResponseKind::End, _) => break,
                (kind, payload) => panic!("{kind:?}: {}", message(&payload)),
            }
            chunks += 1;
        }
        assert_eq!(chunks, 4096);
        assert!(peak_memory(parent.pid()) < 24 << 20, "{} bytes", peak_memory(parent.pid()));
    });
}

/// Requests behind a blocked stream still arrive: an ABORT among them ends it.
#[test]
fn reading_goes_on_while_writing_is_blocked() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let blocked = parent.call("flood", &flood(1_000_000, 65_536));
        assert_eq!(parent.answer(blocked).0, ResponseKind::Chunk);
        for _ in 0..100 {
            parent.notice("note", &[1]);
        }
        parent.abort(blocked);
        assert_eq!(parent.ask("echo", &[9]), (ResponseKind::Result, vec![9]));
    });
}

#[test]
fn one_slow_stream_does_not_starve_another() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let streams: Vec<u32> = (0..8).map(|_| parent.call("flood", &flood(500, 10_000))).collect();
        let mut seen = vec![0_u32; streams.len()];
        let mut ended = 0;
        while ended < streams.len() {
            let Of::Request(id, kind) = parent.receive().source else {
                panic!("no event was asked for")
            };
            let index = streams.iter().position(|stream| *stream == id).expect("one of ours");
            match kind {
                ResponseKind::Chunk => seen[index] += 1,
                ResponseKind::End => ended += 1,
                kind => panic!("{kind:?}"),
            }
            if ended == 1 && kind == ResponseKind::End {
                // How far one gets ahead is the scheduler's business; none waits for another's end.
                assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
            }
        }
        assert!(seen.iter().all(|count| *count == 500), "{seen:?}");
    });
}

#[test]
fn a_request_over_the_limit_is_answered() {
    on_each_runtime(|start| {
        let mut parent = start(&[("MAX_CONCURRENCY", "2")]);
        let (first, second) = (parent.call("park", NIL), parent.call("park", NIL));
        for method in ["echo", "count"] {
            let (kind, payload) = parent.ask(method, &[1]);
            assert!(matches!(kind, ResponseKind::Error | ResponseKind::StreamError));
            assert!(message(&payload).contains("too many"), "{}", message(&payload));
        }
        // The limit does not stop the reader: an ABORT makes room.
        parent.abort(first);
        until_room(&mut parent);
        until_waiting(&mut parent, 1);
        parent.ask("release", NIL);
        assert_eq!(parent.answer(second).0, ResponseKind::Result);
    });
}

/// More refusals than fit any buffer, to a parent that does not read them: reading stops, memory
/// stays bounded, and every one of them arrives in the end.
#[test]
fn refusals_are_bounded_too() {
    let mut parent = Parent::of_example("everything", &[("MAX_CONCURRENCY", "1")]);
    let parked = parent.call("park", NIL);
    let count = 6000;
    let requests: HashSet<u32> = (0..count).map(|_| parent.call("echo", &[1])).collect();
    for _ in 0..count {
        let source = parent.receive().source;
        let Of::Request(id, ResponseKind::Error) = source else { panic!("{source:?}") };
        assert!(requests.contains(&id));
    }
    parent.abort(parked);
    assert!(peak_memory(parent.pid()) < 24 << 20);
}

/// What handlers hold stays as it came, whatever is read after it.
#[test]
fn payloads_that_handlers_keep_are_theirs() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let kept: Vec<(u32, Vec<u8>)> = (0..200_u8)
            .map(|n| {
                let payload = vec![n; 300 + 17 * usize::from(n)];
                (parent.call("later_raw", &payload), payload)
            })
            .collect();
        for n in 0..200_u8 {
            let payload = vec![!n; 2000];
            let between = parent.call("echo_raw", &payload);
            assert_eq!(parent.answer(between), (ResponseKind::Result, payload));
        }
        for (request, payload) in kept {
            assert_eq!(parent.answer(request), (ResponseKind::Result, payload));
        }
    });
}

#[test]
fn request_bytes_are_bounded() {
    let mut parent = Parent::of_example("everything", &[("MAX_REQUEST_BYTES", "100000")]);
    let big = vec![b'x'; 90_000];
    // One alone may be of any length.
    assert_eq!(parent.ask("echo_raw", &vec![b'y'; 300_000]).0, ResponseKind::Result);
    let parked = parent.call("park", NIL);
    let held = parent.call("later_raw", &big);
    let (kind, payload) = parent.ask("echo_raw", &big);
    assert_eq!((kind, message(&payload)), (ResponseKind::Error, "too many request bytes held"));
    assert_eq!(parent.answer(held).0, ResponseKind::Result);
    assert_eq!(parent.ask("echo_raw", &big).0, ResponseKind::Result);
    parent.abort(parked);
}

/// 10 MB payloads, one after the other: their memory is used again.
#[test]
fn large_echoes_hold_little_memory() {
    let mut parent = Parent::of_example("echo", &[]);
    let payload = vec![7; 10_000_000];
    for _ in 0..10 {
        let mut socket = parent.socket.try_clone().expect("a socket can be cloned");
        let frame = [b"\x00\x02\x00\x7F\xFF\xFF\xFF\x00\x98\x96\x80".as_slice(), &payload].concat();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut socket, &frame));
        let mut header = [0; 11];
        std::io::Read::read_exact(&mut parent.socket, &mut header).expect("an answer");
        assert_eq!(header, *b"\x00\x02\x03\x7F\xFF\xFF\xFF\x00\x98\x96\x80");
        let mut echoed = vec![0; payload.len()];
        std::io::Read::read_exact(&mut parent.socket, &mut echoed).expect("the whole answer");
        assert!(echoed == payload);
        writer.join().expect("no panic").expect("the worker reads");
    }
    assert!(peak_memory(parent.pid()) < 32 << 20, "{} bytes", peak_memory(parent.pid()));
}

/// A frame that declares 1 GiB and stops costs what came of it.
#[test]
fn a_declared_length_reserves_nothing() {
    let mut parent = Parent::of_example("echo", &[]);
    let frame = [b"\x00\x02\x00\x00\x00\x00\x05\x40\x00\x00\x00".as_slice(), &[0; 1000]].concat();
    std::io::Write::write_all(&mut parent.socket, &frame).expect("the worker reads");
    parent.ping(PATIENCE);
    std::thread::park_timeout(Duration::from_millis(100));
    assert!(peak_memory(parent.pid()) < 16 << 20);
}
