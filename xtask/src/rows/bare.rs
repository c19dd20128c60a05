//! Proof that core needs neither std nor an allocator: it builds where neither exists.

use super::{Done, Stop};
use crate::process::{Log, Program};
use crate::session::{Missing, Session};

/// Debian's compiler, with the matching source of the standard library.
const PACKAGES: &str = "rustc-web libstd-rust-web-dev rust-web-src";
const COMPILER: &str = "/usr/bin/rustc";
const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core/Cargo.toml";

/// Builds every core crate for every target that its manifest names.
pub(super) fn no_std(session: &Session, log: &Log) -> Result<Done, Stop> {
    need_compiler(session, log)?;
    let mut passed = 0;
    for package in session.manifests.core() {
        let mut promised = package.bare_targets().peekable();
        if promised.peek().is_none() {
            let why = format!("{} names no target in package.metadata.forebay", package.name);
            return Err(why.into());
        }
        for target in promised {
            // One crate at a time: together, one crate's features would reach another's
            // dependencies.
            compile(session, "build", "core")
                .args(["--target", target, "--package", &package.name])
                .run(log)?;
            passed += 1;
        }
    }
    Ok(Done { passed, note: format!("{passed} builds") })
}

/// Makes sure that the compiler for other targets is there.
pub(super) fn need_compiler(session: &Session, log: &Log) -> Result<(), Missing> {
    session.need_packages(COMPILER, PACKAGES, log)?;
    session.need_packages(SOURCE, PACKAGES, log)
}

/// A cargo `command` by that compiler, with the parts `std` of the standard library built for it.
pub(super) fn compile(session: &Session, command: &str, std: &str) -> Program {
    Program::cargo()
        .folder(&session.root)
        .arg(command)
        .args(["--locked", "-Z", &format!("build-std={std}"), "--target-dir"])
        .arg(session.folder("cross"))
        .env("RUSTC", COMPILER)
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
}
