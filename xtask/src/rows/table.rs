//! The lines that a run ends with.

use core::fmt::Write as _;
use core::time::Duration;

use super::{Done, Outcome, Stop};
use crate::print::{Style, paint};

/// The whole table, with the closing line `N passed, N failed`.
pub(super) fn table(outcomes: &[Outcome], added: &[String], took: Duration) -> String {
    let mut text = format!("\n{}\n", paint(Style::Faint, &header()));
    for outcome in outcomes {
        let _ = writeln!(text, "{}", row(outcome));
    }
    if !added.is_empty() {
        let _ = writeln!(text, "\ninstalled on the way: {}", added.join("; "));
    }
    let (passed, failed) = outcomes.iter().map(counts).fold((0, 0), |sum, count| {
        let (passed, failed) = sum;
        (passed + count.0, failed + count.1)
    });
    let impossible = outcomes.iter().filter(|row| matches!(row.result, Err(Stop::Missing(_))));
    let _ = writeln!(
        text,
        "\n{} rows in {:.0} s, {} not possible here; checks in all (a test, a crate built, a \
         corpus replayed):\n{passed} passed, {failed} failed",
        outcomes.len(),
        took.as_secs_f64(),
        impossible.count(),
    );
    text.truncate(text.trim_end().len());
    text
}

/// One line of it.
pub(super) fn row(outcome: &Outcome) -> String {
    let (style, word, note) = match &outcome.result {
        Ok(Done { note, .. }) => (Style::Good, "passed", note.clone()),
        Err(Stop::Failed { why, .. }) => {
            (Style::Bad, "FAILED", first_line(outcome.cause.as_ref().unwrap_or(why)))
        }
        Err(Stop::Missing(why)) => (Style::Unsure, "not possible here", first_line(why)),
    };
    let word = paint(style, &format!("{word:<17}"));
    format!("{:<12} {word} {:>7.1}  {note}", outcome.name, outcome.took.as_secs_f64())
        .trim_end()
        .to_owned()
}

fn header() -> String {
    format!("{:<12} {:<17} {:>7}  note", "row", "result", "seconds")
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line.to_owned(),
    }
}

fn counts(outcome: &Outcome) -> (u64, u64) {
    match outcome.result {
        Ok(Done { passed, .. }) => (passed, 0),
        Err(Stop::Failed { passed, failed, .. }) => (passed, failed.max(1)),
        Err(Stop::Missing(_)) => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Done, Outcome, Stop, table};

    #[test]
    fn the_last_line_counts_what_ran() {
        let took = Duration::from_millis(1500);
        let done = |passed, note: &str| Ok(Done { passed, note: note.to_owned() });
        let outcome = |name, result| Outcome { name, result, took, cause: None };
        let failed = Stop::Failed { why: "it broke".to_owned(), passed: 3, failed: 2 };
        let outcomes = [
            outcome("fmt", done(1, "")),
            outcome("tests", Err(failed)),
            outcome("wine", Err(Stop::Missing("no wine".to_owned()))),
        ];
        let text = table(&outcomes, &["a-tool".to_owned()], took);
        assert_eq!(text.lines().last(), Some("4 passed, 2 failed"));
        assert!(text.contains("wine         not possible here     1.5  no wine"), "{text}");
        assert!(text.contains("installed on the way: a-tool"));
    }
}
