//! The one place that prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a chore does")]

use std::env;
use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::{LazyLock, Mutex};

/// How a text is shown where colours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Good,
    Bad,
    Unsure,
    Faint,
}

static COLOUR: LazyLock<bool> =
    LazyLock::new(|| is_terminal() && env::var_os("NO_COLOR").is_none());
/// Whether the cursor stands on a line that the next print replaces.
static TRANSIENT: Mutex<bool> = Mutex::new(false);

/// Whether a person is watching, as opposed to a log.
pub(crate) fn is_terminal() -> bool {
    stdout().is_terminal() && env::var_os("CI").is_none()
}

/// `text` in `style`, or as it is where no colours are.
pub(crate) fn paint(style: Style, text: &str) -> String {
    let code = match style {
        Style::Good => 32,
        Style::Bad => 31,
        Style::Unsure => 33,
        Style::Faint => 2,
    };
    if *COLOUR { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// One line (or more) that stays.
pub(crate) fn line(text: &str) {
    let mut transient = TRANSIENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if core::mem::take(&mut *transient) {
        print!("\r\u{1b}[2K");
    }
    println!("{text}");
}

/// What is going on, on a line that the next one replaces; nothing where nobody watches.
pub(crate) fn progress(text: &str) {
    if !is_terminal() {
        return;
    }
    let mut transient = TRANSIENT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *transient = true;
    let short: String = text.chars().take(78).collect();
    print!("\r\u{1b}[2K{}", paint(Style::Faint, &short));
    // A terminal that went away is not this program's problem.
    let _ = stdout().flush();
}

/// Why the command as a whole did not work.
pub(crate) fn error(text: &str) {
    eprintln!("{}: {text}", paint(Style::Bad, "error"));
}
