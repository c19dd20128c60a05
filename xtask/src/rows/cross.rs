//! Other systems and machines: what cannot run here is type-checked, what can is run.

use super::bare::{compile, need_compiler};
use super::rust::{cargo, counted, harness_counts};
use super::{Done, Stop};
use crate::process::{Log, Program, on_path};
use crate::session::{Missing, Session};

const STD: &str = "std,panic_abort";
const STD_TEST: &str = "std,panic_abort,test";
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// What the workflows run where the reactor has no backend yet.
pub(super) fn native(session: &Session, log: &Log) -> Result<Done, Stop> {
    let lints = portable(session, cargo(session).words("clippy --locked --all-targets"));
    lints.words("-- -D warnings").run(log)?;
    tests(portable(session, cargo(session).words("test --locked --no-fail-fast")), log)
}

pub(super) fn apple(session: &Session, log: &Log) -> Result<Done, Stop> {
    const TARGETS: [&str; 2] = ["aarch64-apple-darwin", "x86_64-apple-darwin"];
    need_compiler(session, log)?;
    for target in TARGETS {
        // Nothing is linked: what a dependency has in C is not compiled, for want of Apple's
        // headers.
        let tool = |name: &str| format!("{name}_{}", target.replace('-', "_"));
        let program = node(portable(session, lint(session, target, log)?));
        program.env(&tool("CC"), "true").env(&tool("AR"), "true").words(LINTS).run(log)?;
    }
    Ok(Done { passed: TARGETS.len() as u64, note: TARGETS.join(", ") })
}

pub(super) fn freebsd(session: &Session, log: &Log) -> Result<Done, Stop> {
    const TARGET: &str = "x86_64-unknown-freebsd";
    need_compiler(session, log)?;
    portable(session, compile(session, "check", STD).args(["--target", TARGET])).run(log)?;
    Ok(Done { passed: 1, note: TARGET.to_owned() })
}

pub(super) fn wasm(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    let program = compile(session, "build", STD).args(["--target", "wasm32-unknown-unknown"]);
    core(session, program).run(log)?;
    Ok(Done::one(""))
}

/// Lints of the code that only Windows compiles.
pub(super) fn windows_lint(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    need_windows(session, log)?;
    node(portable(session, lint(session, WINDOWS, log)?)).words(LINTS).run(log)?;
    Ok(Done::one(""))
}

/// For these targets the macro hides its `const` from the lint, which then asks for it.
const LINTS: &str = "-- -D warnings -A clippy::missing_const_for_thread_local";

fn lint(session: &Session, target: &str, log: &Log) -> Result<Program, Missing> {
    session.need_packages("/usr/bin/cargo-clippy", "rust-web-clippy", log)?;
    Ok(Program::new("/usr/bin/cargo-clippy")
        .folder(&session.root)
        .args(["clippy", "--locked", "-Z", &format!("build-std={STD}"), "--target", target])
        .arg("--target-dir")
        .arg(session.folder("cross-clippy"))
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1"))
}

pub(super) fn wine(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    need_windows(session, log)?;
    session.need_packages("wine", "wine64 wine", log)?;
    let prefix = session.folder("wine");
    if !prefix.join("ready").is_file() {
        set_up_wine(session, log)?;
    }
    let program = || {
        compile(session, "test", STD_TEST)
            .args(["--no-fail-fast", "--target", WINDOWS])
            .env("WINEPREFIX", &prefix)
            .env("WINEDEBUG", "-all")
            .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", "timeout 300 wine")
            .env_remove("DISPLAY")
    };
    tests(node(portable(session, program().words("--lib"))), log)?;
    // Wine makes an end of a reset, and is too slow for connections that are lent.
    let skipped = "--skip quick:: --skip a_reset_is_a_system_error";
    tests(node(program().words("--test engine")).words("--").words(skipped), log)
}

pub(super) fn s390x(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    let packages = "gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user-static";
    for program in ["s390x-linux-gnu-gcc", "qemu-s390x-static"] {
        session.need_packages(program, packages, log)?;
    }
    let runner = "timeout 600 qemu-s390x-static -L /usr/s390x-linux-gnu";
    let program = compile(session, "test", STD_TEST)
        .args(["--lib", "--no-fail-fast", "--target", "s390x-unknown-linux-gnu"])
        .env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER", "s390x-linux-gnu-gcc")
        .env("CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER", runner)
        // Emulated: fewer cases say the same about the order of bytes.
        .env("PROPTEST_CASES", "16");
    tests(core(session, program), log)
}

pub(super) fn i686(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    let packages = "gcc-i686-linux-gnu libc6-dev-i386-cross";
    session.need_packages("i686-linux-gnu-gcc", packages, log)?;
    // The loader runs the program natively; qemu-i386 spins for ever in programs with threads.
    let library = "/usr/i686-linux-gnu/lib";
    let runner = format!("{library}/ld-linux.so.2 --library-path {library}");
    let program = compile(session, "test", STD_TEST)
        .args(["--lib", "--no-fail-fast", "--target", "i686-unknown-linux-gnu"])
        .env("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER", "i686-linux-gnu-gcc")
        .env("CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUNNER", runner);
    tests(core(session, program), log)
}

fn tests(program: Program, log: &Log) -> Result<Done, Stop> {
    let ran = program.run(log);
    counted(ran, harness_counts(&log.text()), "")
}

fn core(session: &Session, program: Program) -> Program {
    session
        .manifests
        .core()
        .fold(program, |program, package| program.args(["--package", &package.name]))
}

/// Core, and the shells that are written for every system.
fn portable(session: &Session, program: Program) -> Program {
    core(session, program).args(["--package", "forebay-worker"])
}

/// The addon for Node.js: it brings C, and is compiled natively by who installs it.
fn node(program: Program) -> Program {
    program.args(["--package", "forebay-node"])
}

fn need_windows(session: &Session, log: &Log) -> Result<(), Missing> {
    session.need_packages("x86_64-w64-mingw32-gcc", "gcc-mingw-w64-x86-64-win32", log)
}

/// A Wine folder with the one library that Rust's std wants and Debian's Wine lacks.
fn set_up_wine(session: &Session, log: &Log) -> Result<(), String> {
    const LIBRARY: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE p, SIZE_T n) {
  while (n) { ULONG k = n > 0x10000000 ? 0x10000000 : (ULONG)n;
    if (!SystemFunction036(p, k)) return FALSE; p += k; n -= k; }
  return TRUE; }
";
    let prefix = session.folder("wine");
    let boot = if on_path("wineboot") { "wineboot" } else { "/usr/lib/wine/wineboot" };
    Program::new("timeout")
        .args(["300", boot, "-i"])
        .env("WINEPREFIX", &prefix)
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .run(log)?;
    let source = prefix.join("bcryptprimitives.c");
    let write = |path: &std::path::Path, text: &str| {
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    write(&source, LIBRARY)?;
    Program::new("x86_64-w64-mingw32-gcc")
        .args(["-shared", "-O2", "-o"])
        .arg(prefix.join("drive_c/windows/system32/bcryptprimitives.dll"))
        .arg(&source)
        .arg("-ladvapi32")
        .run(log)?;
    write(&prefix.join("ready"), "")
}
