//! Handles and connections from their start to their end.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};

use forebay_reactor::{BackendKind, CancelOutcome, Flags, Interest, PoolClass, ReactorError, net};

use crate::bench::{Bench, DEADLINE, read_exact, reset};

pub(crate) fn accepts_and_echoes(mut bench: Bench) {
    let (listener, addr) = bench.listener();
    let accept = bench.reactor.accept_multi(listener, 1).expect("accepted");
    for round in 0..3u8 {
        let mut peer = TcpStream::connect(addr).expect("it listens");
        let seen = bench.of(accept);
        assert_eq!((seen.completion.token, seen.completion.result), (1, 0));
        assert!(!seen.completion.is_terminal());
        let socket = seen.handle.expect("a connection");
        let recv = bench.recv(socket, 2);
        for message in [&[round; 1][..], &[round; 700]] {
            peer.write_all(message).expect("open");
            let bytes = bench.receive(recv, message.len());
            let send = bench.send(socket, &bytes, 3);
            bench.expect_sent(send, message.len());
            assert_eq!(read_exact(&mut peer, message.len()), message);
        }
        drop(peer);
        assert_eq!(bench.of(recv).completion.result, 0);
        bench.reactor.close(socket).expect("open");
    }
    bench.expect_quiet();
    assert_eq!(bench.reactor.op_count(), 1);
}

pub(crate) fn five_hundred_connections(mut bench: Bench) {
    const COUNT: usize = 512;
    let (listener, addr) = bench.listener();
    let accept = bench.reactor.accept_multi(listener, 0).expect("accepted");
    let mut peers: Vec<TcpStream> =
        (0..COUNT).map(|_| TcpStream::connect(addr).expect("it listens")).collect();
    let mut recvs = Vec::new();
    for at in 0..COUNT {
        let socket = bench.of(accept).handle.expect("a connection");
        recvs.push((socket, bench.recv(socket, at as u64)));
    }
    for round in 0..3u8 {
        for peer in &mut peers {
            peer.write_all(&[round; 64]).expect("open");
        }
        for (socket, recv) in recvs.clone() {
            let bytes = bench.receive(recv, 64);
            let op = bench.send(socket, &bytes, 0);
            bench.expect_sent(op, 64);
        }
        for peer in &mut peers {
            assert_eq!(read_exact(peer, 64), [round; 64]);
        }
    }
    drop(peers);
    for (_, recv) in recvs {
        assert_eq!(bench.of(recv).completion.result, 0);
    }
    bench.expect_quiet();
}

pub(crate) fn half_close_is_a_read_of_zero(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let recv = bench.recv(socket, 9);
    peer.write_all(b"last words").expect("open");
    peer.shutdown(Shutdown::Write).expect("open");
    assert_eq!(bench.receive(recv, 10), b"last words");
    let end = bench.of(recv).completion;
    assert!(end.is_terminal());
    assert_eq!((end.result, end.token), (0, 9));
    // The other direction is open.
    let send = bench.send(socket, b"answer", 0);
    bench.expect_sent(send, 6);
    assert_eq!(read_exact(&mut peer, 6), b"answer");
    bench.reactor.shutdown_write(socket).expect("open");
    assert_eq!(peer.read(&mut [0; 1]).expect("the end"), 0);
    // A receive after the end reads the end again.
    let recv = bench.recv(socket, 10);
    assert_eq!(bench.of(recv).completion.result, 0);
}

pub(crate) fn reset_is_seen_while_not_reading(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let recv = bench.recv(socket, 1);
    peer.write_all(b"x").expect("open");
    bench.receive(recv, 1);
    bench.reactor.cancel(recv);
    bench.end_of(recv);
    let poll = bench.reactor.poll(socket, Interest::HUP, 7).expect("accepted");
    bench.expect_quiet();
    peer.write_all(b"nobody reads this").expect("open");
    bench.expect_quiet();
    reset(peer);
    let seen = bench.of(poll).completion;
    assert!(seen.is_terminal() && seen.flags.contains(Flags::HUP), "{seen:?}");
    assert_eq!((seen.token, seen.result), (7, 0));
}

pub(crate) fn both_directions_gone_is_seen_while_not_reading(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let poll = bench.reactor.poll(socket, Interest::HUP, 7).expect("accepted");
    bench.reactor.shutdown_write(socket).expect("open");
    peer.write_all(b"unread").expect("open");
    bench.expect_quiet();
    drop(peer);
    assert!(bench.of(poll).completion.flags.contains(Flags::HUP));
    // A poll of what has happened already completes, too.
    let poll = bench.reactor.poll(socket, Interest::HUP, 8).expect("accepted");
    assert!(bench.of(poll).completion.flags.contains(Flags::HUP));
}

pub(crate) fn half_close_is_no_hang_up(mut bench: Bench) {
    let (socket, peer) = bench.pair();
    let hup = bench.reactor.poll(socket, Interest::HUP, 1).expect("accepted");
    let closed = bench.reactor.poll(socket, Interest::READ_CLOSED, 2).expect("accepted");
    peer.shutdown(Shutdown::Write).expect("open");
    let seen = bench.of(closed).completion;
    assert!(seen.flags.contains(Flags::READ_CLOSED) && !seen.flags.contains(Flags::HUP));
    bench.expect_quiet();
    assert_eq!(bench.reactor.cancel(hup), CancelOutcome::Requested);
    assert!(bench.of(hup).completion.flags.contains(Flags::CANCELLED));
}

pub(crate) fn closing_ends_what_runs(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let ops = [
        bench.recv(socket, 1),
        bench.recv(socket, 2),
        bench.reactor.poll(socket, Interest::HUP, 3).expect("accepted"),
    ];
    bench.turn(core::time::Duration::ZERO);
    bench.reactor.close(socket).expect("open");
    assert!(matches!(bench.reactor.close(socket), Err(ReactorError::StaleHandle)));
    for op in ops {
        assert!(bench.end_of(op).completion.flags.contains(Flags::CANCELLED));
    }
    assert_eq!(peer.read(&mut [0; 1]).expect("the end"), 0);
    assert_eq!(bench.reactor.op_count(), 0);
    bench.expect_quiet();
}

pub(crate) fn stale_handles_and_operations_name_nothing(mut bench: Bench) {
    let (socket, _peer) = bench.pair();
    let recv = bench.recv(socket, 1);
    bench.reactor.close(socket).expect("open");
    bench.end_of(recv);
    let (other, mut peer) = bench.pair();
    let again = bench.recv(other, 2);
    assert_eq!(again.index(), recv.index(), "the slot is used again");
    assert_ne!(again, recv);
    assert_eq!(bench.reactor.cancel(recv), CancelOutcome::NotFound);
    assert!(matches!(
        bench.reactor.recv_multi(socket, PoolClass::Small, 3),
        Err(ReactorError::StaleHandle)
    ));
    assert!(bench.reactor.fd(socket).is_none());
    assert!(bench.reactor.read(socket, &mut [0]).is_err());
    peer.write_all(b"alive").expect("open");
    assert_eq!(bench.receive(again, 5), b"alive");
}

pub(crate) fn connects_to_a_unix_socket(mut bench: Bench) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let missing = bench.reactor.connect_unix(&path, 1).expect("accepted");
    let seen = bench.of(missing);
    assert_eq!(seen.completion.result, -rustix::io::Errno::NOENT.raw_os_error());
    assert!(seen.handle.is_none());
    let listener = net::listen_unix(&path, 8).expect("a new socket");
    let listener = bench.attach(listener);
    let accept = bench.reactor.accept_multi(listener, 2).expect("accepted");
    let connect = bench.reactor.connect_unix(&path, 3).expect("accepted");
    let ours = bench.of(connect).handle.expect("connected");
    let theirs = bench.of(accept).handle.expect("connected");
    let recv = bench.recv(theirs, 4);
    let send = bench.send(ours, b"over the path", 5);
    bench.expect_sent(send, 13);
    assert_eq!(bench.receive(recv, 13), b"over the path");
}

pub(crate) fn the_operation_table_has_an_end(bench: Bench) {
    let mut bench = bench.again(|config| config.max_ops = 3);
    let (socket, mut peer) = bench.pair();
    let ops = [1, 2, 3].map(|token| bench.recv(socket, token));
    let full = bench.reactor.recv_multi(socket, PoolClass::Small, 4);
    assert!(matches!(full, Err(ReactorError::OpTableFull)));
    let mut pieces = vec![forebay_reactor::Piece::Static(b"kept")];
    let full = bench.reactor.send(socket, &mut pieces, 4);
    assert!(matches!(full, Err(ReactorError::OpTableFull)));
    assert_eq!(pieces.len(), 1, "what was refused comes back");
    bench.reactor.cancel(ops[1]);
    bench.end_of(ops[1]);
    bench.recv(socket, 5);
    peer.write_all(b"still").expect("open");
    assert_eq!(bench.receive(ops[0], 5), b"still");
}

pub(crate) fn handles_not_taken_are_closed(mut bench: Bench) {
    let (listener, addr) = bench.listener();
    bench.reactor.accept_multi(listener, 1).expect("accepted");
    let mut peer = TcpStream::connect(addr).expect("it listens");
    peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let mut out = [forebay_reactor::Completion::EMPTY; 4];
    let end = std::time::Instant::now() + DEADLINE;
    while bench.reactor.wait(&mut out, Some(DEADLINE)).expect("the loop goes on") == 0 {
        assert!(std::time::Instant::now() < end);
    }
    bench.turn(core::time::Duration::ZERO);
    assert_eq!(peer.read(&mut [0; 1]).expect("the end"), 0);
    let stale = bench.reactor.take_handle(&out[0]);
    assert!(stale.is_none(), "it belonged to the last wait");
}

pub(crate) fn dropping_a_busy_reactor_closes_everything(mut bench: Bench) {
    let (listener, _) = bench.listener();
    bench.reactor.accept_multi(listener, 1).expect("accepted");
    let (socket, mut peer) = bench.pair();
    bench.recv(socket, 2);
    bench.reactor.poll(socket, Interest::HUP, 3).expect("accepted");
    bench.send(socket, &vec![1; 16 << 20], 4);
    bench.turn(core::time::Duration::ZERO);
    drop(bench);
    let mut rest = Vec::new();
    // An end or a reset, but no wait without end.
    let _ = peer.read_to_end(&mut rest);
    assert!(rest.len() < 16 << 20);
}

pub(crate) fn a_child_is_seen_through_its_pipe(mut bench: Bench) {
    let mut child = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat is everywhere");
    let stdin = bench.attach(child.stdin.take().expect("piped"));
    let stdout = bench.attach(child.stdout.take().expect("piped"));
    let poll = bench.reactor.poll(stdout, Interest::READABLE, 1).expect("accepted");
    bench.expect_quiet();
    assert_eq!(bench.reactor.write(stdin, b"line\n").expect("room"), 5);
    assert!(bench.of(poll).completion.flags.contains(Flags::READABLE));
    let mut line = [0; 64];
    assert_eq!(bench.reactor.read(stdout, &mut line[..2]).expect("there"), 2);
    // What is left is found by a new poll, although no edge comes for it.
    let poll = bench.reactor.poll(stdout, Interest::READABLE, 2).expect("accepted");
    assert!(bench.of(poll).completion.flags.contains(Flags::READABLE));
    assert_eq!(bench.reactor.read(stdout, &mut line).expect("there"), 3);
    let pid = rustix::process::Pid::from_child(&child);
    let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
    let pidfd = bench.attach(pidfd.expect("a live child"));
    let ended = bench.reactor.poll(pidfd, Interest::READABLE, 3).expect("accepted");
    let poll = bench.reactor.poll(stdout, Interest::HUP, 4).expect("accepted");
    bench.expect_quiet();
    bench.reactor.close(stdin).expect("open");
    assert!(bench.of(poll).completion.flags.contains(Flags::HUP));
    assert!(bench.of(ended).completion.flags.contains(Flags::READABLE));
    assert!(child.wait().expect("it ended").success());
}

pub(crate) fn backend_tells_what_it_is(bench: Bench) {
    let info = bench.reactor.backend();
    assert!(!info.reason.is_empty());
    match info.kind {
        BackendKind::IoUring => {
            assert!(info.tier.is_some_and(|tier| tier <= bench.config.tier_max));
        }
        _ => assert_eq!(info.tier, None),
    }
}
