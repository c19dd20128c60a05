//! One run of a command: where things are, and what was installed for it.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::manifests::Manifests;
use crate::print::{Style, line, paint};
use crate::process::{Log, Program, on_path};

/// What every row gets.
#[derive(Debug)]
pub(crate) struct Session {
    /// The folder with the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
    pub(crate) manifests: Manifests,
    added: Mutex<Vec<String>>,
    /// apt-get runs once at a time.
    packages: Mutex<bool>,
}

/// Why a row cannot be had on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) String);

impl Session {
    /// # Errors
    /// When the workspace's manifests cannot be read.
    pub(crate) fn new() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().map_err(|error| format!("{}: {error}", root.display()))?;
        let manifests = Manifests::read(&root)?;
        let target = manifests.target.clone();
        Ok(Self { root, target, manifests, added: Mutex::default(), packages: Mutex::default() })
    }

    /// A folder of this program's own inside the target folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// What was installed so far.
    pub(crate) fn added(&self) -> Vec<String> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that `probe` (a file, or a program on the path) is there, from Debian's
    /// `packages` if it is not.
    ///
    /// # Errors
    /// [`Missing`] with the line that would install it.
    pub(crate) fn need_packages(
        &self,
        probe: &str,
        packages: &str,
        log: &Log,
    ) -> Result<(), Missing> {
        let there = || Path::new(probe).exists() || on_path(probe);
        if there() {
            return Ok(());
        }
        let line = format!("apt-get install -y --no-install-recommends {packages}");
        let missing = |why: &str| Missing(format!("{probe} is missing; {why}: {line}"));
        if !on_path("apt-get") {
            return Err(missing("there is no apt-get here for"));
        }
        if !is_root() {
            return Err(missing("as root, it comes with"));
        }
        let mut updated = self.packages.lock().unwrap_or_else(PoisonError::into_inner);
        if there() {
            return Ok(());
        }
        if !*updated {
            self.apt_get("update -qq", log)
                .map_err(|_| missing("apt-get update failed, before"))?;
            *updated = true;
        }
        let install = format!("install -y --no-install-recommends {packages}");
        self.apt_get(&install, log).map_err(|_| missing("this failed"))?;
        self.note_added(packages);
        if there() { Ok(()) } else { Err(missing("it was not in what this installed")) }
    }

    /// The path of cargo's program `name`, built into the target folder if it is not on the path.
    ///
    /// # Errors
    /// [`Missing`] with the line that would install it.
    pub(crate) fn need_program(
        &self,
        name: &str,
        version: &str,
        log: &Log,
    ) -> Result<PathBuf, Missing> {
        if on_path(name) {
            return Ok(name.into());
        }
        let tools = self.folder("tools");
        let program = tools.join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX));
        if program.is_file() {
            return Ok(program);
        }
        // Unoptimised: it is built once and runs for a second.
        let installed = Program::cargo()
            .words("install --quiet --locked --debug --config profile.dev.debug=0")
            .args(["--version", version, "--root"])
            .arg(&tools)
            .arg("--target-dir")
            .arg(self.folder("tools-build"))
            .arg(name)
            .env_remove("CARGO_TARGET_DIR")
            .run(log);
        match installed {
            Ok(()) => {
                self.note_added(&format!("{name} {version} (cargo install)"));
                Ok(program)
            }
            Err(_) => Err(Missing(format!(
                "{name} is missing and could not be built: cargo install --locked {name}"
            ))),
        }
    }

    /// Whether rustup's `toolchain` has `component`. Nothing is downloaded: a toolchain is what the
    /// machine has.
    ///
    /// # Errors
    /// [`Missing`] with the line that would install it.
    pub(crate) fn need_component(toolchain: &str, component: &str) -> Result<(), Missing> {
        let list = Program::new("rustup")
            .words("component list --installed")
            .args(["--toolchain", toolchain])
            .read()
            .unwrap_or_default();
        if list.lines().any(|line| line.starts_with(component)) {
            return Ok(());
        }
        let line = format!("rustup component add {component} --toolchain {toolchain}");
        Err(Missing(format!("{component} is missing: {line}")))
    }

    fn apt_get(&self, words: &str, log: &Log) -> Result<(), String> {
        Program::new("apt-get").words(words).env("DEBIAN_FRONTEND", "noninteractive").run(log)
    }

    fn note_added(&self, what: &str) {
        line(&paint(Style::Faint, &format!("installed: {what}")));
        self.added.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }
}

/// Whether packages may be installed.
pub(crate) fn is_root() -> bool {
    Program::new("id").arg("-u").read().is_ok_and(|id| id.trim() == "0")
}
