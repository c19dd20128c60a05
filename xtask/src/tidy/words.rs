//! Names that say nothing, notes that nobody owns.

use super::Finding;
use super::source::Source;

/// Names that fit anything, so they tell nothing.
const NAMES: [&str; 7] = ["util", "utils", "common", "helper", "helpers", "misc", "manager"];

/// Notes that belong into an issue, in two halves so that this file does not find itself.
const NOTES: [(&str, &str); 2] = [("FIX", "ME"), ("XX", "X")];

/// Praise. Numbers with their method are welcome instead.
const PRAISE: [&str; 8] = [
    "blazing",
    "lightning-fast",
    "seamless",
    "cutting-edge",
    "world-class",
    "state-of-the-art",
    "effortless",
    "battle-tested",
];

pub(super) fn check(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(name) = bad_name(&file.path) {
        let text = format!("`{name}` says nothing: name the noun");
        findings.push(Finding::new(&file.path, 0, "name", text));
    }
    if is_ours_to_word(&file.path) {
        // What people wrote: the comments of Rust, all of Markdown and configuration.
        let words = if file.path.ends_with(".rs") { &file.comments } else { &file.text };
        for (index, line) in words.lines().enumerate() {
            let finding = |text| Finding::new(&file.path, index + 1, "word", text);
            findings.extend(bad_words(line).map(finding));
        }
    }
    findings
}

fn bad_words(words: &str) -> impl Iterator<Item = String> {
    let lower = words.to_lowercase();
    let todo = words.match_indices("TODO").any(|(at, _)| !has_issue(&words[at..]));
    let todo = todo.then(|| "`TODO` without an issue: `TODO(#12)`".to_owned());
    let notes = NOTES.map(|(one, two)| format!("{one}{two}"));
    let note = notes.into_iter().find(|note| words.contains(note.as_str()));
    let note = note.map(|note| format!("`{note}` belongs into an issue"));
    let praise = PRAISE.iter().find(|word| lower.contains(**word));
    let praise = praise.map(|word| format!("`{word}` is praise: a number and its method instead"));
    [todo, note, praise].into_iter().flatten()
}

/// Whether a note that starts here names an issue: `TODO(#12)`.
fn has_issue(note: &str) -> bool {
    let number = note.strip_prefix("TODO(#").unwrap_or_default();
    number.chars().next().is_some_and(|c| c.is_ascii_digit())
}

/// The part of a path that is a name of ours and tells nothing.
fn bad_name(path: &str) -> Option<&str> {
    if !path.ends_with(".rs") {
        return None;
    }
    path.split('/')
        .map(|part| part.strip_suffix(".rs").unwrap_or(part))
        .find(|part| NAMES.contains(part))
}

fn is_ours_to_word(path: &str) -> bool {
    // This file, vectors and corpora speak of these words or are bytes of others.
    let endings = [".rs", ".md", ".toml", ".yml", ".yaml", ".ts", ".js"];
    endings.iter().any(|ending| path.ends_with(ending))
        && !path.ends_with("tidy/words.rs")
        && !path.contains("/vectors/")
        && !path.contains("/corpus/")
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::check;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&Source::new(path, text.to_owned())).iter().map(|found| found.rule).collect()
    }

    #[test]
    fn empty_names_are_found() {
        assert_eq!(rules("core/a/src/util.rs", ""), ["name"]);
        assert_eq!(rules("core/common/src/lib.rs", ""), ["name"]);
        assert!(rules("core/commons/src/lib.rs", "").is_empty());
    }

    #[test]
    fn notes_need_an_issue() {
        assert_eq!(rules("a.rs", "// TODO: later"), ["word"]);
        assert!(rules("a.rs", "// TODO(#12): later").is_empty());
        assert!(rules("a.rs", "const A: &str = \"TODO\";").is_empty());
        assert_eq!(rules("a.md", "FIXME"), ["word"]);
        assert_eq!(rules("a.toml", "# XXX"), ["word"]);
    }

    #[test]
    fn praise_is_found() {
        assert_eq!(rules("README.md", "A Blazing speed"), ["word"]);
        assert!(rules("README.md", "0.60 of nginx, by benches/load").is_empty());
    }
}
