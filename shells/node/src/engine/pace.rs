//! How long the engine has waited lately.

use core::cell::Cell;
use core::time::Duration;
use std::time::Instant;

/// What was waited for lately.
#[derive(Default)]
pub(super) struct Pace {
    /// Since when there is nothing to do.
    idle_since: Cell<Option<Instant>>,
    /// How many waits in a row were short.
    short: Cell<u32>,
}

/// A wait that is not worth sleeping.
const SHORT: Duration = Duration::from_micros(50);
/// So many short waits make the next one likely to be short.
const LIKELY: u32 = 16;

impl Pace {
    /// There is nothing to do.
    pub(super) fn rests(&self) {
        if self.idle_since.get().is_none() {
            self.idle_since.set(Some(Instant::now()));
        }
    }

    /// Something came that was waited for.
    pub(super) fn works(&self) {
        if let Some(since) = self.idle_since.take() {
            let short = since.elapsed() < SHORT;
            self.short.set(if short { self.short.get().saturating_add(1) } else { 0 });
        }
    }

    /// What was short is so no more.
    pub(super) fn is_late(&self) {
        self.short.set(0);
    }

    /// Whether commands and answers come one upon the other.
    pub(super) const fn is_quick(&self) -> bool {
        self.short.get() >= LIKELY
    }
}
