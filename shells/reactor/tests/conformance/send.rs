//! Sends: all bytes or an error, in order, from several pieces.

use core::time::Duration;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use forebay_reactor::{Flags, Interest, Piece, PoolClass, ReactorError};
use rustix::io::Errno;

use crate::bench::{Bench, DEADLINE, pattern, read_exact, reset};

pub(crate) fn every_piece_arrives_although_the_reader_is_slow(mut bench: Bench) {
    const LEN: usize = 8 << 20;
    let (socket, mut peer) = bench.pair();
    let mut head = bench.reactor.alloc(PoolClass::Small).expect("a new pool");
    head[..4].copy_from_slice(b"head");
    let body = bytes::Bytes::from(pattern(LEN));
    let mut pieces = vec![
        Piece::from(head.freeze(4)),
        Piece::from(body.slice(..LEN / 2)),
        Piece::Static(b"--middle--"),
        Piece::from(body.slice(LEN / 2..)),
    ];
    let op = bench.reactor.send(socket, &mut pieces, 5).expect("accepted").expect("too much");
    bench.expect_quiet();
    let total = 4 + LEN + 10;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buf = [0; 3000];
        while bytes.len() < total {
            let len = peer.read(&mut buf).expect("they come");
            assert!(len > 0);
            bytes.extend_from_slice(&buf[..len]);
        }
        bytes
    });
    let seen = bench.of(op).completion;
    assert!(seen.is_terminal());
    assert_eq!((seen.token, seen.result.unsigned_abs() as usize), (5, total));
    let got = reader.join().expect("no panic");
    let whole = pattern(LEN);
    assert_eq!(&got[..4], b"head");
    assert!(got[4..4 + LEN / 2] == whole[..LEN / 2]);
    assert_eq!(&got[4 + LEN / 2..14 + LEN / 2], b"--middle--");
    assert!(got[14 + LEN / 2..] == whole[LEN / 2..]);
}

pub(crate) fn sends_keep_their_order(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let parts: Vec<Vec<u8>> = (0..20u8).map(|at| vec![at; 300_000]).collect();
    let ops: Vec<_> = parts.iter().map(|part| bench.send(socket, part, 0)).collect();
    let whole: Vec<u8> = parts.concat();
    let len = whole.len();
    let reader = std::thread::spawn(move || read_exact(&mut peer, len));
    assert!(ops.iter().any(Option::is_some), "more than a socket takes");
    for op in ops {
        bench.expect_sent(op, 300_000);
    }
    assert!(reader.join().expect("no panic") == whole);
}

pub(crate) fn many_pieces_in_one_send(mut bench: Bench) {
    let (socket, mut peer) = bench.pair();
    let bytes = bytes::Bytes::from(pattern(1000));
    let mut pieces: Vec<Piece> =
        (0..200).map(|at| Piece::from(bytes.slice(at * 5..at * 5 + 5))).collect();
    pieces.insert(70, Piece::Static(b""));
    let op = bench.reactor.send(socket, &mut pieces, 1).expect("accepted");
    bench.expect_sent(op, 1000);
    assert_eq!(read_exact(&mut peer, 1000), pattern(1000));
}

pub(crate) fn a_send_to_nobody_fails_with_its_count(mut bench: Bench) {
    let (socket, peer) = bench.pair();
    let op = bench.send(socket, &pattern(16 << 20), 1).expect("too much for now");
    bench.expect_quiet();
    reset(peer);
    let seen = bench.of(op);
    let errors = [Errno::CONNRESET, Errno::PIPE].map(|errno| -errno.raw_os_error());
    assert!(errors.contains(&seen.completion.result), "{seen:?}");
    assert!(seen.completion.flags.contains(Flags::HUP));
    assert!(seen.sent < 16 << 20);
    let op = bench.send(socket, b"more", 2).expect("it failed");
    assert_eq!(bench.of(op).completion.result, -Errno::PIPE.raw_os_error());
}

pub(crate) fn bad_lists_are_refused_and_come_back(mut bench: Bench) {
    let (socket, _peer) = bench.pair();
    let mut pieces = vec![Piece::Static(b"")];
    let refused = bench.reactor.send(socket, &mut pieces, 1);
    assert!(matches!(refused, Err(ReactorError::BadPieces)));
    assert_eq!(pieces.len(), 1);
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let reader = bench.attach(reader);
    let mut pieces = vec![Piece::Static(b"x")];
    let refused = bench.reactor.send(reader, &mut pieces, 1);
    assert!(matches!(refused, Err(ReactorError::Unsupported(_))));
    assert_eq!(pieces.len(), 1);
    assert_eq!(bench.reactor.op_count(), 0);
}

pub(crate) fn a_buffer_goes_to_several_sockets(mut bench: Bench) {
    use std::io::Write;
    let (source, mut peer) = bench.pair();
    let recv = bench.recv(source, 1);
    peer.write_all(b"left|right").expect("open");
    let seen = bench.of(recv);
    let buf = seen.buf.expect("bytes");
    assert_eq!(&*buf, b"left|right");
    let (left, mut left_peer) = bench.pair();
    let (right, mut right_peer) = bench.pair();
    for (socket, range) in [(left, 0..4), (right, 5..10)] {
        let range_len = range.len();
        let mut pieces = vec![Piece::from(buf.slice(range))];
        let op = bench.reactor.send(socket, &mut pieces, 2).expect("accepted");
        bench.expect_sent(op, range_len);
    }
    assert_eq!(read_exact(&mut left_peer, 4), b"left");
    assert_eq!(read_exact(&mut right_peer, 5), b"right");
}

/// A Unix socket tells that it is writable each time its peer reads. Nobody waits for that.
pub(crate) fn a_peer_that_reads_wakes_nobody(mut bench: Bench) {
    const NAP: Duration = Duration::from_millis(40);
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    let ours = bench.attach(ours);
    bench.recv(ours, 1);
    let op = bench.send(ours, b"message", 2);
    bench.expect_sent(op, 7);
    bench.expect_quiet();
    peer.read_exact(&mut [0; 7]).expect("it was sent");
    let start = Instant::now();
    assert_eq!(bench.turn(NAP), 0);
    assert!(start.elapsed() >= NAP, "woken after {:?}", start.elapsed());
}

/// Whoever waits for room is told, also the second time.
pub(crate) fn a_full_socket_is_writable_again(mut bench: Bench) {
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let ours = bench.attach(ours);
    for round in 0..3 {
        let mut filled = 0;
        let full = loop {
            match bench.reactor.write(ours, &[1; 4096]) {
                Ok(len) => filled += len,
                Err(error) => break error.kind(),
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
        let poll = bench.reactor.poll(ours, Interest::WRITABLE, round).expect("accepted");
        let send = bench.send(ours, b"behind", 9);
        bench.expect_quiet();
        peer.read_exact(&mut vec![0; filled]).expect("it was written");
        assert!(bench.of(poll).completion.flags.contains(Flags::WRITABLE));
        assert!(send.is_some(), "it had to wait");
        bench.expect_sent(send, 6);
        peer.read_exact(&mut [0; 6]).expect("it was sent");
    }
}
