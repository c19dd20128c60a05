//! The suites that run optimised, with assertions and overflow checks on: `tests/sim`,
//! `tests/noalloc`.

use super::rust::{cargo, counted, harness_counts};
use super::{Done, Stop};
use crate::process::{Log, Program};
use crate::session::Session;

const SEEDS: u64 = 10_000;
const SEEDS_LONG: u64 = 200_000;

pub(super) fn build(session: &Session, log: &Log) -> Result<(), String> {
    test(session).words("--test sim --test noalloc --no-run").run(log)
}

pub(super) fn row(session: &Session, log: &Log) -> Result<Done, Stop> {
    run_seeds(session, log, 0, SEEDS)
}

/// Seeds that no other row runs.
pub(super) fn long_row(session: &Session, log: &Log) -> Result<Done, Stop> {
    run_seeds(session, log, SEEDS, SEEDS_LONG)
}

pub(super) fn noalloc(session: &Session, log: &Log) -> Result<Done, Stop> {
    let ran = test(session).words("--test noalloc").run(log);
    counted(ran, harness_counts(&log.text()), "")
}

/// Runs `count` seeds from `first` for a person who watches.
///
/// # Errors
/// When a seed fails; what it printed says which.
pub(crate) fn simulate(session: &Session, first: u64, count: u64) -> Result<(), String> {
    seeded(session, first, count).words("--test sim -- --nocapture").run_here()
}

fn run_seeds(session: &Session, log: &Log, first: u64, count: u64) -> Result<Done, Stop> {
    let ran = seeded(session, first, count).words("--test sim").run(log);
    let tests = harness_counts(&log.text());
    let last = first + count - 1;
    let done = counted(ran, tests, "")?;
    Ok(Done {
        passed: done.passed,
        note: format!("seeds {first} to {last}, {} tests", done.passed),
    })
}

fn seeded(session: &Session, first: u64, count: u64) -> Program {
    test(session)
        .env("FOREBAY_SIM_SEED", first.to_string())
        .env("FOREBAY_SIM_COUNT", count.to_string())
}

fn test(session: &Session) -> Program {
    cargo(session).words("test --locked --profile sim --package forebay-tests")
}
