//! Sanitizers over the shells and the suites.

use std::path::Path;

use serde_json::Value;

use super::bare::{compile, need_compiler};
use super::rust::{cargo, counted, harness_counts};
use super::{Done, Stop};
use crate::process::{Log, Program};
use crate::session::{Session, is_root};

/// The crates that have threads and `unsafe`, or whose dependencies have; core has neither.
const SHELLS: [&str; 3] = ["forebay-reactor", "forebay-worker", "forebay-gateway"];
const HOST: &str = "x86_64-unknown-linux-gnu";
/// rustix goes through libc: the sanitizer must see that memory was unmapped before another thread
/// maps the same addresses, and does not see system calls made without libc.
const TSAN: &str = "-Zsanitizer=thread -Zexternal-clangrt -Clinker=clang-22 \
                    -Clink-arg=-fsanitize=thread --cfg=rustix_use_libc";

/// Use after free, overflow and leaks. The ordinary compiler does, its std as it is.
pub(super) fn asan(session: &Session, log: &Log) -> Result<Done, Stop> {
    run(log, || {
        cargo(session)
            .words("test --locked --no-fail-fast --target")
            .arg(HOST)
            .arg("--target-dir")
            .arg(session.folder("asan"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address")
    })
}

/// The reactor's suites without root's rights: as an ordinary user the kernel limits the memory
/// that rings may lock.
pub(super) fn unprivileged(session: &Session, log: &Log) -> Result<Done, Stop> {
    let build = cargo(session)
        .words("test --locked --package forebay-reactor --tests --no-run --message-format json");
    let messages = build.read()?;
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let folder = std::env::temp_dir().join(format!("forebay-unprivileged-{}", std::process::id()));
    let made = std::fs::create_dir_all(&folder);
    made.map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut ran = Ok(());
    for message in messages {
        let Some(program) = message["executable"].as_str() else { continue };
        // Where the target folder is, an ordinary user may not be allowed to look.
        let copy = folder.join(Path::new(program).file_name().unwrap_or_default());
        std::fs::copy(program, &copy).map_err(|error| format!("{program}: {error}"))?;
        let test = if is_root() {
            let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
            Program::new("setpriv").args(user).arg(copy)
        } else {
            Program::new(copy)
        };
        ran = ran.and(test.folder(&folder).run(log));
    }
    // What stays behind is in the system's folder for such things.
    let _ = std::fs::remove_dir_all(&folder);
    counted(ran, harness_counts(&log.text()), "")
}

/// Undefined behaviour and, by the strict provenance, pointers out of thin air.
pub(super) fn miri(session: &Session, log: &Log) -> Result<Done, Stop> {
    Session::need_component("nightly", "miri")?;
    Session::need_component("nightly", "rust-src")?;
    let program = Program::new("cargo")
        .folder(&session.root)
        .words("+nightly miri test --lib --locked --no-fail-fast")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-disable-isolation")
        // Interpreted: fewer cases say the same about memory.
        .env("PROPTEST_CASES", "8");
    let program = session
        .manifests
        .core()
        .fold(program, |program, package| program.args(["--package", &package.name]));
    counted(program.run(log), harness_counts(&log.text()), "")
}

/// Data races. The standard library is built with the sanitizer too: its locks would look like
/// races.
pub(super) fn tsan(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    let packages = "clang-22 libclang-rt-22-dev llvm-22";
    session.need_packages("clang-22", packages, log)?;
    run(log, || {
        compile(session, "test", "std,panic_unwind,test")
            .args(["--no-fail-fast", "--target", HOST])
            .env("RUSTFLAGS", TSAN)
    })
}

/// Unit tests of every shell, and the reactor's suites. Those of the others start programs that
/// cargo builds in the middle of the run, which would get the sanitizer's flags where they do not
/// belong.
fn run(log: &Log, test: impl Fn() -> Program) -> Result<Done, Stop> {
    let units = SHELLS.iter().fold(test(), |program, name| program.args(["--package", name]));
    let ran = units.arg("--lib").run(log);
    let ran = ran.and(test().args(["--package", "forebay-reactor", "--tests"]).run(log));
    counted(ran, harness_counts(&log.text()), "")
}
