//! Rust files that no crate reaches.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Finding;
use super::source::Source;
use crate::manifests::{Manifests, slashed};

pub(super) fn check(sources: &[&Source], manifests: &Manifests) -> Vec<Finding> {
    let packages = manifests.packages.iter().chain(&manifests.outside);
    let roots = packages.flat_map(|package| &package.roots).map(|root| slashed(root));
    unreached(sources, roots.collect())
}

/// The sources that no `mod`, `#[path]`, `include!` or path in a literal leads to, from `roots`.
fn unreached(sources: &[&Source], roots: Vec<String>) -> Vec<Finding> {
    let by_path: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), *source)).collect();
    let is_root: BTreeSet<String> = roots.iter().cloned().collect();
    let mut reached = BTreeSet::new();
    let mut waiting = roots;
    while let Some(path) = waiting.pop() {
        let Some(source) = by_path.get(path.as_str()) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        waiting.extend(modules(source, is_root.contains(&path)));
        waiting.extend(named_in_literals(source, &by_path));
    }
    let dead = sources.iter().filter(|source| !reached.contains(&source.path));
    dead.map(|source| Finding::new(&source.path, 0, "dead", "no `mod` leads here")).collect()
}

/// The files that the `mod name;` lines of a file may mean.
fn modules(source: &Source, is_root: bool) -> Vec<String> {
    let path = Path::new(&source.path);
    let parent = path.parent().map(slashed).unwrap_or_default();
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let own = if is_root || stem == "mod" { parent } else { format!("{parent}/{stem}") };
    let inline = inline_modules(source);
    let mut files = Vec::new();
    for (at, name, open) in module_items(source) {
        if open {
            continue;
        }
        let around = inline.iter().filter(|(_, range)| range.contains(&at));
        let folder = around.fold(own.clone(), |folder, (name, _)| format!("{folder}/{name}"));
        files.push(format!("{folder}/{name}.rs"));
        files.push(format!("{folder}/{name}/mod.rs"));
    }
    files
}

/// Modules with a body in this file, with its range.
fn inline_modules(source: &Source) -> Vec<(String, Range<usize>)> {
    let items = module_items(source).into_iter().filter(|(_, _, open)| *open);
    items.map(|(at, name, _)| (name, at..super::source::block_end(&source.code, at))).collect()
}

/// Offset and name of every `mod`, and whether a body follows.
fn module_items(source: &Source) -> Vec<(usize, String, bool)> {
    let mut items = Vec::new();
    for at in source.find_anywhere("mod") {
        let rest = source.code[at + 3..].trim_start();
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let end = rest[name.len()..].trim_start().chars().next();
        if !name.is_empty() && matches!(end, Some(';' | '{')) {
            items.push((at, name, end == Some('{')));
        }
    }
    items
}

/// Files whose path a literal of this file names: `#[path = "a.rs"]`, `include!`, or the folder of
/// a glob (`"compile_fail/*.rs"`).
fn named_in_literals(source: &Source, files: &BTreeMap<&str, &Source>) -> Vec<String> {
    let folder = Path::new(&source.path).parent().map(slashed).unwrap_or_default();
    let mut named = Vec::new();
    for literal in source.text.split('"').filter(|literal| literal.ends_with(".rs")) {
        let literal = literal.trim_start_matches("./").trim_start_matches('/');
        if let Some(glob) = literal.strip_suffix("*.rs") {
            let inside = |path: &&&str| path.starts_with(&folder) && path.contains(glob);
            named.extend(files.keys().filter(inside).map(|path| (*path).to_owned()));
        } else {
            named.push(format!("{folder}/{literal}"));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::unreached;

    fn dead(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> =
            files.iter().map(|(path, text)| Source::new(path, (*text).to_owned())).collect();
        let roots = vec![files[0].0.to_owned()];
        let found = unreached(&sources.iter().collect::<Vec<_>>(), roots);
        found.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn modules_are_followed_in_every_form() {
        let files = [
            ("a/src/lib.rs", "mod b;\nmod c { mod d; }\n#[path = \"e/f.rs\"]\nmod g;"),
            ("a/src/b/mod.rs", "mod h;"),
            ("a/src/b/h.rs", "mod i;"),
            ("a/src/b/h/i.rs", ""),
            ("a/src/c/d.rs", ""),
            ("a/src/e/f.rs", ""),
        ];
        assert!(dead(&files).is_empty(), "{:?}", dead(&files));
    }

    #[test]
    fn a_file_that_nobody_names_is_dead() {
        let files = [("a/src/lib.rs", "// mod b;"), ("a/src/b.rs", "")];
        assert_eq!(dead(&files), ["a/src/b.rs"]);
    }

    #[test]
    fn a_glob_in_a_literal_reaches_its_folder() {
        let files = [
            ("tests/ui/main.rs", "fn a() { t.compile_fail(\"ui/worker/*.rs\") }"),
            ("tests/ui/worker/b.rs", ""),
            ("tests/ui/other/c.rs", ""),
        ];
        assert_eq!(dead(&files), ["tests/ui/other/c.rs"]);
    }
}
