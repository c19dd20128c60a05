//! Whether the server of an HTTP/2 connection is still there, and what it has said so far.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep};

use crate::engine::failure::{Failure, Kind};

/// Asks now and then whether the server is still there.
pub(super) struct Pinger {
    /// There is one for each connection, and it is ours.
    pings: Option<PingPong>,
    /// Zero: only when there is a reason.
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    waiting: bool,
    /// When it was asked because it was time to.
    asked: Option<Instant>,
    /// How long the answer to that took.
    pub(super) pong: Option<Duration>,
    /// An answer came, and before it the server's settings.
    answered: bool,
    /// A sign of life has to come before this.
    pub(super) probe: Option<Pin<Box<Sleep>>>,
}

/// An answer to a ping may take so long, however short the time that a request was given.
const PROBE_MIN: Duration = Duration::from_secs(1);

impl Pinger {
    pub(super) fn new(pings: Option<PingPong>, interval_ms: u32) -> Self {
        let interval = Duration::from_millis(u64::from(interval_ms));
        let timer = Box::pin(tokio::time::sleep(interval));
        let (asked, pong) = (None, None);
        Self { pings, interval, timer, waiting: false, asked, pong, answered: false, probe: None }
    }

    /// Whether the server's settings have come; else it is asked for a sign.
    pub(super) fn has_settings(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.answered {
            self.ask();
            self.listen(cx);
        }
        self.answered
    }

    fn ask(&mut self) {
        if let (false, Some(pings)) = (self.waiting, &mut self.pings) {
            self.waiting = pings.send_ping(Ping::opaque()).is_ok();
        }
    }

    pub(super) fn listen(&mut self, cx: &mut Context<'_>) {
        if let (true, Some(pings)) = (self.waiting, &mut self.pings)
            && let Poll::Ready(Ok(_)) = pings.poll_pong(cx)
        {
            self.waiting = false;
            self.answered = true;
            self.probe = None;
            self.pong = self.asked.take().map(|asked| asked.elapsed());
        }
    }

    /// Asks whether a server that left a request without an answer is still there. Only that
    /// request was slow if it is; else others would wait in vain too, one after the other.
    pub(super) fn probe(&mut self, limit: Duration) {
        if self.probe.is_none() {
            self.ask();
            self.probe = Some(Box::pin(tokio::time::sleep(limit.max(PROBE_MIN))));
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Option<Failure> {
        self.listen(cx);
        if let Some(timer) = &mut self.probe
            && timer.as_mut().poll(cx).is_ready()
        {
            return Some(
                Failure::new(Kind::Socket).with_message("HTTP/2: connection unresponsive"),
            );
        }
        while !self.interval.is_zero() && self.timer.as_mut().poll(cx).is_ready() {
            if self.waiting {
                let failure = Failure::new(Kind::Informational);
                return Some(failure.with_message("HTTP/2: \"PING\" was not answered"));
            }
            self.timer.as_mut().reset(Instant::now() + self.interval);
            self.asked = Some(Instant::now());
            self.ask();
            self.listen(cx);
        }
        None
    }
}
