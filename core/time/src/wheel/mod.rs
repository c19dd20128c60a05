use core::fmt;
use core::iter::repeat_n;

use crate::Instant;

/// Nanoseconds of one tick.
const TICK: u64 = 10_000_000;
/// Bits of a tick number that one level resolves.
const BITS: u32 = 6;
const BUCKETS: usize = 64;
/// 7 x 6 bits hold every tick of a 64-bit nanosecond clock, so no timer lies beyond the wheel.
const LEVELS: usize = 7;
/// Timers moved to a lower level by one `poll_expired`, at most.
const MOVES: u32 = 64;
const NIL: u32 = u32::MAX;

/// A hierarchical timer wheel: at most one timer for each id, ids are slot indices.
///
/// The resolution is 10 ms: a timer fires on the first poll at least at its instant and, polled
/// in time, less than 10 ms after it. It never fires early.
///
/// ```text
/// level 0: 64 buckets of one tick      the bucket at `elapsed` holds what is due
/// level 1: 64 buckets of 64 ticks      the bucket at `elapsed` holds what must move down
/// ...      a timer sits on the level of the highest 6-bit digit in which it differs from `elapsed`
/// ```
#[derive(Debug, Clone)]
pub struct Wheel<S> {
    slots: S,
    heads: [[u32; BUCKETS]; LEVELS],
    occupied: [u64; LEVELS],
    /// The levels that hold a timer, a bit each: most polls look at one or two of the seven.
    levels: u8,
    /// The last tick up to which every bucket was emptied or is being emptied.
    elapsed: u64,
    count: usize,
}

/// Storage of one timer, 24 bytes.
#[derive(Debug, Clone, Copy)]
pub struct TimerSlot {
    tick: u64,
    next: u32,
    prev: u32,
    level: u8,
    bucket: u8,
    armed: bool,
}

/// The id has no slot: the storage is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdOutOfRange;

impl TimerSlot {
    /// A slot without a timer.
    pub const EMPTY: Self =
        Self { tick: 0, next: NIL, prev: NIL, level: 0, bucket: 0, armed: false };
}

impl Default for TimerSlot {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<S: AsRef<[TimerSlot]> + AsMut<[TimerSlot]>> Wheel<S> {
    /// An empty wheel over `slots`, whose former content is dropped.
    ///
    /// Ids run from 0 to the storage's length.
    pub fn new(mut slots: S) -> Self {
        slots.as_mut().fill(TimerSlot::EMPTY);
        let heads = [[NIL; BUCKETS]; LEVELS];
        Self { slots, heads, occupied: [0; LEVELS], levels: 0, elapsed: 0, count: 0 }
    }

    /// How many ids have a slot.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.as_ref().len()
    }

    /// How many timers are armed.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Whether `id` has a timer that has neither fired nor been cancelled.
    #[must_use]
    pub fn is_armed(&self, id: u32) -> bool {
        self.slot(id).is_some_and(|slot| slot.armed)
    }

    /// Arms the timer of `id` for `at`, in place of the one it had. O(1).
    ///
    /// An instant in the past fires on the next poll.
    ///
    /// # Errors
    ///
    /// [`IdOutOfRange`] if `id` is not below [`capacity`](Self::capacity).
    pub fn schedule(&mut self, id: u32, at: Instant) -> Result<(), IdOutOfRange> {
        let armed = self.slot(id).ok_or(IdOutOfRange)?.armed;
        if armed {
            self.unlink(id);
        } else {
            self.count = self.count.saturating_add(1);
        }
        self.link(id, at.as_nanos().div_ceil(TICK).max(self.elapsed));
        Ok(())
    }

    /// Disarms the timer of `id`; false if it had none. O(1).
    pub fn cancel(&mut self, id: u32) -> bool {
        let armed = self.is_armed(id);
        if armed {
            self.unlink(id);
            self.count = self.count.saturating_sub(1);
        }
        armed
    }

    /// The next timer that is due at `now`, disarmed; call it until `None`.
    ///
    /// `now` may repeat or step back: nothing fires for it then that a later `now` had not
    /// already made due. After `None`, [`poll_timeout`](Self::poll_timeout) says when to call
    /// again, which may be at once.
    ///
    /// # Bound
    ///
    /// Moves at most 64 timers between levels, then answers `None` and continues on the next call.
    pub fn poll_expired(&mut self, now: Instant) -> Option<u32> {
        let now = now.as_nanos().div_euclid(TICK);
        let mut moves = MOVES;
        loop {
            if let Some((level, id)) = self.pending() {
                if level == 0 {
                    self.unlink(id);
                    self.count = self.count.saturating_sub(1);
                    return Some(id);
                }
                moves = moves.checked_sub(1)?;
                let tick = self.slot(id)?.tick;
                self.unlink(id);
                self.link(id, tick);
                continue;
            }
            let next = self.next_start().filter(|start| *start <= now);
            self.elapsed = next.unwrap_or(now).max(self.elapsed);
            next?;
        }
    }

    /// When to call [`poll_expired`](Self::poll_expired) next; `None` without timers.
    ///
    /// Never later than the earliest timer needs, sometimes earlier: the wheel then only moves
    /// timers to a finer level.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let tick = if self.pending().is_some() { Some(self.elapsed) } else { self.next_start() };
        // The one tick past the clock's range is never reached: that timer needs no poll.
        tick.and_then(|tick| tick.checked_mul(TICK)).map(Instant::from_nanos)
    }

    fn slot(&self, id: u32) -> Option<&TimerSlot> {
        self.slots.as_ref().get(usize::try_from(id).ok()?)
    }

    fn slot_mut(&mut self, id: u32) -> Option<&mut TimerSlot> {
        self.slots.as_mut().get_mut(usize::try_from(id).ok()?)
    }

    fn head_mut(&mut self, level: usize, bucket: usize) -> Option<&mut u32> {
        self.heads.get_mut(level)?.get_mut(bucket)
    }

    /// The levels that hold a timer, the finest first.
    fn levels(&self) -> impl Iterator<Item = usize> {
        let mut left = self.levels;
        core::iter::from_fn(move || {
            let level = usize::try_from(left.trailing_zeros()).ok()?;
            left &= left.checked_sub(1)?;
            Some(level)
        })
    }

    /// The first timer of a bucket in which `elapsed` lies, and its level.
    fn pending(&self) -> Option<(usize, u32)> {
        self.levels().find_map(|level| {
            let head = *self.heads.get(level)?.get(digit(self.elapsed, level))?;
            (head != NIL).then_some((level, head))
        })
    }

    /// The first tick of the earliest occupied bucket after those at `elapsed`.
    fn next_start(&self) -> Option<u64> {
        self.levels().find_map(|level| {
            let occupied = *self.occupied.get(level)?;
            let at = u32::try_from(digit(self.elapsed, level)).ok()?;
            // Shifted twice, since a shift by 64 would not be defined.
            let ahead = occupied & (u64::MAX << at << 1);
            (ahead != 0).then(|| start(self.elapsed, level, ahead.trailing_zeros()))
        })
    }

    fn link(&mut self, id: u32, tick: u64) {
        let level = level(tick, self.elapsed);
        let bucket = digit(tick, level);
        let Some(head) = self.head_mut(level, bucket) else { return };
        let next = core::mem::replace(head, id);
        if let Some(occupied) = self.occupied.get_mut(level) {
            *occupied |= bit(bucket);
            self.levels |= level_bit(level);
        }
        if let Some(next) = self.slot_mut(next) {
            next.prev = id;
        }
        if let Some(slot) = self.slot_mut(id) {
            *slot = TimerSlot {
                tick,
                next,
                prev: NIL,
                level: u8::try_from(level).unwrap_or(0),
                bucket: u8::try_from(bucket).unwrap_or(0),
                armed: true,
            };
        }
    }

    fn unlink(&mut self, id: u32) {
        let Some(slot) = self.slot_mut(id) else { return };
        slot.armed = false;
        let TimerSlot { next, prev, level, bucket, .. } = *slot;
        if let Some(next) = self.slot_mut(next) {
            next.prev = prev;
        }
        if let Some(prev) = self.slot_mut(prev) {
            prev.next = next;
            return;
        }
        let (level, bucket) = (usize::from(level), usize::from(bucket));
        if let Some(head) = self.head_mut(level, bucket) {
            *head = next;
        }
        if next == NIL
            && let Some(occupied) = self.occupied.get_mut(level)
        {
            *occupied &= !bit(bucket);
            if *occupied == 0 {
                self.levels &= !level_bit(level);
            }
        }
    }
}

impl<S: AsRef<[TimerSlot]> + AsMut<[TimerSlot]> + Extend<TimerSlot>> Wheel<S> {
    /// Adds `additional` slots to storage that can grow; armed timers stay armed.
    pub fn grow(&mut self, additional: usize) {
        self.slots.extend(repeat_n(TimerSlot::EMPTY, additional));
    }
}

impl fmt::Display for IdOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timer id has no slot")
    }
}

impl core::error::Error for IdOutOfRange {}

/// The level of a timer: that of the highest digit in which it differs from `elapsed`.
fn level(tick: u64, elapsed: u64) -> usize {
    let differs = (tick ^ elapsed).checked_ilog2().unwrap_or(0);
    usize::try_from(differs.div_euclid(BITS)).unwrap_or(0).min(LEVELS.saturating_sub(1))
}

fn shift(level: usize) -> u32 {
    u32::try_from(level).unwrap_or(0).saturating_mul(BITS)
}

/// The 6-bit digit of `tick` that `level` resolves.
fn digit(tick: u64, level: usize) -> usize {
    let digit = tick.checked_shr(shift(level)).unwrap_or(0) & 63;
    usize::try_from(digit).unwrap_or(0)
}

/// The first tick of bucket `bucket` of `level`, in the block of `elapsed`.
fn start(elapsed: u64, level: usize, bucket: u32) -> u64 {
    let below = u64::MAX.checked_shl(shift(level.saturating_add(1))).unwrap_or(0);
    (elapsed & below) | u64::from(bucket).checked_shl(shift(level)).unwrap_or(0)
}

fn level_bit(level: usize) -> u8 {
    u32::try_from(level).ok().and_then(|level| 1u8.checked_shl(level)).unwrap_or(0)
}

fn bit(bucket: usize) -> u64 {
    u32::try_from(bucket).ok().and_then(|bucket| 1u64.checked_shl(bucket)).unwrap_or(0)
}

const _: () = assert!(size_of::<TimerSlot>() <= 24, "10,000 timers must fit into 240 kB");

#[cfg(test)]
mod tests;
