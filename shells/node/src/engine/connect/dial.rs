//! TCP: several addresses, the next one tried when the one before is slow.

use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Attempted, lookup};
use crate::engine::ask::Asker;
use crate::engine::causes;
use crate::engine::failure::{Failure, Kind};
use crate::engine::options::ClientOptions;
use crate::engine::stream::Stream;

/// Connects to a host by TCP.
pub(super) async fn dial(
    asker: &Asker<'_>,
    host: &str,
    port: u16,
    options: &ClientOptions,
    attempted: &Attempted,
) -> Result<Stream, Box<Failure>> {
    let addresses = lookup::lookup(asker, host, port, options).await?;
    let mut race = Race {
        waiting: in_turns(addresses, options),
        running: Vec::new(),
        failed: Vec::new(),
        patience: Duration::from_millis(u64::from(options.attempt_timeout_ms)),
        next: Box::pin(sleep_until(Instant::now())),
        local: options.local_address,
        attempted,
    };
    race.start();
    let stream = poll_fn(|cx| race.poll(cx)).await?;
    // Both only cost or save time: a system that refuses them has a connection all the same.
    drop(stream.set_nodelay(true));
    if let Some(delay) = options.tcp_keep_alive_ms {
        let keep_alive = TcpKeepalive::new().with_time(Duration::from_millis(u64::from(delay)));
        drop(SockRef::from(&stream).set_tcp_keepalive(&keep_alive));
    }
    Ok(Stream::Tcp(stream))
}

/// The addresses to try: families in turns, beginning with that of the first.
fn in_turns(addresses: Vec<SocketAddr>, options: &ClientOptions) -> VecDeque<SocketAddr> {
    let fits = |address: &SocketAddr| {
        options.local_address.is_none_or(|local| local.is_ipv4() == address.is_ipv4())
    };
    let (fitting, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(fits);
    let candidates = if fitting.is_empty() { others } else { fitting };
    if !options.auto_select_family {
        return candidates.into_iter().take(1).collect();
    }
    let first = candidates.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (VecDeque<_>, VecDeque<_>) =
        candidates.into_iter().partition(|address| address.is_ipv4() == first);
    let (mut one, mut other, mut turns) = (one, other, VecDeque::new());
    while !(one.is_empty() && other.is_empty()) {
        turns.extend(one.pop_front());
        turns.extend(other.pop_front());
    }
    turns
}

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream, Box<Failure>>>>>;

/// Attempts side by side; the first that succeeds wins.
struct Race<'a> {
    waiting: VecDeque<SocketAddr>,
    running: Vec<Attempt>,
    failed: Vec<Failure>,
    /// How long an attempt is alone.
    patience: Duration,
    next: Pin<Box<Sleep>>,
    local: Option<IpAddr>,
    attempted: &'a Attempted,
}

impl Race<'_> {
    /// Starts the next attempt, if there is one.
    fn start(&mut self) {
        if let Some(address) = self.waiting.pop_front() {
            self.attempted.borrow_mut().push(address.to_string());
            self.running.push(Box::pin(attempt(address, self.local)));
            self.next.as_mut().reset(Instant::now() + self.patience);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<TcpStream, Box<Failure>>> {
        loop {
            let done =
                self.running.iter_mut().enumerate().find_map(|(index, attempt)| {
                    match attempt.as_mut().poll(cx) {
                        Poll::Ready(result) => Some((index, result)),
                        Poll::Pending => None,
                    }
                });
            match done {
                Some((_, Ok(stream))) => return Poll::Ready(Ok(stream)),
                Some((index, Err(failure))) => {
                    drop(self.running.swap_remove(index));
                    self.failed.push(*failure);
                    self.start();
                }
                None if self.running.is_empty() => {
                    return Poll::Ready(Err(Box::new(self.failure())));
                }
                None if self.waiting.is_empty() => return Poll::Pending,
                None if self.next.as_mut().poll(cx).is_ready() => self.start(),
                None => return Poll::Pending,
            }
        }
    }

    fn failure(&mut self) -> Failure {
        let mut causes = core::mem::take(&mut self.failed);
        if causes.len() == 1 {
            return causes.remove(0);
        }
        let code = causes.first().map(|first| first.code.clone()).unwrap_or_default();
        Failure { causes, ..Failure::new(Kind::Aggregate).with_code(code) }
    }
}

async fn attempt(address: SocketAddr, local: Option<IpAddr>) -> Result<TcpStream, Box<Failure>> {
    let at = |syscall| move |error: io::Error| Box::new(failed(&error, syscall, address));
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(at("connect"))?;
    if let Some(local) = local {
        let local = SocketAddr::new(local, 0);
        socket.bind(local).map_err(|error| Box::new(causes::system_at(&error, "bind", local)))?;
    }
    socket.connect(address).await.map_err(at("connect"))
}

fn failed(error: &io::Error, syscall: &'static str, address: SocketAddr) -> Failure {
    if error.kind() == io::ErrorKind::TimedOut {
        // The system's own patience.
        let message = format!("Connect Timeout Error (attempted address: {address})");
        return Failure::new(Kind::ConnectTimeout).with_message(message);
    }
    causes::system_at(error, syscall, address)
}
