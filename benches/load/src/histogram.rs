//! Latencies in buckets that are at most 1/32 wide.

const SUB_BITS: u32 = 5;
const SUB_COUNT: usize = 1 << SUB_BITS;

/// Counts of values in ns; exact below 32, within 3 % above.
#[derive(Debug)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; SUB_COUNT * 64], total: 0 }
    }
}

impl Histogram {
    pub fn record(&mut self, ns: u64, count: u64) {
        self.counts[bucket(ns)] += count;
        self.total += count;
    }

    /// The middle of the bucket below which `share` of the values lie; 0 without values.
    pub fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                return middle(index);
            }
        }
        0
    }
}

fn bucket(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(SUB_BITS + 1);
    shift as usize * SUB_COUNT + (ns >> shift) as usize
}

fn middle(index: usize) -> u64 {
    let shift = (index / SUB_COUNT).saturating_sub(1);
    let base = (index - shift * SUB_COUNT) as u64;
    (base << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, bucket, middle};

    #[test]
    fn buckets_are_at_most_a_thirty_second_wide() {
        let mut last = 0;
        for ns in 0..100_000_u64 {
            let index = bucket(ns);
            assert!(index == last || index == last + 1, "{ns}");
            last = index;
            assert!(middle(index).abs_diff(ns) * 32 <= ns, "{ns} {}", middle(index));
        }
    }

    #[test]
    fn quantiles_are_where_the_values_are() {
        let mut histogram = Histogram::default();
        histogram.record(10, 99);
        histogram.record(20_000, 1);
        assert_eq!(histogram.quantile(0.5), 10);
        assert_eq!(histogram.quantile(0.99), 10);
        assert!(histogram.quantile(0.999).abs_diff(20_000) < 700);
    }
}
