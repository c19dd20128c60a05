//! Two sans-IO ends joined in memory, in one thread, with a clock that the test moves.

use core::time::Duration;
use std::collections::VecDeque;

use forebay_core_time::{Instant, earliest};

use crate::chopper::Chopper;
use crate::clock::Clock;

/// One end of a connection, as a machine of `core` is driven.
pub trait End {
    /// Takes bytes that arrived, and says how many; it sees the rest again, with what came since.
    fn handle_bytes(&mut self, now: Instant, input: &[u8]) -> usize;
    /// The other side will send no more.
    fn handle_eof(&mut self, now: Instant);
    /// Time passed; early or repeated calls are harmless.
    fn handle_timeout(&mut self, now: Instant);
    /// When `handle_timeout` wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
    /// Appends what it wants to send.
    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>);
    /// Whether it will send no more: the other side then sees the end.
    fn is_finished(&self) -> bool;
}

/// Bytes on their way in one direction.
#[derive(Debug, Default)]
struct Pipe {
    sent: VecDeque<u8>,
    /// Arrived and not taken.
    arrived: Vec<u8>,
    ended: bool,
    end_told: bool,
}

/// Two ends and what is on its way between them.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// One side, for assertions and for what a test wants it to do.
    pub left: A,
    /// The other.
    pub right: B,
    /// The time both sides see.
    pub clock: Clock,
    to_right: Pipe,
    to_left: Pipe,
    chopper: Chopper,
}

impl<A: End, B: End> Pair<A, B> {
    /// Joins two ends; `seed` decides where the bytes between them are cut.
    #[must_use]
    pub fn new(left: A, right: B, seed: u64) -> Self {
        let (to_right, to_left) = (Pipe::default(), Pipe::default());
        Self { left, right, clock: Clock::new(), to_right, to_left, chopper: Chopper::new(seed) }
    }

    /// Moves one piece in each direction. `false` when nothing moved.
    pub fn step(&mut self) -> bool {
        let now = self.clock.now();
        let Self { left, right, to_right, to_left, chopper, .. } = self;
        let right_moved = carry(now, left, right, to_right, chopper);
        let left_moved = carry(now, right, left, to_left, chopper);
        right_moved || left_moved
    }

    /// Moves bytes until none is on its way; time stands still.
    ///
    /// # Panics
    /// After a million steps: the two sides never stop talking.
    pub fn settle(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step() {
                return;
            }
        }
        panic!("a million steps, and still bytes on their way");
    }

    /// When the next timeout of either side is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.left.poll_timeout(), self.right.poll_timeout())
    }

    /// Lets `duration` pass, with every timeout in it at its time, and bytes moved after each.
    pub fn run(&mut self, duration: Duration) {
        let end = self.clock.now().saturating_add(duration);
        self.settle();
        while let Some(at) = self.poll_timeout().filter(|at| *at <= end) {
            // A timeout that is due already does not stop the clock for ever.
            let now = self.clock.now();
            let next = at.max(now.saturating_add(Duration::from_nanos(1)));
            self.clock.jump_to(next.min(end));
            self.tell_time();
            if next >= end {
                return;
            }
        }
        self.clock.jump_to(end);
        self.tell_time();
    }

    /// The left side vanishes: what it had sent still arrives, then the end.
    pub fn cut_left(&mut self) {
        self.to_right.ended = true;
        self.settle();
    }

    /// The right side vanishes: what it had sent still arrives, then the end.
    pub fn cut_right(&mut self) {
        self.to_left.ended = true;
        self.settle();
    }

    fn tell_time(&mut self) {
        let now = self.clock.now();
        self.left.handle_timeout(now);
        self.right.handle_timeout(now);
        self.settle();
    }
}

/// Moves what `from` sends one piece further towards `to`. `false` when nothing moved.
fn carry(
    now: Instant,
    from: &mut impl End,
    to: &mut impl End,
    pipe: &mut Pipe,
    chopper: &mut Chopper,
) -> bool {
    if !pipe.ended {
        let mut out = Vec::new();
        from.poll_transmit(now, &mut out);
        pipe.sent.extend(out);
        pipe.ended = from.is_finished();
    }
    let len = chopper.next_len(pipe.sent.len());
    pipe.arrived.extend(pipe.sent.drain(..len));
    let used = if pipe.arrived.is_empty() { 0 } else { to.handle_bytes(now, &pipe.arrived) };
    assert!(used <= pipe.arrived.len(), "took {used} of {} bytes", pipe.arrived.len());
    pipe.arrived.drain(..used);
    let over = pipe.ended && pipe.sent.is_empty() && used == 0 && !pipe.end_told;
    if over {
        pipe.end_told = true;
        to.handle_eof(now);
    }
    len > 0 || used > 0 || over
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use forebay_core_time::Instant;

    use super::{End, Pair};

    /// Sends `pings` bytes, one for each answer, and gives up after ten seconds without one.
    #[derive(Debug, Default)]
    struct Pinger {
        pings: usize,
        heard: usize,
        waiting_since: Option<Instant>,
        gave_up: bool,
        ended: bool,
    }

    impl End for Pinger {
        fn handle_bytes(&mut self, _: Instant, input: &[u8]) -> usize {
            self.heard += input.len();
            self.waiting_since = None;
            input.len()
        }

        fn handle_eof(&mut self, _: Instant) {
            self.ended = true;
        }

        fn handle_timeout(&mut self, now: Instant) {
            self.gave_up |= self.poll_timeout().is_some_and(|at| at <= now);
        }

        fn poll_timeout(&self) -> Option<Instant> {
            let since = self.waiting_since.filter(|_| !self.gave_up)?;
            Some(since.saturating_add(Duration::from_secs(10)))
        }

        fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) {
            if self.pings > 0 && self.waiting_since.is_none() {
                self.pings -= 1;
                self.waiting_since = Some(now);
                out.push(b'p');
            }
        }

        fn is_finished(&self) -> bool {
            self.gave_up
        }
    }

    /// Answers each byte, or none.
    #[derive(Debug, Default)]
    struct Echo {
        owed: usize,
        deaf: bool,
        ended: bool,
    }

    impl End for Echo {
        fn handle_bytes(&mut self, _: Instant, input: &[u8]) -> usize {
            self.owed += if self.deaf { 0 } else { input.len() };
            input.len()
        }

        fn handle_eof(&mut self, _: Instant) {
            self.ended = true;
        }

        fn handle_timeout(&mut self, _: Instant) {}

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }

        fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) {
            out.resize(out.len() + core::mem::take(&mut self.owed), b'e');
        }

        fn is_finished(&self) -> bool {
            false
        }
    }

    #[test]
    fn bytes_travel_both_ways_until_nothing_moves() {
        let pinger = Pinger { pings: 100, ..Pinger::default() };
        let mut pair = Pair::new(pinger, Echo::default(), 1);
        pair.settle();
        assert_eq!((pair.left.pings, pair.left.heard), (0, 100));
    }

    #[test]
    fn a_timeout_happens_at_its_time() {
        let pinger = Pinger { pings: 1, ..Pinger::default() };
        let mut pair = Pair::new(pinger, Echo { deaf: true, ..Echo::default() }, 1);
        pair.run(Duration::from_millis(9_999));
        assert!(!pair.left.gave_up);
        pair.run(Duration::from_millis(1));
        assert!(pair.left.gave_up && pair.right.ended);
    }

    #[test]
    fn an_end_that_vanishes_is_seen_after_its_bytes() {
        let mut pair = Pair::new(Pinger::default(), Echo { owed: 3, ..Echo::default() }, 1);
        pair.step();
        pair.cut_right();
        assert!(pair.left.ended);
        assert_eq!(pair.left.heard, 3);
    }
}
