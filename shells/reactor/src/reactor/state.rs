//! What both backends share: the operations, what they hold, and the completions to give out.

use std::collections::VecDeque;
use std::time;

use core::time::Duration;

use forebay_core_completion::{
    Cancelled, Completion, Direction, Flags, Interest, OpId, OpSlot, OpTable, Queue, Settled,
};
use forebay_core_time::{Instant, TimerSlot, Wheel};
use rustix::io::Errno;

use crate::handle::Handles;
use crate::outgoing::Outgoing;
use crate::sys::pool::Pool;
use crate::{Config, Handle, PoolBuf, PoolBufMut, PoolClass, ReactorError, Remote, Stats};

/// What is kept for an operation.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) token: u64,
    pub(crate) handle: Handle,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Accept,
    Recv(Receive),
    Send(Box<Outgoing>),
    Connect,
    Poll(Poll),
    Buffers(PoolClass),
    Timeout,
}

/// A receive.
#[derive(Debug)]
pub(crate) struct Receive {
    pub(crate) class: PoolClass,
    /// Ends with the first bytes.
    pub(crate) once: bool,
    /// The buffer that the kernel writes, where it does not choose from a ring.
    pub(crate) buf: Option<PoolBufMut>,
}

/// A readiness operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poll {
    pub(crate) interest: Interest,
    /// Found, and to be told when the OS has ended the operation.
    pub(crate) found: Flags,
    /// Goes on after bits that nobody asked for.
    pub(crate) persistent: bool,
}

/// Where a kind of operation queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// One at a time in this direction.
    Direction(Direction),
    /// Beside all others of the handle.
    Poll,
    /// For a buffer of this class.
    Buffers(PoolClass),
    /// Nowhere.
    None,
}

/// What comes with a completion.
#[derive(Debug)]
pub(crate) enum Parcel {
    None,
    Buf(PoolBuf),
    Handle(Handle),
    /// Bytes that a failed send had got rid of.
    Sent(usize),
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) ops: OpTable<Op, Vec<OpSlot<Op>>>,
    pub(crate) handles: Handles,
    pub(crate) pools: [Pool; 2],
    pub(crate) remote: Remote,
    pub(crate) stats: Stats,
    /// Operations whose turn has come: first of their queue, since the one before has ended.
    pub(crate) turns: Vec<OpId>,
    ops_max: usize,
    ready: VecDeque<Completion>,
    /// What comes with completions, in their order; the first ones belong to the last wait.
    parcels: VecDeque<(OpId, Parcel)>,
    /// The number of the first parcel, and how many went out with the last wait.
    parcel_first: u16,
    parcels_out: u16,
    awaiting: [Queue; 2],
    timers: Wheel<Vec<TimerSlot>>,
    origin: time::Instant,
    /// Lists of ended sends, for the next ones.
    #[expect(clippy::vec_box, reason = "the boxes go into operations and come back")]
    idle_sends: Vec<Box<Outgoing>>,
}

/// Completions of one wait at most, so that their parcels can be numbered.
const BATCH_MAX: usize = 16_384;
/// Operation slots made at first; they double when they run out.
const OPS: usize = 64;

impl State {
    pub(crate) fn new(config: &Config, remote: Remote) -> Self {
        let pool = |class: PoolClass| {
            let count = config.pool_bytes(class) / class.buffer_len();
            Pool::new(class.buffer_len(), count, remote.clone())
        };
        Self {
            ops: OpTable::new(Vec::new()),
            handles: Handles::default(),
            pools: PoolClass::ALL.map(pool),
            stats: Stats::default(),
            turns: Vec::new(),
            ops_max: config.max_ops as usize,
            ready: VecDeque::new(),
            parcels: VecDeque::new(),
            parcel_first: 0,
            parcels_out: 0,
            awaiting: [Queue::EMPTY; 2],
            timers: Wheel::new(Vec::new()),
            origin: time::Instant::now(),
            idle_sends: Vec::new(),
            remote,
        }
    }

    pub(crate) fn now(&self) -> Instant {
        let nanos = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Instant::from_nanos(nanos)
    }

    /// Whether there is room for a further operation. Call it before [`accept`](Self::accept).
    /// Gives out received bytes; true if the receive goes on.
    pub(crate) fn deliver(&mut self, id: OpId, flags: Flags, buf: PoolBuf) -> bool {
        let result = i32::try_from(buf.len()).unwrap_or(i32::MAX);
        let once = matches!(self.ops.item(id).map(|op| &op.kind), Some(Kind::Recv(it)) if it.once);
        if once {
            self.finish(id, result, flags, Parcel::Buf(buf));
        } else {
            self.emit(id, result, flags, Parcel::Buf(buf));
        }
        !once
    }

    #[inline]
    pub(crate) fn has_room(&mut self) -> Result<(), ReactorError> {
        if self.ops.count() == self.ops.capacity() {
            let more = self.ops.capacity().max(OPS).min(self.ops_max - self.ops.capacity());
            self.ops.grow(more);
            if more == 0 {
                return Err(ReactorError::OpTableFull);
            }
        }
        Ok(())
    }

    /// Accepts an operation; true if it is its turn.
    pub(crate) fn accept(&mut self, handle: Handle, token: u64, kind: Kind) -> (OpId, bool) {
        let lane = kind.lane();
        let id = self.ops.insert(Op { token, handle, kind }).expect("`has_room` said so");
        (id, self.enqueue(id, handle, lane))
    }

    /// An operation that has failed already: only its completion is left.
    pub(crate) fn pass_failure(&mut self, token: u64, errno: Errno) -> OpId {
        let op = self.ops.pass().expect("`has_room` said so");
        let (result, flags) = (-errno.raw_os_error(), Flags::EMULATED | hang_up(errno));
        self.ready.push_back(Completion { token, op, result, flags });
        op
    }

    fn enqueue(&mut self, id: OpId, handle: Handle, lane: Lane) -> bool {
        match lane {
            Lane::None => return true,
            Lane::Buffers(class) => {
                self.ops.push_back(&mut self.awaiting[class.index()], id);
                return true;
            }
            Lane::Direction(_) | Lane::Poll => {}
        }
        let Some(entry) = self.handles.entry(handle) else { return false };
        entry.running += 1;
        match lane {
            Lane::Direction(direction) => {
                let queue = entry.queue(direction);
                self.ops.push_back(queue, id);
                queue.first() == Some(id)
            }
            Lane::Poll | Lane::Buffers(_) | Lane::None => {
                self.ops.push_back(&mut entry.polls, id);
                true
            }
        }
    }

    /// Gives out a completion that others will follow.
    #[inline]
    pub(crate) fn emit(&mut self, id: OpId, result: i32, flags: Flags, parcel: Parcel) {
        let token = self.ops.item(id).map_or(0, |op| op.token);
        if self.ops.handle_completion(id, true) == Settled::More {
            self.give(Completion { token, op: id, result, flags: flags | Flags::MORE }, parcel);
        } else {
            // A parcel of a stale completion is returned or closed here.
            self.discard(parcel);
        }
    }

    /// Gives out the terminal completion, and calls the next of the queue to its turn.
    pub(crate) fn finish(&mut self, id: OpId, result: i32, flags: Flags, parcel: Parcel) {
        let place = self.ops.item(id).map(|op| (op.handle, op.kind.lane()));
        let settled = self.ops.handle_completion(id, false);
        let (Some((handle, lane)), Settled::Last) = (place, settled) else {
            return self.discard(parcel);
        };
        self.dequeue(id, handle, lane);
        if self.timers.count() > 0 {
            self.timers.cancel(id.index());
        }
        let Some(op) = self.ops.release(id) else { return };
        if let Kind::Send(mut outgoing) = op.kind {
            outgoing.clear();
            self.idle_sends.push(outgoing);
        }
        self.give(Completion { token: op.token, op: id, result, flags }, parcel);
    }

    #[inline]
    fn give(&mut self, mut completion: Completion, parcel: Parcel) {
        let flag = match &parcel {
            Parcel::None => return self.ready.push_back(completion),
            Parcel::Buf(_) => Flags::BUFFER,
            Parcel::Handle(_) => Flags::HANDLE,
            Parcel::Sent(_) => Flags::PARTIAL,
        };
        let number = self.parcel_first.wrapping_add(self.parcels.len() as u16);
        completion.flags = (completion.flags | flag).with_parcel(number);
        self.parcels.push_back((completion.op, parcel));
        self.ready.push_back(completion);
    }

    /// The terminal completion of an operation that failed.
    pub(crate) fn fail(&mut self, id: OpId, errno: Errno) {
        let parcel = match self.ops.item(id).map(|op| &op.kind) {
            Some(Kind::Send(outgoing)) if outgoing.sent() > 0 => Parcel::Sent(outgoing.sent()),
            _ => Parcel::None,
        };
        let mut flags = hang_up(errno);
        if errno == Errno::CANCELED && self.ops.is_cancel_sent(id) {
            flags |= Flags::CANCELLED;
        }
        self.finish(id, -errno.raw_os_error(), flags, parcel);
    }

    /// Takes an ended operation out of its queue.
    fn dequeue(&mut self, id: OpId, handle: Handle, lane: Lane) {
        match lane {
            Lane::None => return,
            Lane::Buffers(class) => {
                self.ops.remove(&mut self.awaiting[class.index()], id);
                return;
            }
            Lane::Direction(_) | Lane::Poll => {}
        }
        let Some(entry) = self.handles.entry(handle) else { return };
        entry.running -= 1;
        if entry.running == 0 && entry.closing {
            drop(self.handles.remove(handle));
            return;
        }
        match lane {
            Lane::Direction(direction) => {
                let queue = entry.queue(direction);
                let was_first = queue.first() == Some(id);
                self.ops.remove(queue, id);
                if was_first && let Some(next) = queue.first() {
                    self.turns.push(next);
                }
            }
            Lane::Poll | Lane::Buffers(_) | Lane::None => {
                self.ops.remove(&mut entry.polls, id);
            }
        }
    }

    /// Notes a cancel request; ends the operation if the OS never saw it.
    pub(crate) fn cancel(&mut self, id: OpId) -> Cancelled {
        let asked = self.ops.cancel(id);
        if asked == Cancelled::Complete {
            self.fail(id, Errno::CANCELED);
        }
        asked
    }

    /// The operations of a handle.
    pub(crate) fn ops_of(&mut self, handle: Handle) -> Vec<OpId> {
        let Some(entry) = self.handles.entry(handle) else { return Vec::new() };
        let mut ids = Vec::new();
        for queue in [entry.read, entry.write, entry.polls] {
            let mut at = queue.first();
            while let Some(id) = at {
                ids.push(id);
                at = self.ops.next(id);
            }
        }
        ids
    }

    /// Takes back an operation that the backend had no room for.
    pub(crate) fn revoke(&mut self, id: OpId) -> Option<Kind> {
        let (handle, lane) = self.ops.item(id).map(|op| (op.handle, op.kind.lane()))?;
        self.ops.handle_completion(id, false);
        self.dequeue(id, handle, lane);
        self.ops.release(id).map(|op| op.kind)
    }

    /// Keeps the memory of all operations for ever, since the OS may still use it.
    ///
    /// A buffer that is never given back keeps its pool's memory, too.
    pub(crate) fn leak_ops(&mut self) {
        core::mem::forget(core::mem::replace(&mut self.ops, OpTable::new(Vec::new())));
    }

    pub(crate) fn is_timeout(&self, id: OpId) -> bool {
        matches!(self.ops.item(id).map(|op| &op.kind), Some(Kind::Timeout))
    }

    pub(crate) fn keep_send(&mut self, outgoing: Box<Outgoing>) {
        self.idle_sends.push(outgoing);
    }

    pub(crate) fn idle_send(&mut self) -> Box<Outgoing> {
        self.idle_sends.pop().unwrap_or_default()
    }

    /// A buffer to receive into.
    #[inline]
    pub(crate) fn alloc(&mut self, class: PoolClass) -> Option<PoolBufMut> {
        self.pools[class.index()].alloc()
    }
}

/// Timers and buffers that operations wait for.
impl State {
    pub(crate) fn schedule(&mut self, id: OpId, after: Duration) {
        let capacity = self.timers.capacity();
        self.timers.grow(self.ops.capacity().saturating_sub(capacity));
        let at = self.now().saturating_add(after);
        // Cannot fail: every operation has a slot by now.
        let _ = self.timers.schedule(id.index(), at);
    }

    /// Time until the first timer, zero if it is due.
    pub(crate) fn until_timer(&self) -> Option<Duration> {
        let at = self.timers.poll_timeout()?;
        Some(at.saturating_since(self.now()))
    }

    /// Operations whose time has come, one after the other.
    pub(crate) fn next_expired(&mut self) -> Option<OpId> {
        if self.timers.count() == 0 {
            return None;
        }
        let now = self.now();
        let index = self.timers.poll_expired(now)?;
        self.ops.id_at(index)
    }

    /// Completes what waits for buffers of a class that has some; true if others still wait.
    pub(crate) fn feed(&mut self, class: PoolClass, available: bool) -> bool {
        while available && let Some(id) = self.awaiting[class.index()].first() {
            self.ops.handle_submitted(id);
            self.finish(id, 0, Flags::NONE, Parcel::None);
        }
        self.awaiting[class.index()].first().is_some()
    }

    pub(crate) fn is_awaiting(&self, class: PoolClass) -> bool {
        self.awaiting[class.index()].first().is_some()
    }
}

/// Giving out completions.
impl State {
    /// Whether there is something to give out.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether the next batch is full without a look at the OS.
    pub(crate) fn has_batch(&self, limit: usize) -> bool {
        self.ready.len() >= limit
    }

    /// Takes back what the caller did not take of the last batch.
    #[inline]
    pub(crate) fn end_batch(&mut self) {
        for _ in 0..core::mem::take(&mut self.parcels_out) {
            self.parcel_first = self.parcel_first.wrapping_add(1);
            if let Some((_, parcel)) = self.parcels.pop_front() {
                self.discard(parcel);
            }
        }
    }

    /// Gives out messages of other threads.
    pub(crate) fn take_messages(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(token) = self.remote.next_message() else { return };
            let message = Completion { token, flags: Flags::MESSAGE, ..Completion::EMPTY };
            self.ready.push_back(message);
        }
    }

    /// Moves completions to the caller.
    pub(crate) fn give_out(&mut self, out: &mut [Completion]) -> usize {
        let limit = BATCH_MAX.min(out.len());
        let mut count = 0;
        for slot in &mut out[..limit] {
            let Some(completion) = self.ready.pop_front() else { break };
            self.parcels_out += u16::from(completion.flags.has_parcel());
            *slot = completion;
            count += 1;
        }
        self.stats.completions += count as u64;
        count
    }

    #[inline]
    pub(crate) fn parcel(&mut self, completion: &Completion) -> Option<&mut Parcel> {
        let at = completion.flags.parcel().wrapping_sub(self.parcel_first);
        if at >= self.parcels_out || !completion.flags.has_parcel() {
            return None;
        }
        let (op, parcel) = self.parcels.get_mut(usize::from(at))?;
        (*op == completion.op).then_some(parcel)
    }

    #[inline]
    fn discard(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Handle(handle) => {
                // Nothing runs on a handle that nobody took.
                drop(self.handles.remove(handle));
            }
            Parcel::None | Parcel::Buf(_) | Parcel::Sent(_) => {}
        }
    }
}

/// Errors that say that the connection is gone.
const fn hang_up(errno: Errno) -> Flags {
    match errno {
        Errno::CONNRESET | Errno::PIPE => Flags::HUP,
        _ => Flags::NONE,
    }
}

impl Kind {
    pub(crate) const fn lane(&self) -> Lane {
        match self {
            Self::Accept | Self::Recv(_) => Lane::Direction(Direction::Read),
            Self::Send(_) => Lane::Direction(Direction::Write),
            Self::Poll(_) => Lane::Poll,
            Self::Buffers(class) => Lane::Buffers(*class),
            Self::Connect | Self::Timeout => Lane::None,
        }
    }
}
