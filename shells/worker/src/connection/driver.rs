//! The task that owns the socket: reads, starts handlers, writes.

use core::future::poll_fn;
use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll, Waker, ready};
use std::io::{self, IoSlice};
use std::panic::catch_unwind;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::connection::call::Call;
use crate::connection::outgoing::{Queue, SLICES_MAX};
use crate::connection::shared::{Arrival, Shared};
use crate::error::Failure;
use crate::handler::Started;
use crate::payload::Incoming;
use crate::socket::Stream;

/// Room for one read. Memory that no read has filled yet costs nothing.
const READ_LEN: usize = 256 * 1024;

/// Bytes that a gathered payload grows by at first.
const GATHER_LEN_MIN: usize = 64 * 1024;

/// Bytes of a cut payload from which on it is read straight into its own memory.
const DIRECT_LEN_MIN: usize = 16 * 1024;

/// Reads after which other tasks of the thread get their turn.
const READS_PER_TURN: usize = 4;

/// Serves an adopted parent until the connection ends, and says how it ended.
pub(crate) async fn serve(shared: &Arc<Shared>, stream: Stream) -> io::Result<()> {
    let spawn = Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
    let mut driver = Driver {
        shared: Arc::clone(shared),
        stream,
        input: Vec::new(),
        taken: 0,
        gather: None,
        writing: Queue::default(),
        spawn,
    };
    poll_fn(|cx| driver.poll(cx)).await
}

struct Driver {
    shared: Arc<Shared>,
    stream: Stream,
    /// What was read.
    input: Vec<u8>,
    /// Bytes of it that the session has taken.
    taken: usize,
    /// The request whose payload is cut.
    gather: Option<Gather>,
    /// Taken from the shared queue, being written.
    writing: Queue,
    /// Whether handlers get a task at once, so that they run beside each other on other threads.
    /// On one thread the first poll happens here, and most handlers need no other.
    spawn: bool,
}

/// A request whose payload comes in parts.
struct Gather {
    call: Arc<Call>,
    method: usize,
    len: usize,
    bytes: Vec<u8>,
}

impl Gather {
    /// Room for the next bytes, as much again as has come: the declared length alone reserves
    /// nothing.
    fn reserve(&mut self) -> usize {
        let left = self.len - self.bytes.len();
        if self.bytes.capacity() == self.bytes.len() {
            self.bytes.reserve_exact(left.min(self.bytes.len().max(GATHER_LEN_MIN)));
        }
        left.min(self.bytes.capacity() - self.bytes.len())
    }
}

impl Driver {
    /// One turn: reads and writes until neither goes on. Reading never waits for writing, but
    /// when not even error answers fit the bound on what waits to be written.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..READS_PER_TURN {
            let read = self.poll_receive(cx)?;
            if read == Poll::Ready(Received::End) || self.shared.is_drained() {
                return Poll::Ready(Ok(()));
            }
            let wrote = self.poll_flush(cx)?;
            if read.is_pending() && wrote.is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        if self.taken < self.input.len() {
            // Left behind since no answer fitted any more; goes on when something was written.
            if !self.shared.wants_read() {
                return Poll::Pending;
            }
            self.dispatch()?;
            return Poll::Ready(Ok(Received::Some));
        }
        if let Some(gather) = &mut self.gather
            && gather.len - gather.bytes.len() >= DIRECT_LEN_MIN
        {
            return self.poll_gather(cx);
        }
        self.input.clear();
        self.taken = 0;
        self.input.reserve(READ_LEN);
        let read = self.stream.poll_read(cx, &mut self.input, usize::MAX);
        if ready!(read)? == 0 {
            return Poll::Ready(Ok(Received::End));
        }
        self.dispatch()?;
        Poll::Ready(Ok(Received::Some))
    }

    /// Reads into the memory of a large payload.
    fn poll_gather(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Received>> {
        let Some(gather) = &mut self.gather else { return Poll::Ready(Ok(Received::Some)) };
        let room = gather.reserve();
        let before = gather.bytes.len();
        if ready!(self.stream.poll_read(cx, &mut gather.bytes, room))? == 0 {
            return Poll::Ready(Ok(Received::End));
        }
        let arrived = gather.bytes.get(before..).unwrap_or(&[]);
        let (_, arrival) = self.shared.receive(arrived).map_err(io::Error::other)?;
        if matches!(arrival, Some(Arrival::Part { last: true, .. })) {
            self.finish_gather();
        }
        Poll::Ready(Ok(Received::Some))
    }

    /// Hands what was read to the session, and what it finds to the handlers.
    fn dispatch(&mut self) -> io::Result<()> {
        let input = core::mem::take(&mut self.input);
        let mut taken = self.taken;
        let outcome = loop {
            match self.shared.receive(input.get(taken..).unwrap_or(&[])) {
                Ok((used, arrival)) => {
                    taken += used;
                    let Some(arrival) = arrival else { break Ok(()) };
                    self.handle(arrival);
                }
                Err(error) => break Err(io::Error::other(error)),
            }
        };
        self.input = input;
        self.taken = taken;
        outcome
    }

    fn handle(&mut self, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Whole { call, method, payload } => {
                self.start(call, method, Incoming::Borrowed(payload));
            }
            Arrival::Start { call, method, len } => {
                self.gather = Some(Gather { call, method, len, bytes: Vec::new() });
            }
            Arrival::Part { bytes, last } => {
                if let Some(gather) = &mut self.gather {
                    gather.reserve();
                    gather.bytes.extend_from_slice(bytes);
                }
                if last {
                    self.finish_gather();
                }
            }
            Arrival::Abort { call } => call.abort(),
            Arrival::Handled => {}
        }
    }

    fn finish_gather(&mut self) {
        if let Some(gather) = self.gather.take() {
            let payload = Incoming::Gathered(Bytes::from(gather.bytes));
            self.start(gather.call, gather.method, payload);
        }
    }

    /// Runs a handler. What it does wrong costs its own request only.
    fn start(&self, call: Arc<Call>, method: usize, payload: Incoming<'_>) {
        let Some(handler) = self.shared.plan.handlers.get(method) else { return };
        let run = AssertUnwindSafe(|| (handler.start)(payload, &call));
        let mut running = match catch_unwind(run) {
            Ok(Ok(Started::Running(running))) => running,
            Ok(Ok(Started::Done)) => return,
            Ok(Err(text)) => return reject(&call, &text),
            Err(_) => return reject(&call, "the handler panicked"),
        };
        if !self.spawn {
            let mut nobody = Context::from_waker(Waker::noop());
            if running.as_mut().poll(&mut nobody).is_ready() {
                return;
            }
        }
        let task = tokio::spawn(running);
        self.shared.watch_task(&call, task.abort_handle());
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut progress = Poll::Pending;
        let mut done = 0;
        loop {
            if self.writing.is_empty() {
                let more = self.shared.refill(&mut self.writing, done, cx.waker());
                done = 0;
                if !more {
                    return progress;
                }
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.writing.fill(&mut slices);
            let slices = slices.get(..count).unwrap_or(&[]);
            match self.stream.poll_write(cx, slices) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero)));
                }
                Poll::Ready(Ok(len)) => {
                    self.writing.discard(len);
                    done += len;
                    progress = Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.shared.written(done);
                    return progress;
                }
            }
        }
    }
}

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    Some,
    End,
}

/// The error answer to a request that no handler took.
fn reject(call: &Call, text: &str) {
    if call.fail_now(&Failure::text(text)).is_err() {
        call.finish_unanswered();
    }
}
