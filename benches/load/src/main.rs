//! `load`: whole programs beside their peers. Without a word before the flags it is the runner for
//! the gateway, `load workers` the one for workers; `load generate` and `load drive` are what they
//! start in processes of their own.

mod flags;
mod generate;
mod run;
mod workers;

use std::process::ExitCode;

use flags::Flags;

const GENERATE: &[&str] = &[
    "added",
    "address",
    "connections",
    "cpu",
    "depth",
    "idle",
    "request",
    "seconds",
    "sleep",
    "tally",
    "warm",
    "watch",
];

const RUN: &[&str] = &[
    "contenders",
    "forebay",
    "generator-cpu",
    "help",
    "list",
    "only",
    "quick",
    "rounds",
    "seconds",
    "seed",
    "server-cpu",
    "write",
];

const WORKERS: &[&str] =
    &["help", "list", "only", "parent-cpu", "quick", "rounds", "seconds", "seed", "worker-cpu"];

const DRIVE: &[&str] = &[
    "command",
    "cpu",
    "depth",
    "kind",
    "len",
    "method",
    "node",
    "parent-cpu",
    "seconds",
    "total",
    "warm",
];

type Program = fn(&Flags) -> Result<(), String>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let word = arguments.next_if(|word| !word.starts_with("--"));
    let (known, program): (&[&str], Program) = match word.as_deref() {
        None => (RUN, run::main),
        Some("generate") => (GENERATE, generate::main),
        Some("workers") => (WORKERS, workers::main),
        Some("drive") => (DRIVE, workers::drive),
        Some(word) => {
            eprintln!("load: there is no `{word}`");
            return ExitCode::FAILURE;
        }
    };
    let result = Flags::parse(arguments, known).and_then(|flags| program(&flags));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("load: {message}");
            ExitCode::FAILURE
        }
    }
}
