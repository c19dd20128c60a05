//! The tables of workers.

use std::fmt::Write as _;

use super::rows::{Contender, Figure, Goal, Row};
use super::{Sample, Samples};
use crate::run::Spread;

/// All rows, each with its goals.
pub fn markdown(rows: &[&Row], samples: &Samples) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "### {}\n", row.title);
        let _ = writeln!(
            text,
            "| who | CPU ns per request | to the first | requests/s | p50 us | p99 us | resident MB | peak MB |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |"
        );
        for contender in row.contenders {
            let _ = writeln!(text, "{}", line(row, *contender, samples));
        }
        text.push('\n');
        for goal in row.goals {
            let _ = writeln!(text, "- {}", outcome(row, goal, samples));
        }
        text.push('\n');
    }
    text
}

fn line(row: &Row, contender: Contender, samples: &Samples) -> String {
    let of = match samples.get(&(row.id, contender)) {
        Some(Ok(of)) => of,
        Some(Err(reason)) => {
            let reason = reason.replace(['\n', '|'], " ");
            return format!("| {} | failed: {reason} | | | | | | |", contender.name());
        }
        None => return String::new(),
    };
    let median = |figure: fn(&Sample) -> f64, digits: usize| {
        // A figure that the row does not have is 0.
        let spread = Spread::of(of.iter().map(figure)).filter(|spread| spread.median > 0.0);
        spread.map_or("-".to_owned(), |spread| format!("{:.digits$}", spread.median))
    };
    let first = row.contenders.first().copied().unwrap_or(contender);
    let ratio = ratio(row, contender, first, samples, |sample| sample.cpu_ns);
    let ratio = ratio.filter(|ratio| ratio.median.is_finite()).map_or("-".to_owned(), show);
    format!(
        "| {} | {} | {ratio} | {} | {} | {} | {} | {} |",
        contender.name(),
        median(|sample| sample.cpu_ns, 0),
        median(|sample| sample.per_second, 0),
        median(|sample| sample.p50_us, 1),
        median(|sample| sample.p99_us, 1),
        median(|sample| sample.resident / 1e6, 2),
        median(|sample| sample.peak / 1e6, 2),
    )
}

/// The ratio of two contenders' figures inside each round.
fn ratio(
    row: &Row,
    ours: Contender,
    base: Contender,
    samples: &Samples,
    figure: impl Fn(&Sample) -> f64,
) -> Option<Spread> {
    let of = |contender| samples.get(&(row.id, contender))?.as_ref().ok();
    let pairs = of(ours)?.iter().zip(of(base)?);
    Spread::of(pairs.map(|(ours, base)| figure(ours) / figure(base)))
}

fn show(spread: Spread) -> String {
    format!("{:.3} ({:.3} to {:.3})", spread.median, spread.low, spread.high)
}

fn outcome(row: &Row, goal: &Goal, samples: &Samples) -> String {
    let (what, at_least): (&str, bool) = match goal.figure {
        Figure::Cpu => ("CPU", false),
        Figure::P50 => ("p50", false),
        Figure::P99Us => ("p99, us", false),
        Figure::PerSecond => ("requests/s", true),
        Figure::Throughput => ("MB/s each way", true),
        Figure::PeakMb => ("peak memory, MB", false),
        Figure::ResidentMb => ("resident memory, MB", false),
    };
    let figure = |sample: &Sample| match goal.figure {
        Figure::Cpu => sample.cpu_ns,
        Figure::P50 => sample.p50_us,
        Figure::P99Us => sample.p99_us,
        Figure::PerSecond => sample.per_second,
        Figure::Throughput => sample.per_second * row.len as f64 / 1e6,
        Figure::PeakMb => sample.peak / 1e6,
        Figure::ResidentMb => sample.resident / 1e6,
    };
    let reached = match goal.against {
        Some(base) => ratio(row, goal.ours, base, samples, figure),
        None => samples.get(&(row.id, goal.ours)).and_then(|of| {
            let of = of.as_ref().ok()?;
            Spread::of(of.iter().map(figure))
        }),
    };
    let beside = goal.against.map_or(String::new(), |base| format!(" of {}'s", base.name()));
    let bound = if at_least { "at least" } else { "at most" };
    let Some(reached) = reached else { return format!("{what}{beside}: not measured") };
    let met = if at_least { reached.median >= goal.limit } else { reached.median <= goal.limit };
    let verdict = if met { "reached" } else { "**missed**" };
    let ours = goal.ours.name();
    format!("{ours}, {what}{beside}: {} ({bound} {}): {verdict}", show(reached), goal.limit)
}
