//! A file as the rules see it: its text, and for Rust the same text without comments and literals.

use core::ops::Range;

/// One text file.
#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    /// `text` with comments and the insides of literals blanked, byte for byte; empty unless Rust.
    pub(super) code: String,
    /// `text` with everything but comments blanked; empty unless Rust.
    pub(super) comments: String,
    /// Byte ranges of items under `#[cfg(test)]`.
    pub(super) tests: Vec<Range<usize>>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) name: String,
    /// 1-based.
    pub(super) line: usize,
    /// From the line of `fn` to that of the last brace, both included.
    pub(super) line_count: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: String) -> Self {
        let (code, comments) =
            if path.ends_with(".rs") { split(&text) } else { Default::default() };
        let tests = test_items(&code);
        Self { path: path.to_owned(), text, code, comments, tests }
    }

    /// Whether the whole file is tests.
    pub(super) fn is_test(&self) -> bool {
        let in_folder = |name: &str| {
            self.path.starts_with(&format!("{name}/")) || self.path.contains(&format!("/{name}/"))
        };
        self.path.ends_with("/tests.rs") || in_folder("tests") || in_folder("benches")
    }

    /// Whether only tests compile a line (1-based).
    pub(super) fn is_test_line(&self, line: usize) -> bool {
        let around = |range: &Range<usize>| {
            (self.line_at(range.start)..=self.line_at(range.end)).contains(&line)
        };
        self.is_test() || self.tests.iter().any(around)
    }

    /// The 1-based line of a byte.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count()
    }

    /// Offsets of `pattern` in code outside tests. A pattern that starts (ends) with a letter
    /// matches only where a word starts (ends).
    pub(super) fn find(&self, pattern: &str) -> Vec<usize> {
        let mut offsets = self.find_anywhere(pattern);
        offsets.retain(|offset| !self.tests.iter().any(|range| range.contains(offset)));
        offsets
    }

    /// The same, in tests too.
    pub(super) fn find_anywhere(&self, pattern: &str) -> Vec<usize> {
        let bytes = self.code.as_bytes();
        let is_word =
            |at: Option<usize>| at.and_then(|at| bytes.get(at)).copied().is_some_and(is_word_byte);
        let starts = pattern.bytes().next().is_some_and(is_word_byte);
        let ends = pattern.bytes().last().is_some_and(is_word_byte);
        let whole = |at: &usize| {
            !(starts && is_word(at.checked_sub(1)) || ends && is_word(Some(at + pattern.len())))
        };
        self.code.match_indices(pattern).map(|(at, _)| at).filter(whole).collect()
    }

    /// Every function with a body, tests included.
    pub(super) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for at in self.find_anywhere("fn") {
            let rest = &self.code[at + 2..];
            let name: String = rest.trim_start().chars().take_while(|c| is_word_char(*c)).collect();
            let Some(open) = body_start(rest).map(|open| at + 2 + open) else { continue };
            if name.is_empty() {
                continue;
            }
            let close = block_end(&self.code, open);
            let (first, last) = (self.line_at(at), self.line_at(close));
            functions.push(Function { name, line: first, line_count: last - first + 1 });
        }
        functions
    }

    /// Lines outside of `#[cfg(test)]` items.
    pub(super) fn plain_line_count(&self) -> usize {
        let in_tests = |range: &Range<usize>| {
            self.text.as_bytes()[range.clone()].iter().filter(|byte| **byte == b'\n').count() + 1
        };
        let tests: usize = self.tests.iter().map(in_tests).sum();
        self.text.lines().count().saturating_sub(tests)
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the body of a function starts, in what follows `fn`; `None` for a declaration or a type.
fn body_start(rest: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.checked_sub(1)?,
            b'{' if depth == 0 => return Some(at),
            b';' | b'}' | b',' | b'=' if depth == 0 && !in_generics(&rest[..at]) => return None,
            _ => {}
        }
    }
    None
}

/// Whether `head` ends inside `<...>`, where `=` and `,` do not end a signature, or in a where
/// clause.
fn in_generics(head: &str) -> bool {
    let opened = head.matches('<').count();
    let closed = head.matches('>').count() - head.matches("->").count();
    opened > closed || head.contains("where")
}

/// The offset of the brace that closes the one at `open`; the end of the text without one.
pub(super) fn block_end(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at;
        }
    }
    code.len().saturating_sub(1)
}

/// The items that only tests compile.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices("#[cfg(") {
        if ranges.last().is_some_and(|range| range.contains(&at)) {
            continue;
        }
        let Some(close) = code[at..].find(']').map(|close| at + close) else { continue };
        let condition = &code[at + "#[cfg(".len()..close];
        let tests = condition.starts_with("test)") || condition.starts_with("all(test");
        if !tests {
            continue;
        }
        let rest = &code[close + 1..];
        let end = match (rest.find('{'), rest.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|semicolon| brace < semicolon) => {
                block_end(code, close + 1 + brace)
            }
            (_, Some(semicolon)) => close + 1 + semicolon,
            (_, None) => continue,
        };
        ranges.push(at..end);
    }
    ranges
}

/// Splits Rust into code and comments, each as long as the text, the rest of it blank.
fn split(text: &str) -> (String, String) {
    let bytes = text.as_bytes();
    let (mut code, mut comments) = (bytes.to_vec(), bytes.to_vec());
    let mut at = 0;
    let mut code_start = 0;
    while at < bytes.len() {
        let Some((end, kind)) = skip(text, at) else {
            at += 1;
            continue;
        };
        blank(&mut comments[code_start..at]);
        match kind {
            Skipped::Comment => blank(&mut code[at..end]),
            Skipped::Literal => {
                // The quotes stay, so that `("...")` keeps its shape.
                blank(&mut code[(at + 1).min(end)..end.saturating_sub(1).max(at)]);
                blank(&mut comments[at..end]);
            }
        }
        at = end;
        code_start = end;
    }
    blank(&mut comments[code_start..]);
    let whole = |bytes| String::from_utf8(bytes).expect("blanked whole characters only");
    (whole(code), whole(comments))
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

enum Skipped {
    Comment,
    Literal,
}

/// The comment or literal that starts at `at`, as its end.
fn skip(text: &str, at: usize) -> Option<(usize, Skipped)> {
    let bytes = text.as_bytes();
    let rest = &bytes[at..];
    let after_word = at > 0 && is_word_byte(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => {
            let len = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            Some((at + len, Skipped::Comment))
        }
        [b'/', b'*', ..] => Some((at + block_comment_len(rest), Skipped::Comment)),
        [b'"', ..] => Some((at + string_len(rest), Skipped::Literal)),
        [b'r', b'"' | b'#', ..] if !after_word || is_raw_prefix(bytes, at) => {
            raw_string_len(rest).map(|len| (at + len, Skipped::Literal))
        }
        [b'\'', ..] => char_len(&text[at..]).map(|len| (at + len, Skipped::Literal)),
        _ => None,
    }
}

/// Whether the `r` at `at` follows a lone `b` or `c`.
fn is_raw_prefix(bytes: &[u8], at: usize) -> bool {
    matches!(bytes[at - 1], b'b' | b'c') && (at < 2 || !is_word_byte(bytes[at - 2]))
}

fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

fn string_len(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string_len(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let inside = &rest[2 + hashes..];
    let end = inside.windows(close.len()).position(|window| window == close.as_bytes());
    Some(end.map_or(rest.len(), |end| 2 + hashes + end + close.len()))
}

/// The length of a character literal; `None` for a lifetime.
fn char_len(rest: &str) -> Option<usize> {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        return inside[2..].find('\'').map(|end| 1 + 2 + end + 1);
    }
    let first = inside.chars().next()?;
    inside[first.len_utf8()..].starts_with('\'').then(|| 1 + first.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::Source;

    fn source(text: &str) -> Source {
        Source::new("core/a/src/b.rs", text.to_owned())
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        let text = r##"let a = "unsafe // {"; // unsafe "x"
/* unsafe /* nested */ unsafe */ let b = r#"unsafe "# ; let c = b'"'; let d: &'static str = "\"unsafe";"##;
        let source = source(text);
        assert_eq!(source.code.len(), text.len());
        assert!(!source.code.contains("unsafe"), "{}", source.code);
        assert!(source.code.contains("let c") && source.code.contains("&'static str"));
        assert_eq!(source.comments.matches("unsafe").count(), 3, "{}", source.comments);
    }

    #[test]
    fn functions_are_measured_from_their_first_line_to_their_last() {
        let text = "fn a() {}\n\nfn b<T: Into<[u8; 4]>>(\n    t: T,\n) -> [u8; 4]\nwhere\n    T: Copy,\n{\n    \
                    t.into()\n}\ntrait C {\n    fn c(&self);\n}\ntype D = fn(u8) -> u8;\n";
        let found: Vec<_> = source(text)
            .functions()
            .into_iter()
            .map(|function| (function.name, function.line, function.line_count))
            .collect();
        assert_eq!(found, [("a".to_owned(), 1, 1), ("b".to_owned(), 3, 8)]);
    }

    #[test]
    fn test_modules_do_not_count() {
        let source = source("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        assert_eq!(source.plain_line_count(), 1);
        assert_eq!(source.find("fn").len(), 1);
        assert_eq!(source.find_anywhere("fn").len(), 2);
    }

    #[test]
    fn patterns_match_whole_words() {
        let source = source("my_std::x; std::x; prefix_unwrap(); unwrap();");
        assert_eq!(source.find("std::").len(), 1);
        assert_eq!(source.find("unwrap").len(), 1);
    }
}
