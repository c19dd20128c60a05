use core::time::Duration;
use std::time::Instant;

/// Looking for completions before sleeping, for a bounded time and only while that pays.
#[derive(Debug)]
pub(crate) struct Spin {
    limit: Duration,
    /// Rounds in a row that found nothing.
    failures: u32,
    /// Rounds to leave out.
    pause: u32,
}

/// One round.
#[derive(Debug)]
pub(crate) struct Round(Option<Instant>);

/// After so many failures in a row, as many rounds are left out, twice as many each time.
const FAILURES: u32 = 8;
const PAUSE_MAX: u32 = 256;

impl Spin {
    pub(crate) const fn new(limit: Duration) -> Self {
        Self { limit, failures: 0, pause: 0 }
    }

    pub(crate) fn start(&mut self) -> Round {
        if self.limit.is_zero() {
            return Round(None);
        }
        if self.pause > 0 {
            self.pause -= 1;
            return Round(None);
        }
        Round(Some(Instant::now() + self.limit))
    }

    /// A round that took place has ended.
    pub(crate) fn end(&mut self, found: bool) {
        if found {
            self.failures = 0;
            return;
        }
        if self.pause == 0 {
            self.failures = self.failures.saturating_add(1);
            if self.failures >= FAILURES {
                self.pause = self.failures.saturating_mul(2).min(PAUSE_MAX);
            }
        }
    }
}

impl Round {
    pub(crate) fn goes_on(&mut self) -> bool {
        self.0.is_some_and(|end| Instant::now() < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_up_for_a_while_when_nothing_is_ever_found() {
        let mut spin = Spin::new(Duration::from_secs(1));
        for _ in 0..FAILURES {
            assert!(spin.start().goes_on());
            spin.end(false);
        }
        let left_out = (0..100).take_while(|_| !spin.start().goes_on()).count();
        assert_eq!(left_out, 16);
        assert!(spin.start().goes_on());
        spin.end(true);
        assert!(spin.start().goes_on());
    }

    #[test]
    fn it_is_off_without_a_limit() {
        assert!(!Spin::new(Duration::ZERO).start().goes_on());
    }
}
