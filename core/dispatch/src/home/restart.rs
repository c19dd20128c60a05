//! When a worker may be started again after failures.

use core::time::Duration;

use forebay_core_time::Instant;

use super::config::{FAILURES_MAX, Restart};

/// After so long without a failure the delay begins anew.
const STABLE: Duration = Duration::from_secs(60);
const REMEMBERED: usize = FAILURES_MAX + 1;

/// Backoff and circuit of one worker.
///
/// ```text
///            failure                     failures > limit in window
///   Allowed ────────▶ Backoff(until) ──┬─────────────────────────▶ Open(until)
///      ▲                   │           │                             │ cooldown
///      │◀──────────────────┘ delay     │ failure                     ▼
///      └────────────────────────────── ┼ ───────────────────────── HalfOpen
///                  ready               └─────────────▶ Open
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct Restarts {
    state: State,
    /// Failures since the last stable time.
    row: u32,
    /// The latest failures, in a ring.
    times: [Instant; REMEMBERED],
    count: usize,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Allowed,
    Backoff { until: Instant },
    Open { until: Instant },
    HalfOpen,
}

impl Restarts {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Allowed,
            row: 0,
            times: [Instant::ZERO; REMEMBERED],
            count: 0,
            next: 0,
        }
    }

    /// Whether an instance may be started now.
    pub(super) const fn is_allowed(&self) -> bool {
        matches!(self.state, State::Allowed | State::HalfOpen)
    }

    /// Whether the circuit lets one attempt through.
    pub(super) const fn is_half_open(&self) -> bool {
        matches!(self.state, State::HalfOpen)
    }

    /// Seconds until the next attempt, rounded up, while the circuit is open.
    pub(super) fn open_for(&self, now: Instant) -> Option<u32> {
        match self.state {
            State::Open { until } => {
                let left = until.saturating_since(now).as_nanos().div_ceil(1_000_000_000);
                Some(u32::try_from(left).unwrap_or(u32::MAX).max(1))
            }
            State::Allowed | State::Backoff { .. } | State::HalfOpen => None,
        }
    }

    /// A start failed, or an instance was lost that had been ready since `ready`.
    pub(super) fn handle_failure(
        &mut self,
        now: Instant,
        ready: Option<Instant>,
        config: &Restart,
        random: u32,
    ) {
        if ready.is_some_and(|ready| now.saturating_since(ready) >= STABLE) {
            self.row = 0;
        }
        self.row = self.row.saturating_add(1);
        self.remember(now);
        let too_many = self.recent(now, config.window) > usize::from(config.limit);
        self.state = if too_many || self.is_half_open() {
            State::Open { until: now.saturating_add(config.cooldown) }
        } else {
            let until = now.saturating_add(delay(config, self.row, random));
            match self.state {
                // Another instance's failure never shortens the wait.
                State::Open { until } => State::Open { until },
                State::Backoff { until: before } => State::Backoff { until: before.max(until) },
                State::Allowed | State::HalfOpen => State::Backoff { until },
            }
        };
    }

    /// An instance became ready.
    pub(super) fn handle_ready(&mut self) {
        if self.is_half_open() {
            *self = Self::new();
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Backoff { until } if until.is_reached(now) => self.state = State::Allowed,
            State::Open { until } if until.is_reached(now) => self.state = State::HalfOpen,
            State::Backoff { .. } | State::Open { .. } | State::Allowed | State::HalfOpen => {}
        }
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Backoff { until } | State::Open { until } => Some(until),
            State::Allowed | State::HalfOpen => None,
        }
    }

    fn remember(&mut self, now: Instant) {
        if let Some(place) = self.times.get_mut(self.next) {
            *place = now;
        }
        self.next = self.next.saturating_add(1).checked_rem(REMEMBERED).unwrap_or(0);
        self.count = self.count.saturating_add(1).min(REMEMBERED);
    }

    /// Remembered failures that are at most `window` old.
    fn recent(&self, now: Instant, window: Duration) -> usize {
        let is_recent = |at: &&Instant| now.saturating_since(**at) <= window;
        self.times.iter().take(self.count).filter(is_recent).count()
    }
}

/// `base * factor^(row - 1)`, at most `max`, moved by up to the jitter either way.
fn delay(config: &Restart, row: u32, random: u32) -> Duration {
    let mut delay = config.base;
    for _ in 1..row.min(64) {
        delay = delay.saturating_mul(config.factor).min(config.max);
    }
    let delay = u64::try_from(delay.min(config.max).as_nanos()).unwrap_or(u64::MAX);
    let jitter = u64::from(config.jitter_permille.min(1000));
    // From -jitter to +jitter thousandths: `1000 - jitter` and a random share of twice the jitter.
    let share = (jitter.saturating_mul(2).saturating_mul(u64::from(random))) >> 32;
    let permille = 1000_u64.saturating_sub(jitter).saturating_add(share);
    Duration::from_nanos((delay / 1000).saturating_mul(permille))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Restart = Restart { jitter_permille: 0, ..Restart::DEFAULT };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn the_delay_grows_to_its_limit_and_jitters_both_ways() {
        let ms = |row| delay(&CONFIG, row, 0).as_millis();
        assert_eq!(
            [ms(1), ms(2), ms(3), ms(8), ms(9), ms(90)],
            [200, 400, 800, 25_600, 30_000, 30_000]
        );
        let jittery = Restart::DEFAULT;
        assert_eq!(delay(&jittery, 1, 0).as_millis(), 160);
        assert_eq!(delay(&jittery, 1, 1 << 31).as_millis(), 200);
        assert!((239..=240).contains(&delay(&jittery, 1, u32::MAX).as_millis()));
    }

    #[test]
    fn a_failure_forbids_starts_until_its_delay_is_over() {
        let mut restarts = Restarts::new();
        restarts.handle_failure(at(1000), None, &CONFIG, 0);
        assert!(!restarts.is_allowed());
        assert_eq!(restarts.poll_timeout(), Some(at(1200)));
        restarts.handle_timeout(at(1199));
        assert!(!restarts.is_allowed());
        restarts.handle_timeout(at(1200));
        assert!(restarts.is_allowed());
    }

    #[test]
    fn the_row_begins_anew_after_a_minute_of_readiness() {
        let mut restarts = Restarts::new();
        restarts.handle_failure(at(0), None, &CONFIG, 0);
        restarts.handle_timeout(at(200));
        restarts.handle_failure(at(59_999), Some(at(0)), &CONFIG, 0);
        assert_eq!(restarts.poll_timeout(), Some(at(60_399)), "second of a row");
        restarts.handle_timeout(at(60_399));
        restarts.handle_failure(at(130_000), Some(at(70_000)), &CONFIG, 0);
        assert_eq!(restarts.poll_timeout(), Some(at(130_200)), "first of a row");
    }

    #[test]
    fn too_many_failures_open_the_circuit_and_one_success_closes_it() {
        let mut restarts = Restarts::new();
        for n in 0..5 {
            restarts.handle_failure(at(n * 10_000), None, &CONFIG, 0);
            assert_eq!(restarts.open_for(at(n * 10_000)), None);
            restarts.handle_timeout(at(n * 10_000 + 9_999));
        }
        restarts.handle_failure(at(50_000), None, &CONFIG, 0);
        assert_eq!(restarts.open_for(at(50_000)), Some(30));
        assert_eq!(restarts.open_for(at(79_001)), Some(1));
        restarts.handle_timeout(at(80_000));
        assert!(restarts.is_half_open() && restarts.is_allowed());
        restarts.handle_failure(at(80_100), None, &CONFIG, 0);
        assert_eq!(restarts.open_for(at(80_100)), Some(30), "one attempt only");
        restarts.handle_timeout(at(110_100));
        restarts.handle_ready();
        restarts.handle_failure(at(110_200), None, &CONFIG, 0);
        assert_eq!(restarts.open_for(at(110_200)), None, "closed and forgotten");
    }

    #[test]
    fn failures_outside_the_window_are_not_counted() {
        let mut restarts = Restarts::new();
        for n in 0..20 {
            restarts.handle_failure(at(n * 15_000), None, &CONFIG, 0);
            assert_eq!(restarts.open_for(at(n * 15_000)), None);
            restarts.handle_timeout(at(n * 15_000 + 14_999));
            restarts.row = 0;
        }
    }
}
