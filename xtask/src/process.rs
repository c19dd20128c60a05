//! Programs that a row runs: their output goes to the row's log, and is shown when they fail.

use core::fmt::Write as _;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program about to run, with its arguments, environment and folder.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
    /// As a person would type it, without the environment.
    line: String,
    /// The environment of that line.
    variables: String,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        let name = name.as_ref();
        let mut command = Command::new(name);
        command.stdin(Stdio::null());
        // Left by the cargo that started this program; a compiler of another version must not see
        // it.
        command.env_remove("LD_LIBRARY_PATH");
        let line = name.to_string_lossy().into_owned();
        Self { command, line, variables: String::new() }
    }

    /// The cargo that started this program.
    pub(crate) fn cargo() -> Self {
        let mut program = Self::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        program.line = "cargo".into();
        program
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        let _ = write!(self.line, " {}", arg.as_ref().display());
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(self, args: impl IntoIterator<Item = S>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Arguments without spaces in them, as one would type them.
    pub(crate) fn words(self, words: &str) -> Self {
        self.args(words.split_whitespace())
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let _ = write!(self.variables, "{name}={:?} ", value.as_ref().to_string_lossy());
        self.command.env(name, value);
        self
    }

    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs it with its output in `log`.
    ///
    /// # Errors
    /// When it does not start or does not end with status 0: a sentence.
    pub(crate) fn run(mut self, log: &Log) -> Result<(), String> {
        log.say(&format!("$ {}{}", self.variables, self.line))?;
        let out = log.file()?;
        let error = out.try_clone().map_err(|error| error.to_string())?;
        let status = self.command.stdout(out).stderr(error).status();
        let status = status.map_err(|error| format!("`{}` did not start: {error}", self.line))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", self.line)) }
    }

    /// Runs it with its output where this program's goes: for a person who asked for this one
    /// thing.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub(crate) fn run_here(mut self) -> Result<(), String> {
        let status = self.command.status();
        let status = status.map_err(|error| format!("`{}` did not start: {error}", self.line))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", self.line)) }
    }

    /// Runs it and returns what it wrote to standard output.
    ///
    /// # Errors
    /// As for [`Self::run`], with the last lines of standard error.
    pub(crate) fn read(mut self) -> Result<String, String> {
        let output = self.command.output();
        let output = output.map_err(|error| format!("`{}` did not start: {error}", self.line))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{}` failed: {}\n{}", self.line, output.status, tail(&error, 10)))
    }
}

/// Whether a program of this name is on the path.
pub(crate) fn on_path(name: &str) -> bool {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| folder.join(&file).is_file())
}

/// The file that gets a row's output.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    path: PathBuf,
}

impl Log {
    /// An empty log at `path`, its folder made if need be.
    ///
    /// # Errors
    /// When it cannot be written: a sentence.
    pub(crate) fn create(path: PathBuf) -> Result<Self, String> {
        let folder = path.parent().expect("a log lies in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| File::create(&path))
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written: a sentence.
    pub(crate) fn say(&self, line: &str) -> Result<(), String> {
        writeln!(self.file()?, "{line}")
            .map_err(|error| format!("{}: {error}", self.path.display()))
    }

    /// What was written so far.
    pub(crate) fn text(&self) -> String {
        std::fs::read(&self.path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    fn file(&self) -> Result<File, String> {
        let file = OpenOptions::new().append(true).open(&self.path);
        file.map_err(|error| format!("{}: {error}", self.path.display()))
    }
}

/// The last `count` lines of `text`.
pub(crate) fn tail(text: &str, count: usize) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// `flags` joined as `RUSTFLAGS` wants them.
pub(crate) fn join(flags: &[&str]) -> OsString {
    flags.join(" ").into()
}
