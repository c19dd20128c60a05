use crate::OpId;

/// The two directions of a handle; each has its own readiness and its own queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Receives and accepts.
    Read,
    /// Sends and connects.
    Write,
}

/// What is known about one handle: whether a call in a direction may succeed, and what has ended.
///
/// The emulation rule (a completion loop over readiness):
///
/// - an operation tries its call while the direction's bit is set (a new handle's are), unless
///   others are queued before it;
/// - "would block" clears the bit, and the operation waits in the direction's queue;
/// - a short read or write clears it too, unless an end or error of the stream is pending, which
///   only a further call would report;
/// - an edge sets the bit, and the queue runs until "would block", empty, or over [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    read: bool,
    write: bool,
    ended: bool,
}

impl Readiness {
    /// Nothing is known: every first call is tried.
    pub const UNKNOWN: Self = Self { read: true, write: true, ended: false };

    /// Whether a call in `direction` is worth trying.
    #[must_use]
    pub const fn may_try(&self, direction: Direction) -> bool {
        match direction {
            Direction::Read => self.read,
            Direction::Write => self.write,
        }
    }

    /// The call said "would block".
    pub const fn handle_would_block(&mut self, direction: Direction) {
        match direction {
            Direction::Read => self.read = false,
            Direction::Write => self.write = false,
        }
    }

    /// The call moved fewer bytes than it could have; true if nothing more is to be had now.
    pub const fn handle_short(&mut self, direction: Direction) -> bool {
        if !self.ended {
            self.handle_would_block(direction);
        }
        !self.ended
    }

    /// The OS told an edge; `ended` if it also told of an end or an error of the stream.
    pub const fn handle_edge(&mut self, readable: bool, writable: bool, ended: bool) {
        self.ended |= ended;
        self.read |= readable | ended;
        self.write |= writable | ended;
    }

    /// Whether an end or an error of the stream was told.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }
}

/// What one handle may do for one edge before others have their turn: 32 operations or 256 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    ops: u32,
    bytes: u32,
}

impl Budget {
    /// A whole budget.
    pub const FULL: Self = Self { ops: 32, bytes: 256 * 1024 };

    /// Takes one operation of `bytes` bytes off; false once nothing is left.
    #[must_use]
    pub const fn spend(&mut self, bytes: u32) -> bool {
        self.ops = self.ops.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.ops > 0 && self.bytes > 0
    }
}

/// First and last of the operations queued on one direction; their links are in the op table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    pub(crate) first: Option<OpId>,
    pub(crate) last: Option<OpId>,
}

impl Queue {
    /// A queue without operations.
    pub const EMPTY: Self = Self { first: None, last: None };

    /// The operation whose turn it is.
    #[must_use]
    pub const fn first(&self) -> Option<OpId> {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_read_before_an_end_is_followed_by_a_further_try() {
        let mut readiness = Readiness::UNKNOWN;
        assert!(readiness.handle_short(Direction::Read));
        assert!(!readiness.may_try(Direction::Read) && readiness.may_try(Direction::Write));
        readiness.handle_edge(true, false, true);
        assert!(readiness.has_ended() && readiness.may_try(Direction::Write));
        assert!(!readiness.handle_short(Direction::Read));
        assert!(readiness.may_try(Direction::Read), "only a further read reports the end");
    }

    #[test]
    fn a_budget_ends_by_operations_or_by_bytes() {
        let mut budget = Budget::FULL;
        assert_eq!((0..100).take_while(|_| budget.spend(1)).count(), 31);
        let mut budget = Budget::FULL;
        assert_eq!((0..100).take_while(|_| budget.spend(64 * 1024)).count(), 3);
    }

    /// A stream socket with an edge-triggered watch: an edge for every arrival and for the end.
    #[derive(Default)]
    struct Socket {
        bytes: usize,
        end: bool,
        edge: bool,
    }

    /// Tries reads of `room` bytes by the rule; whether the end was read.
    fn run(
        readiness: &mut Readiness,
        socket: &mut Socket,
        room: usize,
        late: &mut Vec<usize>,
    ) -> bool {
        while readiness.may_try(Direction::Read) {
            let len = room.min(socket.bytes);
            socket.bytes -= len;
            if len == 0 {
                if socket.end {
                    return true;
                }
                readiness.handle_would_block(Direction::Read);
            } else if len < room && readiness.handle_short(Direction::Read) {
                // More comes between the call and the next look at the OS.
                if let Some(more) = late.pop() {
                    socket.bytes += more;
                    socket.edge |= more > 0;
                }
                return false;
            }
        }
        false
    }

    proptest! {
        /// reactor.md 1.7: once no edge is pending, everything that arrived was read, and the end.
        #[test]
        fn no_byte_and_no_end_is_left_behind(
            arrivals in prop::collection::vec(0usize..9000, 1..40),
            mut late in prop::collection::vec(0usize..3000, 0..40),
            room in 1usize..5000,
        ) {
            let mut readiness = Readiness::UNKNOWN;
            let mut socket = Socket::default();
            let mut ended = run(&mut readiness, &mut socket, room, &mut late);
            let last = arrivals.len();
            for (at, len) in arrivals.into_iter().enumerate() {
                socket.bytes += len;
                socket.end = at + 1 == last;
                socket.edge = len > 0 || socket.end;
                while core::mem::take(&mut socket.edge) {
                    readiness.handle_edge(true, false, socket.end);
                    ended |= run(&mut readiness, &mut socket, room, &mut late);
                }
                prop_assert_eq!(socket.bytes, 0);
            }
            prop_assert!(ended);
        }
    }
}
