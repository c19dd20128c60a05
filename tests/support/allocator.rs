//! A global allocator that counts, per thread.
//!
//! A suite installs it once:
//!
//! ```ignore (a global allocator can be named once per program)
//! #[global_allocator]
//! static ALLOCATOR: forebay_tests::allocator::Counting = forebay_tests::allocator::Counting;
//! ```
//!
//! and asks `count(|| ...)`. Threads do not see each other's counts, so tests may run side by side.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;

thread_local! {
    // `const`: the first access must not allocate, it happens inside the allocator.
    static COUNTS: Cell<Counts> = const { Cell::new(Counts { allocations: 0, bytes: 0 }) };
}

/// What a thread asked of the allocator. A reallocation counts as an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Calls that returned memory.
    pub allocations: u64,
    /// Bytes asked for in these calls.
    pub bytes: u64,
}

/// The system's allocator, counted.
#[derive(Debug, Clone, Copy)]
pub struct Counting;

/// Runs `body` and says what this thread allocated meanwhile.
///
/// It counts only where [`Counting`] is the global allocator: call [`assert_installed`] first.
pub fn count<T>(body: impl FnOnce() -> T) -> (T, Counts) {
    let before = COUNTS.get();
    let value = body();
    let after = COUNTS.get();
    let counts = Counts {
        allocations: after.allocations - before.allocations,
        bytes: after.bytes - before.bytes,
    };
    (value, counts)
}

/// Proves that allocations are seen here; without it a zero would mean nothing.
///
/// # Panics
/// When [`Counting`] is not the global allocator.
pub fn assert_installed() {
    let (_, counts) = count(|| core::hint::black_box(Box::new([0_u8; 24])));
    assert_eq!(
        counts,
        Counts { allocations: 1, bytes: 24 },
        "the counting allocator is not installed"
    );
}

fn note(layout_size: usize) {
    // A thread that is ending has no counts any more, and nobody who would ask.
    let _ = COUNTS.try_with(|counts| {
        let Counts { allocations, bytes } = counts.get();
        counts.set(Counts { allocations: allocations + 1, bytes: bytes + layout_size as u64 });
    });
}

#[expect(
    unsafe_code,
    reason = "GlobalAlloc is an unsafe trait; every call goes to System unchanged"
)]
// SAFETY: each method passes its arguments to `System`, which upholds the contract of
// `GlobalAlloc`, and returns its answer; `note` neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller upholds the contract of `alloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller upholds the contract of `alloc_zeroed`, which is the same here.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_len: usize) -> *mut u8 {
        note(new_len);
        // SAFETY: `block` came from `System` by the methods above, with this layout.
        unsafe { System.realloc(block, layout, new_len) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System` by the methods above, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}
