//! The byte cases of HTTP/1.1, over real sockets.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use forebay_tests::http1_cases::{Action, Case, Fate, all, judge, read_answers};

use crate::{DEMO, Setup, on_each_backend};

/// The limits that the cases are written for.
const LIMITS: &str = "max_head = \"16KiB\"\nmax_target = \"8KiB\"\nmax_fields = 96\nmax_body = \"1MiB\"\n\
                      header_timeout = \"2s\"\nbody_timeout = \"2s\"\nidle_timeout = \"5s\"\nhalf_close_grace = \"250ms\"";
const ECHO: &str = "[namespaces.production.workers.gateway]\nbuiltin = \"echo\"\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\nHost: gateway.do\r\nConnection: close\r\n\r\n";
/// Cases that wait for a timeout of the server must not wait for each other.
const AT_ONCE: usize = 16;

#[test]
fn every_byte_case_gets_its_answer() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, listen: LIMITS, workers: ECHO, ..DEMO }.start();
        let cases = all();
        assert!(cases.len() >= 121, "the public cases alone are 121");
        let next = AtomicUsize::new(0);
        let failures: Vec<String> = std::thread::scope(|scope| {
            let replay_some = || {
                let mut failures = Vec::new();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = replay(gateway.addr(), case) {
                        failures.push(format!("{backend} {} {}: {error}", case.id, case.name));
                    }
                }
                failures
            };
            let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(replay_some)).collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

fn replay(addr: SocketAddr, case: &Case) -> Result<(), String> {
    let mut stream = TcpStream::connect(addr).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(8))).map_err(|error| error.to_string())?;
    let mut seen = Vec::new();
    for action in &case.script {
        match action {
            // A server that has refused already may not take the rest.
            Action::Send(bytes) => drop(stream.write_all(bytes)),
            Action::Pause(millis) => std::thread::park_timeout(Duration::from_millis(*millis)),
            Action::Wait => read_some(&mut stream, &mut seen)?,
            Action::Fin => drop(stream.shutdown(Shutdown::Write)),
        }
    }
    match case.connection {
        Fate::Keep => stream.write_all(NEXT).map_err(|error| format!("not kept: {error}"))?,
        Fate::Any => drop(stream.shutdown(Shutdown::Write)),
        Fate::Close => {}
    }
    read_rest(&mut stream, &mut seen)?;
    let mut answers = read_answers(&seen, case.head)?;
    if case.connection == Fate::Keep {
        let next = answers.pop().ok_or("no answer to a further request")?;
        if next.status != 200 {
            return Err(format!("a further request is answered with {}", next.status));
        }
    }
    judge(case, &answers)
}

fn read_some(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Result<(), String> {
    let mut buf = [0; 4096];
    let len = stream.read(&mut buf).map_err(|error| format!("while waiting: {error}"))?;
    seen.extend_from_slice(&buf[..len]);
    Ok(())
}

/// Reads to the end, which must come by itself.
fn read_rest(stream: &mut TcpStream, seen: &mut Vec<u8>) -> Result<(), String> {
    match stream.read_to_end(seen) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the server did not close: {error}")),
    }
}
