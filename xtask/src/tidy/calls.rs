//! Calls that have a better replacement here, each with it.

use super::Finding;
use super::source::Source;

/// Where a ban holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Code of core, not its tests.
    Core,
    /// Everywhere but in these files, or under these folders.
    But(&'static [&'static str]),
    /// Tests.
    Tests,
}

struct Ban {
    pattern: &'static str,
    scope: Scope,
    instead: &'static str,
}

const fn ban(pattern: &'static str, scope: Scope, instead: &'static str) -> Ban {
    Ban { pattern, scope, instead }
}

/// The modules that print, each of which says why; what benches and tests print is their result.
const PRINTERS: &[&str] = &["/print.rs", "/main.rs", "benches/", "tests/", "examples/"];

const BANS: [Ban; 16] = [
    ban("std::", Scope::Core, "core has no std: `core::`, or let the shell do it"),
    ban("alloc::", Scope::Core, "core does not allocate: storage from the caller"),
    ban(".unwrap()", Scope::Core, "an error, or `expect` with the invariant as its text"),
    ban("panic!", Scope::Core, "an error: network input never panics"),
    ban("todo!", Scope::But(&[]), "an issue, and a body"),
    ban("unimplemented!", Scope::But(&[]), "an issue, and a body"),
    ban("dbg!", Scope::But(&[]), "`tracing`, or nothing"),
    ban("println!", Scope::But(PRINTERS), "the module that prints"),
    ban("eprintln!", Scope::But(PRINTERS), "the module that prints, or `tracing`"),
    ban("#[allow(", Scope::But(&[]), "`#[expect(lint, reason = \"...\")]`"),
    ban("#![allow(", Scope::But(&[]), "`#![expect(lint, reason = \"...\")]`"),
    ban("thread::sleep", Scope::Tests, "poll with a deadline"),
    ban("tokio::time::sleep", Scope::Tests, "`tokio::time::pause` and `advance`, or poll"),
    ban("#[ignore]", Scope::But(&[]), "a suite of its own, or a fix"),
    ban("#[ignore =", Scope::But(&[]), "a suite of its own, or a fix"),
    ban("static mut", Scope::But(&[]), "a cell or an atomic"),
];

pub(super) fn check(source: &Source) -> Vec<Finding> {
    let bans = BANS.iter().flat_map(|ban| banned(source, ban));
    bans.chain(unexplained_unsafe(source)).chain(lints_without_reason(source)).collect()
}

fn banned<'a>(source: &'a Source, ban: &'a Ban) -> impl Iterator<Item = Finding> + 'a {
    let offsets = match ban.scope {
        Scope::Core if is_core(source) => source.find(ban.pattern),
        Scope::But(places) if !places.iter().any(|place| is_at(source, place)) => {
            source.find_anywhere(ban.pattern)
        }
        Scope::Tests => {
            let in_tests = |at: &usize| {
                (source.is_test() && !source.path.starts_with("benches/"))
                    || source.tests.iter().any(|range| range.contains(at))
            };
            source.find_anywhere(ban.pattern).into_iter().filter(in_tests).collect()
        }
        Scope::Core | Scope::But(_) => Vec::new(),
    };
    offsets.into_iter().map(|at| {
        let text = format!("`{}` is not used here; instead: {}", ban.pattern, ban.instead);
        Finding::new(&source.path, source.line_at(at), "call", text)
    })
}

/// Whether a source is the file, or in the folder, that `place` names.
fn is_at(source: &Source, place: &str) -> bool {
    if place.ends_with('/') {
        source.path.starts_with(place) || source.path.contains(&format!("/{place}"))
    } else {
        source.path.ends_with(place)
    }
}

fn is_core(source: &Source) -> bool {
    let in_source = source.path.starts_with("core/") && source.path.contains("/src/");
    in_source && !source.is_test()
}

/// `unsafe` blocks and impls need a comment that argues; clippy sees only what this system
/// compiles.
fn unexplained_unsafe(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A file that says why it has no such comments: a bound that a bench compares with.
    if source.code.contains("undocumented_unsafe_blocks") {
        return findings;
    }
    for at in source.find_anywhere("unsafe") {
        let rest = source.code[at + "unsafe".len()..].trim_start();
        let (word, ok) = if rest.starts_with('{') || rest.starts_with("impl") {
            ("SAFETY:", is_explained(source, at, "SAFETY:"))
        } else if rest.starts_with("fn") && !is_foreign_or_trait_impl(source, at) {
            ("# Safety", is_explained(source, at, "# Safety"))
        } else {
            continue;
        };
        if !ok {
            let text = format!("`unsafe` without a `{word}` above it that argues");
            findings.push(Finding::new(&source.path, source.line_at(at), "unsafe", text));
        }
    }
    findings
}

/// Whether the comment above the statement or item at `at` contains `word`.
fn is_explained(source: &Source, at: usize, word: &str) -> bool {
    let line = source.line_at(at);
    let comments: Vec<_> = source.comments.lines().collect();
    let code: Vec<_> = source.code.lines().collect();
    // The statement may start above, and attributes may stand between.
    let mut above = (0..line.saturating_sub(1)).rev();
    let mut lines_of_code = 0;
    if comments[line - 1].contains(word) {
        return true;
    }
    above.any(|index| {
        let plain = code[index].trim();
        if lines_of_code > 4 {
            return false;
        }
        if !plain.is_empty() && !plain.starts_with("#[") {
            lines_of_code += if ends_statement(plain) { 5 } else { 1 };
        }
        comments[index].contains(word)
    })
}

fn ends_statement(code: &str) -> bool {
    code.ends_with(';') || code.ends_with('}') || code.ends_with('{') || code.ends_with(',')
}

/// Methods of an `unsafe impl` have their duties in the trait, foreign functions have no docs of
/// ours.
fn is_foreign_or_trait_impl(source: &Source, at: usize) -> bool {
    let before = &source.code[..at];
    let block = before.rfind("impl").max(before.rfind("extern"));
    block.is_some_and(|start| {
        let opened = before[start..].matches('{').count();
        let closed = before[start..].matches('}').count();
        let head = before[start..].split('{').next().unwrap_or_default();
        opened > closed && (head.contains(" for ") || head.starts_with("extern"))
    })
}

/// `#[expect(lint)]` says why.
fn lints_without_reason(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pattern in ["#[expect(", "#![expect("] {
        for at in source.find_anywhere(pattern) {
            let end = source.code[at..].find(")]").map_or(source.code.len(), |end| at + end);
            if !source.code[at..end].contains("reason") {
                let text = "`expect` of a lint without `reason = \"...\"`";
                findings.push(Finding::new(&source.path, source.line_at(at), "lint", text));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::check;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&Source::new(path, text.to_owned())).iter().map(|found| found.rule).collect()
    }

    #[test]
    fn core_has_its_own_bans() {
        for text in
            ["use std::io;", "use alloc::vec;", "fn a() { b.unwrap() }", "fn a() { panic!() }"]
        {
            assert_eq!(rules("core/a/src/b.rs", text), ["call"], "{text}");
            assert!(rules("shells/a/src/b.rs", text).is_empty(), "{text}");
            let test = format!("#[cfg(test)]\nmod tests {{\n{text}\n}}");
            assert!(rules("core/a/src/b.rs", &test).is_empty(), "{text}");
            assert!(rules("core/a/src/b/tests.rs", text).is_empty(), "{text}");
        }
    }

    #[test]
    fn bans_hold_everywhere_with_their_exceptions() {
        let allow = ["#[al", "low(dead_code)]\nfn a() {}"].concat();
        assert_eq!(rules("shells/a/src/b.rs", &allow), ["call"]);
        assert_eq!(rules("shells/a/src/b.rs", "fn a() { println!() }"), ["call"]);
        assert!(rules("xtask/src/print.rs", "fn a() { println!() }").is_empty());
        assert_eq!(rules("tests/e2e/a.rs", "fn a() { thread::sleep(b) }"), ["call"]);
        assert!(rules("shells/a/src/b.rs", "fn a() { thread::sleep(b) }").is_empty());
        let ignored = ["#[ign", "ore]\nfn a() {}"].concat();
        assert_eq!(rules("tests/e2e/a.rs", &ignored), ["call"]);
    }

    #[test]
    fn unsafe_needs_an_argument() {
        assert_eq!(rules("a.rs", "fn a() {\n    unsafe { b() }\n}"), ["unsafe"]);
        assert_eq!(rules("a.rs", "unsafe impl Send for A {}"), ["unsafe"]);
        assert_eq!(rules("a.rs", "unsafe fn a() {}"), ["unsafe"]);
        let argued = "fn a() {\n    // SAFETY: b is fine.\n    let c =\n        unsafe { b() };\n}";
        assert!(rules("a.rs", argued).is_empty());
        let documented = "/// # Safety\n/// Only on Mondays.\n#[must_use]\nunsafe fn a() {}";
        assert!(rules("a.rs", documented).is_empty());
        let of_a_trait =
            "// SAFETY: as System does.\nunsafe impl G for A {\n    unsafe fn a() {}\n}";
        assert!(rules("a.rs", of_a_trait).is_empty());
        let far = "fn a() {\n    // SAFETY: of c.\n    c();\n    d();\n    unsafe { b() }\n}";
        assert_eq!(rules("a.rs", far), ["unsafe"]);
    }

    #[test]
    fn an_expected_lint_says_why() {
        assert_eq!(rules("a.rs", "#[expect(dead_code)]\nfn a() {}"), ["lint"]);
        assert!(rules("a.rs", "#[expect(dead_code, reason = \"b\")]\nfn a() {}").is_empty());
    }
}
