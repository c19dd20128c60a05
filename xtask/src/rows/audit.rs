//! What the dependencies may be: `cargo deny` with `.deny.toml`.

use std::env;
use std::path::PathBuf;

use super::{Done, Stop};
use crate::process::{Log, Program};
use crate::session::{Missing, Session};

const VERSION: &str = "0.20.2";

pub(super) fn licences(session: &Session, log: &Log) -> Result<Done, Stop> {
    deny(session, log)?.words("check licenses bans sources").run(log)?;
    Ok(Done::one(""))
}

/// The database of advisories is a git repository elsewhere: nothing is fetched, the row takes the
/// copy that the machine has.
pub(super) fn advisories(session: &Session, log: &Log) -> Result<Done, Stop> {
    let deny = deny(session, log)?;
    if !has_database() {
        let why = "there is no copy of the advisory database: cargo deny fetch db";
        return Err(Missing(why.to_owned()).into());
    }
    deny.words("--offline check advisories").run(log)?;
    Ok(Done::one(""))
}

/// Whether `cargo deny` has a database in the folder where it keeps them.
fn has_database() -> bool {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let folders = home.and_then(|home| home.join("advisory-dbs").read_dir().ok());
    folders.is_some_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| entry.path().is_dir()))
    })
}

fn deny(session: &Session, log: &Log) -> Result<Program, Missing> {
    let program = session.need_program("cargo-deny", VERSION, log)?;
    Ok(Program::new(program).folder(&session.root))
}
