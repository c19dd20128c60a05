//! Completions of io_uring: one `enter` per turn submits what was started and reaps what has ended.

mod buffers;
mod message;
mod probe;

use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::time::Duration;
use core::{fmt, ptr};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

use forebay_core_completion::{Budget, Flags, OpId, OpState};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use self::buffers::BufferRing;
pub(crate) use self::message::Message;
use super::{Wait, socket};
use crate::reactor::{Kind, Parcel, Receive, State};
use crate::{Config, PoolClass, ReactorError, Tier};

pub(crate) struct Uring {
    /// Gone before the memory that the kernel uses: `drop` leaks it all otherwise.
    ring: ManuallyDrop<IoUring>,
    buffers: ManuallyDrop<[Option<BufferRing>; 2]>,
    wake: ManuallyDrop<Box<u64>>,
    multishot_accept: bool,
    multishot_recv: bool,
    tier: Tier,
    /// Operations that found the submission queue full, or whose turn came in between.
    backlog: VecDeque<OpId>,
    /// Cancel requests that found the submission queue full.
    cancels: VecDeque<OpId>,
    /// Receives that ended one after the other since buffers were missing, while there were some.
    storms: u32,
    /// A receive found no buffer in this turn.
    refused: bool,
    /// Operations of which the kernel owes a terminal completion.
    in_flight: usize,
    clean: bool,
}

/// Numbers that no operation has.
const WAKE: u64 = 0;
const INTERNAL: u64 = u64::MAX;
/// So many turns in a row with a receive that found no buffer, although there were some, are a
/// kernel's fault.
const STORMS_MAX: u32 = 64;
/// How long the end waits for the kernel before memory is leaked.
const SHUTDOWN: Duration = Duration::from_secs(1);

impl Uring {
    /// A ring at the highest tier that works, up to `config.tier_max`; the text says why not.
    pub(crate) fn new(state: &State, config: &Config) -> Result<Self, ReactorError> {
        let unavailable = ReactorError::UringNotAvailable;
        let tier = probe::tier().map_err(unavailable)?.min(config.tier_max);
        let ring = build(config.entries, tier).map_err(|e| unavailable(probe::refusal(&e)))?;
        let mut uring = Self {
            ring: ManuallyDrop::new(ring),
            buffers: ManuallyDrop::new([None, None]),
            wake: ManuallyDrop::new(Box::new(0)),
            multishot_accept: config.multishot_accept && tier >= Tier::Two,
            multishot_recv: tier >= Tier::Two,
            tier,
            backlog: VecDeque::new(),
            cancels: VecDeque::new(),
            storms: 0,
            refused: false,
            in_flight: 0,
            clean: true,
        };
        uring.arm_wake(state);
        uring.submit().map_err(|e| unavailable(probe::refusal(&e)))?;
        Ok(uring)
    }

    pub(crate) const fn tier(&self) -> Tier {
        self.tier
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty() || !self.cancels.is_empty()
    }

    pub(crate) fn has_buffers(&mut self, state: &mut State, class: PoolClass) -> bool {
        let pool = &mut state.pools[class.index()];
        match &mut self.buffers[class.index()] {
            Some(ring) if self.multishot_recv => {
                ring.refill(pool);
                ring.count() > 0
            }
            _ => pool.is_available(),
        }
    }

    /// False if the submission queue is full, also after a submit.
    pub(crate) fn start(&mut self, state: &mut State, id: OpId) -> bool {
        let Some(entry) = self.entry(state, id) else { return true };
        if !self.push(&entry) {
            return false;
        }
        state.ops.handle_submitted(id);
        self.in_flight += 1;
        true
    }

    pub(crate) fn start_later(&mut self, state: &mut State, id: OpId) {
        let queued = state.ops.state(id) == Some(OpState::Queued);
        if queued && !self.start(state, id) {
            self.backlog.push_back(id);
        }
    }

    pub(crate) fn cancel(&mut self, id: OpId) {
        let entry = opcode::AsyncCancel::new(id.to_u64()).build().user_data(INTERNAL);
        if !self.push(&entry) {
            self.cancels.push_back(id);
        }
    }

    pub(crate) fn turn(&mut self, state: &mut State, wait: Wait) -> io::Result<()> {
        self.run_backlog(state);
        for class in PoolClass::ALL {
            if let Some(ring) = &mut self.buffers[class.index()] {
                ring.refill(&mut state.pools[class.index()]);
            }
        }
        let wait = if state.has_ready() { Wait::Never } else { wait };
        self.enter(state, wait)?;
        self.refused = false;
        self.reap(state);
        Ok(())
    }

    /// Ends every operation, and waits for the kernel to say so.
    pub(crate) fn shutdown(&mut self, state: &mut State) -> bool {
        let slots = u32::try_from(state.ops.capacity()).unwrap_or(u32::MAX);
        for id in (0..slots).filter_map(|slot| state.ops.id_at(slot)).collect::<Vec<_>>() {
            if matches!(state.ops.state(id), Some(OpState::InFlight | OpState::MoreExpected)) {
                state.ops.cancel(id);
                self.cancel(id);
            }
        }
        let wake = opcode::AsyncCancel::new(WAKE).build().user_data(INTERNAL);
        self.push(&wake);
        let deadline = Instant::now() + SHUTDOWN;
        while self.in_flight > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.turn(state, Wait::For(left)).is_err() {
                self.clean = false;
                break;
            }
            // Completions of this time have nobody to go to.
            state.give_out(&mut [forebay_core_completion::Completion::EMPTY; 64]);
            state.end_batch();
        }
        self.clean
    }

    fn run_backlog(&mut self, state: &mut State) {
        for _ in 0..self.backlog.len() {
            let Some(id) = self.backlog.pop_front() else { break };
            if state.ops.is_cancel_sent(id) {
                // The kernel does not know it, so nobody else answers.
                state.fail(id, Errno::CANCELED);
                continue;
            }
            let live = state.ops.state(id).is_some_and(|at| at != OpState::Done);
            if live && !self.start(state, id) {
                self.backlog.push_front(id);
                break;
            }
        }
        for _ in 0..self.cancels.len() {
            let Some(id) = self.cancels.pop_front() else { break };
            self.cancel(id);
        }
    }
}

/// Submission.
impl Uring {
    /// What the kernel is to do for an operation whose turn it is.
    fn entry(&mut self, state: &mut State, id: OpId) -> Option<squeue::Entry> {
        let handle = state.ops.item(id)?.handle;
        let fd = state.handles.fd(handle).map(|fd| types::Fd(fd.as_raw_fd()));
        let entry = match &mut state.ops.item_mut(id)?.kind {
            Kind::Accept => self.accept_entry(fd?),
            Kind::Recv(receive) => {
                let (class, once) = (receive.class, receive.once);
                self.recv_entry(state, id, fd?, (class, once))?
            }
            Kind::Send(outgoing) => send_entry(outgoing, fd?),
            Kind::Poll(poll) => {
                let flags = socket::poll_flags(poll.interest).bits();
                opcode::PollAdd::new(fd?, flags).multi(poll.persistent).build()
            }
            Kind::Connect | Kind::Buffers(_) | Kind::Timeout => return None,
        };
        Some(entry.user_data(id.to_u64()))
    }

    fn accept_entry(&self, fd: types::Fd) -> squeue::Entry {
        let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        if self.multishot_accept {
            return opcode::AcceptMulti::new(fd).flags(flags).build();
        }
        let none = ptr::null_mut();
        opcode::Accept::new(fd, none, none.cast()).flags(flags).build()
    }

    /// `None` if the operation has ended, since there is no buffer for it.
    fn recv_entry(
        &mut self,
        state: &mut State,
        id: OpId,
        fd: types::Fd,
        (class, once): (PoolClass, bool),
    ) -> Option<squeue::Entry> {
        let handle = state.ops.item(id)?.handle;
        if !state.handles.entry(handle)?.socket {
            return Some(opcode::PollAdd::new(fd, EventFlags::IN.bits()).build());
        }
        if self.multishot_recv && self.ensure_ring(state, class) {
            let group = class.index() as u16;
            if once {
                let len = u32::try_from(class.buffer_len()).unwrap_or(0);
                let entry = opcode::Recv::new(fd, ptr::null_mut(), len).buf_group(group).build();
                return Some(entry.flags(squeue::Flags::BUFFER_SELECT));
            }
            return Some(opcode::RecvMulti::new(fd, group).build());
        }
        let Some(buf) = state.alloc(class) else {
            state.stats.starved += 1;
            state.fail(id, Errno::NOBUFS);
            return None;
        };
        let len = u32::try_from(buf.len()).unwrap_or(0);
        let entry = opcode::Recv::new(fd, buf.as_ptr().as_ptr(), len).build();
        let receive = Receive { class, once, buf: Some(buf) };
        state.ops.item_mut(id)?.kind = Kind::Recv(receive);
        Some(entry)
    }

    /// Whether the class has a ring of buffers; makes it on first use.
    fn ensure_ring(&mut self, state: &mut State, class: PoolClass) -> bool {
        let slot = &mut self.buffers[class.index()];
        if slot.is_none() {
            let pool = &mut state.pools[class.index()];
            let group = class.index() as u16;
            let len = class.buffer_len();
            match BufferRing::register(&self.ring.submitter(), group, pool, len) {
                Ok(mut ring) => {
                    ring.refill(pool);
                    *slot = Some(ring);
                }
                Err(_) => self.multishot_recv = false,
            }
        }
        slot.is_some()
    }

    fn arm_wake(&mut self, state: &State) {
        let fd = types::Fd(state.remote.event().as_raw_fd());
        let to: *mut u64 = &mut **self.wake;
        let entry = opcode::Read::new(fd, to.cast(), 8).build().user_data(WAKE);
        if self.push(&entry) {
            self.in_flight += 1;
        }
    }

    /// False if the queue is full, also after a submit.
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        // SAFETY: what the entry points to is owned by the operation table or by this ring, at an
        // address that does not change, and is kept until the terminal completion.
        if unsafe { self.ring.submission().push(entry) }.is_ok() {
            return true;
        }
        // SAFETY: as above.
        self.submit().is_ok() && unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    fn submit(&mut self) -> io::Result<()> {
        match self.ring.submit() {
            Ok(_) => Ok(()),
            Err(error) if is_temporary(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn enter(&mut self, state: &mut State, wait: Wait) -> io::Result<()> {
        let queue = self.ring.submission();
        let idle = queue.is_empty() && !queue.taskrun() && !queue.cq_overflow();
        drop(queue);
        let time;
        let mut args = types::SubmitArgs::new();
        let want = match wait {
            Wait::Never if idle && self.tier == Tier::Three => return Ok(()),
            Wait::Never => 0,
            Wait::For(duration) => {
                time = types::Timespec::from(duration);
                args = args.timespec(&time);
                1
            }
            Wait::Forever => 1,
        };
        state.stats.enters += 1;
        let submitter = self.ring.submitter();
        let entered = match wait {
            Wait::For(_) => submitter.submit_with_args(want, &args),
            Wait::Never | Wait::Forever => submitter.submit_and_wait(want),
        };
        match entered {
            Ok(_) => Ok(()),
            Err(error) if is_temporary(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Completion.
impl Uring {
    fn reap(&mut self, state: &mut State) {
        let mut storage = [const { MaybeUninit::uninit() }; 64];
        loop {
            let entries = self.ring.completion().fill(&mut storage);
            if entries.is_empty() {
                return;
            }
            for entry in &*entries {
                self.handle(state, entry);
            }
        }
    }

    fn handle(&mut self, state: &mut State, entry: &cqueue::Entry) {
        let more = cqueue::more(entry.flags());
        match entry.user_data() {
            INTERNAL => return,
            WAKE => {
                self.in_flight -= 1;
                if entry.result() != -Errno::CANCELED.raw_os_error() {
                    self.arm_wake(state);
                }
                return;
            }
            _ => {}
        }
        if !more {
            self.in_flight -= 1;
        }
        let Some(id) = OpId::from_u64(entry.user_data()) else { return };
        match state.ops.item(id).map(|op| &op.kind) {
            Some(Kind::Recv(receive)) => {
                let (class, single) = (receive.class, receive.buf.is_some());
                self.handle_recv(state, id, class, single, entry);
            }
            Some(Kind::Send(_)) => self.handle_send(state, id, entry.result()),
            Some(Kind::Accept) => self.handle_accept(state, id, entry.result(), more),
            Some(Kind::Poll(_)) => self.handle_poll(state, id, entry.result(), more),
            Some(Kind::Connect | Kind::Buffers(_) | Kind::Timeout) | None => {
                state.stats.stale += 1;
            }
        }
    }

    fn handle_recv(
        &mut self,
        state: &mut State,
        id: OpId,
        class: PoolClass,
        single: bool,
        entry: &cqueue::Entry,
    ) {
        let buf = match cqueue::buffer_select(entry.flags()) {
            Some(number) => self.buffers[class.index()].as_mut().and_then(|ring| ring.take(number)),
            None if single => match state.ops.item_mut(id).map(|op| &mut op.kind) {
                Some(Kind::Recv(receive)) => receive.buf.take(),
                _ => None,
            },
            None => None,
        };
        let result = entry.result();
        let more = cqueue::more(entry.flags());
        match (errno(result), buf) {
            (None, Some(buf)) if result > 0 => {
                self.storms = 0;
                let nonempty = cqueue::sock_nonempty(entry.flags());
                let flags = if nonempty { Flags::NONEMPTY } else { Flags::NONE };
                let buf = buf.freeze(result.unsigned_abs() as usize);
                if state.deliver(id, flags, buf) && !more {
                    self.restart(state, id);
                }
            }
            // A handle that is not a socket: it was only polled.
            (None, None) if result > 0 => self.read(state, id, class),
            (None, _) => state.finish(id, 0, Flags::NONE, Parcel::None),
            (Some(Errno::NOBUFS), _) => self.handle_starved(state, id, class),
            (Some(errno), _) => state.fail(id, errno),
        }
    }

    /// The kernel found no buffer: give it more if there are, else the receive has ended.
    fn handle_starved(&mut self, state: &mut State, id: OpId, class: PoolClass) {
        if let Some(ring) = &mut self.buffers[class.index()] {
            let had = ring.count();
            // Later ones of the same turn were refused before the first one's refill.
            if !mem::replace(&mut self.refused, true) {
                ring.grow();
                self.storms = if had > 0 { self.storms + 1 } else { 0 };
            }
            ring.refill(&mut state.pools[class.index()]);
            if ring.count() > 0 {
                if self.storms >= STORMS_MAX {
                    self.multishot_recv = false;
                }
                return self.restart(state, id);
            }
        }
        state.stats.starved += 1;
        state.fail(id, Errno::NOBUFS);
    }

    /// Reads from a pipe or the like, which has something.
    fn read(&mut self, state: &mut State, id: OpId, class: PoolClass) {
        let mut budget = Budget::FULL;
        let Some(handle) = state.ops.item(id).map(|op| op.handle) else { return };
        loop {
            let Some(mut buf) = state.alloc(class) else {
                state.stats.starved += 1;
                return state.fail(id, Errno::NOBUFS);
            };
            let Some(fd) = state.handles.fd(handle) else { return };
            match socket::recv(fd, false, &mut buf) {
                Ok(0) => return state.finish(id, 0, Flags::EMULATED, Parcel::None),
                Ok(len) => {
                    if !state.deliver(id, Flags::EMULATED, buf.freeze(len)) {
                        return;
                    }
                    if !budget.spend(u32::try_from(len).unwrap_or(u32::MAX)) {
                        return self.restart(state, id);
                    }
                }
                Err(Errno::AGAIN) => return self.restart(state, id),
                Err(errno) => return state.fail(id, errno),
            }
        }
    }

    fn handle_accept(&mut self, state: &mut State, id: OpId, result: i32, more: bool) {
        match errno(result) {
            None => {
                // SAFETY: the kernel has just made this descriptor for us, and told it once.
                let fd = unsafe { OwnedFd::from_raw_fd(result) };
                let new = state.handles.insert(fd, true);
                state.emit(id, 0, Flags::NONE, Parcel::Handle(new));
            }
            Some(errno) if socket::is_transient_accept(errno) => {}
            Some(errno) => return state.fail(id, errno),
        }
        if !more {
            self.restart(state, id);
        }
    }

    fn handle_send(&mut self, state: &mut State, id: OpId, result: i32) {
        let Some(Kind::Send(outgoing)) = state.ops.item_mut(id).map(|op| &mut op.kind) else {
            return;
        };
        match errno(result) {
            None => {
                outgoing.advance(result.unsigned_abs() as usize);
                if outgoing.is_done() {
                    let sent = i32::try_from(outgoing.sent()).unwrap_or(i32::MAX);
                    let handle = state.ops.item(id).map(|op| op.handle);
                    if let Some(entry) = handle.and_then(|handle| state.handles.entry(handle)) {
                        // The next send may be tried at once again.
                        entry.readiness.handle_edge(false, true, false);
                    }
                    return state.finish(id, sent, Flags::NONE, Parcel::None);
                }
                self.restart(state, id);
            }
            Some(Errno::AGAIN | Errno::INTR) => self.restart(state, id),
            Some(errno) => state.fail(id, errno),
        }
    }

    /// The kernel watches the peer's half-close (RDHUP) whether asked to or not, and would tell it
    /// again and again: a poll that does not want it goes on as one that tells each change once.
    fn handle_poll(&mut self, state: &mut State, id: OpId, result: i32, more: bool) {
        let Some(Kind::Poll(poll)) = state.ops.item_mut(id).map(|op| &mut op.kind) else { return };
        let found = match errno(result) {
            None => {
                let bits = EventFlags::from_bits_truncate(result as u32);
                socket::found(bits & socket::wanted(poll.interest))
            }
            Some(_) if poll.found != Flags::NONE => poll.found,
            Some(errno) => return state.fail(id, errno),
        };
        match (found, more) {
            (Flags::NONE, true) => {}
            (Flags::NONE, false) => {
                poll.persistent = true;
                self.restart(state, id);
            }
            (found, true) => {
                poll.found = found;
                self.cancel(id);
            }
            (found, false) => state.finish(id, 0, found, Parcel::None),
        }
    }

    /// The kernel has ended an activation of an operation that goes on.
    fn restart(&mut self, state: &mut State, id: OpId) {
        if state.ops.is_cancel_sent(id) {
            return state.fail(id, Errno::CANCELED);
        }
        if !self.start(state, id) {
            self.backlog.push_back(id);
        }
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if !self.clean {
            // The kernel may still use the memory: it is leaked rather than freed under it.
            return;
        }
        // SAFETY: dropped once, here, before the memory that its operations point to.
        unsafe { ManuallyDrop::drop(&mut self.ring) };
        // SAFETY: dropped once, here; the kernel's side went with the ring.
        unsafe { ManuallyDrop::drop(&mut self.buffers) };
        // SAFETY: dropped once, here; its read has ended.
        unsafe { ManuallyDrop::drop(&mut self.wake) };
    }
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring").field("tier", &self.tier).finish_non_exhaustive()
    }
}

fn build(entries: u32, tier: Tier) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_cqsize(entries.saturating_mul(4).min(65_536));
    if tier >= Tier::Two {
        builder.setup_submit_all().setup_single_issuer().setup_taskrun_flag();
    }
    match tier {
        Tier::One => {}
        Tier::Two => {
            builder.setup_coop_taskrun();
        }
        Tier::Three => {
            builder.setup_defer_taskrun();
        }
    }
    builder.build(entries)
}

fn send_entry(outgoing: &mut crate::outgoing::Outgoing, fd: types::Fd) -> squeue::Entry {
    let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
    if outgoing.count() == 1
        && let Some(part) = outgoing.parts().next()
    {
        let len = u32::try_from(part.len()).unwrap_or(u32::MAX);
        return opcode::Send::new(fd, part.as_ptr(), len).flags(flags).build();
    }
    let mut message = mem::take(&mut outgoing.message);
    let header = message.load(outgoing.parts());
    outgoing.message = message;
    opcode::SendMsg::new(fd, header.as_ptr()).flags(flags as u32).build()
}

const fn errno(result: i32) -> Option<Errno> {
    if result < 0 { Some(Errno::from_raw_os_error(-result)) } else { None }
}

/// Errors of `enter` after which the loop goes on.
fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error().map(Errno::from_raw_os_error),
        Some(Errno::TIME | Errno::INTR | Errno::BUSY | Errno::AGAIN)
    )
}
