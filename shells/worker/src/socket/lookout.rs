//! Looking for the next bytes instead of sleeping, while that pays.

use core::hint;
use core::task::Poll;
use core::time::Duration;
use std::time::Instant;

/// About what it takes to put a thread to sleep and to wake it: a look that succeeds costs no more
/// than the sleep that it replaces.
const LOOK_TIME: Duration = Duration::from_micros(5);

/// Looks that are left out, at most, after those that were in vain.
const LEFT_OUT_MAX: u32 = 256;

/// Whether the peer is of the kind that goes on at once. One that does is seen before the thread
/// would have fallen asleep; for others the looks soon become rare.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    due: bool,
    /// How many looks the last one in vain made to be left out.
    left_out: u32,
    /// How many of them are still to be.
    skip: u32,
}

impl Lookout {
    /// The peer may go on now.
    pub(super) fn expect(&mut self) {
        self.due = true;
    }

    /// If something is expected, looks for it for a moment.
    pub(super) fn look<T>(&mut self, mut at: impl FnMut() -> Poll<T>) -> Poll<T> {
        if !core::mem::take(&mut self.due) {
            return Poll::Pending;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Poll::Pending;
        }
        let start = Instant::now();
        // At least once, however long the thread was kept from it.
        loop {
            if let Poll::Ready(seen) = at() {
                self.left_out = 0;
                return Poll::Ready(seen);
            }
            if start.elapsed() >= LOOK_TIME {
                break;
            }
            hint::spin_loop();
        }
        self.left_out = (2 * self.left_out).clamp(1, LEFT_OUT_MAX);
        self.skip = self.left_out;
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of `count` expectations are looked for, when the peer has gone on or not.
    fn looks(lookout: &mut Lookout, count: usize, seen: Poll<()>) -> usize {
        let expectations = (0..count).filter(|_| {
            let mut looked = false;
            lookout.expect();
            let outcome = lookout.look(|| {
                looked = true;
                seen
            });
            assert_eq!(outcome.is_ready(), looked && seen.is_ready());
            looked
        });
        expectations.count()
    }

    /// Nobody polls without a reason, once for each.
    #[test]
    fn only_what_is_expected_is_looked_for() {
        let mut lookout = Lookout::default();
        assert_eq!(lookout.look(|| Poll::Ready(())), Poll::Pending);
        lookout.expect();
        assert_eq!(lookout.look(|| Poll::Ready(())), Poll::Ready(()));
        assert_eq!(lookout.look(|| Poll::Ready(())), Poll::Pending);
    }

    /// A peer that takes its time costs next to nothing, one that does not is always seen.
    #[test]
    fn looks_in_vain_become_rare() {
        let mut lookout = Lookout::default();
        assert_eq!(looks(&mut lookout, 1000, Poll::Ready(())), 1000);
        assert!(looks(&mut lookout, 10_000, Poll::Pending) < 60);
        // The next one that is seen restores it.
        assert!(looks(&mut lookout, 1000, Poll::Ready(())) > 700);
        assert_eq!(looks(&mut lookout, 1000, Poll::Ready(())), 1000);
    }
}
