use core::fmt;
use core::iter::repeat_with;
use core::num::NonZeroU32;

use crate::Queue;

/// An operation: bits 0 to 31 are its slot, bits 32 to 63 the slot's generation, from 1.
///
/// A generation that wraps skips 0, so 0 never names an operation, and neither does `u64::MAX`,
/// since the table has no slot `u32::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpId {
    index: u32,
    generation: NonZeroU32,
}

/// Where an operation is between its start and its end.
///
/// ```text
/// Free -> Queued -> InFlight -> Done -> Free
///            |         |  ^      ^
///            |         v  |      |
///            |     MoreExpected -+
///            +-- cancelled before the OS saw it
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpState {
    /// Accepted, not yet handed to the OS.
    Queued,
    /// Handed to the OS.
    InFlight,
    /// Handed to the OS, and has posted completions with more to come.
    MoreExpected,
    /// Its terminal completion is known, its slot not yet released.
    Done,
}

/// What a cancel request achieved. None of them returns a buffer: the terminal completion does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelOutcome {
    /// The terminal completion will follow, with the normal result or as cancelled.
    Requested,
    /// Nothing to cancel: the terminal completion is queued or was consumed.
    NotFound,
    /// It runs and cannot be interrupted: the normal result follows.
    TooLate,
}

/// What the reactor has to do for a cancel request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cancelled {
    /// The OS does not know the operation: complete it as cancelled.
    Complete,
    /// The OS has it: ask the OS, and wait for its answer.
    Ask,
    /// Asked before; the answer will come.
    Asked,
    /// It has ended.
    NotFound,
}

/// What an OS completion means for its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// A further completion will follow.
    More,
    /// This was the terminal one: release the slot when the caller has seen it.
    Last,
    /// Its operation has ended, maybe in a slot that others use by now: dropped and counted.
    Stale,
}

/// The operations of one reactor, over slots of the caller.
///
/// Slots are first used in order and freed ones before new ones, so storage that is larger than
/// needed is never touched. `T` is what the reactor keeps for an operation: its buffers, its kind.
#[derive(Debug)]
pub struct OpTable<T, S> {
    slots: S,
    free: Option<u32>,
    /// Slots from here on were never used.
    fresh: u32,
    count: usize,
    stale: u64,
    _item: core::marker::PhantomData<fn() -> T>,
}

/// Storage of one operation.
#[derive(Debug)]
pub struct OpSlot<T> {
    generation: NonZeroU32,
    state: Option<OpState>,
    cancel_sent: bool,
    orphaned: bool,
    /// In use: the next operation of its queue. Free: the next free slot.
    next: Option<u32>,
    item: Option<T>,
}

impl OpId {
    /// No operation: what a completion without one carries.
    pub const NONE: Self = Self { index: u32::MAX, generation: NonZeroU32::MAX };

    /// The number that goes to the OS.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        let [a, b, c, d] = self.index.to_le_bytes();
        let [e, f, g, h] = self.generation.get().to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The operation of a number that came from the OS; `None` for the reserved ones.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
        let index = u32::from_le_bytes([a, b, c, d]);
        match NonZeroU32::new(u32::from_le_bytes([e, f, g, h])) {
            Some(generation) if index != u32::MAX => Some(Self { index, generation }),
            _ => None,
        }
    }

    /// The slot.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// The slot's generation.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation.get()
    }
}

impl<T> OpSlot<T> {
    /// A slot without an operation.
    pub const EMPTY: Self = Self {
        generation: NonZeroU32::MIN,
        state: None,
        cancel_sent: false,
        orphaned: false,
        next: None,
        item: None,
    };
}

impl<T> Default for OpSlot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T, S: AsRef<[OpSlot<T>]> + AsMut<[OpSlot<T>]>> OpTable<T, S> {
    /// A table over `slots`, all of which must be [`OpSlot::EMPTY`].
    pub const fn new(slots: S) -> Self {
        Self { slots, free: None, fresh: 0, count: 0, stale: 0, _item: core::marker::PhantomData }
    }

    /// How many operations fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// How many slots are in use.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many completions of ended operations were dropped.
    #[must_use]
    pub const fn stale(&self) -> u64 {
        self.stale
    }

    /// Accepts an operation: it is [`OpState::Queued`].
    ///
    /// # Errors
    ///
    /// Gives `item` back when every slot is in use.
    pub fn insert(&mut self, item: T) -> Result<OpId, T> {
        let Some(index) = self.free.or_else(|| self.first_fresh()) else { return Err(item) };
        let Some(slot) = at_mut(&mut self.slots, index) else { return Err(item) };
        if self.free == Some(index) {
            self.free = slot.next.take();
        } else {
            self.fresh = index.saturating_add(1);
        }
        slot.state = Some(OpState::Queued);
        slot.item = Some(item);
        self.count = self.count.saturating_add(1);
        Ok(OpId { index, generation: slot.generation })
    }

    /// Accepts an operation that has ended by now: its id, which names nothing any more.
    ///
    /// The same as `insert`, a terminal completion and `release`. `None` when every slot is in use.
    pub fn pass(&mut self) -> Option<OpId> {
        let index = self.free.or_else(|| self.first_fresh())?;
        let is_fresh = self.free.is_none();
        let slot = at_mut(&mut self.slots, index)?;
        let generation = slot.generation;
        slot.generation = following(generation);
        if is_fresh {
            // Used once, it is the first of the free ones.
            self.free = Some(index);
            self.fresh = index.saturating_add(1);
        }
        Some(OpId { index, generation })
    }

    /// What is kept for a live operation.
    #[must_use]
    #[inline]
    pub fn item(&self, id: OpId) -> Option<&T> {
        self.live(id)?.item.as_ref()
    }

    /// What is kept for a live operation.
    #[must_use]
    pub fn item_mut(&mut self, id: OpId) -> Option<&mut T> {
        self.live_mut(id)?.item.as_mut()
    }

    /// Where the operation is; `None` once it was released.
    #[must_use]
    pub fn state(&self, id: OpId) -> Option<OpState> {
        self.live(id)?.state
    }

    /// Whether a cancel request was made.
    #[must_use]
    pub fn is_cancel_sent(&self, id: OpId) -> bool {
        self.live(id).is_some_and(|slot| slot.cancel_sent)
    }

    /// Whether nobody waits for the result.
    #[must_use]
    pub fn is_orphaned(&self, id: OpId) -> bool {
        self.live(id).is_some_and(|slot| slot.orphaned)
    }

    /// The OS has taken the operation; false if it was not queued.
    pub fn handle_submitted(&mut self, id: OpId) -> bool {
        match self.live_mut(id) {
            Some(slot) if slot.state == Some(OpState::Queued) => {
                slot.state = Some(OpState::InFlight);
                true
            }
            _ => false,
        }
    }

    /// The OS, or the reactor in its place, told a result; `more` if others follow.
    pub fn handle_completion(&mut self, id: OpId, more: bool) -> Settled {
        let settled = match self.live_mut(id) {
            Some(slot) if slot.state != Some(OpState::Done) => {
                slot.state = Some(if more { OpState::MoreExpected } else { OpState::Done });
                if more { Settled::More } else { Settled::Last }
            }
            _ => Settled::Stale,
        };
        if settled == Settled::Stale {
            self.stale = self.stale.saturating_add(1);
        }
        settled
    }

    /// Notes a cancel request and says what to do about it.
    pub fn cancel(&mut self, id: OpId) -> Cancelled {
        let Some(slot) = self.live_mut(id) else { return Cancelled::NotFound };
        let answer = match slot.state {
            Some(OpState::Done) | None => return Cancelled::NotFound,
            Some(OpState::Queued | OpState::InFlight | OpState::MoreExpected)
                if slot.cancel_sent =>
            {
                Cancelled::Asked
            }
            Some(OpState::Queued) => Cancelled::Complete,
            Some(OpState::InFlight | OpState::MoreExpected) => Cancelled::Ask,
        };
        slot.cancel_sent = true;
        answer
    }

    /// Nobody waits for the result any more; false if the operation has been released.
    pub fn orphan(&mut self, id: OpId) -> bool {
        self.live_mut(id).is_some_and(|slot| {
            slot.orphaned = true;
            true
        })
    }

    /// Frees the slot of an operation that is [`OpState::Done`], and hands its item back.
    ///
    /// The slot's generation moves on: the id names nothing from now on.
    pub fn release(&mut self, id: OpId) -> Option<T> {
        let free = self.free;
        let slot = self.live_mut(id)?;
        if slot.state != Some(OpState::Done) {
            return None;
        }
        let item = slot.item.take();
        slot.generation = following(slot.generation);
        (slot.state, slot.cancel_sent, slot.orphaned) = (None, false, false);
        slot.next = free;
        self.free = Some(id.index);
        self.count = self.count.saturating_sub(1);
        item
    }

    /// The live operation in slot `index`.
    #[must_use]
    pub fn id_at(&self, index: u32) -> Option<OpId> {
        let slot = self.slots.as_ref().get(usize::try_from(index).ok()?)?;
        slot.state.map(|_| OpId { index, generation: slot.generation })
    }

    fn first_fresh(&self) -> Option<u32> {
        let fits = usize::try_from(self.fresh).is_ok_and(|fresh| fresh < self.capacity());
        (fits && self.fresh != u32::MAX).then_some(self.fresh)
    }

    #[inline]
    fn live(&self, id: OpId) -> Option<&OpSlot<T>> {
        let slot = self.slots.as_ref().get(usize::try_from(id.index).ok()?)?;
        (slot.generation == id.generation && slot.state.is_some()).then_some(slot)
    }

    #[inline]
    fn live_mut(&mut self, id: OpId) -> Option<&mut OpSlot<T>> {
        let slot = at_mut(&mut self.slots, id.index)?;
        (slot.generation == id.generation && slot.state.is_some()).then_some(slot)
    }
}

/// Queues of operations; the links are in the slots.
impl<T, S: AsRef<[OpSlot<T>]> + AsMut<[OpSlot<T>]>> OpTable<T, S> {
    /// Appends a live operation that is in no queue.
    pub fn push_back(&mut self, queue: &mut Queue, id: OpId) {
        let Some(slot) = self.live_mut(id) else { return };
        slot.next = None;
        match queue.last {
            Some(last) => {
                if let Some(slot) = self.live_mut(last) {
                    slot.next = Some(id.index);
                }
            }
            None => queue.first = Some(id),
        }
        queue.last = Some(id);
    }

    /// The operation behind `id` in its queue.
    #[must_use]
    pub fn next(&self, id: OpId) -> Option<OpId> {
        self.id_at(self.live(id)?.next?)
    }

    /// Takes an operation out of the queue; false if it is not there.
    ///
    /// # Bound
    ///
    /// The operations before it; the first one costs O(1).
    pub fn remove(&mut self, queue: &mut Queue, id: OpId) -> bool {
        let after = self.next(id);
        if queue.first == Some(id) {
            queue.first = after;
            if after.is_none() {
                queue.last = None;
            }
            return true;
        }
        let mut before = queue.first;
        while let Some(at) = before {
            let next = self.next(at);
            if next != Some(id) {
                before = next;
                continue;
            }
            if let Some(slot) = self.live_mut(at) {
                slot.next = after.map(OpId::index);
            }
            if queue.last == Some(id) {
                queue.last = Some(at);
            }
            return true;
        }
        false
    }
}

impl<T, S: AsRef<[OpSlot<T>]> + AsMut<[OpSlot<T>]> + Extend<OpSlot<T>>> OpTable<T, S> {
    /// Adds `additional` slots to storage that can grow. Items may move.
    pub fn grow(&mut self, additional: usize) {
        self.slots.extend(repeat_with(OpSlot::default).take(additional));
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "op {}.{}", self.index, self.generation)
    }
}

/// The generation after this one; 0 is left out.
fn following(generation: NonZeroU32) -> NonZeroU32 {
    generation.checked_add(1).unwrap_or(NonZeroU32::MIN)
}

#[inline]
fn at_mut<T, S: AsMut<[OpSlot<T>]>>(slots: &mut S, index: u32) -> Option<&mut OpSlot<T>> {
    slots.as_mut().get_mut(usize::try_from(index).ok()?)
}

#[cfg(test)]
mod tests;
