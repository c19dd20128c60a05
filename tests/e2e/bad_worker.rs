//! A worker that misbehaves in the way its first argument names; the end-to-end tests show what the
//! gateway makes of it.
//!
//! It speaks Procwire by hand, since the SDK would not let it do what it does here.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

const HTTP: u16 = 1;
const BODY: u16 = 2;
const RESULT: u8 = 0x03;
const CHUNK: u8 = 0x0B;
const END: u8 = 0x1B;
const ERROR: u8 = 0x0F;

/// `{"s": 200, "h": []}`
const HEAD_200: &[u8] = &[0x82, 0xA1, b's', 0xCC, 200, 0xA1, b'h', 0x90];
/// `{"s": 99, "h": []}`
const HEAD_99: &[u8] = &[0x82, 0xA1, b's', 99, 0xA1, b'h', 0x90];
/// `{"s": 101, "h": []}`
const HEAD_101: &[u8] = &[0x82, 0xA1, b's', 101, 0xA1, b'h', 0x90];

fn main() -> io::Result<()> {
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        "exit" => {
            io::stderr().write_all(b"no database\n")?;
            std::process::exit(3)
        }
        "silent" => return until_stdin_ends(),
        "error" => {
            write_line(r#"{"jsonrpc":"2.0","method":"$error","params":{"message":"no licence"}}"#)?;
            return until_stdin_ends();
        }
        "long-line" => {
            write_line(&format!("{{{}", "a".repeat(80 * 1024)))?;
            return until_stdin_ends();
        }
        "elsewhere" => {
            write_line(&init("/proc/forebay.sock", &mode))?;
            return until_stdin_ends();
        }
        _ => {}
    }
    let folder = std::env::var("XDG_RUNTIME_DIR").unwrap_or_else(|_| "/tmp".into());
    let path = format!("{folder}/bad-{}.sock", std::process::id());
    let listener = UnixListener::bind(&path)?;
    std::thread::spawn(|| {
        let _end = until_stdin_ends();
        std::process::exit(0)
    });
    write_line(&init(&path, &mode))?;
    let (socket, _) = listener.accept()?;
    std::fs::remove_file(&path)?;
    serve(socket, &mode)
}

fn init(path: &str, mode: &str) -> String {
    let methods = match mode {
        "no-http" => r#""echo":{"id":1,"response":"result"}"#,
        "http-ack" => r#""http":{"id":1,"response":"ack"}"#,
        "flood" | "result" => r#""http":{"id":1,"response":"stream"}"#,
        _ => concat!(
            r#""http":{"id":1,"response":"stream"},"http.body":{"id":2,"response":"ack"},"#,
            r#""http.grant":{"id":3,"response":"none"}"#
        ),
    };
    format!(
        r#"{{"jsonrpc":"2.0","method":"$init","params":{{"pipe":"{path}","schema":{{"methods":{{{methods}}},"events":{{}}}},"version":"1.0.0"}}}}"#
    )
}

fn serve(mut socket: UnixStream, mode: &str) -> io::Result<()> {
    if mode == "deaf" {
        forever();
    }
    loop {
        let mut header = [0; 11];
        socket.read_exact(&mut header)?;
        let method = u16::from_be_bytes([header[0], header[1]]);
        let id = u32::from_be_bytes([header[3], header[4], header[5], header[6]]);
        let len = u32::from_be_bytes([header[7], header[8], header[9], header[10]]);
        io::copy(&mut (&mut socket).take(len.into()), &mut io::sink())?;
        match method {
            HTTP => answer(&mut socket, mode, id)?,
            BODY if mode != "no-ack" => frame(&mut socket, BODY, 0x23, id, &[0xC0])?,
            _ => {}
        }
    }
}

fn answer(socket: &mut UnixStream, mode: &str, id: u32) -> io::Result<()> {
    match mode {
        "mute" | "no-ack" => Ok(()),
        "die" => std::process::exit(9),
        "die-later" => {
            frame(socket, HTTP, CHUNK, id, HEAD_200)?;
            frame(socket, HTTP, CHUNK, id, &[0xC4, 3, b'a', b'b', b'c'])?;
            // What was sent reaches the client before the end does: nothing more comes meanwhile.
            socket.set_read_timeout(Some(Duration::from_millis(100)))?;
            let _ = socket.read(&mut [0]);
            std::process::exit(9)
        }
        "hang-up" => {
            socket.shutdown(std::net::Shutdown::Both)?;
            forever()
        }
        "garbage" => {
            frame(socket, HTTP, 0xC0 | CHUNK, id, HEAD_200)?;
            forever()
        }
        "huge" => {
            socket.write_all(&[0, 1, RESULT, 0, 0, 0, 1, 0x40, 0, 0, 0])?;
            forever()
        }
        "status-99" => frame(socket, HTTP, RESULT, id, HEAD_99),
        "status-101" => frame(socket, HTTP, RESULT, id, HEAD_101),
        "result" => frame(socket, HTTP, RESULT, id, HEAD_200),
        "no-map" => frame(socket, HTTP, RESULT, id, &[0x01]),
        "body-first" => frame(socket, HTTP, CHUNK, id, &[0xC4, 1, b'a']),
        "empty" => frame(socket, HTTP, END, id, &[]),
        "refuse" => frame(socket, HTTP, ERROR, id, b"\xA4boom"),
        "stall" => {
            frame(socket, HTTP, CHUNK, id, HEAD_200)?;
            frame(socket, HTTP, CHUNK, id, &[0xC4, 3, b'a', b'b', b'c'])
        }
        "flood" | "flood-granted" => {
            frame(socket, HTTP, CHUNK, id, HEAD_200)?;
            let mut part = vec![0xC6, 0, 1, 0, 0];
            part.resize(5 + 65536, b'x');
            loop {
                frame(socket, HTTP, CHUNK, id, &part)?;
            }
        }
        other => Err(io::Error::other(format!("unknown mode `{other}`"))),
    }
}

fn frame(
    socket: &mut UnixStream,
    method: u16,
    flags: u8,
    id: u32,
    payload: &[u8],
) -> io::Result<()> {
    let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(11 + payload.len());
    bytes.extend_from_slice(&method.to_be_bytes());
    bytes.push(flags);
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(payload);
    socket.write_all(&bytes)
}

fn write_line(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

fn until_stdin_ends() -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink()).map(drop)
}

fn forever() -> ! {
    loop {
        std::thread::park();
    }
}
