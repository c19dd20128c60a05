use core::error::Error;
use core::fmt;
use core::ops::Range;

/// Places for frame headers, each on loan from the moment it is filled until its bytes are sent.
///
/// The ring keeps which slots are out; the bytes of the slots belong to the caller, who may lend
/// them to the kernel. Slots are handed out in ring order. They come back in any order, and a
/// slot is lent again only after it and every older one came back, so a full ring means that the
/// oldest send is still underway.
#[derive(Debug, Clone)]
pub struct HeaderRing<S> {
    loans: S,
    slot_len: usize,
    oldest: usize,
    out: usize,
}

/// The state of one slot, an element of the caller's storage. `Loan::default()` is a free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Loan {
    generation: u32,
    lent: bool,
}

/// A slot on loan. Stays valid until it is released; a stale one is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    index: u32,
    generation: u32,
}

/// A slot came back that is not on loan: it was released before, or is of another ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotLent;

impl<S: AsRef<[Loan]> + AsMut<[Loan]>> HeaderRing<S> {
    /// A ring of as many slots as `loans` has elements, each of `slot_len` bytes.
    #[must_use]
    pub fn new(mut loans: S, slot_len: usize) -> Self {
        loans.as_mut().fill(Loan::default());
        Self { loans, slot_len, oldest: 0, out: 0 }
    }

    /// How many slots the ring has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.loans.as_ref().len()
    }

    /// How many slots can be lent now. 0 is backpressure: wait until a send completes.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.count().saturating_sub(self.out)
    }

    /// Bytes per slot.
    #[must_use]
    pub const fn slot_len(&self) -> usize {
        self.slot_len
    }

    /// Bytes that the caller must keep for all slots together.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.count().saturating_mul(self.slot_len)
    }

    /// Lends the next slot, or says with `None` that the ring is full.
    #[inline]
    #[must_use]
    pub fn lend(&mut self) -> Option<Slot> {
        let count = self.count();
        if self.out >= count {
            return None;
        }
        let next = wrapped(self.oldest.saturating_add(self.out), count);
        let loan = self.loans.as_mut().get_mut(next)?;
        loan.generation = loan.generation.wrapping_add(1);
        loan.lent = true;
        let slot = Slot { index: u32::try_from(next).ok()?, generation: loan.generation };
        self.out = self.out.saturating_add(1);
        Some(slot)
    }

    /// Where the slot lies in the caller's bytes.
    #[inline]
    #[must_use]
    pub fn range(&self, slot: Slot) -> Range<usize> {
        let start = slot.index().saturating_mul(self.slot_len);
        start..start.saturating_add(self.slot_len)
    }

    /// The slot's bytes inside `bytes`, the caller's memory for all slots; `None` when that
    /// memory is shorter than [`bytes_len`](Self::bytes_len) asks.
    #[inline]
    #[must_use]
    pub fn slot_mut<'b>(&self, slot: Slot, bytes: &'b mut [u8]) -> Option<&'b mut [u8]> {
        bytes.get_mut(self.range(slot))
    }

    /// Takes back one slot. The order does not matter.
    ///
    /// # Errors
    /// The slot is not on loan; nothing changed.
    ///
    /// # Bound
    /// Constant on average, at most one step per slot of the ring.
    pub fn release(&mut self, slot: Slot) -> Result<(), NotLent> {
        let loan = self.loans.as_mut().get_mut(slot.index()).ok_or(NotLent)?;
        if !loan.lent || loan.generation != slot.generation {
            return Err(NotLent);
        }
        loan.lent = false;
        self.drop_released();
        Ok(())
    }

    /// Takes back a slot and every older one: what a shell does whose writes complete in order.
    ///
    /// # Errors
    /// The slot is not on loan; nothing changed.
    ///
    /// # Bound
    /// One step per slot that comes back.
    pub fn release_through(&mut self, slot: Slot) -> Result<(), NotLent> {
        let is_out = self
            .loans
            .as_ref()
            .get(slot.index())
            .is_some_and(|loan| loan.lent && loan.generation == slot.generation);
        if !is_out {
            return Err(NotLent);
        }
        let mut reached = false;
        while !reached && self.out > 0 {
            reached = self.oldest == slot.index();
            if let Some(loan) = self.loans.as_mut().get_mut(self.oldest) {
                loan.lent = false;
            }
            self.advance();
        }
        self.drop_released();
        Ok(())
    }

    fn drop_released(&mut self) {
        while self.out > 0 && self.loans.as_ref().get(self.oldest).is_some_and(|loan| !loan.lent) {
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.oldest = wrapped(self.oldest.saturating_add(1), self.count());
        self.out = self.out.saturating_sub(1);
    }
}

impl Slot {
    /// Position of the slot in its ring, 0-based.
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.index).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for NotLent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the header slot is not on loan")
    }
}

impl Error for NotLent {}

/// `index` is below twice `count`.
#[inline]
const fn wrapped(index: usize, count: usize) -> usize {
    if index < count { index } else { index.saturating_sub(count) }
}
