//! From options to a connection that is ready.

mod dial;
mod lookup;
mod socks;
pub(super) mod tls;
mod tunnel;

use core::cell::RefCell;
use core::future::Future;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::time::timeout;

use super::ask::Asker;
use super::causes;
use super::client::Wish;
use super::event::{Connected, Question, Version};
use super::failure::{Failure, Kind};
use super::options::{ClientOptions, Protocol, Proxy, Via};
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
    let proxied = match &options.via {
        Via::Direct => None,
        Via::Connect { proxy, .. } | Via::Socks5 { proxy, .. } => {
            Some(to_proxy(asker, proxy, options).await?)
        }
    };
    let attempted = Attempted::default();
    let peer = (options.host.as_str(), options.port);
    let work = establish(asker, options, wish, proxied, &attempted);
    within(options.connect_timeout_ms, peer, &attempted, work).await
}

/// The result of `work`, which has this long to connect to a peer; 0: for ever.
async fn within<T>(
    limit_ms: u32,
    peer: (&str, u16),
    attempted: &Attempted,
    work: impl Future<Output = Result<T, Box<Failure>>>,
) -> Result<T, Box<Failure>> {
    if limit_ms == 0 {
        return work.await;
    }
    let limit = Duration::from_millis(u64::from(limit_ms));
    let late = |_| Err(Box::new(timed_out(limit_ms, peer, attempted)));
    timeout(limit, work).await.unwrap_or_else(late)
}

async fn establish(
    asker: &Asker<'_>,
    options: &Arc<ClientOptions>,
    wish: &Wish,
    proxied: Option<Stream>,
    attempted: &Attempted,
) -> Result<Ready, Box<Failure>> {
    if options.asks_socket {
        return given(asker, wish).await;
    }
    let mut stream = match (proxied, &options.socket_path) {
        (Some(stream), _) => through(stream, options).await?,
        (None, Some(path)) => local(path).await?,
        (None, None) => dial::dial(asker, &options.host, options.port, options, attempted).await?,
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

/// From a proxy to the origin.
async fn through(mut stream: Stream, options: &ClientOptions) -> Result<Stream, Box<Failure>> {
    let (host, port) = (&options.host, options.port);
    match &options.via {
        Via::Direct => {}
        Via::Connect { fields, .. } => tunnel::open(&mut stream, host, port, fields).await?,
        Via::Socks5 { auth, .. } => socks::open(&mut stream, host, port, auth.as_ref()).await?,
    }
    Ok(stream)
}

async fn to_proxy(
    asker: &Asker<'_>,
    proxy: &Proxy,
    options: &Arc<ClientOptions>,
) -> Result<Stream, Box<Failure>> {
    let attempted = Attempted::default();
    let (host, port) = (proxy.host.as_str(), proxy.port);
    let work = async {
        let stream = dial::dial(asker, host, port, options, &attempted).await?;
        let Some(tls) = &proxy.tls else {
            return Ok(stream);
        };
        let peer = tls::Peer { host, tls, protocols: tls::HTTP1 };
        let secured = tls::secure(asker, stream, options, peer, None).await;
        secured.map(|(stream, _)| stream).map_err(of_proxy)
    };
    within(proxy.connect_timeout_ms, (host, port), &attempted, work).await
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

fn timed_out(limit_ms: u32, (host, port): (&str, u16), attempted: &Attempted) -> Failure {
    let attempted = attempted.borrow();
    let addresses = match &attempted[..] {
        [] | [_] => format!("attempted address: {host}:{port}"),
        several => format!("attempted addresses: {}", several.join(", ")),
    };
    let message = format!("Connect Timeout Error ({addresses}, timeout: {limit_ms}ms)");
    Failure::new(Kind::ConnectTimeout).with_message(message)
}
