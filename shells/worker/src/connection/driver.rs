//! The task that owns the socket: reads, starts handlers, writes.

use core::future::poll_fn;
use core::mem;
use core::panic::AssertUnwindSafe;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::panic::catch_unwind;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::connection::call::{Call, Pool};
use crate::connection::outgoing::{Queue, SLICES_MAX};
use crate::connection::shared::{Left, Shared};
use crate::connection::state::{Arrival, Arrivals, Request};
use crate::handler::{At, Ended, Start};
use crate::payload::{Incoming, SHARED_LEN_MIN};
use crate::socket::Stream;

/// Room for one read. Memory that no read has filled yet costs nothing.
const READ_LEN: usize = 256 * 1024;

/// Bytes that a gathered payload grows by at first.
const GATHER_LEN_MIN: usize = 64 * 1024;

/// Bytes of a cut payload from which on it is read straight into its own memory.
const DIRECT_LEN_MIN: usize = 16 * 1024;

/// Bytes of answers that wait for those of other handlers.
const ENDED_LEN_MAX: usize = 64 * 1024;

/// Reads whose payloads are copied after handlers kept the memory of one.
const COPIES: usize = 64;

/// Reads after which other tasks of the thread get their turn.
const READS_PER_TURN: usize = 4;

/// Serves an adopted parent until the connection ends, and says how it ended.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    handlers: Vec<Start>,
    stream: Stream,
) -> io::Result<()> {
    let one_thread = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
    let mut driver = Driver {
        shared: Arc::clone(shared),
        handlers,
        one_thread,
        stream,
        input: Vec::new(),
        taken: 0,
        copies: 0,
        gather: None,
        arrivals: Arrivals::default(),
        started: 0,
        ended: Vec::new(),
        ended_len: 0,
        pool: Pool::default(),
        writing: Queue::default(),
    };
    poll_fn(|cx| driver.poll(cx)).await
}

struct Driver {
    shared: Arc<Shared>,
    /// By the index of their method.
    handlers: Vec<Start>,
    /// Otherwise they get a task at once, so that they run beside each other on other threads. On
    /// one thread the first poll happens here, and most handlers need no other.
    one_thread: bool,
    stream: Stream,
    /// What was read.
    input: Vec<u8>,
    /// Bytes of it that the session has taken.
    taken: usize,
    /// Reads whose memory is not lent any more to handlers, since they kept it.
    copies: usize,
    /// The request whose payload is cut.
    gather: Option<Gather>,
    /// What was received, to be done.
    arrivals: Arrivals,
    /// Handlers that were started since the parent was last told all that it waited for.
    started: usize,
    /// What handlers have left to be sent.
    ended: Vec<Ended>,
    /// Bytes of these answers.
    ended_len: usize,
    pool: Pool,
    /// Taken from the shared queue, being written.
    writing: Queue,
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
        let (_, outcome) = self.shared.receive(arrived, &mut self.pool, &mut self.arrivals);
        // Its bytes lie where they belong.
        if matches!(self.arrivals.other.take(), Some(Arrival::Part { last: true, .. })) {
            self.finish_gather();
            self.send_answers();
        }
        outcome.map_err(io::Error::other)?;
        Poll::Ready(Ok(Received::Some))
    }

    /// Hands what was read to the session, and what it finds to the handlers. They may keep the
    /// memory of their payloads; if they do, they get copies for a while.
    fn dispatch(&mut self) -> io::Result<()> {
        let input = mem::take(&mut self.input);
        if input.len() < SHARED_LEN_MIN || self.copies > 0 {
            self.copies = self.copies.saturating_sub(1);
            let outcome = self.take(&input, None);
            self.input = input;
            return outcome;
        }
        let mut chunk = Bytes::from(input);
        let outcome = self.take(&chunk, Some(&chunk));
        chunk.advance(mem::take(&mut self.taken));
        self.input = Vec::from(chunk);
        if self.input.capacity() < READ_LEN {
            self.copies = COPIES;
        }
        outcome
    }

    fn take(&mut self, input: &[u8], chunk: Option<&Bytes>) -> io::Result<()> {
        let mut arrivals = mem::take(&mut self.arrivals);
        let mut more = Ok(true);
        while let Ok(true) = more {
            let rest = input.get(self.taken..).unwrap_or(&[]);
            let (used, outcome) = self.shared.receive(rest, &mut self.pool, &mut arrivals);
            self.start_all(&mut arrivals.requests, rest, chunk);
            if let Some(arrival) = arrivals.other.take() {
                self.handle(arrival, rest);
            }
            self.send_answers();
            self.taken += used;
            more = outcome;
        }
        self.arrivals = arrivals;
        more.map(drop).map_err(io::Error::other)
    }

    fn handle(&mut self, arrival: Arrival, input: &[u8]) {
        match arrival {
            Arrival::Start { call, method, len } => {
                self.gather = Some(Gather { call, method, len, bytes: Vec::new() });
            }
            Arrival::Part { bytes, last } => {
                if let Some(gather) = &mut self.gather {
                    gather.reserve();
                    gather.bytes.extend_from_slice(input.get(bytes).unwrap_or(&[]));
                }
                if last {
                    self.finish_gather();
                }
            }
            Arrival::Abort(abort) => abort.abort(),
        }
    }

    fn finish_gather(&mut self) {
        if let Some(gather) = self.gather.take() {
            let payload = Incoming::Gathered(Bytes::from(gather.bytes));
            let start = || self.start(gather.call, gather.method, payload);
            // The parent was told of a panic.
            let _ = catch_unwind(AssertUnwindSafe(start));
        }
    }

    /// Runs handlers. What one does wrong costs its own request only.
    fn start_all(&mut self, requests: &mut Vec<Request>, input: &[u8], chunk: Option<&Bytes>) {
        let mut requests = requests.drain(..);
        let mut start = || {
            for Request { call, method, start, end } in requests.by_ref() {
                let bytes = input.get(start..end).unwrap_or(&[]);
                self.start(call, method, Incoming::Borrowed { bytes, chunk });
            }
        };
        // The parent was told of a panic; the others go on.
        while catch_unwind(AssertUnwindSafe(&mut start)).is_err() {}
    }

    fn start(&mut self, call: Arc<Call>, method: usize, payload: Incoming<'_>) {
        let Some(start) = self.handlers.get_mut(method) else { return };
        self.started += 1;
        let handle = call.handle();
        let at = if self.one_thread { At::Here(&mut self.ended) } else { At::Task };
        if let Some(mut running) = start(call, payload, at) {
            let end = poll_fn(move |cx| running.as_mut().poll(cx).map(Ended::send));
            self.shared.watch_task(handle, tokio::spawn(end).abort_handle());
        } else if let Some(Ended { answer: Some(answer), .. }) = self.ended.last() {
            self.ended_len += answer.payload.len();
            if self.ended_len >= ENDED_LEN_MAX {
                self.send_answers();
            }
        }
    }

    /// Sends what handlers have left, all at once.
    fn send_answers(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        self.ended_len = 0;
        self.shared.send_answers(&mut self.ended);
        for Ended { call, answer } in self.ended.drain(..) {
            answer.into_iter().for_each(|answer| answer.payload.give_back());
            self.pool.put(call);
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut progress = Poll::Pending;
        let mut done = 0;
        loop {
            if self.writing.is_empty() {
                let left = self.shared.refill(&mut self.writing, done, cx.waker());
                done = 0;
                // With several in flight, the next ones are fewer the earlier they are read.
                if left == Left::Nothing && progress.is_ready() && mem::take(&mut self.started) == 1
                {
                    self.stream.expect_more();
                }
                if left != Left::Frames {
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
