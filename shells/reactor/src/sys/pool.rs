//! Memory of one buffer class, and loans of its buffers.
//!
//! A pool is made by one thread, its owner. Free buffers are on a list that only the owner touches;
//! a loan that ends on another thread goes onto a shared stack, which the owner empties when its
//! own list has run out. The memory is freed when the pool is dropped and the last loan has ended;
//! pages of buffers that were free for a long while go back to the OS before.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut, Range};
use core::ptr::{self, NonNull};
use core::slice;
use core::sync::atomic::{AtomicIsize, AtomicPtr, AtomicU32, AtomicU64, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use crate::Remote;

/// The buffers of one class. Belongs to the thread that made it.
#[derive(Debug)]
pub(crate) struct Pool {
    shared: NonNull<Shared>,
    buffer_len: usize,
    count_max: usize,
    /// Buffers made so far, and how many the next growth makes.
    count: usize,
    step: usize,
    /// Loans until the next [`review`](Self::review), and the fewest free buffers since the last.
    review_in: usize,
    free_min: usize,
}

/// Bytes of a pool buffer on loan, shared and read-only.
///
/// A clone or a slice counts as a further loan of the same buffer; when the last one is dropped,
/// on any thread, the buffer goes back to the reactor whose pool it is of. It may outlive the
/// reactor.
pub struct PoolBuf {
    header: NonNull<Header>,
    start: u32,
    len: u32,
}

/// A pool buffer on loan to one owner, who writes it.
///
/// Its bytes are zero or what an earlier loan left there.
pub struct PoolBufMut {
    header: NonNull<Header>,
    len: u32,
}

/// What stands beside each buffer.
#[derive(Debug)]
struct Header {
    loans: AtomicU32,
    index: u32,
    data: NonNull<u8>,
    shared: NonNull<Shared>,
    /// The next free buffer; used by whoever holds the list this one is on.
    next: Cell<*mut Self>,
    /// Whether it was lent since its pages were last given to the OS. Used by the owner only.
    touched: Cell<bool>,
}

#[derive(Debug)]
struct Shared {
    /// The owner's thread, 0 once the pool was dropped.
    owner: AtomicU64,
    /// Free buffers. Touched by the owner's thread only.
    ///
    /// The last one given back is the first: those that were never touched, or whose pages were
    /// given to the OS, are behind all others.
    free: Cell<*mut Header>,
    /// How many those are.
    free_count: Cell<usize>,
    /// Buffers that came back on other threads, or `CLOSED`.
    returned: AtomicPtr<Header>,
    /// After the pool was dropped: loans that are left. Whoever brings it to 0 frees the memory.
    left: AtomicIsize,
    remote: Remote,
    /// Touched by the owner's thread, and at last by whoever frees the memory.
    chunks: UnsafeCell<Vec<Chunk>>,
}

#[derive(Debug)]
struct Chunk {
    headers: Box<[Header]>,
    data: NonNull<u8>,
    len: usize,
}

/// Marks the stack of a dropped pool. Never dereferenced.
const CLOSED: *mut Header = ptr::without_provenance_mut(1);
/// Bytes that one growth adds at most.
const STEP_BYTES_MAX: usize = 2 << 20;
/// Bytes of buffers that are lent, one after the other, until it is asked how many were too many.
pub(super) const REVIEW_BYTES: usize = 32 << 20;

impl Pool {
    /// A pool without memory, of up to `count_max` buffers of `buffer_len` bytes each.
    pub(crate) fn new(buffer_len: usize, count_max: usize, remote: Remote) -> Self {
        let shared = Box::new(Shared {
            owner: AtomicU64::new(thread_number()),
            free: Cell::new(ptr::null_mut()),
            free_count: Cell::new(0),
            returned: AtomicPtr::new(ptr::null_mut()),
            left: AtomicIsize::new(0),
            remote,
            chunks: UnsafeCell::new(Vec::new()),
        });
        Self {
            shared: NonNull::from(Box::leak(shared)),
            buffer_len,
            count_max,
            count: 0,
            step: (64 * 1024 / buffer_len).max(2),
            review_in: REVIEW_BYTES / buffer_len,
            free_min: 0,
        }
    }

    /// A buffer to write into; `None` when all that the pool may have are on loan.
    pub(crate) fn alloc(&mut self) -> Option<PoolBufMut> {
        let header = self.pop()?;
        Some(PoolBufMut { header, len: u32::try_from(self.buffer_len).unwrap_or(u32::MAX) })
    }

    /// Whether [`alloc`](Self::alloc) has a buffer, memory permitting.
    pub(crate) fn is_available(&mut self) -> bool {
        !self.shared().free.get().is_null() || self.collect() || self.count < self.count_max
    }

    /// The most buffers that the pool may have.
    pub(crate) const fn count_max(&self) -> usize {
        self.count_max
    }

    fn shared(&self) -> &Shared {
        // SAFETY: the pool is the owner; the memory is freed only after `drop` set `CLOSED`.
        unsafe { self.shared.as_ref() }
    }

    fn pop(&mut self) -> Option<NonNull<Header>> {
        if self.shared().free.get().is_null() && !self.collect() {
            self.grow()?;
        }
        let shared = self.shared();
        let header = NonNull::new(shared.free.get())?;
        // SAFETY: headers on the free list live as long as the pool does.
        let at = unsafe { header.as_ref() };
        shared.free.set(at.next.get());
        at.touched.set(true);
        let free = shared.free_count.get() - 1;
        shared.free_count.set(free);
        self.free_min = self.free_min.min(free);
        self.review_in -= 1;
        if self.review_in == 0 {
            self.review();
        }
        Some(header)
    }

    /// Gives the pages of buffers to the OS that were not needed since the last review: those that
    /// a burst left behind.
    fn review(&mut self) {
        self.review_in = REVIEW_BYTES / self.buffer_len;
        let free = self.shared().free_count.get();
        let needed = free - core::mem::replace(&mut self.free_min, free);
        if !self.buffer_len.is_multiple_of(rustix::param::page_size()) {
            return;
        }
        let mut at = self.shared().free.get();
        for index in 0.. {
            let Some(header) = NonNull::new(at) else { break };
            // SAFETY: headers on the free list live as long as the pool does.
            let header = unsafe { header.as_ref() };
            at = header.next.get();
            if index < needed {
                continue;
            }
            if !header.touched.replace(false) {
                break;
            }
            let data = header.data.as_ptr().cast();
            // SAFETY: the buffer is whole pages of a mapping of ours, and nobody has a loan of it.
            let _kept = unsafe { madvise(data, self.buffer_len, Advice::LinuxDontNeed) };
        }
    }

    /// Takes what came back on other threads; false if nothing did.
    fn collect(&self) -> bool {
        let shared = self.shared();
        if shared.returned.load(Ordering::Relaxed).is_null() {
            return false;
        }
        let returned = shared.returned.swap(ptr::null_mut(), Ordering::Acquire);
        debug_assert!(shared.free.get().is_null() || returned.is_null() || self.count > 0);
        self.append(returned);
        !returned.is_null()
    }

    /// Puts a list in front of the free one.
    fn append(&self, list: *mut Header) {
        let Some(mut last) = NonNull::new(list) else { return };
        let mut count = 1;
        loop {
            // SAFETY: headers on a list live as long as the pool does.
            let next = unsafe { last.as_ref() }.next.get();
            match NonNull::new(next) {
                Some(next) => last = next,
                None => break,
            }
            count += 1;
        }
        let shared = self.shared();
        shared.free_count.set(shared.free_count.get() + count);
        // SAFETY: as above; the list was taken whole, so nobody else reads its links.
        unsafe { last.as_ref() }.next.set(shared.free.get());
        shared.free.set(list);
    }

    /// Makes more buffers; `None` at the limit, or when the OS has no memory.
    fn grow(&mut self) -> Option<()> {
        let count = self.step.min(self.count_max - self.count);
        if count == 0 {
            return None;
        }
        let chunk = Chunk::new(self.shared, self.buffer_len, self.count, count)?;
        for header in chunk.headers.iter().rev() {
            header.next.set(self.shared().free.get());
            self.shared().free.set(ptr::from_ref(header).cast_mut());
        }
        self.shared().free_count.set(self.shared().free_count.get() + count);
        // SAFETY: only the owner's thread touches the chunks while the pool lives, and here.
        let chunks = unsafe { &mut *self.shared().chunks.get() };
        chunks.push(chunk);
        self.count += count;
        self.step = self.count.min((STEP_BYTES_MAX / self.buffer_len).max(1));
        Some(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let shared = self.shared();
        shared.owner.store(0, Ordering::Relaxed);
        let returned = shared.returned.swap(CLOSED, Ordering::AcqRel);
        self.append(returned);
        let free = self.shared().free_count.get();
        let lent = isize::try_from(self.count - free).unwrap_or(isize::MAX);
        // The loans' ends count down, maybe before this line counts up.
        if self.shared().left.fetch_add(lent, Ordering::AcqRel) + lent == 0 {
            // SAFETY: no loan is left and the pool ends here.
            unsafe { free_memory(self.shared) };
        }
    }
}

impl PoolBuf {
    /// A further loan of a part of these bytes.
    ///
    /// # Panics
    ///
    /// If the range is not inside these bytes.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let part = &self[range.clone()];
        let mut loan = self.clone();
        loan.start += u32::try_from(range.start).unwrap_or(0);
        loan.len = u32::try_from(part.len()).unwrap_or(0);
        loan
    }

    fn header(&self) -> &Header {
        // SAFETY: a header lives as long as a loan of its buffer.
        unsafe { self.header.as_ref() }
    }
}

impl Clone for PoolBuf {
    fn clone(&self) -> Self {
        // As for `Arc`: a new loan is made from one that exists, nothing else needs ordering.
        let loans = self.header().loans.fetch_add(1, Ordering::Relaxed);
        assert!(loans < u32::MAX / 2, "loans of one buffer must not overflow their count");
        Self { header: self.header, start: self.start, len: self.len }
    }
}

impl Deref for PoolBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` and `len` were checked to lie in the buffer, which lives as long as this
        // loan; while there are shared loans nobody writes it.
        let start = unsafe { self.header().data.add(self.start as usize) };
        // SAFETY: as above, and mapped memory is initialised.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.len as usize) }
    }
}

impl Drop for PoolBuf {
    fn drop(&mut self) {
        let loans = &self.header().loans;
        // The only loan: nobody can make another one, so the count needs no further step.
        if loans.load(Ordering::Acquire) == 1 || loans.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: this was the last loan.
            unsafe { give_back(self.header) };
        }
    }
}

impl fmt::Debug for PoolBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

// SAFETY: the bytes are shared read-only, the count of loans is atomic, and `give_back` tells the
// owner's thread from others.
unsafe impl Send for PoolBuf {}
// SAFETY: as above.
unsafe impl Sync for PoolBuf {}

impl PoolBufMut {
    /// Ends writing: the first `len` bytes, to share and to send.
    ///
    /// # Panics
    ///
    /// If `len` is beyond the buffer.
    #[must_use]
    pub fn freeze(self, len: usize) -> PoolBuf {
        assert!(len <= self.len as usize, "a buffer cannot be longer than it is");
        let this = ManuallyDrop::new(self);
        // SAFETY: a header lives as long as a loan of its buffer.
        unsafe { this.header.as_ref() }.loans.store(1, Ordering::Relaxed);
        PoolBuf { header: this.header, start: 0, len: u32::try_from(len).unwrap_or(0) }
    }

    /// The buffer's number in its pool.
    pub(crate) fn index(&self) -> usize {
        // SAFETY: a header lives as long as a loan of its buffer.
        unsafe { self.header.as_ref() }.index as usize
    }

    /// Where the kernel may write while this is held.
    pub(crate) fn as_ptr(&self) -> NonNull<u8> {
        // SAFETY: a header lives as long as a loan of its buffer.
        unsafe { self.header.as_ref() }.data
    }
}

impl Deref for PoolBufMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: this is the buffer's only loan; mapped memory is initialised.
        unsafe { slice::from_raw_parts(self.as_ptr().as_ptr(), self.len as usize) }
    }
}

impl DerefMut for PoolBufMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: this is the buffer's only loan; mapped memory is initialised.
        unsafe { slice::from_raw_parts_mut(self.as_ptr().as_ptr(), self.len as usize) }
    }
}

impl Drop for PoolBufMut {
    fn drop(&mut self) {
        // SAFETY: this was the buffer's only loan.
        unsafe { give_back(self.header) };
    }
}

impl fmt::Debug for PoolBufMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBufMut").field("len", &self.len).finish_non_exhaustive()
    }
}

// SAFETY: it is the only loan of its bytes, and `give_back` tells the owner's thread from others.
unsafe impl Send for PoolBufMut {}
// SAFETY: sharing it only reads.
unsafe impl Sync for PoolBufMut {}

impl Chunk {
    fn new(shared: NonNull<Shared>, buffer_len: usize, first: usize, count: usize) -> Option<Self> {
        let len = buffer_len * count;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a private mapping at an address of the OS's choice touches nothing of ours.
        let data = unsafe { mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) };
        let data = NonNull::new(data.ok()?.cast::<u8>())?;
        let header = |at: usize| Header {
            loans: AtomicU32::new(0),
            index: u32::try_from(first + at).unwrap_or(u32::MAX),
            // SAFETY: `at` is below `count`, so the offset is inside the mapping.
            data: unsafe { data.add(at * buffer_len) },
            shared,
            next: Cell::new(ptr::null_mut()),
            touched: Cell::new(false),
        };
        Some(Self { headers: (0..count).map(header).collect(), data, len })
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: the mapping is this chunk's, and no loan of it is left.
        let unmapped = unsafe { munmap(self.data.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// A number of the running thread that no other thread ever had.
fn thread_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local!(static NUMBER: Cell<u64> = const { Cell::new(0) });
    NUMBER.with(|number| {
        if number.get() == 0 {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Ends the last loan of a buffer.
///
/// # Safety
///
/// `header` must be of a buffer on loan, the caller must hold its last loan and not use it again.
unsafe fn give_back(header: NonNull<Header>) {
    // SAFETY: the header lives as long as the loan that ends here.
    let at = unsafe { header.as_ref() };
    let shared_at = at.shared;
    // SAFETY: the pool's memory lives as long as any loan.
    let shared = unsafe { shared_at.as_ref() };
    if shared.owner.load(Ordering::Relaxed) == thread_number() {
        at.next.set(shared.free.get());
        shared.free.set(header.as_ptr());
        shared.free_count.set(shared.free_count.get() + 1);
        return;
    }
    // Once pushed, the buffer keeps the pool's memory no longer: what is needed then is taken now.
    let remote = shared.remote.clone();
    let mut head = shared.returned.load(Ordering::Relaxed);
    while head != CLOSED {
        at.next.set(head);
        let pushed = shared.returned.compare_exchange_weak(
            head,
            header.as_ptr(),
            Ordering::SeqCst,
            Ordering::Relaxed,
        );
        match pushed {
            Ok(_) => {
                remote.wake_starved();
                return;
            }
            Err(now) => head = now,
        }
    }
    if shared.left.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: the pool is gone and this was its last loan.
        unsafe { free_memory(shared_at) };
    }
}

/// # Safety
///
/// The pool must be dropped, no loan left, and this called once.
unsafe fn free_memory(shared: NonNull<Shared>) {
    // SAFETY: `shared` came from a leaked box, and nothing points to it any more.
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole pages everywhere.
    const LEN: usize = 64 << 10;

    fn pool() -> Pool {
        Pool::new(LEN, 1024, Remote::new().unwrap())
    }

    fn filled(pool: &mut Pool, count: usize) -> Vec<PoolBufMut> {
        let fill = |_| {
            let mut buf = pool.alloc().unwrap();
            buf.fill(7);
            buf
        };
        (0..count).map(fill).collect()
    }

    /// So many loans that the pool looks twice at what it needs, `count` of them at a time.
    fn go_on_with(pool: &mut Pool, count: usize) {
        for _ in 0..=2 * REVIEW_BYTES / LEN / count {
            filled(pool, count);
        }
    }

    fn clean(bufs: &[PoolBufMut]) -> usize {
        bufs.iter().filter(|buf| buf.iter().all(|&byte| byte == 0)).count()
    }

    #[test]
    fn what_a_burst_took_goes_back_to_the_os_and_the_rest_stays() {
        let mut pool = pool();
        let mut held = filled(&mut pool, 100);
        held.truncate(10);
        go_on_with(&mut pool, 5);
        assert!(held.iter().all(|buf| buf.iter().all(|&byte| byte == 7)), "on loan");
        let again: Vec<_> = (0..90).map(|_| pool.alloc().unwrap()).collect();
        assert_eq!(clean(&again), 85);
        // Twice over, since what was given back is in use again.
        drop(again);
        held.append(&mut filled(&mut pool, 90));
        held.truncate(10);
        go_on_with(&mut pool, 5);
        let again: Vec<_> = (0..90).map(|_| pool.alloc().unwrap()).collect();
        assert_eq!(clean(&again), 85);
    }

    #[test]
    fn what_is_needed_again_and_again_stays() {
        let mut pool = pool();
        drop(filled(&mut pool, 40));
        go_on_with(&mut pool, 40);
        let again: Vec<_> = (0..40).map(|_| pool.alloc().unwrap()).collect();
        assert_eq!(clean(&again), 0);
    }

    #[test]
    fn buffers_that_end_on_another_thread_are_counted() {
        let mut pool = pool();
        let bufs = filled(&mut pool, 50);
        std::thread::spawn(|| drop(bufs)).join().unwrap();
        let made = pool.count;
        // The owner's list is used up first, then what the other thread gave back.
        drop(filled(&mut pool, made));
        assert_eq!((pool.count, pool.shared().free_count.get()), (made, made));
        go_on_with(&mut pool, 2);
        let again: Vec<_> = (0..made).map(|_| pool.alloc().unwrap()).collect();
        assert_eq!(clean(&again), made - 2);
    }
}
