use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use forebay_core_completion::{Direction, Queue, Readiness};

/// A descriptor that a reactor owns: bits 0 to 31 its slot, bits 32 to 63 the slot's generation.
///
/// It names nothing once it was closed, also when the slot is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(u64);

/// The descriptors of one reactor.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

/// One descriptor, and what runs on it.
#[derive(Debug)]
pub(crate) struct Entry {
    generation: u32,
    fd: Option<OwnedFd>,
    pub(crate) readiness: Readiness,
    pub(crate) read: Queue,
    pub(crate) write: Queue,
    pub(crate) polls: Queue,
    /// Operations in the three queues.
    pub(crate) running: u32,
    /// The caller has closed it; the descriptor follows when nothing runs any more.
    pub(crate) closing: bool,
    /// Receives by `recv`, else by `read`.
    pub(crate) socket: bool,
    /// It is on the list of handles to run without a new edge.
    pub(crate) runnable: bool,
    /// epoll tells when it is writable.
    pub(crate) writes_watched: bool,
}

impl Handle {
    /// The handle as a number, for a table of the caller. Never `u64::MAX`.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// The handle of such a number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// A handle that names nothing.
    pub(crate) const NONE: Self = Self(u64::MAX);

    const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Handles {
    pub(crate) fn insert(&mut self, fd: OwnedFd, socket: bool) -> Handle {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::new());
            u32::try_from(self.entries.len() - 1).expect("the OS has fewer descriptors")
        });
        let entry = &mut self.entries[index as usize];
        entry.fd = Some(fd);
        entry.socket = socket;
        Handle(u64::from(index) | u64::from(entry.generation) << 32)
    }

    /// A handle that the caller may still name.
    pub(crate) fn open(&mut self, handle: Handle) -> Option<&mut Entry> {
        self.entry(handle).filter(|entry| !entry.closing)
    }

    /// A handle, also while it is being closed.
    #[inline]
    pub(crate) fn entry(&mut self, handle: Handle) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(handle.index())?;
        (entry.generation == handle.generation() && entry.fd.is_some()).then_some(entry)
    }

    #[inline]
    pub(crate) fn fd(&self, handle: Handle) -> Option<BorrowedFd<'_>> {
        let entry = self.entries.get(handle.index())?;
        let fd = entry.fd.as_ref().filter(|_| entry.generation == handle.generation())?;
        Some(fd.as_fd())
    }

    /// Takes the descriptor; the slot is free and the handle names nothing from now on.
    pub(crate) fn remove(&mut self, handle: Handle) -> Option<OwnedFd> {
        let fd = self.entry(handle)?.fd.take();
        let entry = &mut self.entries[handle.index()];
        let generation = entry.generation.wrapping_add(1).max(1);
        *entry = Entry { generation, ..Entry::new() };
        self.free.push(handle.index() as u32);
        fd
    }
}

impl Entry {
    const fn new() -> Self {
        Self {
            generation: 1,
            fd: None,
            readiness: Readiness::UNKNOWN,
            read: Queue::EMPTY,
            write: Queue::EMPTY,
            polls: Queue::EMPTY,
            running: 0,
            closing: false,
            socket: false,
            runnable: false,
            writes_watched: false,
        }
    }

    pub(crate) const fn queue(&mut self, direction: Direction) -> &mut Queue {
        match direction {
            Direction::Read => &mut self.read,
            Direction::Write => &mut self.write,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_handle_names_nothing_when_its_slot_is_used_again() {
        let fd = || OwnedFd::from(std::fs::File::open("/dev/null").expect("it is there"));
        let mut handles = Handles::default();
        let first = handles.insert(fd(), false);
        assert!(handles.remove(first).is_some());
        let second = handles.insert(fd(), true);
        assert_eq!(first.index(), second.index());
        assert!(handles.entry(first).is_none() && handles.fd(first).is_none());
        assert!(handles.open(second).is_some());
        assert!(handles.remove(first).is_none());
    }
}
