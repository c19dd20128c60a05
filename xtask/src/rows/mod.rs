//! Rows: one check each, with its tools, its log and its line in the final table.

mod audit;
mod bare;
mod benches;
mod cross;
mod fuzzing;
mod interop;
mod node;
mod rust;
mod sanitize;
mod simulation;
mod table;

use core::time::Duration;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

pub(crate) use fuzzing::{Fuzzing, fuzz};
pub(crate) use simulation::simulate;

use crate::flags::List;
use crate::print::{Style, is_terminal, line, paint, progress};
use crate::process::{Log, tail};
use crate::session::{Missing, Session};

/// One check.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    lane: Lane,
    run: fn(&Session, &Log) -> Result<Done, Stop>,
}

/// What may run beside what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    /// Builds in cargo's ordinary target folder, one after another.
    Main,
    /// Builds in folders of their own: beside the main lane.
    Side,
    /// Runs what was built, after both lanes, alone: deadlines and memory are measured here.
    Quiet,
}

/// What a row that passed has to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Done {
    /// Checks that passed in it: tests, seeds of a corpus, crates built.
    pub(crate) passed: u64,
    pub(crate) note: String,
}

/// Why a row did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    Failed { why: String, passed: u64, failed: u64 },
    Missing(String),
}

impl From<Missing> for Stop {
    fn from(Missing(why): Missing) -> Self {
        Self::Missing(why)
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed { why, passed: 0, failed: 1 }
    }
}

impl Done {
    fn one(note: impl Into<String>) -> Self {
        Self { passed: 1, note: note.into() }
    }
}

/// A row after its run.
#[derive(Debug)]
struct Outcome {
    name: &'static str,
    result: Result<Done, Stop>,
    took: Duration,
    /// The first line of the log that starts with `error`, of a row that failed.
    cause: Option<String>,
}

const fn row(
    name: &'static str,
    about: &'static str,
    lane: Lane,
    run: fn(&Session, &Log) -> Result<Done, Stop>,
) -> Row {
    Row { name, about, lane, run }
}

const FMT: Row = row("fmt", "rustfmt changes nothing", Lane::Main, rust::fmt);
const TIDY: Row = row("tidy", "sizes, names, layers, dead files", Lane::Main, rust::tidy);
const CLIPPY: Row = row("clippy", "no warning in any target", Lane::Main, rust::clippy);
const DOCS: Row = row("docs", "rustdoc without a warning", Lane::Main, rust::docs);
const TESTS: Row = row("tests", "every test of the workspace", Lane::Quiet, rust::tests);
const DOCTESTS: Row = row("doctests", "every example in the docs", Lane::Quiet, rust::doctests);

const CHECK: [Row; 6] = [FMT, TIDY, CLIPPY, DOCS, TESTS, DOCTESTS];

const TEST_ALL: [Row; 17] = [
    FMT,
    TIDY,
    CLIPPY,
    DOCS,
    row("diagram", "the docs show http1's transition table", Lane::Main, rust::diagram),
    row("build", "tests and the gateway, so that the next rows only run", Lane::Main, rust::build),
    row("no_std", "core crates build for bare metal, one by one", Lane::Side, bare::no_std),
    row("fuzz-build", "every fuzz target builds", Lane::Side, fuzzing::build_row),
    row("licences", "licences, sources and doubles of dependencies", Lane::Side, audit::licences),
    row("advisories", "no dependency with a known hole", Lane::Side, audit::advisories),
    TESTS,
    DOCTESTS,
    row("interop", "both our ends against the npm packages", Lane::Quiet, interop::row),
    row("node", "the npm package, built and tested", Lane::Quiet, node::row),
    row(
        "noalloc",
        "the core path of a request allocates nothing",
        Lane::Quiet,
        simulation::noalloc,
    ),
    row("sim", "10,000 seeds of the whole brain", Lane::Quiet, simulation::row),
    row("fuzz", "every corpus replayed, 30 s of fuzzing in all", Lane::Quiet, fuzzing::row),
];

const CROSS: [Row; 8] = [
    row("native", "core and worker lint and test on this system", Lane::Main, cross::native),
    row("apple", "core, worker and node lint for macOS", Lane::Side, cross::apple),
    row("freebsd", "core and worker type-check for FreeBSD", Lane::Side, cross::freebsd),
    row("wasm", "core builds for wasm32", Lane::Side, cross::wasm),
    row("windows-lint", "core, worker and node lint for Windows", Lane::Side, cross::windows_lint),
    row("wine", "core, worker and node tests, built for Windows, run", Lane::Side, cross::wine),
    row("s390x", "core tests on a big-endian machine", Lane::Side, cross::s390x),
    row("i686", "core tests on a 32-bit machine", Lane::Side, cross::i686),
];

const LONG: [Row; 8] = [
    row("benches", "benches lint, no count of instructions has grown", Lane::Side, benches::row),
    row(
        "unprivileged",
        "the reactor's suites as an ordinary user",
        Lane::Side,
        sanitize::unprivileged,
    ),
    row("miri", "core tests under Miri", Lane::Side, sanitize::miri),
    row("asan", "tests under the address sanitizer", Lane::Side, sanitize::asan),
    row("tsan", "shell tests under the thread sanitizer", Lane::Side, sanitize::tsan),
    row("fuzz-long", "10 minutes of fuzzing in all", Lane::Quiet, fuzzing::long_row),
    row("sim-long", "200,000 more seeds", Lane::Quiet, simulation::long_row),
    row(
        "node-long",
        "1,000,000 requests, 10,000 played beside undici",
        Lane::Quiet,
        node::long_row,
    ),
];

/// The rows of a list, in the order in which they are shown.
pub(crate) fn rows(list: List) -> Vec<&'static Row> {
    match list {
        List::Check => CHECK.iter().collect(),
        List::TestAll => TEST_ALL.iter().collect(),
        List::Cross => CROSS.iter().collect(),
        List::Extended => CROSS.iter().chain(&LONG).collect(),
    }
}

/// Runs `rows`, prints the table, and returns whether none failed; with `all`, whether all passed.
///
/// # Errors
/// When a row cannot even write its log.
pub(crate) fn run(session: &Session, rows: &[&'static Row], all: bool) -> Result<bool, String> {
    let start = Instant::now();
    let lane = |lane| rows.iter().copied().filter(move |row| row.lane == lane);
    let outcomes = Mutex::new(Vec::new());
    let run_all = |rows: Vec<&'static Row>| -> Result<(), String> {
        for row in rows {
            let outcome = run_one(session, row)?;
            outcomes.lock().expect("a lane that panics ends the run").push(outcome);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let side = scope.spawn(|| run_all(lane(Lane::Side).collect()));
        let main = run_all(lane(Lane::Main).collect());
        main.and(side.join().expect("a lane that panics ends the run"))
    })?;
    run_all(lane(Lane::Quiet).collect())?;
    let mut outcomes = outcomes.into_inner().expect("a lane that panics ends the run");
    outcomes.sort_by_key(|outcome| rows.iter().position(|row| row.name == outcome.name));
    line(&table::table(&outcomes, &session.added(), start.elapsed()));
    Ok(outcomes.iter().all(|outcome| match outcome.result {
        Ok(_) => true,
        Err(Stop::Failed { .. }) => false,
        Err(Stop::Missing(_)) => !all,
    }))
}

fn run_one(session: &Session, row: &'static Row) -> Result<Outcome, String> {
    let log = Log::create(session.folder("logs").join(format!("{}.log", row.name)))?;
    let start = Instant::now();
    let result = thread::scope(|scope| {
        let running = scope.spawn(|| (row.run)(session, &log));
        show_progress(row, &log, start, || running.is_finished());
        running.join().unwrap_or_else(|_| Err("this row panicked".to_owned().into()))
    });
    let mut outcome = Outcome { name: row.name, result, took: start.elapsed(), cause: None };
    if let Err(Stop::Failed { why, .. }) = &outcome.result {
        let text = log.text();
        line(&format!("\n--- {}: {}", row.name, log.path().display()));
        line(&tail(&text, 120));
        line(&format!("--- {}: {why}\n", row.name));
        outcome.cause = text.lines().find(|line| line.starts_with("error")).map(str::to_owned);
    }
    line(&table::row(&outcome));
    Ok(outcome)
}

/// Says what runs: on a terminal on a line that changes, in a log once a minute.
fn show_progress(row: &Row, log: &Log, start: Instant, finished: impl Fn() -> bool) {
    let mut said_minutes = 0;
    while !finished() {
        thread::park_timeout(Duration::from_millis(100));
        let took = start.elapsed().as_secs();
        if is_terminal() {
            let last = tail(&log.text(), 1);
            progress(&format!("{} {took} s  {}", row.name, last.trim()));
        } else if took / 60 > said_minutes {
            said_minutes = took / 60;
            line(&paint(Style::Faint, &format!("{} runs for {said_minutes} min", row.name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{List, rows};

    #[test]
    fn no_two_rows_share_a_name() {
        for list in [List::Check, List::TestAll, List::Extended] {
            let names: BTreeSet<_> = rows(list).iter().map(|row| row.name).collect();
            assert_eq!(names.len(), rows(list).len());
        }
    }
}
