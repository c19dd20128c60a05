//! `wall`: in process, ns per operation beside the peers. `wall [ROUNDS [MILLISECONDS]]`: 15
//! rounds, 20 ms for each case and round.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wall::measure::{Times, quantile};
use wall::rows::{Goal, ROWS, Row};

/// Where the load generator runs too: the other CPU takes the machine's interrupts.
const CPU: usize = 1;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<usize>());
    let mut number = |default| numbers.next().map_or(default, |n| n.expect("a number"));
    let (rounds, milliseconds) = (number(15), number(20));
    let mut set = rustix::thread::CpuSet::new();
    set.set(CPU);
    // On a machine with one CPU the figures are as good as they get there.
    let _ = rustix::thread::sched_setaffinity(None, &set);
    let wanted: Vec<_> =
        ROWS.iter().flat_map(|row| [Some(row.case), row.against]).flatten().collect();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    let span = Duration::from_millis(milliseconds as u64);
    let times = Times::measure(&wanted, rounds, span, seed);
    println!("In process: {rounds} rounds of {milliseconds} ms.\n");
    println!("| what | ns | against | ns | ratio (quarters) | goal | verdict |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    ROWS.iter().for_each(|row| println!("{}", line(row, &times)));
}

fn line(row: &Row, times: &Times) -> String {
    let mut own = times.of(row.case).to_vec();
    let other = row.against.map_or(&[][..], |name| times.of(name));
    let mut ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    let own = quantile(&mut own, 0.5);
    let ratio = quantile(&mut ratios, 0.5);
    let shown = if ratios.is_empty() {
        "-".to_owned()
    } else {
        let (low, high) = (quantile(&mut ratios, 0.25), quantile(&mut ratios, 0.75));
        format!("{ratio:.3} ({low:.3} to {high:.3})")
    };
    let verdict = |reached| if reached { "reached" } else { "missed" };
    let (goal, verdict) = match row.goal {
        Goal::Ratio(at_most) => (format!("{at_most:.2}"), verdict(ratio <= at_most)),
        Goal::Ns(at_most) => (format!("{at_most:.0} ns"), verdict(own <= at_most)),
        Goal::None => ("-".to_owned(), "-"),
    };
    let mut other = other.to_vec();
    let other = if other.is_empty() { "-".to_owned() } else { ns(quantile(&mut other, 0.5)) };
    let (case, against, own) = (row.case, row.against.unwrap_or("-"), ns(own));
    format!("| {case} | {own} | {against} | {other} | {shown} | {goal} | {verdict} |")
}

fn ns(value: f64) -> String {
    if value < 1000.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}
