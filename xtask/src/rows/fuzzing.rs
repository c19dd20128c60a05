//! Fuzz targets: built by cargo alone, on the stable compiler, in one go; then run directly.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use super::{Done, Stop};
use crate::process::{Log, Program, join};
use crate::session::Session;

/// What libFuzzer needs to see which branches an input takes; the flags of cargo-fuzz, of which
/// none is unstable. Without the address sanitizer a target runs 4 to 5 times faster, and core has
/// no `unsafe` that it could watch; `--asan` turns it on.
const COVERAGE: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];
const SECONDS: u64 = 30;
const SECONDS_LONG: u64 = 600;

/// What `cargo xtask fuzz` was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Fuzzing {
    pub(crate) target: Option<String>,
    /// In all, shared by the targets; 0 only replays.
    pub(crate) seconds: u64,
    /// One input to run, instead of corpora.
    pub(crate) input: Option<PathBuf>,
    pub(crate) asan: bool,
}

pub(super) fn build_row(session: &Session, log: &Log) -> Result<Done, Stop> {
    let targets = session.manifests.fuzz_targets().count() as u64;
    build(session, log, false)?;
    cargo(session, "clippy", false).words("-- -D warnings").run(log)?;
    Ok(Done { passed: targets, note: format!("{targets} targets, linted") })
}

pub(super) fn row(session: &Session, log: &Log) -> Result<Done, Stop> {
    run_all(session, log, SECONDS)
}

pub(super) fn long_row(session: &Session, log: &Log) -> Result<Done, Stop> {
    run_all(session, log, SECONDS_LONG)
}

/// Replays and fuzzes for a person who watches.
///
/// # Errors
/// When a target does not exist, does not build or finds something.
pub(crate) fn fuzz(session: &Session, what: &Fuzzing) -> Result<(), String> {
    let all: Vec<_> = session.manifests.fuzz_targets().collect();
    let chosen: Vec<_> = match &what.target {
        None => all.clone(),
        Some(name) => all.iter().copied().filter(|target| target == name).collect(),
    };
    if chosen.is_empty() {
        return Err(format!("no such target; there are {}", all.join(", ")));
    }
    let log = Log::create(session.folder("logs").join("fuzz-build.log"))?;
    build(session, &log, what.asan).map_err(|why| format!("{}\n{why}", log.text()))?;
    for &target in &chosen {
        let program = Program::new(binary(session, target, what.asan)).folder(&session.root);
        if let Some(input) = &what.input {
            program.arg(input).run_here()?;
            continue;
        }
        replay(session, program, target).run_here()?;
        if what.seconds > 0 {
            let share = share(what.seconds, chosen.len());
            explore(session, target, share, what.asan)?.run_here()?;
        }
    }
    Ok(())
}

/// Replays every corpus, then fuzzes every target for its share of `seconds`, as many at a time as
/// there are processors.
fn run_all(session: &Session, log: &Log, seconds: u64) -> Result<Done, Stop> {
    build(session, log, false)?;
    let targets: Vec<_> = session.manifests.fuzz_targets().collect();
    let share = share(seconds, targets.len());
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = run_one(session, target, share) {
                        failures.lock().expect("no holder panics").push(format!("{target}: {why}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no holder panics");
    if failures.is_empty() {
        let passed = targets.len() as u64;
        return Ok(Done { passed, note: format!("{passed} corpora, {share} s each after") });
    }
    for failure in &failures {
        log.say(failure)?;
    }
    let failed = failures.len() as u64;
    let passed = targets.len() as u64 - failed;
    Err(Stop::Failed { why: failures.join("; "), passed, failed })
}

/// Runs one target with a log of its own, since others run beside it.
fn run_one(session: &Session, target: &str, seconds: u64) -> Result<(), String> {
    let log = Log::create(session.folder("logs").join(format!("fuzz-{target}.log")))?;
    let program = Program::new(binary(session, target, false)).folder(&session.root);
    let ran = replay(session, program, target)
        .run(&log)
        .and_then(|()| explore(session, target, seconds, false)?.run(&log));
    ran.map_err(|why| format!("{why}\n{}", crate::process::tail(&log.text(), 40)))
}

/// Every committed seed once.
fn replay(session: &Session, program: Program, target: &str) -> Program {
    program.args(["-runs=0", "-timeout=10"]).arg(corpus(session, target))
}

fn explore(session: &Session, target: &str, seconds: u64, asan: bool) -> Result<Program, String> {
    let found = session.folder("corpus").join(target);
    let artifacts = session.root.join("fuzz/artifacts").join(target);
    for folder in [&found, &artifacts] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(Program::new(binary(session, target, asan))
        .folder(&session.root)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        // libFuzzer joins this and the name of the file: the slash at the end matters.
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg(found)
        .arg(corpus(session, target)))
}

fn build(session: &Session, log: &Log, asan: bool) -> Result<(), String> {
    if session.manifests.fuzz_targets().next().is_none() {
        return Err("fuzz/Cargo.toml has no target".to_owned());
    }
    cargo(session, "build", asan).run(log).map_err(|why| {
        if log.text().contains("cannot update the lock file") {
            let update = "cargo update --workspace --manifest-path fuzz/Cargo.toml";
            return format!("fuzz/Cargo.lock is behind the manifests: {update}");
        }
        why
    })
}

/// A cargo command over the targets, with what libFuzzer needs.
fn cargo(session: &Session, command: &str, asan: bool) -> Program {
    let mut flags = COVERAGE.to_vec();
    if asan {
        flags.push("-Zsanitizer=address");
    }
    let program = Program::cargo()
        .folder(&session.root.join("fuzz"))
        .arg(command)
        .words("--release --locked --bins --target")
        .arg(host())
        .arg("--target-dir")
        .arg(folder(session, asan))
        // With `--target` they reach neither build scripts nor macros.
        .env("RUSTFLAGS", join(&flags));
    if asan { program.env("RUSTC_BOOTSTRAP", "1") } else { program }
}

fn folder(session: &Session, asan: bool) -> PathBuf {
    session.folder(if asan { "fuzz-asan" } else { "fuzz" })
}

fn binary(session: &Session, target: &str, asan: bool) -> PathBuf {
    folder(session, asan).join(host()).join("release").join(target)
}

fn corpus(session: &Session, target: &str) -> PathBuf {
    session.root.join("fuzz/corpus").join(target)
}

/// Each target's share of the time, in seconds.
fn share(seconds: u64, targets: usize) -> u64 {
    seconds.div_ceil(targets.max(1) as u64)
}

/// The target triple of this machine, as far as fuzzing is done on it.
fn host() -> String {
    let system = if Path::new("/proc").exists() { "unknown-linux-gnu" } else { "apple-darwin" };
    format!("{}-{system}", env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn targets_share_the_time_and_none_gets_nothing() {
        assert_eq!(share(30, 6), 5);
        assert_eq!(share(30, 40), 1);
        assert_eq!(share(30, 0), 30);
    }
}
