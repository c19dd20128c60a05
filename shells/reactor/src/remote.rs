use core::sync::atomic::{AtomicBool, Ordering, fence};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use rustix::event::{EventfdFlags, eventfd};

/// The way to a reactor from other threads: posts a number, and wakes the reactor if it sleeps.
///
/// Posting to a reactor that is awake costs no system call.
#[derive(Clone, Debug)]
pub struct Remote(Arc<Inbox>);

/// A message did not get into the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PostError {
    /// The inbox holds as many messages as it can; try again later.
    Full,
    /// The reactor is gone.
    Closed,
}

/// The reactor's side: who sleeps says so first, who posts looks after it has pushed.
#[derive(Debug)]
struct Inbox {
    messages: ArrayQueue<u64>,
    /// The reactor is about to sleep or sleeps.
    sleeping: AtomicBool,
    /// Somebody asked for the end of a wait.
    woken: AtomicBool,
    /// The reactor waits for a buffer.
    starved: AtomicBool,
    closed: AtomicBool,
    event: OwnedFd,
}

/// Messages that wait for one reactor at most.
const MESSAGES: usize = 4096;

impl Remote {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Inbox {
            messages: ArrayQueue::new(MESSAGES),
            sleeping: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            starved: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            event: eventfd(0, EventfdFlags::CLOEXEC)?,
        })))
    }

    /// Delivers `message` as the token of a completion with
    /// [`Flags::MESSAGE`](crate::Flags::MESSAGE).
    ///
    /// # Errors
    ///
    /// [`PostError`] if it was not delivered.
    pub fn post(&self, message: u64) -> Result<(), PostError> {
        if self.0.closed.load(Ordering::Relaxed) {
            return Err(PostError::Closed);
        }
        self.0.messages.push(message).map_err(|_| PostError::Full)?;
        self.rouse();
        Ok(())
    }

    /// Ends the reactor's current or next wait. Idempotent until that wait.
    pub fn wake(&self) {
        self.0.woken.store(true, Ordering::SeqCst);
        self.rouse();
    }

    /// Wakes a reactor that waits for a buffer, after one was given back.
    pub(crate) fn wake_starved(&self) {
        // Pairs with the fence in `set_starved`: either it sees the buffer or this the flag.
        fence(Ordering::SeqCst);
        if self.0.starved.load(Ordering::Relaxed) && self.0.starved.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Asks for a wake-up when a buffer comes back. Look for one after this, before sleeping.
    pub(crate) fn set_starved(&self) {
        self.0.starved.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Announces sleep; false if there is something to do first.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.0.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let idle = self.0.messages.is_empty() && !self.0.woken.load(Ordering::SeqCst);
        if !idle {
            self.end_sleep();
        }
        idle
    }

    pub(crate) fn end_sleep(&self) {
        self.0.sleeping.store(false, Ordering::Relaxed);
    }

    /// Whether somebody asked for the end of a wait since the last call.
    pub(crate) fn take_woken(&self) -> bool {
        self.0.woken.load(Ordering::Relaxed) && self.0.woken.swap(false, Ordering::SeqCst)
    }

    /// Whether there is a message, or somebody asked for the end of a wait.
    pub(crate) fn is_pending(&self) -> bool {
        !self.0.messages.is_empty() || self.0.woken.load(Ordering::Relaxed)
    }

    pub(crate) fn next_message(&self) -> Option<u64> {
        // Cheaper than `pop`, which writes.
        if self.0.messages.is_empty() { None } else { self.0.messages.pop() }
    }

    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
    }

    /// Becomes readable when the reactor is to wake up.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }

    fn rouse(&self) {
        // Pairs with the fence in `prepare_sleep`: either it sees the message or this the sleep.
        fence(Ordering::SeqCst);
        if self.0.sleeping.load(Ordering::Relaxed) && self.0.sleeping.swap(false, Ordering::SeqCst)
        {
            // Only a counter at its end could refuse, and then the reactor is awake already.
            let _ = rustix::io::write(&self.0.event, &1u64.to_ne_bytes());
        }
    }
}
