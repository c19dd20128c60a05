//! Which configuration is used, and reading it.

use core::fmt;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use crate::config::{Config, Diagnostic, Loaded};

/// The file that is used without `--config`, if it is there.
const FILE: &str = "forebay.toml";

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a third source would have to be told to the user")]
pub enum Source {
    /// This file.
    File(PathBuf),
    /// The program itself.
    BuiltIn,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(super) enum Failure {
    /// The file cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It can be, and this is wrong with it.
    Invalid(Vec<Diagnostic>),
}

impl Source {
    /// The file that was chosen, the one of the working folder if there is one, or none.
    pub(super) fn choose(file: Option<&Path>) -> Self {
        match file {
            Some(file) => Self::File(file.to_owned()),
            None if Path::new(FILE).exists() => Self::File(FILE.into()),
            None => Self::BuiltIn,
        }
    }

    /// Reads the configuration, with the variable `ENVIRONMENT`.
    pub(super) fn load(&self) -> Result<Loaded, Failure> {
        let variable = env::var_os("ENVIRONMENT");
        let environment = variable.as_ref().map(|value| value.to_string_lossy());
        match self {
            Self::BuiltIn => Config::built_in(environment.as_deref()).map_err(Failure::Invalid),
            Self::File(file) => {
                let unreadable = |error| Failure::Unreadable(file.clone(), error);
                let text = fs::read_to_string(file).map_err(unreadable)?;
                let absolute = std::path::absolute(file).map_err(unreadable)?;
                let folder = absolute.parent().unwrap_or(&absolute);
                Config::parse(&text, file, folder, environment.as_deref()).map_err(Failure::Invalid)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::BuiltIn => f.write_str("built-in (no forebay.toml here, no --config)"),
        }
    }
}
