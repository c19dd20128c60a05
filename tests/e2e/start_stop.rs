//! The first minute of a newcomer, and the last second of a process.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use forebay_tests::gateway::{Gateway, PATIENCE, runs, signal};
use forebay_tests::http::Client;
use forebay_tests::program::forebay;
use forebay_tests::until;

use crate::{DEMO, Setup, on_each_backend};

#[test]
fn ctrl_c_drains_and_ends_with_status_0() {
    on_each_backend(|backend| {
        for name in ["INT", "TERM"] {
            let mut gateway = Setup { backend, ..DEMO }.start();
            let mut client = Client::connect(gateway.addr());
            let mut idle = Client::connect(gateway.addr());
            assert_eq!(idle.get("gateway.do", "/health").status, 200);
            client.send(
                "GET /stream?chunks=5&size=10&delay=50ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n",
            );
            let head = client.head();
            let workers = gateway.workers();
            assert!(!workers.is_empty());
            signal(gateway.pid(), name);
            assert_eq!(client.body_of(head).body.len(), 50, "what runs is finished");
            assert_eq!(idle.rest(), b"", "idle connections are closed");
            assert_eq!(gateway.wait().code(), Some(0));
            assert!(!workers.into_iter().any(runs), "no worker is left");
        }
    });
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut gateway = DEMO.start();
    let mut client = Client::connect(gateway.addr());
    client.send("GET /stream?chunks=1000&size=10&delay=100ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
    assert_eq!(client.head().status, 200);
    let workers = gateway.workers();
    gateway.terminate();
    gateway.expect_log("stopping");
    gateway.terminate();
    let _status = gateway.wait();
    until("no worker is left", PATIENCE, || (!workers.iter().copied().any(runs)).then_some(()));
}

#[test]
fn workers_do_not_survive_a_gateway_that_was_killed() {
    let mut gateway = DEMO.start();
    assert_eq!(Client::connect(gateway.addr()).get("gateway.do", "/health").status, 200);
    let workers = gateway.workers();
    signal(gateway.pid(), "KILL");
    let _status = gateway.wait();
    until("no worker is left", PATIENCE, || (!workers.iter().copied().any(runs)).then_some(()));
}

#[test]
fn a_port_that_is_served_already_is_an_error() {
    let first = DEMO.start();
    let text = DEMO.text().replace("127.0.0.1:0", &first.addr().to_string());
    let file = first.folder().join("second.toml");
    fs::write(&file, text).expect("the folder is writable");
    let output = Command::new(forebay())
        .args(["serve", "--config"])
        .arg(&file)
        .env_remove("ENVIRONMENT")
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&first.addr().to_string()), "{message}");
}

/// `forebay` without arguments, in an empty folder: the built-in configuration on its fixed port.
#[test]
fn the_built_in_configuration_works_without_a_file() {
    let Ok(probe) = TcpListener::bind("127.0.0.1:8787") else {
        panic!("port 8787 of this machine is taken: the built-in configuration cannot be tested");
    };
    drop(probe);
    let folder = std::env::temp_dir().join(format!("forebay-newcomer-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let mut child = Command::new(forebay())
        .current_dir(&folder)
        .env_remove("ENVIRONMENT")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let lines: Vec<String> = stdout.lines().map_while(Result::ok).take(4).collect();
    let text = lines.join("\n");
    assert!(lines[0].contains("built-in"), "{text}");
    assert!(text.contains("http://127.0.0.1:8787"), "{text}");
    assert!(text.contains("io_uring") || text.contains("epoll"), "{text}");
    assert!(text.contains("curl "), "{text}");
    let addr = "127.0.0.1:8787".parse().expect("an address");
    let mut client = Client::connect(addr);
    for host in [
        "gateway.do",
        "localhost:8787",
        "127.0.0.1:8787",
        "[::1]:8787",
        "do",
        "db.do",
        "queue.localhost",
    ] {
        assert_eq!(client.get(host, "/health").status, 200, "{host}");
    }
    signal(child.id(), "INT");
    let status = until("the gateway ended", PATIENCE, || child.try_wait().expect("it is a child"));
    assert_eq!(status.code(), Some(0));
    fs::remove_dir_all(&folder).expect("the folder is there");
}

#[test]
fn sockets_lie_in_a_private_folder_that_is_removed() {
    let mut gateway = Gateway::start_with(&DEMO.text(), |command| {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    });
    assert_eq!(Client::connect(gateway.addr()).get("gateway.do", "/health").status, 200);
    let folder = std::env::temp_dir().join(format!("forebay-{}", gateway.pid()));
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&folder).expect("it is there"));
    assert_eq!(mode & 0o777, 0o700);
    gateway.terminate();
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!folder.exists());
}
