//! Loaded with `LD_PRELOAD`, counts what a whole program allocates and copies, whatever it is
//! written in.
//!
//! The counts are two numbers of 64 bits in the file `$TALLY_FOLDER/<pid>`, mapped and shared, so
//! that somebody else can read them at both edges of a window: allocations (`malloc`, `calloc`,
//! `realloc` and the aligned ones), and bytes of copies of at least [`COPY_LEN_MIN`] (`memcpy`,
//! `memmove`). Copies that the kernel makes are not in it.

#![cfg(target_arch = "x86_64")]

use std::arch::asm;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed};

/// Shorter copies are heads and headers, not payloads.
const COPY_LEN_MIN: usize = 512;

struct Counts {
    allocations: AtomicU64,
    copied: AtomicU64,
}

/// Until the file is mapped, and for programs that are started without a folder.
static NOWHERE: Counts = Counts { allocations: AtomicU64::new(0), copied: AtomicU64::new(0) };
static COUNTS: AtomicPtr<Counts> = AtomicPtr::new((&raw const NOWHERE).cast_mut());

fn counts() -> &'static Counts {
    // SAFETY: it points to `NOWHERE` or to a mapping of that size that is never undone.
    unsafe { &*COUNTS.load(Relaxed) }
}

/// Runs when the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    let Some(folder) = std::env::var_os("TALLY_FOLDER") else { return };
    let path = std::path::Path::new(&folder).join(std::process::id().to_string());
    let options =
        std::fs::File::options().create(true).truncate(true).read(true).write(true).open(path);
    let Ok(file) = options else { return };
    if file.set_len(size_of::<Counts>() as u64).is_err() {
        return;
    }
    let (len, protection) = (size_of::<Counts>(), libc::PROT_READ | libc::PROT_WRITE);
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
    let place = unsafe { libc::mmap(null_mut(), len, protection, libc::MAP_SHARED, fd, 0) };
    if place != libc::MAP_FAILED {
        COUNTS.store(place.cast(), Relaxed);
    }
}

unsafe extern "C" {
    fn __libc_malloc(len: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, len: usize) -> *mut c_void;
    fn __libc_realloc(old: *mut c_void, len: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, len: usize) -> *mut c_void;
}

fn count_allocation() {
    counts().allocations.fetch_add(1, Relaxed);
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(len: usize) -> *mut c_void {
    count_allocation();
    // SAFETY: the caller keeps the same promises to us.
    unsafe { __libc_malloc(len) }
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, len: usize) -> *mut c_void {
    count_allocation();
    // SAFETY: the caller keeps the same promises to us.
    unsafe { __libc_calloc(count, len) }
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(old: *mut c_void, len: usize) -> *mut c_void {
    count_allocation();
    // SAFETY: the caller keeps the same promises to us.
    unsafe { __libc_realloc(old, len) }
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, len: usize) -> *mut c_void {
    count_allocation();
    // SAFETY: the caller keeps the same promises to us.
    unsafe { __libc_memalign(align, len) }
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, len: usize) -> i32 {
    count_allocation();
    // SAFETY: the caller keeps the same promises to us.
    let memory = unsafe { __libc_memalign(align, len) };
    if memory.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller gives a valid place.
    unsafe { *place = memory };
    0
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    if len >= COPY_LEN_MIN {
        counts().copied.fetch_add(len as u64, Relaxed);
    }
    // SAFETY: the caller keeps the same promises to us. Written out, since a call of a copying
    // function would end here again.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// # Safety
///
/// As the C library's function of this name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, len: usize) -> *mut c_void {
    let (start, source) = (to.addr(), from.addr());
    if start <= source || start >= source + len {
        // SAFETY: copied from the front, a byte is read before it is overwritten.
        return unsafe { memcpy(to, from, len) };
    }
    if len >= COPY_LEN_MIN {
        counts().copied.fetch_add(len as u64, Relaxed);
    }
    let (last_to, last_from) = (to.wrapping_byte_add(len - 1), from.wrapping_byte_add(len - 1));
    // SAFETY: from the back, a byte is read before it is overwritten; the flag is set back.
    unsafe {
        asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") last_to => _,
            inout("rsi") last_from => _, options(nostack));
    }
    to
}
