//! Our ends against the published npm packages, on the Node.js that they support.

use super::rust::{cargo, counted, harness_counts, nextest_counts};
use super::{Done, Stop};
use crate::process::{Log, Program, on_path};
use crate::session::{Missing, Session};

/// The suite and what it is a part of: the features of dependencies are those of the other rows.
const SUITE: &str = "--workspace --features forebay-tests/interop --test interop";

/// Builds the suite, which the row only runs.
pub(super) fn build(session: &Session, log: &Log) -> Result<(), String> {
    cargo(session).words("test --locked --no-run").words(SUITE).run(log)
}

pub(super) fn row(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_packages(session, log)?;
    if on_path("cargo-nextest") {
        let ran = cargo(session)
            .words("nextest run --locked --no-fail-fast --hide-progress-bar")
            .words("--status-level fail --final-status-level slow --color never")
            .words(SUITE)
            .run(log);
        return counted(ran, nextest_counts(&log.text()), "cargo-nextest");
    }
    let ran = cargo(session).words("test --locked --no-fail-fast").words(SUITE).run(log);
    counted(ran, harness_counts(&log.text()), "cargo test")
}

/// Installs what the lock files name, Node.js itself included, beside the suite and the examples
/// that it runs.
fn need_packages(session: &Session, log: &Log) -> Result<(), Missing> {
    session.need_packages("npm", "npm", log)?;
    for folder in ["tests/interop", "shells/worker/examples"] {
        let install = Program::new("npm").words("ci --no-progress");
        install.folder(&session.root.join(folder)).run(log).map_err(|_| {
            Missing(format!("npm packages could not be installed: npm ci (in {folder})"))
        })?;
    }
    Ok(())
}
