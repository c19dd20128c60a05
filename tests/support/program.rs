//! The programs that tests start: the `forebay` binary, and examples.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

/// The path of the `forebay` binary, built first if need be.
///
/// `FOREBAY_BIN` names one that was built already (`cargo xtask test-all` does so); otherwise cargo
/// builds it, in this test's own target directory and profile.
///
/// # Panics
/// When it cannot be built.
pub fn forebay() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(find_or_build).clone()
}

/// The path of an example of a package, built first if need be.
///
/// # Panics
/// When it cannot be built.
pub fn example(package: &str, name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.iter().any(|example| example == name) {
        build(&["--package", package, "--example", name]);
        built.push(name.to_owned());
    }
    target().0.join("examples").join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

fn find_or_build() -> PathBuf {
    if let Some(path) = env::var_os("FOREBAY_BIN") {
        return path.into();
    }
    build(&["--package", "forebay-gateway", "--bin", "forebay"]);
    target().0.join(format!("forebay{}", env::consts::EXE_SUFFIX))
}

/// The folder of this test's profile, and the name of that profile.
fn target() -> (PathBuf, String) {
    // <target>/<profile folder>/deps/<this test>
    let this = env::current_exe().expect("a test knows its own path");
    let folder = this.ancestors().nth(2).expect("cargo puts tests two folders down");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    (folder.to_owned(), profile.to_owned())
}

/// Builds something in this test's own target directory and profile.
fn build(what: &[&str]) {
    let (folder, profile) = target();
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet"])
        .args(what)
        .args(["--profile", &profile, "--target-dir"])
        .arg(folder.parent().expect("a profile folder is inside a target folder"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "cargo could not build {what:?}: {status}");
}
