//! Timing: interleaved rounds in shuffled order, the median batch of each.

use std::time::{Duration, Instant};

use crate::cases::{self, Case, Named};

/// ns per operation of every wanted case, one value for each round.
#[derive(Debug)]
pub struct Times(Vec<(&'static str, Vec<f64>)>);

impl Times {
    /// Measures the cases that `wanted` names, each for `span` per round.
    pub fn measure(wanted: &[&str], rounds: usize, span: Duration, seed: u64) -> Self {
        let chosen: Vec<&Named> =
            cases::ALL.iter().filter(|case| wanted.contains(&case.name)).collect();
        let mut built: Vec<_> = chosen.iter().map(|case| (case.build)()).collect();
        let mut times: Vec<_> = chosen.iter().map(|case| (case.name, Vec::new())).collect();
        let mut order: Vec<usize> = (0..built.len()).collect();
        let mut state = seed | 1;
        for _ in 0..rounds {
            shuffle(&mut order, &mut state);
            for &index in &order {
                times[index].1.push(median_batch(built[index].as_mut(), span));
            }
        }
        Self(times)
    }

    /// The values of one case, by round; empty if it was not measured.
    pub fn of(&self, name: &str) -> &[f64] {
        self.0.iter().find(|(other, _)| *other == name).map_or(&[], |(_, values)| values)
    }
}

/// ns per operation of the median batch. A batch takes microseconds, so that an interruption falls
/// into few of them, and the clock (read twice, about 20 ns each) is small beside it.
fn median_batch(case: &mut dyn Case, span: Duration) -> f64 {
    let mut batches = Vec::new();
    let end = Instant::now() + span;
    while batches.len() < 3 || Instant::now() < end {
        case.prepare();
        let start = Instant::now();
        let count = case.run();
        let took = start.elapsed();
        batches.push(took.as_nanos() as f64 / count as f64);
    }
    quantile(&mut batches, 0.5)
}

/// The value below which `share` of the values lie; 0 without values.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (share * values.len().saturating_sub(1) as f64).round() as usize;
    values.get(place).copied().unwrap_or(0.0)
}

fn shuffle(items: &mut [usize], state: &mut u64) {
    for last in (1..items.len()).rev() {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        items.swap(last, *state as usize % (last + 1));
    }
}
