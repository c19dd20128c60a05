use std::io;

use core::time::Duration;

use forebay_core_completion::OpId;
use rustix::io::Errno;

use super::{epoll::Epoll, uring::Uring};
use crate::reactor::State;
use crate::{Handle, PoolClass};

/// The backend that runs. Chosen once; each call is one branch on it.
#[derive(Debug)]
pub(crate) enum Driver {
    Uring(Box<Uring>),
    Epoll(Epoll),
}

impl Wait {
    pub(crate) fn is_never(self) -> bool {
        match self {
            Self::Never => true,
            Self::For(time) => time.is_zero(),
            Self::Forever => false,
        }
    }
}

/// How long a turn may wait for the first completion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Not at all.
    Never,
    /// This long.
    For(Duration),
    /// Without end.
    Forever,
}

impl Driver {
    /// A handle was made: watch it, if the backend has to.
    pub(crate) fn attach(&mut self, state: &mut State, handle: Handle) -> Result<(), Errno> {
        match self {
            Self::Uring(_) => Ok(()),
            Self::Epoll(epoll) => epoll.attach(state, handle),
        }
    }

    /// A handle leaves the reactor with its descriptor open: watch it no longer.
    pub(crate) fn detach(&mut self, state: &mut State, handle: Handle) {
        match self {
            Self::Uring(_) => {}
            Self::Epoll(epoll) => epoll.detach(state, handle),
        }
    }

    /// It is this operation's turn. False if the backend has no room for it.
    pub(crate) fn start(&mut self, state: &mut State, id: OpId) -> bool {
        match self {
            Self::Uring(uring) => uring.start(state, id),
            Self::Epoll(epoll) => {
                epoll.start(state, id);
                true
            }
        }
    }

    /// Asks for the end of an operation that was started.
    pub(crate) fn cancel(&mut self, state: &mut State, id: OpId) {
        match self {
            Self::Uring(uring) => uring.cancel(id),
            Self::Epoll(_) => state.fail(id, Errno::CANCELED),
        }
    }

    /// Starts the operations whose turn has come because others have ended.
    pub(crate) fn start_turns(&mut self, state: &mut State) {
        while let Some(id) = state.turns.pop() {
            match self {
                Self::Uring(uring) => uring.start_later(state, id),
                Self::Epoll(epoll) => epoll.start(state, id),
            }
        }
    }

    /// Whether a turn has work that no OS event will tell.
    pub(crate) fn has_work(&self) -> bool {
        match self {
            Self::Uring(uring) => uring.has_backlog(),
            Self::Epoll(epoll) => epoll.has_runnable(),
        }
    }

    /// Whether receives of `class` find a buffer.
    pub(crate) fn has_buffers(&mut self, state: &mut State, class: PoolClass) -> bool {
        match self {
            Self::Uring(uring) => uring.has_buffers(state, class),
            Self::Epoll(_) => state.pools[class.index()].is_available(),
        }
    }

    /// Submits, waits, and turns what the OS tells into completions.
    pub(crate) fn turn(&mut self, state: &mut State, wait: Wait) -> io::Result<()> {
        match self {
            Self::Uring(uring) => uring.turn(state, wait),
            Self::Epoll(epoll) => epoll.turn(state, wait),
        }
    }

    /// Ends all operations; false if the OS may still use their memory, which is to be leaked then.
    pub(crate) fn shutdown(&mut self, state: &mut State) -> bool {
        match self {
            Self::Uring(uring) => uring.shutdown(state),
            Self::Epoll(_) => true,
        }
    }
}
