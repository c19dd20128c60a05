//! The project's chores: `cargo xtask --help`.

mod diagram;
mod flags;
mod manifests;
mod print;
mod process;
mod rows;
mod session;
mod tidy;

use std::env;
use std::process::ExitCode;

use crate::flags::{Command, List};
use crate::process::Program;
use crate::session::Session;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match flags::parse(&args).and_then(obey) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            print::error(&why);
            ExitCode::from(2)
        }
    }
}

/// Runs one command; `false` when what it checked does not hold.
fn obey(command: Command) -> Result<bool, String> {
    if let Command::Help(spec) = command {
        print::line(flags::help(spec).trim_end());
        return Ok(true);
    }
    let session = Session::new()?;
    match command {
        Command::Help(_) => Ok(true),
        Command::Rows { list, only, show } => obey_rows(&session, list, &only, show),
        Command::Tidy => tidy::report(&session),
        Command::Fuzz { target, seconds, input, asan } => {
            let input = input.map(|path| env::current_dir().unwrap_or_default().join(path));
            let what = rows::Fuzzing { target, seconds, input, asan };
            rows::fuzz(&session, &what).map(|()| true)
        }
        Command::Sim { seed, count } => rows::simulate(&session, seed, count).map(|()| true),
        Command::Bench { names } => {
            let benches = session.root.join("benches");
            let runner = ["run", "--quiet", "--release", "--package", "load", "--"];
            Program::cargo().folder(&benches).args(runner).args(names).run_here().map(|()| true)
        }
        Command::Diagram { check } => diagram::draw(&session, check).map(|()| true),
    }
}

fn obey_rows(session: &Session, list: List, only: &[String], show: bool) -> Result<bool, String> {
    let all = rows::rows(list);
    if show {
        for row in all {
            print::line(&format!("{:<12} {}", row.name, row.about));
        }
        return Ok(true);
    }
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|row| row.name != **name)) {
        return Err(format!("there is no row `{unknown}` here; `--list` shows them"));
    }
    let chosen: Vec<_> = all
        .into_iter()
        .filter(|row| only.is_empty() || only.iter().any(|name| name == row.name))
        .collect();
    // Who names a row wants it, so a row that cannot run is a failure then.
    rows::run(session, &chosen, !only.is_empty())
}
