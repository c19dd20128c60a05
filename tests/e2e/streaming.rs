//! Bodies of any size pass through in bounded memory, whoever is slow.

use core::time::Duration;
use std::io::Write;
use std::time::Instant;

use forebay_tests::gateway::Gateway;
use forebay_tests::http::Client;

use crate::{DEMO, Setup, on_each_backend};

const GIB: u64 = 1 << 30;
const MEMORY_MAX: u64 = 64 << 20;

fn assert_small(gateway: &Gateway) {
    for pid in gateway.workers().into_iter().chain([gateway.pid()]) {
        let peak = Gateway::peak_memory(pid);
        assert!(peak < MEMORY_MAX, "process {pid} held {peak} bytes");
    }
}

/// Calls `step` with what it may move at most: 1 MB in a second for `slow`, then without a limit.
fn paced(slow: Duration, mut step: impl FnMut(usize) -> bool) {
    let start = Instant::now();
    while start.elapsed() < slow {
        if !step(10_000) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    while step(1 << 20) {}
}

fn download(backend: &str, len: u64, slow: Duration) {
    let gateway = Setup { backend, ..DEMO }.start();
    let mut client = Client::connect(gateway.addr());
    let chunks = len / 65_536;
    client.send(format!(
        "GET /stream?chunks={chunks}&size=65536 HTTP/1.1\r\nHost: gateway.do\r\nConnection: close\r\n\r\n"
    ));
    assert_eq!(client.head().status, 200);
    let mut taken = 0;
    paced(slow, |max| {
        let len = client.read(max).expect("the stream goes on");
        taken += len as u64;
        len > 0
    });
    // Chunked framing adds a little to each chunk.
    assert!((len..len + len / 1000).contains(&taken), "{taken} bytes of {len}");
    assert_small(&gateway);
}

fn upload(backend: &str, len: u64, slow: Duration) {
    let gateway = Setup { backend, ..DEMO }.start();
    let mut client = Client::connect(gateway.addr());
    client.send(format!(
        "POST /upload HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: {len}\r\n\r\n"
    ));
    let block: Vec<u8> = (0..1_u32 << 20).map(|i| i.to_le_bytes()[0]).collect();
    let mut hasher = blake3::Hasher::new();
    let mut left = len;
    paced(slow, |max| {
        let part = &block[..usize::try_from(left.min(max as u64)).expect("it is small")];
        client.stream().write_all(part).expect("the gateway takes the body");
        hasher.update(part);
        left -= part.len() as u64;
        left > 0
    });
    let answer = client.answer();
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(json["length"], len);
    assert_eq!(json["blake3"], hasher.finalize().to_hex().as_str());
    assert_small(&gateway);
}

#[test]
fn two_gib_down_in_64_mib() {
    on_each_backend(|backend| download(backend, 2 * GIB, Duration::ZERO));
}

#[test]
fn two_gib_up_in_64_mib() {
    on_each_backend(|backend| upload(backend, 2 * GIB, Duration::ZERO));
}

#[test]
fn a_client_that_reads_1_mb_a_second_at_first() {
    on_each_backend(|backend| download(backend, 2 * GIB, Duration::from_secs(10)));
}

#[test]
fn a_client_that_sends_1_mb_a_second_at_first() {
    on_each_backend(|backend| upload(backend, GIB / 4, Duration::from_secs(3)));
}

#[test]
fn a_worker_that_reads_1_mb_a_second_at_first() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        let len = 2 * GIB;
        client.send(format!(
            "POST /upload?slow=10s HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: {len}\r\n\r\n"
        ));
        let block = vec![b'x'; 1 << 20];
        for _ in 0..len >> 20 {
            client.send(&block);
        }
        let answer = client.answer();
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(json["length"], len);
        assert_small(&gateway);
    });
}

#[test]
fn chunked_bodies_pass_both_ways() {
    on_each_backend(|backend| {
        let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"echo\"\n";
        let gateway = Setup { backend, workers, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send("POST / HTTP/1.1\r\nHost: gateway.do\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut expected = Vec::new();
        for len in [1_usize, 100, 4096, 70_000, 3] {
            let part = vec![b'a' + u8::try_from(len % 26).expect("small"); len];
            client.send(format!("{len:x}\r\n"));
            client.send(&part);
            client.send("\r\n");
            expected.extend_from_slice(&part);
        }
        client.send("0\r\n\r\n");
        assert!(client.answer().body == expected);
    });
}
