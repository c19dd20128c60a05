//! The request target (RFC 9112 section 3.2).

use crate::class;
use crate::config::{index, truncate};
use crate::error::PeerError;
use crate::host;
use crate::word;

/// The form of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A path, with an optional query.
    Origin,
    /// `http://` or `https://`, authority, and an optional path and query.
    Absolute,
    /// `*`, with OPTIONS only.
    Asterisk,
}

/// A request target that passed every check, with its parts found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'i> {
    raw: &'i [u8],
    form: Form,
    /// Where the authority begins; it ends where the path begins.
    authority: u8,
    path: u32,
    path_end: u32,
}

impl<'i> Target<'i> {
    /// Checks form and bytes (RFC 9112 section 3.2) of the target at the start of `bytes`, which
    /// ends with the first space or with them; gives what follows as well. There are fewer bytes
    /// than 32 bits count.
    #[inline(always)]
    pub(crate) fn parse(bytes: &'i [u8], method: &[u8]) -> Result<(Self, &'i [u8]), PeerError> {
        match bytes {
            [b'/', ..] => Self::parse_parts(bytes, Form::Origin, 0, bytes),
            [..] => Self::parse_other(bytes, method),
        }
    }

    #[cold]
    fn parse_other(bytes: &'i [u8], method: &[u8]) -> Result<(Self, &'i [u8]), PeerError> {
        if let ([b'*'] | [b'*', b' ', ..], b"OPTIONS") = (bytes, method) {
            return Self::parse_parts(bytes, Form::Asterisk, 0, bytes);
        }
        let (authority, path) = find_authority(bytes)?;
        Self::parse_parts(bytes, Form::Absolute, authority, path)
    }

    /// Goes through the path, which is the end of `bytes`, and the query.
    #[inline(always)]
    fn parse_parts(
        bytes: &'i [u8],
        form: Form,
        authority: u8,
        path: &'i [u8],
    ) -> Result<(Self, &'i [u8]), PeerError> {
        let at_of = |rest: &[u8]| bytes.len().wrapping_sub(rest.len());
        let query = behind_path(path)?;
        let rest = if query.first() == Some(&b'?') { behind_query(query)? } else { query };
        let raw = bytes.get(..at_of(rest)).unwrap_or_default();
        let (path, path_end) = (truncate(at_of(path)), truncate(at_of(query)));
        Ok((Self { raw, form, authority, path, path_end }, rest))
    }

    /// The bytes as they came.
    #[must_use]
    pub fn raw(&self) -> &'i str {
        text(self.raw)
    }

    /// The form.
    #[must_use]
    pub const fn form(&self) -> Form {
        self.form
    }

    /// The authority of an absolute-form target as it came, with its port.
    #[must_use]
    pub fn authority(&self) -> Option<&'i str> {
        match self.form {
            Form::Absolute => self.raw.get(usize::from(self.authority)..index(self.path)).map(text),
            Form::Origin | Form::Asterisk => None,
        }
    }

    /// The path as it came: `/…`, empty for an absolute-form target without path, `*` for the
    /// asterisk form.
    #[must_use]
    pub fn path(&self) -> &'i str {
        text(self.path_bytes())
    }

    /// [`path`](Self::path), for those who look at bytes: nothing is checked again.
    #[must_use]
    #[inline]
    pub fn path_bytes(&self) -> &'i [u8] {
        self.raw.get(index(self.path)..index(self.path_end)).unwrap_or_default()
    }

    /// What follows the first `?`, if there is one.
    #[must_use]
    pub fn query(&self) -> Option<&'i str> {
        self.raw.get(index(self.path_end)..)?.strip_prefix(b"?").map(text)
    }
}

/// Bytes of a target as text: they were checked to be ASCII.
fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or_default()
}

/// Where the authority of an absolute-form target begins, and what follows it.
fn find_authority(target: &[u8]) -> Result<(u8, &[u8]), PeerError> {
    let starts_with = |scheme: &[u8]| {
        target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let start = match () {
        () if starts_with(b"http://") => 7u8,
        () if starts_with(b"https://") => 8u8,
        () => return Err(PeerError::Target),
    };
    let rest = target.get(usize::from(start)..).unwrap_or_default();
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#' | b' ');
    let len = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(len).unwrap_or_default();
    if host::is_valid(authority) { Ok((start, path)) } else { Err(PeerError::HostSyntax) }
}

/// What follows the path at the start of `text`: it ends with `?`, a space, or the text.
#[inline(always)]
fn behind_path(text: &[u8]) -> Result<&[u8], PeerError> {
    let mut rest = text;
    loop {
        let (word, behind) = word::cut(rest);
        let marks = word::not_path(word);
        if marks == 0 {
            rest = behind;
            continue;
        }
        rest = rest.get(word::first(marks)..).unwrap_or_default();
        match rest {
            [] | [b'?' | b' ', ..] => return Ok(rest),
            [b'%', ..] => check_escape(rest)?,
            [byte, ..] if class::is(*byte, class::PATH) => {}
            [..] => return Err(PeerError::TargetByte),
        }
        rest = rest.get(1..).unwrap_or_default();
    }
}

/// Two hex digits behind the `%`, not both 0.
fn check_escape(bytes: &[u8]) -> Result<(), PeerError> {
    match bytes {
        [_, high, low, ..] => match (class::hex(*high), class::hex(*low)) {
            (None, _) | (_, None) | (Some(0), Some(0)) => Err(PeerError::Escape),
            (Some(_), Some(_)) => Ok(()),
        },
        _ => Err(PeerError::Escape),
    }
}

/// What follows the query at the start of `text`: it ends with a space, or the text.
#[inline(always)]
fn behind_query(text: &[u8]) -> Result<&[u8], PeerError> {
    let mut rest = text;
    loop {
        let (word, behind) = word::cut(rest);
        let marks = word::not_query(word);
        if marks == 0 {
            rest = behind;
            continue;
        }
        rest = rest.get(word::first(marks)..).unwrap_or_default();
        match rest {
            [] | [b' ', ..] => return Ok(rest),
            [byte, behind @ ..] if class::is(*byte, class::TARGET) => rest = behind,
            [..] => return Err(PeerError::TargetByte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn parse(raw: &str) -> Result<Target<'_>, PeerError> {
        Target::parse(raw.as_bytes(), b"GET").map(|(target, _)| target)
    }

    #[test]
    fn parts_are_found() {
        let target = parse("/a/b?c=d?e").expect("origin form");
        assert_eq!(
            (target.form(), target.path(), target.query()),
            (Form::Origin, "/a/b", Some("c=d?e"))
        );
        assert_eq!(target.authority(), None);
        let target = parse("HTTPS://a.do:1?x").expect("absolute form");
        assert_eq!((target.form(), target.path(), target.query()), (Form::Absolute, "", Some("x")));
        assert_eq!(target.authority(), Some("a.do:1"));
        let target = parse("http://a/b").expect("absolute form");
        assert_eq!((target.authority(), target.path(), target.query()), (Some("a"), "/b", None));
        let (target, _) = Target::parse(b"*", b"OPTIONS").expect("asterisk form");
        assert_eq!((target.form(), target.path()), (Form::Asterisk, "*"));
    }

    #[test]
    fn each_mistake_has_its_rule() {
        for raw in ["*", "foo", "ftp://a/", "http:/a", "a.do:443", "*x"] {
            assert_eq!(parse(raw), Err(PeerError::Target), "{raw}");
        }
        for raw in ["http:///x", "http://u@a/", "http://", "http://a:x/"] {
            assert_eq!(parse(raw), Err(PeerError::HostSyntax), "{raw}");
        }
        for raw in ["/a#b", "/a?b#", "/a\\b", "/\u{e9}", "/a?\u{e9}", "/\0", "/\x7f", "http://a#"] {
            assert_eq!(parse(raw), Err(PeerError::TargetByte), "{raw}");
        }
        for raw in ["/%", "/%4", "/%zz", "/a%00b", "/%4z"] {
            assert_eq!(parse(raw), Err(PeerError::Escape), "{raw}");
        }
        for raw in ["/a?%", "/a?%00", "/a?b\\c", "/%41%aF", "//x//y", "/{}|^`\"<>", "/?{}|^"] {
            assert!(parse(raw).is_ok(), "{raw}");
        }
    }

    #[test]
    fn a_space_ends_it() {
        for raw in ["/", "/a%20", "/a?b", "http://a", "http://a?b", "/abcdefgh?ijklmnop"] {
            let line = format!("{raw} HTTP/1.1");
            assert_eq!(parse(&line).map(|target| target.raw()), Ok(raw));
        }
        let target = Target::parse(b"* x", b"OPTIONS");
        assert_eq!(target.map(|(target, rest)| (target.raw(), rest)), Ok(("*", &b" x"[..])));
    }

    #[test]
    fn a_bad_byte_is_found_at_any_place() {
        // In every lane of a block and in the rest behind the blocks.
        for len in 1..40 {
            for at in 0..len {
                let mut path = "a".repeat(len);
                path.replace_range(at..=at, "\x1f");
                assert_eq!(parse(&format!("/{path}")), Err(PeerError::TargetByte));
                assert_eq!(parse(&format!("/?{path}")), Err(PeerError::TargetByte));
                path.replace_range(at..=at, "?");
                assert_eq!(parse(&format!("/{path}")).map(|t| t.path().len()), Ok(at + 1));
            }
        }
    }
}
