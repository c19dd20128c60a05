//! The life of a worker: announcement, adoption, heartbeat, every way to end.

use core::time::Duration;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use forebay_core_procwire::ResponseKind;
use forebay_tests::parent::{Announced, PATIENCE, Parent, example_command};
use forebay_tests::until;

use crate::{assert_fails, on_each_runtime, text};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn gone(path: &Path) {
    until("the socket file is removed", PATIENCE, || (!path.exists()).then_some(()));
}

#[test]
fn the_socket_is_private_until_it_is_adopted() {
    let worker = Announced::start(example_command("everything", &[]));
    let pipe = worker.pipe();
    let mode = std::fs::metadata(&pipe).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut parent = worker.connect(None);
    assert_eq!(parent.ask("echo", &[1]), (ResponseKind::Result, vec![1]));
    gone(&pipe);
}

/// The base directory is too long for a socket address, or does not exist.
#[test]
fn an_unusable_directory_falls_back() {
    let long = std::env::temp_dir().join("x".repeat(120));
    std::fs::create_dir_all(&long).expect("a folder can be made");
    for dir in [long.to_str().expect("text"), "/nonexistent"] {
        let worker = Announced::start(example_command(
            "everything",
            &[("XDG_RUNTIME_DIR", dir), ("TMPDIR", "")],
        ));
        assert!(worker.pipe().starts_with("/tmp"), "{:?}", worker.pipe());
        let mut parent = worker.connect(None);
        assert_eq!(parent.ask("echo", &[1]).1, [1]);
    }
    std::fs::remove_dir(long).expect("nothing is left in it");
}

#[test]
fn shutdown_ends_it_with_status_0() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let _parked = parent.call("park", &[0xC0]);
        parent.line("{\"jsonrpc\":\"2.0\",\"method\":\"$shutdown\",\"params\":{}}\n");
        assert_eq!(parent.exit(PATIENCE).code(), Some(0));
        gone(&parent.pipe);
    });
}

#[test]
fn the_end_of_stdin_ends_it() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        parent.stdin = None;
        assert_eq!(parent.exit(PATIENCE).code(), Some(0));
        gone(&parent.pipe);
    });
}

/// Nobody ever connects: only stdin tells that the parent is gone.
#[test]
fn the_end_of_stdin_ends_it_before_adoption() {
    let mut worker = Announced::start(example_command("everything", &[]));
    let pipe = worker.pipe();
    drop(worker.stdin);
    let status = until("the worker ends", PATIENCE, || worker.child.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(0));
    gone(&pipe);
}

#[test]
fn a_signal_before_adoption_leaves_no_file() {
    let mut worker = Announced::start(example_command("everything", &[]));
    let pipe = worker.pipe();
    let pid = worker.child.id().to_string();
    let killed = std::process::Command::new("kill").args(["-TERM", &pid]).status();
    assert!(killed.expect("kill starts").success());
    until("the worker ends", PATIENCE, || worker.child.try_wait().expect("our child"));
    gone(&pipe);
}

/// The program ends before anybody came: by a panic, or since it forgot to wait.
#[test]
fn an_early_end_leaves_no_file() {
    for (variable, threads) in [("PANIC", "0"), ("PANIC", "2"), ("RETURN", "0"), ("RETURN", "2")] {
        let env = [(variable, "1"), ("WORKER_THREADS", threads)];
        let env = if threads == "0" { &env[..1] } else { &env[..] };
        let mut worker = Announced::start(example_command("everything", env));
        let pipe = worker.pipe();
        until("the worker ends", PATIENCE, || worker.child.try_wait().expect("our child"));
        assert!(!pipe.exists(), "{variable} leaves {}", pipe.display());
    }
}

/// What runs is finished and sent, what comes is refused, then the worker ends.
#[test]
fn a_drain_finishes_what_runs() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let later = parent.call("later", &[0xCD, 0x01, 0x2C]); // 300 ms
        let flood = parent.call("flood", &[0x92, 0xCC, 200, 0xCD, 0x7F, 0xFF]); // 6.5 MB
        assert_eq!(parent.ask("drain", &[0xC0]).0, ResponseKind::Result);
        assert_fails(&mut parent, "echo", &[1], "the worker is draining");
        for _ in 0..200 {
            assert_eq!(parent.answer(flood).0, ResponseKind::Chunk);
        }
        assert_eq!(parent.answer(flood).0, ResponseKind::End);
        assert_eq!(parent.answer(later), (ResponseKind::Result, text("later")));
        assert!(matches!(parent.try_receive(), Ok(None)), "the connection ends");
        assert_eq!(parent.exit(PATIENCE).code(), Some(0));
    });
}

#[test]
fn a_process_is_one_worker() {
    let mut parent = Parent::of_example("everything", &[]);
    let (kind, answer) = parent.ask("start_again", &[0xC0]);
    assert_eq!(kind, ResponseKind::Result);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.ends_with("a worker was already started in this process"), "{answer}");
    parent.ping(PATIENCE);
}

#[test]
fn the_loss_of_the_connection_ends_it() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let _parked = parent.call("park", &[0xC0]);
        parent.socket.shutdown(std::net::Shutdown::Both).expect("it is open");
        assert_eq!(parent.exit(PATIENCE).code(), Some(0));
    });
}

/// A handler holds the only thread, and the program cannot even return from `main`.
#[test]
fn a_busy_worker_ends_all_the_same() {
    let mut parent = Parent::of_example("everything", &[]);
    let _busy = parent.call("busy", &[0xCD, 0xEA, 0x60]); // a minute
    parent.ping(Duration::from_secs(5));
    parent.stdin = None;
    let _ = parent.exit(PATIENCE);
}

#[test]
fn pings_are_answered_while_every_handler_is_busy() {
    let mut parent = Parent::of_example("everything", &[]);
    let busy = parent.call("busy", &[0xCD, 0x05, 0xDC]); // 1.5 s
    for _ in 0..5 {
        assert!(parent.ping(Duration::from_secs(1)) < Duration::from_millis(500));
    }
    assert_eq!(parent.answer(busy).0, ResponseKind::Result);
}

#[test]
fn control_lines_are_taken_as_node_takes_them() {
    let mut parent = Parent::of_example("everything", &[]);
    parent.line("garbage\n {\"method\":\"$ping\"}\n{bad json\n\n{\"method\":\"$unknown\"}\n");
    parent.line("{\"method\":\"$ping\"}\r\n");
    let line = parent.next_line(PATIENCE).expect("a $pong");
    assert_eq!(line, b"{\"jsonrpc\":\"2.0\",\"method\":\"$pong\"}");
    parent.ping(PATIENCE);
    assert!(parent.next_line(Duration::from_millis(50)).is_err(), "one $pong for one $ping");
}

/// The pipe is full of `$pong` and nobody reads it: the end is noticed all the same.
#[test]
fn a_parent_that_ignores_stdout_does_not_stop_the_worker() {
    let mut command = example_command("everything", &[]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the worker starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    for _ in 0..5000 {
        stdin.write_all(b"{\"method\":\"$ping\"}\n").expect("the worker reads");
    }
    stdin.write_all(b"{\"method\":\"$shutdown\"}\n").expect("the worker reads");
    let status = until("the worker ends", PATIENCE, || child.try_wait().expect("our child"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn only_the_token_is_adopted() {
    let worker = Announced::start(example_command("everything", &[("PROCWIRE_TOKEN", TOKEN)]));
    let pipe = worker.pipe();
    // Silent strangers, a wrong token, a request without a proof, a declared gigabyte.
    let silent: Vec<UnixStream> =
        (0..3).map(|_| UnixStream::connect(&pipe).expect("it listens")).collect();
    let wrong = [b"\xFF\xFE\x00\x00\x00\x00\x00\x00\x00\x00\x40".as_slice(), &[b'x'; 64]].concat();
    let request = b"\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x01\x01";
    let huge = b"\xFF\xFE\x00\x00\x00\x00\x00\x40\x00\x00\x00";
    for bytes in [wrong.as_slice(), request, huge] {
        let mut stranger = UnixStream::connect(&pipe).expect("it listens");
        stranger.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stranger.write_all(bytes).expect("it is open");
        let mut rest = Vec::new();
        // Closed with bytes unread is a reset.
        let _ = stranger.read_to_end(&mut rest);
        assert!(rest.is_empty(), "a stranger was told something");
    }
    let mut parent = worker.connect(Some(TOKEN));
    assert_eq!(parent.ask("echo", &[1]), (ResponseKind::Result, vec![1]));
    for mut stranger in silent {
        stranger.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        assert_eq!(stranger.read(&mut [0; 1]).expect("it is closed"), 0);
    }
}

/// More silent strangers than may be pending cannot keep the parent out.
#[test]
fn strangers_cannot_keep_the_parent_out() {
    let worker = Announced::start(example_command("everything", &[("PROCWIRE_TOKEN", TOKEN)]));
    let pipe = worker.pipe();
    let _silent: Vec<UnixStream> =
        (0..40).filter_map(|_| UnixStream::connect(&pipe).ok()).collect();
    let mut parent = worker.connect(Some(TOKEN));
    assert_eq!(parent.ask("echo", &[1]).1, [1]);
}

#[test]
fn a_frame_that_breaks_the_protocol_ends_the_connection() {
    let broken: [&[u8]; 4] = [
        b"\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\x00\x01\x40\x00\x00\x00\x01\x00\x00\x00\x00",
        b"\x00\x01\x00\x00\x00\x00\x01\x40\x00\x00\x01",
        b"\x00\x01\x00\x00\x00\x00\x01\x80\x00\x00\x00",
    ];
    for frame in broken {
        let mut parent = Parent::of_example("everything", &[]);
        parent.socket.write_all(frame).expect("the worker reads");
        assert_eq!(parent.exit(PATIENCE).code(), Some(0), "{frame:?}");
    }
}

#[test]
fn an_empty_token_is_refused() {
    let mut command = example_command("everything", &[("PROCWIRE_TOKEN", "")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the worker starts");
    let stdin = child.stdin.take();
    let start = std::time::Instant::now();
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("text");
    assert_eq!(
        output,
        "{\"jsonrpc\":\"2.0\",\"method\":\"$error\",\"params\":{\"message\":\"PROCWIRE_TOKEN is set but empty\"}}\n"
    );
    let status = child.wait().expect("our child");
    assert_eq!(status.code(), Some(1));
    // A Node.js parent would miss an exit in the first 100 ms, and the line with it.
    assert!(start.elapsed() > Duration::from_millis(500));
    drop(stdin);
}
