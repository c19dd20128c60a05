//! A connection that rests is left to who submits, as `lane` says, and comes back.

use core::future::Future;
use core::task::Context;
use core::time::Duration;

use tokio::net::TcpStream;

use super::{Ending, H1, machine};
use crate::engine::causes;
use crate::engine::command::Body;
use crate::engine::lane::Lent;
use crate::engine::stream::Stream;

/// How often is asked whether the connection is still in use.
const WATCH: Duration = Duration::from_millis(5);

impl H1 {
    /// Whether the connection is lent and remains so.
    pub(super) fn is_lent(&mut self, cx: &mut Context<'_>) -> Result<bool, Ending> {
        if !self.lent {
            return Ok(false);
        }
        let wanted = self.client.is_closing()
            || self.client.depth.get() == 0
            || self.client.front(&self.shared, |_| ()).is_some();
        if wanted || self.timer.as_mut().poll(cx).is_ready() {
            self.shared.take_back(wanted);
        }
        match self.client.returned.take() {
            Some(lent) => self.restore(*lent).map(|()| false),
            None => {
                self.watch(cx);
                Ok(true)
            }
        }
    }

    fn watch(&mut self, cx: &mut Context<'_>) {
        self.timer.as_mut().reset(tokio::time::Instant::now() + WATCH);
        self.armed = None;
        // It is far enough away.
        let _pending = self.timer.as_mut().poll(cx);
    }

    /// Lends the connection, if that is likely to save time.
    pub(super) fn lend(&mut self, cx: &mut Context<'_>) -> Result<(), Ending> {
        let shared = &self.shared;
        let rests = self.machine.is_idle() && self.machine.accepts_requests() && self.rests();
        let clean = self.upload.is_none() && self.outbox.len() == 0 && self.kept.is_empty();
        let quick = shared.pace.is_quick() && shared.in_flight() == 0;
        let lends = quick
            && rests
            && clean
            && self.marks.is_empty()
            && self.client.depth.get() > 0
            && matches!(self.stream, Stream::Tcp(_))
            && shared.lane.is_free();
        if !lends {
            return Ok(());
        }
        let Stream::Tcp(stream) = core::mem::replace(&mut self.stream, Stream::Lent) else {
            return Ok(());
        };
        let stream = stream
            .into_std()
            .map_err(|error| self.closed(causes::system(&error, "read"), false))?;
        let none = machine(&self.client.options, shared.now(), 0);
        let machine = core::mem::replace(&mut self.machine, none);
        let outbox = core::mem::take(&mut self.outbox);
        let lent = Lent::new(self.client.id, machine, stream, outbox, self.bytes_read);
        self.shared.lane.lend(lent);
        self.lent = true;
        self.watch(cx);
        Ok(())
    }

    /// Goes on with a connection that was lent.
    fn restore(&mut self, lent: Lent) -> Result<(), Ending> {
        self.lent = false;
        self.machine = lent.machine;
        self.outbox = lent.outbox;
        self.kept = lent.kept;
        self.kept_at = 0;
        self.bytes_read = lent.bytes_read;
        if let Some(request) = lent.request {
            if let Body::Whole(_) = request.body {
                self.marks
                    .push_back((self.outbox.written() + self.outbox.len() as u64, request.id));
            }
            self.running.push_back(request);
        }
        let now = self.shared.now();
        match lent.read_error.map_or_else(|| TcpStream::from_std(lent.stream), Err) {
            Ok(stream) => {
                self.stream = Stream::Tcp(stream);
                Ok(())
            }
            Err(error) => Err(self.read_error(now, &error)),
        }
    }
}
