//! From options to a connection that is ready.

mod dial;
mod lookup;
mod socks;
pub(super) mod tls;
mod tunnel;

use core::cell::RefCell;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::time::timeout;

use super::ask::Asker;
use super::causes;
use super::client::Wish;
use super::event::{Connected, Question, Version};
use super::failure::{Failure, Kind};
use super::options::{ClientOptions, Protocol, TlsOptions, Via};
use super::stream::Stream;

/// A connection that is ready.
pub(super) struct Ready {
    pub(super) stream: Stream,
    pub(super) info: Connected,
}

/// Addresses that were tried.
type Attempted = RefCell<Vec<String>>;

/// Connects as the options say, for a request with this wish.
pub(super) async fn connect(
    asker: &Asker<'_>,
    options: &Arc<ClientOptions>,
    wish: &Wish,
) -> Result<Ready, Box<Failure>> {
    let attempted = Attempted::default();
    let work = establish(asker, options, wish, &attempted);
    if options.connect_timeout_ms == 0 {
        return work.await;
    }
    let limit = Duration::from_millis(u64::from(options.connect_timeout_ms));
    timeout(limit, work).await.unwrap_or_else(|_| Err(Box::new(timed_out(options, &attempted))))
}

async fn establish(
    asker: &Asker<'_>,
    options: &Arc<ClientOptions>,
    wish: &Wish,
    attempted: &Attempted,
) -> Result<Ready, Box<Failure>> {
    if options.asks_socket {
        return given(asker, wish).await;
    }
    let mut stream = match &options.socket_path {
        Some(path) => local(path).await?,
        None => by_tcp(asker, options, attempted).await?,
    };
    let prior = options.protocol == Protocol::H2Prior && !wish.no_h2;
    let mut chosen = false;
    if let Some(tls) = &options.tls {
        let protocols = tls::protocols(options, wish);
        let peer = tls::Peer { host: &options.host, tls, protocols };
        let name = wish.servername.as_deref();
        (stream, chosen) = tls::secure(asker, stream, options, peer, name).await?;
    }
    let (local, remote) = stream.addresses();
    let version = if prior || chosen { Version::Http2 } else { Version::Http11 };
    Ok(Ready { stream, info: Connected { version, local, remote } })
}

/// A stream that the caller has made.
#[cfg(unix)]
async fn given(asker: &Asker<'_>, wish: &Wish) -> Result<Ready, Box<Failure>> {
    let servername = wish.servername.as_deref();
    let answer = asker.ask(Question::Socket { servername }).await?;
    let ended = || io::Error::from(io::ErrorKind::NotConnected);
    let socket = answer.socket.ok_or_else(ended).and_then(tokio::net::UnixStream::from_std);
    let socket = socket.map_err(|error| Box::new(causes::system(&error, "connect")))?;
    let version = if answer.h2 { Version::Http2 } else { Version::Http11 };
    let info = Connected { version, local: None, remote: None };
    Ok(Ready { stream: Stream::Unix(socket), info })
}

#[cfg(not(unix))]
async fn given(asker: &Asker<'_>, wish: &Wish) -> Result<Ready, Box<Failure>> {
    let servername = wish.servername.as_deref();
    asker.ask(Question::Socket { servername }).await?;
    Err(Box::new(Failure::new(Kind::NotSupported)))
}

/// To the origin, or as far as a proxy brings us.
async fn by_tcp(
    asker: &Asker<'_>,
    options: &Arc<ClientOptions>,
    attempted: &Attempted,
) -> Result<Stream, Box<Failure>> {
    let (origin, origin_port) = (options.host.as_str(), options.port);
    match &options.via {
        Via::Direct => dial::dial(asker, origin, origin_port, options, attempted).await,
        Via::Connect { host, port, tls, fields } => {
            let proxy = (host.as_str(), *port, tls.as_ref());
            let mut stream = to_proxy(asker, proxy, options, attempted).await?;
            tunnel::open(&mut stream, origin, origin_port, fields).await?;
            Ok(stream)
        }
        Via::Socks5 { host, port, tls, auth } => {
            let proxy = (host.as_str(), *port, tls.as_ref());
            let mut stream = to_proxy(asker, proxy, options, attempted).await?;
            socks::open(&mut stream, origin, origin_port, auth.as_ref()).await?;
            Ok(stream)
        }
    }
}

/// To a proxy: its host and port, and how it is spoken to if that is by TLS.
async fn to_proxy(
    asker: &Asker<'_>,
    (host, port, tls): (&str, u16, Option<&TlsOptions>),
    options: &Arc<ClientOptions>,
    attempted: &Attempted,
) -> Result<Stream, Box<Failure>> {
    let stream = dial::dial(asker, host, port, options, attempted).await?;
    let Some(tls) = tls else {
        return Ok(stream);
    };
    let peer = tls::Peer { host, tls, protocols: tls::HTTP1 };
    let secured = tls::secure(asker, stream, options, peer, None).await;
    secured.map(|(stream, _)| stream).map_err(of_proxy)
}

/// A proxy that is not who it should be gets an error of its own.
fn of_proxy(failure: Box<Failure>) -> Box<Failure> {
    if failure.code == "ERR_TLS_CERT_ALTNAME_INVALID" {
        return Box::new(Failure { causes: vec![*failure], ..Failure::new(Kind::SecureProxy) });
    }
    failure
}

/// A Unix socket, or a named pipe.
async fn local(path: &str) -> Result<Stream, Box<Failure>> {
    open(path).await.map_err(|error| {
        let address = path.to_owned().into();
        Box::new(Failure { address, ..causes::system(&error, "connect") })
    })
}

#[cfg(unix)]
async fn open(path: &str) -> io::Result<Stream> {
    tokio::net::UnixStream::connect(path).await.map(Stream::Unix)
}

#[cfg(windows)]
#[expect(clippy::unused_async, reason = "as on Unix")]
async fn open(path: &str) -> io::Result<Stream> {
    tokio::net::windows::named_pipe::ClientOptions::new().open(path).map(Stream::Pipe)
}

fn timed_out(options: &ClientOptions, attempted: &Attempted) -> Failure {
    let attempted = attempted.borrow();
    let addresses = match &attempted[..] {
        [] | [_] => format!("attempted address: {}:{}", options.host, options.port),
        several => format!("attempted addresses: {}", several.join(", ")),
    };
    let message =
        format!("Connect Timeout Error ({addresses}, timeout: {}ms)", options.connect_timeout_ms);
    Failure::new(Kind::ConnectTimeout).with_message(message)
}
