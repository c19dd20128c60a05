//! What the driver, the handlers and the client handle change, one at a time.

use core::ops::Range;
use core::task::Waker;
use std::sync::Arc;

use bytes::Bytes;
use forebay_core_frame::Loan;
use forebay_core_procwire::child::{self, CallEntry, ChildSession, Event, Method, Reply};
use forebay_core_procwire::{Body, SendError, Transmit};
use tokio::task::AbortHandle;

use crate::answer::Answer;
use crate::builder::Limits;
use crate::connection::call::{Abort, Call, Pool};
use crate::connection::outgoing::{Payload, Queue};
use crate::connection::shared::Shared;
use crate::error::{Error, Failure};

/// Bytes that wait to be written at which handlers begin to wait.
pub(super) const QUEUED_HIGH: usize = 256 * 1024;

/// Header slots. A slot's bytes are copied to the queue and given back at once.
pub(super) const SLOTS: usize = 4;

/// Calls that there is room for at first; it doubles whenever it is used up.
const CALLS_MIN: usize = 16;

/// Requests at most that are taken before the first of them is started.
const BATCH_MAX: usize = 64;

/// Of a frame that lies in its slot.
pub(super) static NO_PAYLOAD: Bytes = Bytes::new();

pub(super) type Session = ChildSession<Vec<Method>, Vec<CallEntry>, [Loan; SLOTS]>;

/// What the lock of [`Shared`] protects.
pub(super) struct State {
    pub(super) session: Session,
    /// Most calls that it is to have room for.
    calls_max: usize,
    pub(super) slots: Vec<u8>,
    pub(super) queue: Queue,
    /// Bytes in `queue` and in what the driver took of it.
    pub(super) queued: usize,
    /// Tasks that wait in [`Shared::room`].
    pub(super) waiting: usize,
    pub(super) connected: bool,
    pub(super) draining: bool,
    /// The driver sleeps with nothing to write.
    pub(super) asleep: bool,
    pub(super) driver: Option<Waker>,
    /// By the place of their handle.
    pub(super) calls: Vec<Running>,
    /// How many of them have not ended.
    pub(super) live: usize,
    /// Payload bytes of all calls.
    pub(super) held: usize,
}

/// The newest call of a place.
pub(super) struct Running {
    pub(super) handle: child::Call,
    /// The parent still waits.
    pub(super) live: bool,
    /// Bytes of payload that count against the limit until the call ends.
    pub(super) held: usize,
    pub(super) abort: Arc<Abort>,
    pub(super) task: Option<AbortHandle>,
}

/// What the driver has to do: start requests that came whole, then at most one other thing.
#[derive(Default)]
pub(crate) struct Arrivals {
    pub(crate) requests: Vec<Request>,
    pub(crate) other: Option<Arrival>,
}

/// A request and where its payload lies in the input.
pub(crate) struct Request {
    pub(crate) call: Arc<Call>,
    pub(crate) method: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What comes less often.
pub(crate) enum Arrival {
    /// Gather `len` bytes, then start the handler.
    Start { call: Arc<Call>, method: usize, len: usize },
    /// More of what is gathered, from there to there in the input.
    Part { bytes: Range<usize>, last: bool },
    /// Tell the handler.
    Abort(Arc<Abort>),
}

impl State {
    pub(super) fn new(session: Session, calls_max: usize, slots: Vec<u8>) -> Self {
        Self {
            session,
            calls_max,
            slots,
            queue: Queue::default(),
            queued: 0,
            waiting: 0,
            connected: false,
            draining: false,
            asleep: false,
            driver: None,
            calls: Vec::new(),
            live: 0,
            held: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting > 0 || self.queued >= QUEUED_HIGH
    }

    /// Lets one more call in, if there may be one. Memory for calls that never come is not touched.
    pub(super) fn make_room(&mut self) {
        let capacity = self.session.call_capacity();
        if self.session.in_flight_count() == capacity && capacity < self.calls_max {
            let more = capacity.max(CALLS_MIN).min(self.calls_max - capacity);
            self.session.grow(more);
        }
    }

    /// The driver found nothing to write.
    pub(super) fn sleep(&mut self, waker: &Waker) {
        self.asleep = true;
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }

    /// The driver is to look again.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.asleep = false;
        self.driver.take()
    }

    /// Notes what the driver has to do about an event whose bytes end at `end`.
    pub(super) fn arrive(
        &mut self,
        shared: &Arc<Shared>,
        pool: &mut Pool,
        (event, end): (Event<'_>, usize),
        arrivals: &mut Arrivals,
    ) {
        match event {
            Event::Request { call, method, payload } => {
                let method = usize::from(method.value() - 1);
                if let Some(call) = self.admit(shared, pool, call, method, payload.len()) {
                    let start = end - payload.len();
                    arrivals.requests.push(Request { call, method, start, end });
                }
            }
            Event::Start { call, method, payload_len } => {
                let method = usize::from(method.value() - 1);
                let len = usize::try_from(payload_len).unwrap_or(usize::MAX);
                let call = self.admit(shared, pool, call, method, len);
                arrivals.other = call.map(|call| Arrival::Start { call, method, len });
            }
            Event::Part { bytes, last, .. } => {
                arrivals.other = Some(Arrival::Part { bytes: end - bytes.len()..end, last });
            }
            Event::Abort { call } => {
                let running = self.running(call);
                arrivals.other = running.map(|running| Arrival::Abort(Arc::clone(&running.abort)));
            }
            Event::Refused { .. } => self.take_refusals(),
        }
    }

    /// Whether the driver has to act before the next event: it may change what that one meets.
    pub(super) fn ends_batch(&self, limits: &Limits, arrivals: &Arrivals, rest: usize) -> bool {
        let count = arrivals.requests.len();
        let limited = self.live >= limits.max_concurrency
            || self.held.saturating_add(rest) > limits.max_request_bytes;
        arrivals.other.is_some() || count >= BATCH_MAX || (count > 0 && limited)
    }

    /// Takes a call in, or answers it with an error when it would hold too much.
    fn admit(
        &mut self,
        shared: &Arc<Shared>,
        pool: &mut Pool,
        handle: child::Call,
        method: usize,
        len: usize,
    ) -> Option<Arc<Call>> {
        let limits = &shared.plan.limits;
        let counted = shared.plan.kinds.get(method).is_some_and(|kind| kind.counted);
        let over = self.held > 0 && self.held.saturating_add(len) > limits.max_request_bytes;
        if counted && (over || self.draining) {
            let text = if over { "too many request bytes held" } else { "the worker is draining" };
            self.refuse(handle, &Failure::text(text));
            return None;
        }
        let held = if counted { len } else { 0 };
        let call = pool.take(shared, handle, method, self.session.request(handle));
        self.live += 1;
        self.held += held;
        self.keep(handle, held, call.abort());
        Some(call)
    }

    /// Notes a new call at its place.
    fn keep(&mut self, handle: child::Call, held: usize, abort: &Arc<Abort>) {
        match self.calls.get_mut(handle.index()) {
            Some(running) => {
                (running.handle, running.live, running.held) = (handle, true, held);
                if !Arc::ptr_eq(&running.abort, abort) {
                    running.abort = Arc::clone(abort);
                }
            }
            // Places are first used in their order.
            None => {
                let abort = Arc::clone(abort);
                self.calls.push(Running { handle, live: true, held, abort, task: None });
            }
        }
    }

    fn refuse(&mut self, handle: child::Call, failure: &Failure) {
        let payload = Payload::Whole(failure.payload());
        let body = Body::span(u32::try_from(payload.len()).unwrap_or(0));
        match self.session.send(handle, Reply::Error, body, &mut self.slots) {
            Ok(transmit) => self.push(transmit, payload),
            // A call that expects no answer: it only ends.
            Err(_) => drop(self.session.close(handle, &mut self.slots)),
        }
    }

    /// Hands out one frame of an answer; what comes back beside the result must be dropped outside
    /// the lock.
    pub(super) fn send(
        &mut self,
        call: &Call,
        reply: Reply,
        payload: Payload<'_>,
    ) -> (Result<(), Error>, Option<AbortHandle>) {
        let Ok(len) = u32::try_from(payload.len()) else { return (Err(Error::TooLong), None) };
        let sent = self.session.send(call.handle(), reply, Body::span(len), &mut self.slots);
        let ended = matches!(sent, Ok(_) | Err(SendError::Aborted)) && reply != Reply::Chunk;
        let task = if ended { self.forget(call.handle()) } else { None };
        if ended {
            call.set_ended();
        }
        match sent {
            Ok(transmit) => {
                self.push(transmit, payload);
                (Ok(()), task)
            }
            Err(error) => (Err(refusal(error, call)), task),
        }
    }

    /// As [`send`](Self::send), what a handler returned.
    pub(super) fn send_answer(
        &mut self,
        call: &Call,
        answer: &mut Answer,
    ) -> (Result<(), Error>, Option<AbortHandle>) {
        let (sent, task) = self.send(call, answer.reply, answer.payload.as_payload());
        if sent.is_ok() && answer.ends {
            return self.send(call, Reply::End, Payload::Whole(&NO_PAYLOAD));
        }
        (sent, task)
    }

    /// The call of this handle, until it has ended.
    pub(super) fn running(&mut self, handle: child::Call) -> Option<&mut Running> {
        self.calls
            .get_mut(handle.index())
            .filter(|running| running.live && running.handle == handle)
    }

    /// The call has ended for the parent; returns what must be dropped outside the lock.
    pub(super) fn forget(&mut self, handle: child::Call) -> Option<AbortHandle> {
        let running = self.running(handle)?;
        running.live = false;
        let (held, task) = (running.held, running.task.take());
        self.live -= 1;
        self.held -= held;
        task
    }

    /// Forgets all calls.
    pub(super) fn take_calls(&mut self) -> Vec<Running> {
        self.live = 0;
        self.held = 0;
        core::mem::take(&mut self.calls)
    }

    /// Appends a frame to the queue. Its slot is free again at once.
    pub(super) fn push(&mut self, transmit: Transmit, payload: Payload<'_>) {
        self.queued += usize::from(transmit.head_len) + payload.len();
        self.queue.push(&transmit.header, transmit.prefix(&self.slots), payload);
        // It was lent a moment ago.
        let _ = self.session.handle_sent(transmit.slot);
    }

    /// Moves what the session has to say by itself to the queue, as far as that has room.
    pub(super) fn take_refusals(&mut self) {
        while self.queued < 2 * QUEUED_HIGH {
            let Some(transmit) = self.session.poll_transmit(&mut self.slots) else { return };
            self.push(transmit, Payload::Whole(&NO_PAYLOAD));
        }
    }
}

/// What a refused frame means to the handler that sent it.
fn refusal(error: SendError, call: &Call) -> Error {
    match error {
        SendError::TooLong => Error::TooLong,
        SendError::Aborted => Error::Aborted,
        SendError::NotConnected => Error::Closed,
        _ if call.is_aborted() => Error::Aborted,
        _ => Error::ResponseAlreadySent,
    }
}
