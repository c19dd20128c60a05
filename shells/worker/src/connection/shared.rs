//! What handlers, the client handle and the driver share.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_core_frame::Loan;
use forebay_core_procwire::child::{
    self, CallEntry, ChildSession, Config, Event, Method, Reply, Storage,
};
use forebay_core_procwire::{Body, EventId, MaxPayload, PeerError, SendError, Transmit};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::builder::{Builder, Limits};
use crate::client::Shutdown;
use crate::codec::BrokenText;
use crate::connection::call::Call;
use crate::connection::outgoing::{Outgoing, Queue, Scratch, with_scratch};
use crate::error::{Error, Failure};
use crate::handler::Handler;
use crate::payload::IntoPayload;
use crate::socket::SocketFile;

/// Bytes that wait to be written at which handlers begin to wait.
const QUEUED_HIGH: usize = 256 * 1024;

/// Bytes left at which they go on.
const QUEUED_LOW: usize = 128 * 1024;

/// Calls that do not count (parts of HTTP bodies) and may be open beside those that do.
const FREE_CALLS: usize = 2048;

/// Header slots. A slot's bytes are copied to the queue and given back at once.
const SLOTS: usize = 4;

/// What a worker offers, as it runs.
pub(crate) struct Plan {
    pub(crate) names: Vec<String>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) events: Vec<String>,
    pub(crate) broken_text: BrokenText,
    pub(crate) limits: Limits,
}

/// See the module.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    state: Mutex<State>,
    /// Whether somebody who wants to send has to wait, as of the last change under the lock.
    full: AtomicBool,
    /// Those who wait for room in the queue, in their order.
    room: Notify,
    phase: watch::Sender<Phase>,
    file: Mutex<Option<SocketFile>>,
}

/// Where the worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No parent yet.
    Listening,
    /// A parent was adopted.
    Connected,
    /// To end, for this reason, but not there yet.
    Stopping(Shutdown),
    /// Everything is closed.
    Ended(Shutdown),
}

type Session = ChildSession<Vec<Method>, Vec<CallEntry>, [Loan; SLOTS]>;

struct State {
    session: Session,
    slots: Vec<u8>,
    queue: Queue,
    /// Bytes in `queue` and in what the driver took of it.
    queued: usize,
    /// Tasks that wait in [`Shared::room`].
    waiting: usize,
    connected: bool,
    draining: bool,
    /// The driver, while it sleeps with nothing to write.
    driver: Option<Waker>,
    /// By the place of their handle.
    calls: Vec<Option<Running>>,
    /// Payload bytes of all calls.
    held: usize,
}

/// A call and the task that runs it.
struct Running {
    call: Arc<Call>,
    task: Option<AbortHandle>,
}

/// A call that was admitted, or what the driver has to do instead.
pub(crate) enum Arrival<'i> {
    /// Start the handler with this payload.
    Whole { call: Arc<Call>, method: usize, payload: &'i [u8] },
    /// Gather `len` bytes, then start the handler.
    Start { call: Arc<Call>, method: usize, len: usize },
    /// More of what is gathered.
    Part { bytes: &'i [u8], last: bool },
    /// Tell the handler.
    Abort { call: Arc<Call> },
    /// Everything was done here.
    Handled,
}

/// A mutex holds no invariant that a panic between two statements could break: every change is
/// complete before code of others runs.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(builder: Builder) -> Arc<Self> {
        let Builder { methods, events, broken_text, limits } = builder;
        let table: Vec<Method> = methods
            .iter()
            .map(|method| Method {
                response: method.handler.response,
                counted: method.handler.counted,
            })
            .collect();
        let (names, handlers) = methods.into_iter().map(|m| (m.name, m.handler)).unzip();
        let free = if table.iter().all(|method| method.counted) { 0 } else { FREE_CALLS };
        let calls = vec![CallEntry::default(); limits.max_concurrency.saturating_add(free)];
        let config = Config {
            max_payload: MaxPayload::new(limits.max_payload_size),
            max_concurrency: u32::try_from(limits.max_concurrency).unwrap_or(u32::MAX),
            event_count: u16::try_from(events.len()).unwrap_or(u16::MAX),
        };
        let loans = [Loan::default(); SLOTS];
        let session = ChildSession::new(config, Storage { methods: table, calls, loans });
        let slots = vec![0; session.slots_len()];
        Arc::new(Self {
            plan: Plan { names, handlers, events, broken_text, limits },
            state: Mutex::new(State::new(session, slots)),
            full: AtomicBool::new(false),
            room: Notify::new(),
            phase: watch::Sender::new(Phase::Listening),
            file: Mutex::new(None),
        })
    }

    pub(crate) fn method_name(&self, index: usize) -> &str {
        self.plan.names.get(index).map_or("", String::as_str)
    }

    /// Takes one event from the front of `input`; returns the bytes it used.
    ///
    /// # Errors
    /// The parent broke the protocol.
    pub(crate) fn receive<'i>(
        self: &Arc<Self>,
        input: &'i [u8],
    ) -> Result<(usize, Option<Arrival<'i>>), PeerError> {
        let mut state = locked(&self.state);
        let step = state.session.handle_bytes(input)?;
        let arrival = step.event.map(|event| state.arrive(self, event));
        state.take_refusals();
        Ok((step.used, arrival))
    }

    /// Whether another event can be taken; if not, the peer does not read its answers.
    pub(crate) fn wants_read(&self) -> bool {
        locked(&self.state).session.wants_read()
    }

    /// Keeps the task that runs a call, so that it can be ended with the connection.
    pub(crate) fn watch_task(&self, call: &Call, task: AbortHandle) {
        let mut state = locked(&self.state);
        if let Some(Some(running)) = state.calls.get_mut(call.handle.index())
            && running.call.handle == call.handle
        {
            running.task = Some(task);
        }
    }

    /// Hands out one frame of an answer.
    pub(crate) fn send(
        &self,
        call: &Call,
        reply: Reply,
        payload: &mut Scratch,
    ) -> Result<(), Error> {
        let body = Body::span(u32::try_from(payload.len()).map_err(|_| Error::TooLong)?);
        let mut guard = locked(&self.state);
        let state = &mut *guard;
        let sent = state.session.send(call.handle, reply, body, &mut state.slots);
        let ended = matches!(sent, Ok(_) | Err(SendError::Aborted)) && reply != Reply::Chunk;
        let gone = if ended { state.forget(call) } else { None };
        if ended {
            call.ended.store(true, Ordering::Release);
        }
        let result = match sent {
            Ok(transmit) => {
                state.push(transmit, payload);
                Ok(())
            }
            Err(error) => Err(refusal(error, call)),
        };
        self.wake(guard);
        drop(gone);
        result
    }

    /// The last context of a call is gone.
    pub(crate) fn close(&self, call: &Call) {
        let mut guard = locked(&self.state);
        let state = &mut *guard;
        let closed = state.session.close(call.handle, &mut state.slots);
        let gone = state.forget(call);
        if let Ok(Some(transmit)) = closed {
            state.push(transmit, &mut Scratch::default());
        }
        self.wake(guard);
        drop(gone);
    }

    /// See [`Client::emit`](crate::Client::emit).
    pub(crate) async fn emit<T>(&self, event: &str, data: &T) -> Result<(), Error>
    where
        T: IntoPayload + ?Sized,
    {
        let index = self.plan.events.iter().position(|name| name == event);
        let id = index.and_then(|index| u16::try_from(index + 1).ok()).and_then(EventId::new);
        let id = id.ok_or(Error::UnknownEvent)?;
        self.room().await;
        with_scratch(|scratch| {
            data.encode(&mut Outgoing::new(scratch))?;
            let body = Body::span(u32::try_from(scratch.len()).map_err(|_| Error::TooLong)?);
            let mut guard = locked(&self.state);
            let state = &mut *guard;
            if !state.connected {
                return Err(Error::NotConnected);
            }
            let sent = state.session.emit(id, body, &mut state.slots);
            let transmit = sent.map_err(|error| match error {
                SendError::TooLong => Error::TooLong,
                SendError::NotConnected => Error::Closed,
                _ => Error::UnknownEvent,
            })?;
            state.push(transmit, scratch);
            self.wake(guard);
            Ok(())
        })
    }

    /// Waits until the queue has room for another frame, after those who came before.
    pub(crate) async fn room(&self) {
        if !self.full.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut state = locked(&self.state);
            if !state.is_full() {
                return;
            }
            state.waiting += 1;
        }
        let _waiting = Waiting(self);
        loop {
            self.room.notified().await;
            if locked(&self.state).queued < QUEUED_HIGH {
                return;
            }
        }
    }

    /// Takes what waits to be written, or leaves `waker` to be woken when something does.
    /// `done` bytes of what was taken before have been written.
    pub(crate) fn refill(&self, writing: &mut Queue, done: usize, waker: &Waker) -> bool {
        let mut state = locked(&self.state);
        state.queued -= done;
        state.take_refusals();
        let more = !state.queue.is_empty();
        if more {
            writing.refill(&mut state.queue);
        } else {
            state.driver = Some(waker.clone());
        }
        self.unlock(state);
        more
    }

    /// Bytes were written, more of them are at hand.
    pub(crate) fn written(&self, done: usize) {
        let mut state = locked(&self.state);
        state.queued -= done;
        self.unlock(state);
    }

    /// A parent was adopted.
    pub(crate) fn connect(&self) {
        locked(&self.state).connected = true;
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Listening;
            if first {
                *phase = Phase::Connected;
            }
            first
        });
    }

    /// The connection is gone, or is to go: every call is given up.
    pub(crate) fn disconnect(&self) {
        let mut guard = locked(&self.state);
        let state = &mut *guard;
        state.connected = true;
        // A frame cut by the end is the parent's business, which is gone.
        let _ = state.session.handle_eof();
        while state.session.poll_lost().is_some() {}
        state.queue.clear();
        state.queued = 0;
        let calls: Vec<Arc<Call>> =
            state.calls.iter().flatten().map(|running| Arc::clone(&running.call)).collect();
        self.full.store(false, Ordering::Relaxed);
        drop(guard);
        calls.iter().for_each(|call| call.abort());
        self.room.notify_waiters();
    }

    /// Ends the tasks that did not end by themselves.
    pub(crate) fn abort_tasks(&self) {
        let calls = core::mem::take(&mut locked(&self.state).calls);
        for task in calls.into_iter().flatten().filter_map(|running| running.task) {
            task.abort();
        }
    }

    /// Whether a handler still runs.
    pub(crate) fn is_busy(&self) -> bool {
        locked(&self.state).calls.iter().any(Option::is_some)
    }

    /// The file is removed with [`remove_socket`](Self::remove_socket), at the latest when the
    /// worker ends.
    pub(crate) fn keep_socket(&self, file: SocketFile) {
        *locked(&self.file) = Some(file);
    }

    /// Removes the socket file. No connection is refused by it that is not refused already.
    pub(crate) fn remove_socket(&self) {
        drop(locked(&self.file).take());
    }

    /// Asks the worker to end. Only the first reason counts.
    pub(crate) fn stop(&self, reason: Shutdown) {
        self.phase.send_if_modified(|phase| match phase {
            Phase::Listening | Phase::Connected => {
                *phase = Phase::Stopping(reason);
                true
            }
            Phase::Stopping(_) | Phase::Ended(_) => false,
        });
    }

    /// Everything is closed.
    pub(crate) fn end(&self) {
        self.phase.send_if_modified(|phase| {
            let reason = match *phase {
                Phase::Stopping(reason) | Phase::Ended(reason) => reason,
                Phase::Listening | Phase::Connected => Shutdown::ConnectionLost,
            };
            *phase = Phase::Ended(reason);
            true
        });
    }

    /// Takes no new request; the worker stops when the last one has ended.
    pub(crate) fn drain(&self) {
        let mut guard = locked(&self.state);
        guard.draining = true;
        let idle = guard.calls.iter().all(Option::is_none) && guard.queued == 0;
        drop(guard);
        if idle {
            self.stop(Shutdown::Local);
        }
    }

    /// Whether the worker was told to end and has nothing left to do.
    pub(crate) fn is_drained(&self) -> bool {
        let state = locked(&self.state);
        state.draining && state.queued == 0 && state.calls.iter().all(Option::is_none)
    }

    /// Returns when the worker is to stop.
    pub(crate) async fn stopping(&self) {
        self.reach(|phase| matches!(phase, Phase::Stopping(_) | Phase::Ended(_))).await;
    }

    pub(crate) async fn connected(&self) -> Result<(), Error> {
        match self.reach(|phase| *phase != Phase::Listening).await {
            Phase::Connected => Ok(()),
            Phase::Listening | Phase::Stopping(_) | Phase::Ended(_) => Err(Error::Closed),
        }
    }

    pub(crate) async fn ended(&self) -> Shutdown {
        match self.reach(|phase| matches!(phase, Phase::Ended(_))).await {
            Phase::Ended(reason) | Phase::Stopping(reason) => reason,
            Phase::Listening | Phase::Connected => Shutdown::ConnectionLost,
        }
    }

    async fn reach(&self, wanted: impl FnMut(&Phase) -> bool) -> Phase {
        let mut phase = self.phase.subscribe();
        // The sender is `self`, so it cannot be gone.
        phase.wait_for(wanted).await.map_or(Phase::Listening, |phase| *phase)
    }

    /// Unlocks, and wakes the driver if it sleeps and has something to do now.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let work = !state.queue.is_empty() || state.draining;
        let waker = if work { state.driver.take() } else { None };
        self.unlock(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Unlocks, and lets the next one send who waits for room.
    fn unlock(&self, state: MutexGuard<'_, State>) {
        self.full.store(state.is_full(), Ordering::Relaxed);
        let go_on = state.waiting > 0 && state.queued < QUEUED_LOW;
        drop(state);
        if go_on {
            self.room.notify_one();
        }
    }
}

impl State {
    fn new(session: Session, slots: Vec<u8>) -> Self {
        Self {
            session,
            slots,
            queue: Queue::default(),
            queued: 0,
            waiting: 0,
            connected: false,
            draining: false,
            driver: None,
            calls: Vec::new(),
            held: 0,
        }
    }

    fn is_full(&self) -> bool {
        self.waiting > 0 || self.queued >= QUEUED_HIGH
    }

    fn arrive<'i>(&mut self, shared: &Arc<Shared>, event: Event<'i>) -> Arrival<'i> {
        match event {
            Event::Request { call, method, payload } => {
                let method = usize::from(method.value() - 1);
                match self.admit(shared, call, method, payload.len()) {
                    Some(call) => Arrival::Whole { call, method, payload },
                    None => Arrival::Handled,
                }
            }
            Event::Start { call, method, payload_len } => {
                let method = usize::from(method.value() - 1);
                let len = usize::try_from(payload_len).unwrap_or(usize::MAX);
                match self.admit(shared, call, method, len) {
                    Some(call) => Arrival::Start { call, method, len },
                    None => Arrival::Handled,
                }
            }
            Event::Part { bytes, last, .. } => Arrival::Part { bytes, last },
            Event::Abort { call } => match self.calls.get(call.index()) {
                Some(Some(running)) => Arrival::Abort { call: Arc::clone(&running.call) },
                Some(None) | None => Arrival::Handled,
            },
            Event::Refused { .. } => Arrival::Handled,
        }
    }

    /// Takes a call in, or answers it with an error when it would hold too much.
    fn admit(
        &mut self,
        shared: &Arc<Shared>,
        handle: child::Call,
        method: usize,
        len: usize,
    ) -> Option<Arc<Call>> {
        let limits = &shared.plan.limits;
        let counted = shared.plan.handlers.get(method).is_some_and(|handler| handler.counted);
        let over = self.held > 0 && self.held.saturating_add(len) > limits.max_request_bytes;
        if counted && (over || self.draining) {
            let text = if over { "too many request bytes held" } else { "the worker is draining" };
            self.refuse(handle, &Failure::text(text));
            return None;
        }
        let held = if counted { len } else { 0 };
        let request = self.session.request(handle);
        let call = Arc::new(Call::new(shared, handle, method, request, held));
        self.held += held;
        let index = handle.index();
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, || None);
        }
        self.calls[index] = Some(Running { call: Arc::clone(&call), task: None });
        Some(call)
    }

    fn refuse(&mut self, handle: child::Call, failure: &Failure) {
        with_scratch(|scratch| {
            Outgoing::new(scratch).inline().extend_from_slice(failure.payload());
            let body = Body::span(u32::try_from(scratch.len()).unwrap_or(0));
            match self.session.send(handle, Reply::Error, body, &mut self.slots) {
                Ok(transmit) => self.push(transmit, scratch),
                // A call that expects no answer: it only ends.
                Err(_) => drop(self.session.close(handle, &mut self.slots)),
            }
        });
    }

    /// The call has ended for the parent; returns what must be dropped outside the lock.
    fn forget(&mut self, call: &Call) -> Option<Running> {
        let place = self.calls.get_mut(call.handle.index())?;
        if place.as_ref().is_some_and(|running| running.call.handle == call.handle) {
            self.held -= call.held;
            return place.take();
        }
        None
    }

    /// Appends a frame to the queue. Its slot is free again at once.
    fn push(&mut self, transmit: Transmit, payload: &mut Scratch) {
        let head = transmit.head(&self.slots);
        self.queued += head.len() + payload.len();
        self.queue.push(head, payload);
        // It was lent a moment ago.
        let _ = self.session.handle_sent(transmit.slot);
    }

    /// Moves what the session has to say by itself to the queue, as far as that has room.
    fn take_refusals(&mut self) {
        while self.queued < 2 * QUEUED_HIGH {
            let Some(transmit) = self.session.poll_transmit(&mut self.slots) else { return };
            self.push(transmit, &mut Scratch::default());
        }
    }
}

/// One task that waits for room.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = locked(&self.0.state);
        state.waiting -= 1;
        // Whoever leaves hands on, whether it sends something now or not.
        self.0.unlock(state);
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
