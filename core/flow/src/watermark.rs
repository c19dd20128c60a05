//! A watermark: when a buffer is too full, and when it is empty enough again.

/// Counts what a buffer holds and says when it passes the high mark and when it is back at the
/// low one.
///
/// The distance between the marks keeps a flow that hovers around one level from being stopped and
/// started for every part. The level may go above the high mark: a watermark reports, it does not
/// refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watermark {
    high: u64,
    low: u64,
    level: u64,
    full: bool,
}

/// A mark that was passed. Exhaustive on purpose: there are two marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Crossing {
    /// The level reached the high mark: stop what fills the buffer.
    Full,
    /// The level is back at or below the low mark: let it fill again.
    Free,
}

impl Watermark {
    /// An empty buffer with its two marks. A `low` that is not below `high` counts as one below
    /// it, and a `high` of 0 as 1.
    #[must_use]
    pub fn new(high: u64, low: u64) -> Self {
        let high = high.max(1);
        Self { high, low: low.min(high.saturating_sub(1)), level: 0, full: false }
    }

    /// What the buffer holds.
    #[must_use]
    pub const fn level(&self) -> u64 {
        self.level
    }

    /// Whether the high mark was reached and the low one has not been since.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// `amount` went in. [`Crossing::Full`] once per filling.
    pub const fn add(&mut self, amount: u64) -> Option<Crossing> {
        self.level = self.level.saturating_add(amount);
        if self.full || self.level < self.high {
            return None;
        }
        self.full = true;
        Some(Crossing::Full)
    }

    /// `amount` came out; more than there is empties the buffer. [`Crossing::Free`] once per
    /// filling.
    pub const fn remove(&mut self, amount: u64) -> Option<Crossing> {
        self.level = self.level.saturating_sub(amount);
        if !self.full || self.level > self.low {
            return None;
        }
        self.full = false;
        Some(Crossing::Free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reports_each_mark_once_per_filling() {
        let mut mark = Watermark::new(10, 4);
        assert_eq!(mark.add(9), None);
        assert_eq!(mark.add(1), Some(Crossing::Full));
        assert_eq!(mark.add(5), None);
        assert_eq!(mark.remove(10), None);
        assert!(mark.is_full());
        assert_eq!(mark.remove(1), Some(Crossing::Free));
        assert_eq!(mark.remove(4), None);
        assert_eq!(mark.level(), 0);
    }

    #[test]
    fn marks_that_touch_are_taken_apart() {
        let mut mark = Watermark::new(0, 9);
        assert_eq!(mark.add(1), Some(Crossing::Full));
        assert_eq!(mark.remove(1), Some(Crossing::Free));
    }

    proptest! {
        /// Full and Free alternate, starting with Full, and fit the level at that moment.
        #[test]
        fn crossings_alternate_and_fit_the_level(
            high in 1u64..100,
            low in 0u64..100,
            ops in prop::collection::vec((any::<bool>(), 0u64..60), 0..200),
        ) {
            let mut mark = Watermark::new(high, low);
            let (mut level, mut full) = (0u64, false);
            for (add, amount) in ops {
                let crossing = if add { mark.add(amount) } else { mark.remove(amount) };
                level = if add { level + amount } else { level.saturating_sub(amount) };
                let expected = match full {
                    false if add && level >= high => Some(Crossing::Full),
                    true if !add && level <= low.min(high - 1) => Some(Crossing::Free),
                    false | true => None,
                };
                full ^= expected.is_some();
                prop_assert_eq!(crossing, expected);
                prop_assert_eq!(mark.level(), level);
                prop_assert_eq!(mark.is_full(), full);
            }
        }
    }
}
