//! What is wrong with a configuration, and where.

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake, or one thing that may not be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Diagnostic {
    /// Whether the configuration can be used in spite of it.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The key with the tables it is in; empty where the file is no TOML.
    pub key: String,
    /// What was found and what is allowed.
    pub message: String,
}

/// Whether a configuration can be used in spite of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can.
    Warning,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { severity, file, line, key, message } = self;
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}:{line}: {severity}: ", file.display())?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(message)
    }
}

/// The diagnostics of one file while it is read.
#[derive(Debug)]
pub(super) struct Report<'t> {
    file: &'t Path,
    folder: &'t Path,
    text: &'t str,
    found: RefCell<Vec<(usize, Diagnostic)>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t Path, folder: &'t Path, text: &'t str) -> Self {
        Self { file, folder, text, found: RefCell::default() }
    }

    /// The folder that relative paths are relative to.
    pub(super) const fn folder(&self) -> &'t Path {
        self.folder
    }

    /// The text is no TOML.
    pub(super) fn syntax(&self, span: Option<Range<usize>>, message: &str) {
        self.add(Severity::Error, span.unwrap_or_default(), "", message.into());
    }

    /// A value that is not allowed.
    pub(super) fn error(&self, span: Range<usize>, key: &str, found: &str, allowed: &str) {
        let message = format!("found {found}, allowed: {allowed}");
        self.add(Severity::Error, span, key, message);
    }

    /// A value that is allowed and may not be meant.
    pub(super) fn warning(&self, span: Range<usize>, key: &str, message: &str) {
        self.add(Severity::Warning, span, key, message.into());
    }

    fn add(&self, severity: Severity, span: Range<usize>, key: &str, message: String) {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let (file, key) = (self.file.to_path_buf(), key.to_owned());
        let diagnostic = Diagnostic { severity, file, line, key, message };
        self.found.borrow_mut().push((span.start, diagnostic));
    }

    /// Everything, in the order of the file.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(start, _)| *start);
        found.into_iter().map(|(_, diagnostic)| diagnostic).collect()
    }
}
