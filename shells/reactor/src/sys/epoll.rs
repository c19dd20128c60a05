//! Completions over readiness: every handle is registered, edge-triggered, for its life.
//!
//! At first for reading only: a Unix stream socket tells that it is writable each time its peer
//! reads, which would wake the loop once per message for nothing. Writing is watched from the
//! first time on that somebody waits for it.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use core::fmt;
use core::time::Duration;

use forebay_core_completion::{Budget, Direction, Flags, Interest, OpId};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;

use super::eager::send_vectors;
use super::{Wait, socket};
use crate::outgoing::Outgoing;
use crate::reactor::{Kind, Parcel, State};
use crate::{Handle, PoolClass};

pub(crate) struct Epoll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    /// Handles to run in the next turn, although no edge will come for them.
    runnable: Vec<Handle>,
    running: Vec<Handle>,
}

/// Whether an operation may be tried again at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Again(u32),
    Wait,
}

/// The waker's number; no handle has it.
const WAKE: u64 = u64::MAX;

/// Events of one wait. Each may bring a buffer, which is on loan until the caller's turn ends: a
/// larger batch saves next to nothing and takes memory that is never given back.
const EVENTS_MAX: u32 = 32;

/// What every handle is watched for.
const READS: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

impl Epoll {
    pub(crate) fn new(state: &State, entries: u32) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wake = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, state.remote.event(), EventData::new_u64(WAKE), wake)?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(entries.min(EVENTS_MAX) as usize),
            runnable: Vec::new(),
            running: Vec::new(),
        })
    }

    pub(crate) fn attach(&self, state: &State, handle: Handle) -> Result<(), Errno> {
        let Some(fd) = state.handles.fd(handle) else { return Err(Errno::BADF) };
        epoll::add(&self.epoll, fd, EventData::new_u64(handle.to_u64()), READS)
    }

    /// Watches writing, too, from now on: an edge comes at once if it is possible already.
    fn watch_writes(&self, state: &mut State, handle: Handle) -> Result<(), Errno> {
        let Some(entry) = state.handles.entry(handle) else { return Err(Errno::BADF) };
        if core::mem::replace(&mut entry.writes_watched, true) {
            return Ok(());
        }
        let Some(fd) = state.handles.fd(handle) else { return Err(Errno::BADF) };
        let flags = READS | EventFlags::OUT;
        let watched = epoll::modify(&self.epoll, fd, EventData::new_u64(handle.to_u64()), flags);
        if watched.is_err()
            && let Some(entry) = state.handles.entry(handle)
        {
            entry.writes_watched = false;
        }
        watched
    }

    pub(crate) fn detach(&self, state: &State, handle: Handle) {
        if let Some(fd) = state.handles.fd(handle) {
            // It was added, and the descriptor is open: nothing to refuse.
            let _ = epoll::delete(&self.epoll, fd);
        }
    }

    pub(crate) const fn has_runnable(&self) -> bool {
        !self.runnable.is_empty()
    }

    pub(crate) fn start(&mut self, state: &mut State, id: OpId) {
        if !state.ops.handle_submitted(id) {
            return;
        }
        let Some(op) = state.ops.item(id) else { return };
        let handle = op.handle;
        match op.kind {
            Kind::Accept | Kind::Recv(_) => {
                let entry = state.handles.entry(handle);
                if entry.is_some_and(|entry| entry.readiness.may_try(Direction::Read)) {
                    self.make_runnable(state, handle);
                }
            }
            Kind::Send(_) => self.run_writes(state, handle),
            Kind::Poll(poll) => self.start_poll(state, id, handle, poll.interest),
            Kind::Connect | Kind::Buffers(_) | Kind::Timeout => {}
        }
    }

    fn start_poll(&self, state: &mut State, id: OpId, handle: Handle, interest: Interest) {
        let Some(fd) = state.handles.fd(handle) else { return };
        let found = match socket::poll_now(fd, interest) {
            Ok(Flags::NONE) if interest.contains(Interest::WRITABLE) => {
                self.watch_writes(state, handle).map(|()| Flags::NONE)
            }
            found => found,
        };
        match found {
            Ok(Flags::NONE) => {}
            Ok(found) => state.finish(id, 0, found, Parcel::None),
            Err(errno) => state.fail(id, errno),
        }
    }

    pub(crate) fn turn(&mut self, state: &mut State, wait: Wait) -> io::Result<()> {
        self.run_runnable(state);
        let wait = if state.has_ready() || self.has_runnable() { Wait::Never } else { wait };
        let timeout = match wait {
            Wait::Never => Some(Timespec::default()),
            // A sub-millisecond rest must not become a busy loop.
            Wait::For(time) => Timespec::try_from(round_up(time)).ok(),
            Wait::Forever => None,
        };
        self.events.clear();
        state.stats.enters += 1;
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for at in 0..self.events.len() {
            let event = self.events[at];
            if event.data.u64() != WAKE {
                self.handle_event(state, Handle::from_u64(event.data.u64()), event.flags);
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, state: &mut State, handle: Handle, flags: EventFlags) {
        // A late event of a closed descriptor finds no entry.
        let Some(entry) = state.handles.entry(handle) else { return };
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        let readable = flags.contains(EventFlags::IN);
        let writable = flags.contains(EventFlags::OUT);
        entry.readiness.handle_edge(readable, writable, ended);
        let polls = entry.polls.first();
        let reads = entry.read.first().is_some() && (readable || ended);
        let writes = entry.write.first().is_some() && (writable || ended);
        if polls.is_some() {
            run_polls(state, polls, flags);
        }
        if reads {
            self.run(state, handle, Direction::Read);
        }
        if writes {
            self.run_writes(state, handle);
        }
    }

    fn run_writes(&mut self, state: &mut State, handle: Handle) {
        self.run(state, handle, Direction::Write);
        // Also a send that was tried before it was queued, so that the run tried nothing.
        if let Some(entry) = state.handles.entry(handle)
            && let Some(id) = entry.write.first()
            && !entry.readiness.may_try(Direction::Write)
            && let Err(errno) = self.watch_writes(state, handle)
        {
            state.fail(id, errno);
        }
    }

    fn run_runnable(&mut self, state: &mut State) {
        core::mem::swap(&mut self.runnable, &mut self.running);
        while let Some(handle) = self.running.pop() {
            let Some(entry) = state.handles.entry(handle) else { continue };
            entry.runnable = false;
            self.run(state, handle, Direction::Read);
            self.run_writes(state, handle);
        }
    }

    fn make_runnable(&mut self, state: &mut State, handle: Handle) {
        if let Some(entry) = state.handles.entry(handle)
            && !entry.runnable
        {
            entry.runnable = true;
            self.runnable.push(handle);
        }
    }

    /// Runs a queue until a call would block, the queue is empty, or the budget is spent.
    fn run(&mut self, state: &mut State, handle: Handle, direction: Direction) {
        let mut budget = Budget::FULL;
        while let Some(entry) = state.handles.entry(handle)
            && entry.readiness.may_try(direction)
            && let Some(id) = entry.queue(direction).first()
        {
            let is_socket = entry.socket;
            let step = match state.ops.item(id).map(|op| &op.kind) {
                Some(Kind::Recv(receive)) => {
                    let class = receive.class;
                    recv(state, id, handle, (class, is_socket))
                }
                Some(Kind::Accept) => accept(self, state, id, handle),
                Some(Kind::Send(_)) => send(state, id, handle),
                Some(Kind::Connect | Kind::Poll(_) | Kind::Buffers(_) | Kind::Timeout) | None => {
                    return;
                }
            };
            match step {
                Step::Wait => return,
                Step::Again(bytes) if budget.spend(bytes) => {}
                Step::Again(_) => return self.make_runnable(state, handle),
            }
        }
    }
}

impl fmt::Debug for Epoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Epoll").field("runnable", &self.runnable).finish_non_exhaustive()
    }
}

fn run_polls(state: &mut State, first: Option<OpId>, flags: EventFlags) {
    let mut at = first;
    while let Some(id) = at {
        at = state.ops.next(id);
        let Some(Kind::Poll(poll)) = state.ops.item(id).map(|op| &op.kind) else { continue };
        let wanted = socket::wanted(poll.interest);
        let found = socket::found(flags & wanted);
        if found != Flags::NONE {
            state.finish(id, 0, found, Parcel::None);
        }
    }
}

fn recv(
    state: &mut State,
    id: OpId,
    handle: Handle,
    (class, is_socket): (PoolClass, bool),
) -> Step {
    let Some(mut buf) = state.alloc(class) else {
        state.stats.starved += 1;
        state.fail(id, Errno::NOBUFS);
        return Step::Again(0);
    };
    let Some(fd) = state.handles.fd(handle) else { return Step::Wait };
    match socket::recv(fd, is_socket, &mut buf) {
        Ok(0) => {
            state.finish(id, 0, Flags::EMULATED, Parcel::None);
            Step::Again(0)
        }
        Ok(len) => {
            let drained = len < buf.len()
                && state
                    .handles
                    .entry(handle)
                    .is_none_or(|entry| entry.readiness.handle_short(Direction::Read));
            let flags = if drained { Flags::EMULATED } else { Flags::EMULATED | Flags::NONEMPTY };
            let goes_on = state.deliver(id, flags, buf.freeze(len));
            if drained && goes_on {
                Step::Wait
            } else {
                Step::Again(u32::try_from(len).unwrap_or(u32::MAX))
            }
        }
        Err(Errno::AGAIN) => would_block(state, handle, Direction::Read),
        Err(errno) => {
            state.fail(id, errno);
            Step::Again(0)
        }
    }
}

fn accept(epoll: &Epoll, state: &mut State, id: OpId, handle: Handle) -> Step {
    let Some(fd) = state.handles.fd(handle) else { return Step::Wait };
    match socket::accept(fd) {
        Ok(fd) => {
            let new = state.handles.insert(fd, true);
            match epoll.attach(state, new) {
                Ok(()) => state.emit(id, 0, Flags::EMULATED, Parcel::Handle(new)),
                Err(errno) => {
                    drop(state.handles.remove(new));
                    state.fail(id, errno);
                }
            }
            Step::Again(0)
        }
        Err(Errno::AGAIN) => would_block(state, handle, Direction::Read),
        Err(errno) if socket::is_transient_accept(errno) => Step::Again(0),
        Err(errno) => {
            state.fail(id, errno);
            Step::Again(0)
        }
    }
}

fn send(state: &mut State, id: OpId, handle: Handle) -> Step {
    let Some(fd) = state.handles.fd(handle) else { return Step::Wait };
    let Some(Kind::Send(outgoing)) = state.ops.item(id).map(|op| &op.kind) else {
        return Step::Wait;
    };
    match send_parts(fd, outgoing) {
        Ok(len) => {
            let Some(Kind::Send(outgoing)) = state.ops.item_mut(id).map(|op| &mut op.kind) else {
                return Step::Wait;
            };
            outgoing.advance(len);
            let sent = i32::try_from(outgoing.sent()).unwrap_or(i32::MAX);
            // Not every byte fits: there will be an edge, unless only the vectors ran out.
            if outgoing.is_done() {
                state.finish(id, sent, Flags::EMULATED, Parcel::None);
            }
            Step::Again(u32::try_from(len).unwrap_or(u32::MAX))
        }
        Err(Errno::AGAIN) => would_block(state, handle, Direction::Write),
        Err(errno) => {
            state.fail(id, errno);
            Step::Again(0)
        }
    }
}

fn send_parts(fd: BorrowedFd<'_>, outgoing: &Outgoing) -> Result<usize, Errno> {
    if outgoing.count() == 1
        && let Some(part) = outgoing.parts().next()
    {
        return socket::send(fd, part);
    }
    send_vectors(fd, outgoing.parts())
}

fn would_block(state: &mut State, handle: Handle, direction: Direction) -> Step {
    if let Some(entry) = state.handles.entry(handle) {
        entry.readiness.handle_would_block(direction);
    }
    Step::Wait
}

/// Up to the next millisecond, which is what `epoll_wait` resolves.
fn round_up(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}
