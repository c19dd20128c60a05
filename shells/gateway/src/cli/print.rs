//! Everything that the command line prints. Results go to the standard output, complaints to the
//! standard error; colour only where a person looks.

use core::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use crate::config::{Diagnostic, Severity};

/// A line of the result.
pub(super) fn line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A line beside the result.
pub(super) fn remark(text: impl Display) -> io::Result<()> {
    writeln!(io::stderr().lock(), "{text}")
}

/// Why there is no result.
pub(super) fn complaint(text: &dyn Display) -> io::Result<()> {
    let [red, _, plain] = colours();
    writeln!(io::stderr().lock(), "{red}error:{plain} {text}")
}

/// What is to be said about a configuration.
pub(super) fn diagnostics(diagnostics: &[Diagnostic]) -> io::Result<()> {
    let [red, yellow, plain] = colours();
    let mut output = io::stderr().lock();
    for diagnostic in diagnostics {
        let colour = match diagnostic.severity {
            Severity::Error => red,
            Severity::Warning => yellow,
        };
        writeln!(output, "{colour}{diagnostic}{plain}")?;
    }
    Ok(())
}

/// Many lines of the result, written together.
#[derive(Debug)]
pub(super) struct Lines {
    output: BufWriter<StdoutLock<'static>>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { output: BufWriter::new(io::stdout().lock()) }
    }

    pub(super) fn add(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.output, "{text}")
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Red, yellow and the end of both; nothing where nobody would see a colour or `NO_COLOR` is set.
fn colours() -> [&'static str; 3] {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stderr().is_terminal() { ["\x1b[31m", "\x1b[33m", "\x1b[0m"] } else { [""; 3] }
}
