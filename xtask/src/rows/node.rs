//! The npm package: built and tested as its user would.

use super::rust::{cargo, counted};
use super::{Done, Stop};
use crate::process::{Log, Program};
use crate::session::{Missing, Session};

/// Builds the addon, which the row only copies.
pub(super) fn build(session: &Session, log: &Log) -> Result<(), String> {
    cargo(session).words("build --release --locked --package forebay-node --lib").run(log)
}

pub(super) fn row(session: &Session, log: &Log) -> Result<Done, Stop> {
    tested(session, log, npm(session, "test"))
}

/// What one run of the tests is too short for.
pub(super) fn long_row(session: &Session, log: &Log) -> Result<Done, Stop> {
    let tests = npm(session, "test -- life differential");
    let tests = tests.env("FOREBAY_SOAK", "1000000").env("FOREBAY_SEED", "1000");
    tested(session, log, tests.env("FOREBAY_COUNT", "10000"))
}

fn tested(session: &Session, log: &Log, tests: Program) -> Result<Done, Stop> {
    session.need_packages("npm", "npm", log)?;
    npm(session, "install --no-progress").run(log).map_err(|_| {
        Missing("the npm packages could not be installed: npm install (in shells/node)".to_owned())
    })?;
    npm(session, "run build").run(log)?;
    let ran = tests.run(log);
    counted(ran, spec_counts(&log.text()), "in Node.js")
}

fn npm(session: &Session, words: &str) -> Program {
    Program::new("npm").words(words).folder(&session.root.join("shells").join("node"))
}

/// Reads the lines `ℹ pass 12` and `ℹ fail 0`, behind which a report only has the failures again.
fn spec_counts(text: &str) -> (u64, u64) {
    let count = |name: &str| {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(name));
        line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    (count("ℹ pass "), count("ℹ fail "))
}

#[cfg(test)]
mod tests {
    use super::spec_counts;

    #[test]
    fn counts_are_read_from_the_end_of_a_report() {
        assert_eq!(
            spec_counts("ℹ pass 1\nℹ tests 12\nℹ pass 11\nℹ fail 1\n✖ failing tests:\n"),
            (11, 1)
        );
        assert_eq!(spec_counts(""), (0, 0));
    }
}
