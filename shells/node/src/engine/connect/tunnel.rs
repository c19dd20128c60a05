//! A way through an HTTP proxy (RFC 9110 section 9.3.6).

use std::io;

use forebay_core_http1::client::{
    Config, Connection, Event, Request, RequestBody, ResponseError, Sent, Traits,
};
use forebay_core_time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::engine::causes;
use crate::engine::failure::{Failure, Kind, SocketInfo};
use crate::engine::stream::Stream;

/// What a proxy may answer.
const HEAD_LEN: u32 = 16 * 1024;

/// Asks the proxy at the other end of `stream` for a way to `host`; `fields` go with it.
pub(super) async fn open(
    stream: &mut Stream,
    host: &str,
    port: u16,
    fields: &[u8],
) -> Result<(), Box<Failure>> {
    let target =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    // The deadline is that of the whole connection: the machine needs to know no time.
    let now = Instant::ZERO;
    let config = Config { header_len: HEAD_LEN, ..Config::new() };
    let mut machine = Connection::new(now, config, [Sent::default()]);
    let request = Request {
        method: b"CONNECT",
        target: target.as_bytes(),
        host: target.as_bytes(),
        upgrade: b"",
        fields,
        body: RequestBody::None,
        traits: Traits { connect: true, ..Traits::default() },
        headers_timeout_ms: 0,
        body_timeout_ms: 0,
    };
    let mut out = vec![0; 2 * target.len() + fields.len() + 128];
    let len = machine
        .write_request(now, &request, &mut out)
        .map_err(|error| Box::new(causes::usage(error)))?;
    stream.write_all(&out[..len]).await.map_err(|error| system(&error, "write"))?;
    let mut input = Vec::new();
    loop {
        let step = machine.handle_bytes(now, &input).map_err(|error| broken(error, &input))?;
        let used = step.used;
        match step.event {
            Some(Event::Switch(head)) if head.status == 200 && used == input.len() => {
                return Ok(());
            }
            Some(Event::Switch(head)) if head.status == 200 => {
                return Err(broken(ResponseError::Unsolicited, &input[used..]));
            }
            Some(Event::Switch(head)) => {
                let message =
                    format!("Proxy response ({}) !== 200 when HTTP Tunneling", head.status);
                return Err(Box::new(Failure::new(Kind::Aborted).with_message(message)));
            }
            Some(_) => {}
            None => {
                let read = stream.read_buf(&mut input).await;
                if read.map_err(|error| system(&error, "read"))? == 0 {
                    return Err(broken(ResponseError::Closed, &[]));
                }
            }
        }
        input.drain(..used);
    }
}

fn system(error: &io::Error, syscall: &'static str) -> Box<Failure> {
    Box::new(causes::system(error, syscall))
}

/// A proxy that ended the connection, or said what no answer is, is told from an origin that did.
fn broken(error: ResponseError, data: &[u8]) -> Box<Failure> {
    let info = || SocketInfo { local: None, remote: None, bytes_written: 0, bytes_read: 0 };
    let cause = causes::response(error, data, info);
    if cause.kind == Kind::Socket {
        return Box::new(Failure { causes: vec![cause], ..Failure::new(Kind::Proxy) });
    }
    Box::new(cause)
}
