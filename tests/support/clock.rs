//! A clock that only the test moves.

use core::time::Duration;

use forebay_core_time::Instant;

/// Time as a test tells it to a machine: it stands still until `advance` or `jump_to`.
#[derive(Debug, Clone)]
pub struct Clock {
    now: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock {
    /// A clock that does not start at the origin: a machine that takes "zero" for "never" shows.
    #[must_use]
    pub const fn new() -> Self {
        Self { now: Instant::from_millis(1_000_000) }
    }

    /// The present.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Moves the clock on, and says what time it is then.
    pub fn advance(&mut self, by: Duration) -> Instant {
        self.now = self.now.saturating_add(by);
        self.now
    }

    /// Moves the clock to `at`, or leaves it when that has passed: a clock never goes back.
    pub fn jump_to(&mut self, at: Instant) -> Instant {
        self.now = self.now.max(at);
        self.now
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Clock;

    #[test]
    fn it_moves_when_told_and_never_back() {
        let mut clock = Clock::new();
        let start = clock.now();
        assert_eq!(clock.now(), start);
        let later = clock.advance(Duration::from_secs(1));
        assert_eq!(later.saturating_since(start), Duration::from_secs(1));
        assert_eq!(clock.jump_to(start), later);
    }
}
