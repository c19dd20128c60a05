//! Medians and spreads.

/// The median of values, and the quarter points around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    /// None without values.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = share * values.len().saturating_sub(1) as f64;
            let (below, above) = (place.floor() as usize, place.ceil() as usize);
            let weight = place - place.floor();
            Some(values.get(below)? * (1.0 - weight) + values.get(above)? * weight)
        };
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }
}

/// A generator of shuffles (xorshift64*), so that a run can be repeated in the same order.
#[derive(Debug)]
pub struct Shuffler(u64);

impl Shuffler {
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }
}

#[cfg(test)]
mod tests {
    use super::{Shuffler, Spread};

    #[test]
    fn a_median_lies_between_its_quarters() {
        let spread = Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!(spread, Some(Spread { median: 3.0, low: 2.0, high: 4.0 }));
        let even = Spread::of([1.0, 2.0]).unwrap();
        assert_eq!(even.median, 1.5);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_some() {
        let mut items: Vec<_> = (0..50).collect();
        Shuffler::new(7).shuffle(&mut items);
        assert!(items.iter().enumerate().any(|(index, item)| index != *item));
        items.sort_unstable();
        assert!(items.into_iter().eq(0..50));
    }
}
