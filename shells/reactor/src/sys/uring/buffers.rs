//! A ring of buffers that the kernel picks from when bytes arrive.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU16, Ordering};
use std::io;

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::PoolBufMut;
use crate::sys::pool::{Pool, REVIEW_BYTES};

/// Buffers of one class that the kernel holds.
#[derive(Debug)]
pub(super) struct BufferRing {
    /// `entries` ring entries, the first of which holds the tail.
    base: NonNull<BufRingEntry>,
    entries: u16,
    tail: u16,
    /// The kernel's buffers by number.
    held: Vec<Option<PoolBufMut>>,
    count: usize,
    /// How many the kernel should have; doubles when they ran out, and halves again when most of
    /// them are not needed.
    target: usize,
    target_min: usize,
    target_max: usize,
    /// Buffers that the kernel will use until it is looked at what it needs, and the fewest that it
    /// had left since the last time.
    review_in: usize,
    count_min: usize,
}

/// The most buffers that the kernel holds of one class.
const ENTRIES_MAX: usize = 1024;
/// Bytes that the kernel holds at first.
const START_BYTES: usize = 128 * 1024;

impl BufferRing {
    /// Registers a ring without buffers as `group`.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        group: u16,
        pool: &Pool,
        buffer_len: usize,
    ) -> io::Result<Self> {
        // Some buffers stay outside, for the caller to write into.
        let target_max = (pool.count_max() - pool.count_max() / 4).clamp(1, ENTRIES_MAX);
        let entries = u16::try_from(target_max.next_power_of_two()).unwrap_or(1024);
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let len = bytes(entries);
        // SAFETY: a private mapping at an address of the OS's choice touches nothing of ours.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let target = (START_BYTES / buffer_len).clamp(2, target_max.max(2)).min(target_max);
        let ring = Self {
            base,
            entries,
            tail: 0,
            held: Vec::new(),
            count: 0,
            target,
            target_min: target,
            target_max,
            review_in: REVIEW_BYTES / buffer_len,
            count_min: 0,
        };
        let address = base.as_ptr().addr() as u64;
        // SAFETY: the mapping has room for `entries` entries, is page-aligned, and stays until the
        // ring is gone: see the order of fields of `Uring`.
        unsafe { submitter.register_buf_ring_with_flags(address, entries, group, 0) }?;
        Ok(ring)
    }

    /// Gives the kernel buffers up to the target, as far as the pool has them.
    pub(super) fn refill(&mut self, pool: &mut Pool) {
        if self.count >= self.target {
            return;
        }
        while self.count < self.target {
            let Some(buf) = pool.alloc() else { break };
            self.add(buf);
        }
        let tail = self.base.as_ptr();
        // SAFETY: the first entry is inside the mapping.
        let tail = unsafe { BufRingEntry::tail(tail) };
        // SAFETY: the tail is aligned and in the mapping, and the kernel only reads it.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// The buffer that the kernel has filled and told the number of.
    pub(super) fn take(&mut self, number: u16) -> Option<PoolBufMut> {
        let buf = self.held.get_mut(usize::from(number))?.take()?;
        self.count -= 1;
        self.count_min = self.count_min.min(self.count);
        self.review_in -= 1;
        if self.review_in == 0 {
            self.review_in = REVIEW_BYTES / buf.len();
            self.review();
        }
        Some(buf)
    }

    /// After a burst the kernel shall have fewer again: it uses one buffer after the other, so that
    /// all of them stay in memory.
    fn review(&mut self) {
        if self.count_min > self.target / 2 {
            self.target = (self.target / 2).max(self.target_min);
        }
        self.count_min = self.count;
    }

    /// The kernel ran out: it shall have more from now on.
    pub(super) fn grow(&mut self) {
        self.target = (self.target * 2).min(self.target_max);
    }

    /// How many buffers the kernel has.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    fn add(&mut self, buf: PoolBufMut) {
        let number = buf.index();
        let index = usize::from(self.tail & (self.entries - 1));
        // SAFETY: the index is below `entries`.
        let entry = unsafe { self.base.add(index) }.as_ptr();
        // SAFETY: the entry is behind the tail that the kernel knows, so only we touch it.
        let entry = unsafe { &mut *entry };
        entry.set_addr(buf.as_ptr().as_ptr().addr() as u64);
        entry.set_len(u32::try_from(buf.len()).unwrap_or(0));
        entry.set_bid(u16::try_from(number).unwrap_or(0));
        if self.held.len() <= number {
            self.held.resize_with(number + 1, || None);
        }
        self.held[number] = Some(buf);
        self.tail = self.tail.wrapping_add(1);
        self.count += 1;
    }
}

impl Drop for BufferRing {
    fn drop(&mut self) {
        // SAFETY: the mapping is this ring's, and the kernel's ring is gone.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), bytes(self.entries)) };
        debug_assert!(unmapped.is_ok());
    }
}

fn bytes(entries: u16) -> usize {
    usize::from(entries) * size_of::<BufRingEntry>()
}
