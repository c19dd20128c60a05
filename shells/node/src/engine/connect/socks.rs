//! A way through a SOCKS5 proxy (RFC 1928, RFC 1929).

use core::net::IpAddr;
use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::engine::failure::{Failure, Kind};
use crate::engine::stream::Stream;

const VERSION: u8 = 5;
const NO_AUTH: u8 = 0;
const PASSWORD: u8 = 2;
/// Of the negotiation of name and password.
const PASSWORD_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const DOMAIN: u8 = 3;
const IPV6: u8 = 4;

/// Asks the proxy at the other end of `stream` for a way to `host`, whose name it looks up.
pub(super) async fn open(
    stream: &mut Stream,
    host: &str,
    port: u16,
    auth: Option<&(String, String)>,
) -> Result<(), Box<Failure>> {
    match auth {
        None => send(stream, &[VERSION, 1, NO_AUTH]).await?,
        // The preferred one first.
        Some(_) => send(stream, &[VERSION, 2, PASSWORD, NO_AUTH]).await?,
    }
    let [version, method] = receive(stream).await?;
    if version != VERSION {
        return Err(error("VERSION", format!("Invalid SOCKS version: {version}")));
    }
    match (method, auth) {
        (NO_AUTH, _) => {}
        (PASSWORD, Some((name, password))) => log_in(stream, name, password).await?,
        (PASSWORD, None) => {
            return Err(invalid("Username and password required for authentication"));
        }
        (0xFF, _) => {
            return Err(error("AUTH_REJECTED", "No acceptable authentication method".to_owned()));
        }
        (method, _) => {
            let message = format!("Unsupported authentication method: {method}");
            return Err(error("AUTH_METHOD", message));
        }
    }
    send(stream, &request(host, port)?).await?;
    read_reply(stream).await
}

async fn log_in(stream: &mut Stream, name: &str, password: &str) -> Result<(), Box<Failure>> {
    let mut message = vec![PASSWORD_VERSION];
    for text in [name, password] {
        message.push(len_of(text, "Username or password too long")?);
        message.extend_from_slice(text.as_bytes());
    }
    send(stream, &message).await?;
    let [version, status] = receive(stream).await?;
    if version != PASSWORD_VERSION {
        let message = format!("Invalid auth sub-negotiation version: {version}");
        return Err(error("AUTH_VERSION", message));
    }
    if status == 0 { Ok(()) } else { Err(error("AUTH_FAILED", "Authentication failed".to_owned())) }
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, Box<Failure>> {
    let mut message = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            message.push(IPV4);
            message.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            message.push(IPV6);
            message.extend_from_slice(&address.octets());
        }
        Err(_) => {
            message.extend_from_slice(&[
                DOMAIN,
                len_of(host, "Domain name too long (max 255 bytes)")?,
            ]);
            message.extend_from_slice(host.as_bytes());
        }
    }
    message.extend_from_slice(&port.to_be_bytes());
    Ok(message)
}

async fn read_reply(stream: &mut Stream) -> Result<(), Box<Failure>> {
    let [version, reply, _, kind] = receive(stream).await?;
    if version != VERSION {
        return Err(error("REPLY_VERSION", format!("Invalid SOCKS version in reply: {version}")));
    }
    if reply != 0 {
        let message = format!("SOCKS5 connection failed: {}", reason(reply));
        return Err(error(&format!("REPLY_{reply}"), message));
    }
    // Where the proxy connects from is of no use to us.
    let len = match kind {
        IPV4 => 4,
        IPV6 => 16,
        DOMAIN => {
            let [len] = receive(stream).await?;
            usize::from(len)
        }
        _ => return Err(error("ADDR_TYPE", format!("Invalid address type in reply: {kind}"))),
    };
    let mut address = vec![0; len + 2];
    stream.read_exact(&mut address).await.map(drop).map_err(|error| broken(&error))
}

fn reason(reply: u8) -> String {
    let reason = match reply {
        1 => "General SOCKS server failure",
        2 => "Connection not allowed by ruleset",
        3 => "Network unreachable",
        4 => "Host unreachable",
        5 => "Connection refused",
        6 => "TTL expired",
        7 => "Command not supported",
        8 => "Address type not supported",
        other => return format!("Unknown error code: {other}"),
    };
    reason.to_owned()
}

/// The length of a text as one byte.
fn len_of(text: &str, too_long: &'static str) -> Result<u8, Box<Failure>> {
    u8::try_from(text.len()).map_err(|_| invalid(too_long))
}

fn invalid(message: &'static str) -> Box<Failure> {
    Box::new(Failure::new(Kind::InvalidArgument).with_message(message))
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> Result<(), Box<Failure>> {
    stream.write_all(bytes).await.map_err(|error| broken(&error))
}

async fn receive<const N: usize>(stream: &mut Stream) -> Result<[u8; N], Box<Failure>> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await.map_err(|error| broken(&error))?;
    Ok(bytes)
}

fn error(code: &str, message: String) -> Box<Failure> {
    let failure = Failure::new(Kind::Socks5).with_code(format!("UND_ERR_SOCKS5_{code}"));
    Box::new(failure.with_message(message))
}

fn broken(cause: &io::Error) -> Box<Failure> {
    let failure = Failure::new(Kind::Socks5).with_code("UND_ERR_SOCKS5");
    let message = match cause.kind() {
        io::ErrorKind::UnexpectedEof => "SOCKS5 proxy closed the connection".to_owned(),
        _ => format!("SOCKS5 proxy error: {cause}"),
    };
    Box::new(failure.with_message(message))
}
