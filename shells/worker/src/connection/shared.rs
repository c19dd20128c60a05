//! What handlers, the client handle and the driver share.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forebay_core_frame::Loan;
use forebay_core_procwire::child::{self, ChildSession, Config, Method, Reply, Storage};
use forebay_core_procwire::{Body, EventId, MaxPayload, PeerError, SendError};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::answer::Answer;
use crate::builder::{Builder, Limits};
use crate::client::Shutdown;
use crate::codec::BrokenText;
use crate::connection::call::{Abort, Call, Pool};
use crate::connection::outgoing::{Outgoing, Payload, Queue, with_scratch};
use crate::connection::state::{Arrivals, NO_PAYLOAD, QUEUED_HIGH, SLOTS, State};
use crate::error::{Error, Failure};
use crate::handler::{Ended, Kind, Start};
use crate::payload::IntoPayload;
use crate::socket::SocketFile;

/// Bytes left at which they go on.
const QUEUED_LOW: usize = 128 * 1024;

/// Calls that do not count (parts of HTTP bodies) and may be open beside those that do.
const FREE_CALLS: usize = 2048;

/// What a worker offers, as it runs.
pub(crate) struct Plan {
    pub(crate) names: Vec<String>,
    pub(crate) kinds: Vec<Kind>,
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

/// What there is still to be said to the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// Frames, to be written now.
    Frames,
    /// The answers of handlers that run.
    Calls,
    /// Nothing that it waits for.
    Nothing,
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

/// A mutex holds no invariant that a panic between two statements could break: every change is
/// complete before code of others runs.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What the driver shares with others, and what only it calls.
    pub(crate) fn new(builder: Builder) -> (Arc<Self>, Vec<Start>) {
        let Builder { methods, events, broken_text, limits } = builder;
        let (mut names, mut kinds, mut handlers) = (Vec::new(), Vec::new(), Vec::new());
        for method in methods {
            names.push(method.name);
            kinds.push(method.handler.kind);
            handlers.push(method.handler.start);
        }
        let table: Vec<Method> = kinds
            .iter()
            .map(|kind: &Kind| Method { response: kind.response, counted: kind.counted })
            .collect();
        let free = if table.iter().all(|method| method.counted) { 0 } else { FREE_CALLS };
        let calls_max = limits.max_concurrency.saturating_add(free);
        let config = Config {
            max_payload: MaxPayload::new(limits.max_payload_size),
            max_concurrency: u32::try_from(limits.max_concurrency).unwrap_or(u32::MAX),
            event_count: u16::try_from(events.len()).unwrap_or(u16::MAX),
        };
        let loans = [Loan::default(); SLOTS];
        let session =
            ChildSession::new(config, Storage { methods: table, calls: Vec::new(), loans });
        let slots = vec![0; session.slots_len()];
        let shared = Self {
            plan: Plan { names, kinds, events, broken_text, limits },
            state: Mutex::new(State::new(session, calls_max, slots)),
            full: AtomicBool::new(false),
            room: Notify::new(),
            phase: watch::Sender::new(Phase::Listening),
            file: Mutex::new(None),
        };
        (Arc::new(shared), handlers)
    }

    pub(crate) fn method_name(&self, index: usize) -> &str {
        self.plan.names.get(index).map_or("", String::as_str)
    }

    /// Takes events from the front of `input`, several at a time where their order allows it;
    /// returns the bytes they used, and whether there is more to take once the arrivals are done.
    ///
    /// # Errors
    /// The parent broke the protocol, behind what arrived.
    pub(crate) fn receive(
        self: &Arc<Self>,
        input: &[u8],
        pool: &mut Pool,
        arrivals: &mut Arrivals,
    ) -> (usize, Result<bool, PeerError>) {
        let mut state = locked(&self.state);
        state.asleep = false;
        let mut used = 0;
        let outcome = loop {
            let rest = input.get(used..).unwrap_or(&[]);
            state.make_room();
            match state.session.handle_bytes(rest) {
                Ok(step) => {
                    used += step.used;
                    let Some(event) = step.event else { break Ok(false) };
                    state.arrive(self, pool, (event, used), arrivals);
                }
                Err(error) => break Err(error),
            }
            if state.ends_batch(&self.plan.limits, arrivals, input.len() - used) {
                break Ok(true);
            }
        };
        state.take_refusals();
        (used, outcome)
    }

    /// Whether another event can be taken; if not, the peer does not read its answers.
    pub(crate) fn wants_read(&self) -> bool {
        locked(&self.state).session.wants_read()
    }

    /// Keeps the task that runs a call, so that it can be ended with the connection.
    pub(crate) fn watch_task(&self, handle: child::Call, task: AbortHandle) {
        if let Some(running) = locked(&self.state).running(handle) {
            running.task = Some(task);
        }
    }

    /// Hands out one frame of an answer.
    pub(crate) fn send(
        &self,
        call: &Call,
        reply: Reply,
        payload: Payload<'_>,
    ) -> Result<(), Error> {
        let mut state = locked(&self.state);
        let (sent, task) = state.send(call, reply, payload);
        self.wake(state);
        drop(task);
        sent
    }

    /// Hands out what a handler returned.
    pub(crate) fn send_answer(&self, call: &Call, answer: &mut Answer) -> Result<(), Error> {
        let mut state = locked(&self.state);
        let (sent, task) = state.send_answer(call, answer);
        self.wake(state);
        drop(task);
        sent
    }

    /// Hands out what several handlers returned. It is the caller who drops it, since other code
    /// may run then.
    pub(crate) fn send_answers(&self, ended: &mut [Ended]) {
        let mut refused = Vec::new();
        let mut tasks = Vec::new();
        let mut state = locked(&self.state);
        for Ended { call, answer } in ended {
            if let Some(answer) = answer {
                let (sent, task) = state.send_answer(call, answer);
                tasks.extend(task);
                refused.extend(sent.err().map(|error| (call, error)));
            }
        }
        self.wake(state);
        for (call, error) in refused {
            // What was sent before stands; then there is nothing to add.
            let _ = call.fail_now(&Failure::from(error));
        }
    }

    /// The last context of a call is gone.
    pub(crate) fn close(&self, call: child::Call) {
        let mut guard = locked(&self.state);
        let state = &mut *guard;
        let closed = state.session.close(call, &mut state.slots);
        let task = state.forget(call);
        if let Ok(Some(transmit)) = closed {
            state.push(transmit, Payload::Whole(&NO_PAYLOAD));
        }
        self.wake(guard);
        drop(task);
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
            state.push(transmit, Payload::Encoded(scratch));
            self.wake(guard);
            Ok(())
        })
    }

    /// Whether somebody who wants to send has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Waits until the queue has room for another frame, after those who came before.
    pub(crate) async fn room(&self) {
        if self.is_full() {
            self.wait_for_room().await;
        }
    }

    async fn wait_for_room(&self) {
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
    pub(crate) fn refill(&self, writing: &mut Queue, done: usize, waker: &Waker) -> Left {
        let mut state = locked(&self.state);
        state.queued -= done;
        state.take_refusals();
        let left = if !state.queue.is_empty() {
            writing.refill(&mut state.queue);
            Left::Frames
        } else {
            state.sleep(waker);
            if state.live > 0 { Left::Calls } else { Left::Nothing }
        };
        self.unlock(state);
        left
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
        let live = state.calls.iter().filter(|running| running.live);
        let live: Vec<Arc<Abort>> = live.map(|running| Arc::clone(&running.abort)).collect();
        self.full.store(false, Ordering::Relaxed);
        drop(guard);
        live.iter().for_each(|call| call.abort());
        self.room.notify_waiters();
    }

    /// Ends the tasks that did not end by themselves.
    pub(crate) fn abort_tasks(&self) {
        let calls = locked(&self.state).take_calls();
        for task in calls.into_iter().filter_map(|running| running.task) {
            task.abort();
        }
    }

    /// Whether a handler still runs.
    pub(crate) fn is_busy(&self) -> bool {
        locked(&self.state).live > 0
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
        let idle = guard.live == 0 && guard.queued == 0;
        drop(guard);
        if idle {
            self.stop(Shutdown::Local);
        }
    }

    /// Whether the worker was told to end and has nothing left to do.
    pub(crate) fn is_drained(&self) -> bool {
        let state = locked(&self.state);
        state.draining && state.queued == 0 && state.live == 0
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
        let wake = state.asleep && (!state.queue.is_empty() || state.draining);
        let waker = if wake { state.wake() } else { None };
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
