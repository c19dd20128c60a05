//! The benches, as far as no clock is needed.

use super::rust::cargo;
use super::{Done, Stop};
use crate::process::Log;
use crate::session::Session;

/// They lint, their own tests pass, and no operation takes more instructions than
/// `benches/counts/baseline.txt` says.
pub(super) fn row(session: &Session, log: &Log) -> Result<Done, Stop> {
    session.need_packages("valgrind", "valgrind", log)?;
    let folder = session.root.join("benches");
    let cargo = || cargo(session).folder(&folder);
    cargo().words("clippy --workspace --all-targets --locked -- -D warnings").run(log)?;
    cargo().words("test --workspace --locked").run(log)?;
    cargo().words("run --release --locked --package counts").run(log)?;
    let text = log.text();
    let passed = text.lines().filter(|line| line.ends_with("| as before |")).count() as u64;
    Ok(Done { passed, note: format!("{passed} counts as before") })
}
