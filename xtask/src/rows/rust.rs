//! What cargo itself checks: format, lints, docs, tests.

use super::{Done, Stop};
use crate::diagram;
use crate::process::{Log, Program, on_path};
use crate::session::Session;
use crate::tidy;

pub(super) fn fmt(session: &Session, log: &Log) -> Result<Done, Stop> {
    cargo(session).words("fmt --all --check").run(log)?;
    for folder in ["fuzz", "benches"] {
        let manifest = session.root.join(folder).join("Cargo.toml");
        if manifest.is_file() {
            cargo(session).words("fmt --all --check --manifest-path").arg(manifest).run(log)?;
        }
    }
    Ok(Done::one(""))
}

pub(super) fn tidy(session: &Session, log: &Log) -> Result<Done, Stop> {
    let report = tidy::check(session)?;
    for finding in &report.findings {
        log.say(&finding.to_string())?;
    }
    let failed = report.findings.len() as u64;
    if failed == 0 {
        return Ok(Done::one(format!("{} files", report.files)));
    }
    Err(Stop::Failed { why: format!("{failed} findings"), passed: 0, failed })
}

pub(super) fn clippy(session: &Session, log: &Log) -> Result<Done, Stop> {
    let program = cargo(session).words("clippy --workspace --all-targets --locked");
    program.words("--features forebay-tests/interop -- -D warnings").run(log)?;
    Ok(Done::one(""))
}

pub(super) fn docs(session: &Session, log: &Log) -> Result<Done, Stop> {
    cargo(session)
        .words("doc --workspace --no-deps --locked")
        .env("RUSTDOCFLAGS", "-D warnings")
        .run(log)?;
    Ok(Done::one(""))
}

pub(super) fn diagram(session: &Session, _log: &Log) -> Result<Done, Stop> {
    diagram::draw(session, true)?;
    Ok(Done::one(""))
}

/// Builds what the quiet rows run.
pub(super) fn build(session: &Session, log: &Log) -> Result<Done, Stop> {
    gateway(session, log)?;
    cargo(session).words("test --workspace --locked --no-run").run(log)?;
    super::interop::build(session, log)?;
    super::node::build(session, log)?;
    super::simulation::build(session, log)?;
    Ok(Done::one("dev, release and sim profiles"))
}

pub(super) fn tests(session: &Session, log: &Log) -> Result<Done, Stop> {
    let binary = gateway(session, log)?;
    let program = cargo(session).env("FOREBAY_BIN", binary);
    if on_path("cargo-nextest") {
        let ran = program
            .words("nextest run --workspace --locked --no-fail-fast --hide-progress-bar")
            .words("--status-level fail --final-status-level slow --color never")
            .run(log);
        return counted(ran, nextest_counts(&log.text()), "cargo-nextest");
    }
    let ran = program.words("test --workspace --all-targets --locked --no-fail-fast").run(log);
    counted(ran, harness_counts(&log.text()), "cargo test")
}

pub(super) fn doctests(session: &Session, log: &Log) -> Result<Done, Stop> {
    let ran = cargo(session).words("test --workspace --doc --locked --no-fail-fast").run(log);
    counted(ran, harness_counts(&log.text()), "")
}

/// The gateway as users run it; end-to-end tests start this one.
fn gateway(session: &Session, log: &Log) -> Result<std::path::PathBuf, String> {
    cargo(session)
        .words("build --release --locked --package forebay-gateway --bin forebay")
        .run(log)?;
    Ok(session.target.join("release").join(format!("forebay{}", std::env::consts::EXE_SUFFIX)))
}

pub(super) fn cargo(session: &Session) -> Program {
    Program::cargo().folder(&session.root)
}

/// The outcome of a run of tests of which `(passed, failed)` are known.
pub(super) fn counted(
    ran: Result<(), String>,
    (passed, failed): (u64, u64),
    note: &str,
) -> Result<Done, Stop> {
    match ran {
        Ok(()) if passed == 0 => Err("no test ran".to_owned().into()),
        Ok(()) => {
            Ok(Done { passed, note: format!("{passed} passed {note}").trim_end().to_owned() })
        }
        Err(why) => Err(Stop::Failed { why, passed, failed: failed.max(1) }),
    }
}

/// Sums the lines `test result: ok. 5 passed; 0 failed; ...`.
pub(super) fn harness_counts(text: &str) -> (u64, u64) {
    let results = text.lines().filter(|line| line.starts_with("test result:"));
    results.fold((0, 0), |(passed, failed), line| {
        (passed + before(line, " passed"), failed + before(line, " failed"))
    })
}

/// Reads the line `Summary [ 0.1s] 12 tests run: 11 passed, 1 failed, 0 skipped`.
pub(super) fn nextest_counts(text: &str) -> (u64, u64) {
    let summary = text.lines().rfind(|line| line.trim_start().starts_with("Summary ["));
    let summary = summary.unwrap_or_default();
    let failed = before(summary, " failed") + before(summary, " timed out");
    (before(summary, " passed"), failed)
}

/// The number that stands right before `word`; 0 without one.
fn before(line: &str, word: &str) -> u64 {
    let Some((head, _)) = line.split_once(word) else { return 0 };
    head.rsplit(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{counted, harness_counts, nextest_counts};

    #[test]
    fn counts_are_read_from_both_runners() {
        let harness = "\
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(harness_counts(harness), (7, 1));
        let nextest = "     Summary [   0.123s] 12 tests run: 9 passed (1 slow), 2 failed, \
                       1 timed out, 3 skipped";
        assert_eq!(nextest_counts(nextest), (9, 3));
        assert_eq!(nextest_counts(""), (0, 0));
    }

    #[test]
    fn a_run_without_tests_does_not_pass() {
        assert!(counted(Ok(()), (0, 0), "").is_err());
        assert!(counted(Ok(()), (1, 0), "").is_ok());
    }
}
