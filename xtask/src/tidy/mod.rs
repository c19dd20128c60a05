//! Rules that no compiler checks. Each rule is a function from sources to findings.

mod calls;
mod crates;
mod exceptions;
mod leaks;
mod reach;
mod size;
mod source;
mod words;

use core::fmt;
use std::path::Path;

use crate::print::line;
use crate::process::Program;
use crate::session::Session;

use self::source::Source;

/// A rule that does not hold somewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Relative to the root.
    path: String,
    /// 1-based; 0 when the file as a whole is meant.
    line: usize,
    rule: &'static str,
    text: String,
    /// How large it is, for rules with a limit; else 1.
    size: usize,
}

/// What git knows or would take.
struct Tree {
    /// Every file, relative to the root, in order.
    paths: Vec<String>,
    /// Those that are text.
    files: Vec<Source>,
}

/// What `tidy` found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) files: usize,
    pub(crate) findings: Vec<Finding>,
}

impl Finding {
    fn new(path: &str, line: usize, rule: &'static str, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule, text: text.into(), size: 1 }
    }

    fn sized(mut self, size: usize) -> Self {
        self.size = size;
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}: {}", self.path, self.rule, self.text),
            line => write!(f, "{}:{line}: {}: {}", self.path, self.rule, self.text),
        }
    }
}

/// Checks and prints; `false` when something was found.
///
/// # Errors
/// When the files cannot be read.
pub(crate) fn report(session: &Session) -> Result<bool, String> {
    let report = check(session)?;
    for finding in &report.findings {
        line(&finding.to_string());
    }
    line(&format!("{} files, {} findings", report.files, report.findings.len()));
    Ok(report.findings.is_empty())
}

/// Checks every rule over every file that git knows or would take.
///
/// # Errors
/// When the files cannot be read.
pub(crate) fn check(session: &Session) -> Result<Report, String> {
    let tree = Tree::read(&session.root)?;
    let sources: Vec<_> = tree.files.iter().filter(|file| file.path.ends_with(".rs")).collect();
    let mut findings = Vec::new();
    for file in &tree.files {
        findings.extend(leaks::check(file));
        findings.extend(words::check(file));
    }
    for source in &sources {
        findings.extend(size::check(source));
        findings.extend(calls::check(source));
    }
    findings.extend(reach::check(&sources, &session.manifests));
    findings.extend(crates::check(&tree, &session.manifests));
    let list = std::fs::read_to_string(session.root.join(exceptions::PATH))
        .map_err(|error| format!("{}: {error}", exceptions::PATH))?;
    let mut findings = exceptions::apply(&list, findings, &today()?);
    findings.sort();
    Ok(Report { files: tree.paths.len(), findings })
}

impl Tree {
    fn read(root: &Path) -> Result<Self, String> {
        let list = Program::new("git")
            .words("ls-files -z --cached --others --exclude-standard")
            .folder(root)
            .read()?;
        let mut paths: Vec<_> =
            list.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
        // Removed but not yet committed.
        paths.retain(|path| root.join(path).is_file());
        paths.sort();
        paths.dedup();
        let text = |path: &String| std::fs::read_to_string(root.join(path)).ok();
        // Bytes that are no text have no lines to check.
        let files = paths.iter().filter_map(|path| Some(Source::new(path, text(path)?))).collect();
        Ok(Self { paths, files })
    }

    /// Whether a file's path starts so.
    fn has(&self, start: &str) -> bool {
        self.paths.iter().any(|path| path.starts_with(start))
    }
}

/// Today as `YYYY-MM-DD`.
fn today() -> Result<String, String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = now.map_err(|error| error.to_string())?.as_secs() / 86_400;
    Ok(exceptions::date(days))
}
