//! What all rounds found, and the ratios inside each round.

use std::collections::HashMap;

use super::measure::Sample;
use super::rows::{Figure, Goal, Row};
use super::server::Contender;
use super::stats::Spread;

type Key = (&'static str, Contender);

/// Samples by row and contender, one per round at most.
#[derive(Debug, Default)]
pub struct Results {
    samples: HashMap<Key, Vec<(usize, Sample)>>,
    failures: HashMap<Key, String>,
}

impl Results {
    pub fn add(&mut self, row: &Row, contender: Contender, round: usize, sample: Sample) {
        self.samples.entry((row.id, contender)).or_default().push((round, sample));
    }

    /// A contender that fails in a row is not measured there any more.
    pub fn fail(&mut self, row: &Row, contender: Contender, reason: String) {
        self.failures.insert((row.id, contender), reason);
    }

    pub fn failure(&self, row: &Row, contender: Contender) -> Option<&str> {
        self.failures.get(&(row.id, contender)).map(String::as_str)
    }

    pub fn is_measured(&self, row: &Row, contender: Contender) -> bool {
        !self.of(row.id, contender).is_empty()
    }

    /// The spread of one figure of a contender over the rounds.
    pub fn figure(
        &self,
        row: &Row,
        contender: Contender,
        figure: fn(&Sample) -> f64,
    ) -> Option<Spread> {
        Spread::of(self.of(row.id, contender).iter().map(|(_, sample)| figure(sample)))
    }

    /// The spread of the ratio of two contenders' figures, each taken inside one round.
    pub fn ratio(
        &self,
        row: &Row,
        contender: Contender,
        base: Contender,
        figure: fn(&Sample) -> f64,
    ) -> Option<Spread> {
        let base = self.of(row.id, base);
        Spread::of(self.of(row.id, contender).iter().filter_map(|(round, sample)| {
            let (_, base) = base.iter().find(|(other, _)| other == round)?;
            Some(figure(sample) / figure(base))
        }))
    }

    /// What `forebay` reached of a goal.
    pub fn reached(&self, row: &Row, goal: &Goal) -> Option<Spread> {
        let ours = Contender::Forebay;
        match goal.figure {
            Figure::Cpu => self.against(row, goal, |sample| sample.server_ns),
            Figure::Resident => self.against(row, goal, |sample| sample.resident),
            Figure::IdleMiB => {
                self.figure(row, ours, |sample| sample.idle_resident / f64::from(1 << 20))
            }
            Figure::Allocations => self.figure(row, ours, |sample| sample.allocations),
            Figure::Copies => self.figure(row, ours, |sample| sample.copies),
            Figure::BytesPerConnection => self.figure(row, ours, |sample| sample.per_connection),
            Figure::AddedLatency => self.against(row, goal, |sample| sample.added_us),
        }
    }

    /// The ratio to the peer that is the hardest to beat, by the medians.
    fn against(&self, row: &Row, goal: &Goal, figure: fn(&Sample) -> f64) -> Option<Spread> {
        let ratio = |base: &Contender| self.ratio(row, Contender::Forebay, *base, figure);
        let ratios = goal.against.iter().filter_map(ratio);
        ratios.max_by(|a, b| a.median.total_cmp(&b.median))
    }

    fn of(&self, row: &'static str, contender: Contender) -> &[(usize, Sample)] {
        self.samples.get(&(row, contender)).map_or(&[], Vec::as_slice)
    }
}
