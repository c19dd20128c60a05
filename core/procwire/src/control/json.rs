use core::fmt::{self, Write as _};

/// A JSON string as it stands between its quotes, escapes and all. It was checked when it was
/// found.
#[derive(Debug, Clone, Copy)]
pub struct JsonStr<'l>(&'l str);

/// Reads JSON (RFC 8259) in place. Every function returns `None` at the first byte that breaks
/// the grammar.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'l> {
    text: &'l str,
    at: usize,
}

/// The members of an object that was checked as a whole before.
#[derive(Debug, Clone)]
pub(crate) struct Members<'l> {
    scanner: Scanner<'l>,
}

/// Deepest nesting that is read; what lies deeper counts as broken.
const DEPTH_MAX: u32 = 128;

impl<'l> JsonStr<'l> {
    /// The string itself, if it holds no escape.
    #[must_use]
    pub fn as_plain(self) -> Option<&'l str> {
        (!self.0.contains('\\')).then_some(self.0)
    }

    /// The characters, unescaped. Half of a surrogate pair becomes U+FFFD.
    pub fn chars(self) -> impl Iterator<Item = char> + Clone + 'l {
        Unescape { rest: self.0 }
    }

    /// Writes the string, unescaped, to the front of `out`; `None` when it does not fit. It is
    /// never longer than the escaped one.
    #[must_use]
    pub fn unescape(self, out: &mut [u8]) -> Option<&str> {
        let mut len = 0_usize;
        for char in self.chars() {
            let to = out.get_mut(len..len.checked_add(char.len_utf8())?)?;
            len = len.checked_add(char.encode_utf8(to).len())?;
        }
        core::str::from_utf8(out.get(..len)?).ok()
    }

    /// Bytes that surely hold the unescaped string.
    #[must_use]
    pub const fn len_max(self) -> usize {
        self.0.len()
    }
}

impl PartialEq<str> for JsonStr<'_> {
    fn eq(&self, other: &str) -> bool {
        match self.as_plain() {
            Some(plain) => plain == other,
            None => self.chars().eq(other.chars()),
        }
    }
}

impl fmt::Display for JsonStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|char| f.write_char(char))
    }
}

impl<'l> Scanner<'l> {
    pub(crate) const fn new(text: &'l str) -> Self {
        Self { text, at: 0 }
    }

    /// Whether the text is exactly one JSON value, with space around it at most.
    pub(crate) fn is_value(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value().is_some() && {
            scanner.space();
            scanner.at == text.len()
        }
    }

    /// Reads one value and returns its text.
    pub(crate) fn value(&mut self) -> Option<&'l str> {
        self.space();
        let start = self.at;
        // One bit for each open container: 1 for an object.
        let (mut stack, mut depth) = (0_u128, 0_u32);
        loop {
            self.space();
            let opened = match self.peek()? {
                b'{' => Some(1),
                b'[' => Some(0),
                _ => None,
            };
            if let Some(bit) = opened {
                self.skip();
                depth = depth.checked_add(1).filter(|depth| *depth <= DEPTH_MAX)?;
                stack = stack << 1 | bit;
                if self.is_empty_container(bit == 1)? {
                    stack >>= 1;
                    depth = depth.checked_sub(1)?;
                } else {
                    continue;
                }
            } else {
                self.scalar()?;
            }
            depth = self.close(&mut stack, depth)?;
            if depth == 0 {
                return self.text.get(start..self.at);
            }
        }
    }

    /// After an opening bracket: takes the closing one of an empty container, or the first key.
    fn is_empty_container(&mut self, object: bool) -> Option<bool> {
        self.space();
        let close = if object { b'}' } else { b']' };
        if self.peek()? == close {
            self.skip();
            return Some(true);
        }
        if object {
            self.key()?;
        }
        Some(false)
    }

    /// After a value: takes closing brackets up to the next value. Returns the depth left.
    fn close(&mut self, stack: &mut u128, mut depth: u32) -> Option<u32> {
        while depth > 0 {
            self.space();
            let object = *stack & 1 == 1;
            match self.peek()? {
                b',' => {
                    self.skip();
                    if object {
                        self.key()?;
                    }
                    return Some(depth);
                }
                b'}' if object => self.skip(),
                b']' if !object => self.skip(),
                _ => return None,
            }
            *stack >>= 1;
            depth = depth.checked_sub(1)?;
        }
        Some(0)
    }

    fn key(&mut self) -> Option<JsonStr<'l>> {
        self.space();
        let key = self.string()?;
        self.space();
        self.take(b':')?;
        Some(key)
    }

    fn scalar(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => self.number(),
        }
    }

    pub(crate) fn string(&mut self) -> Option<JsonStr<'l>> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            self.plain();
            match self.peek()? {
                b'"' => {
                    let raw = self.text.get(start..self.at)?;
                    self.skip();
                    return Some(JsonStr(raw));
                }
                b'\\' => {
                    self.skip();
                    self.escape()?;
                }
                // Only a control character is left, which must be escaped.
                _ => return None,
            }
        }
    }

    /// Passes over the characters of a string that stand for themselves.
    fn plain(&mut self) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or(&[]);
        let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F));
        self.at = self.at.saturating_add(end.unwrap_or(rest.len()));
    }

    fn escape(&mut self) -> Option<()> {
        let escaped = self.peek()?;
        self.skip();
        match escaped {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => (0..4).try_for_each(|_| {
                let hex = self.peek()?.is_ascii_hexdigit();
                self.skip();
                hex.then_some(())
            }),
            _ => None,
        }
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.skip();
        }
        if self.peek()? == b'0' {
            self.skip();
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.skip();
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.skip();
            if let Some(b'+' | b'-') = self.peek() {
                self.skip();
            }
            self.digits()?;
        }
        Some(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.skip();
        }
        (self.at > start).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text.get(self.at..)?.starts_with(word).then_some(())?;
        self.at = self.at.checked_add(word.len())?;
        Some(())
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.skip();
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.skip())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    const fn skip(&mut self) {
        self.at = self.at.saturating_add(1);
    }
}

impl<'l> Members<'l> {
    /// The members of `object`, the text of a checked value; `None` if it is no object.
    pub(crate) fn of(object: &'l str) -> Option<Self> {
        let mut scanner = Scanner::new(object);
        scanner.space();
        scanner.take(b'{')?;
        Some(Self { scanner })
    }

    /// No members.
    pub(crate) const fn none() -> Self {
        Self { scanner: Scanner::new("") }
    }

    /// The value of the last member with this name, as `JSON.parse` has it.
    pub(crate) fn last(self, name: &str) -> Option<&'l str> {
        self.filter(|(key, _)| *key == *name).last().map(|(_, value)| value)
    }
}

impl<'l> Iterator for Members<'l> {
    type Item = (JsonStr<'l>, &'l str);

    fn next(&mut self) -> Option<Self::Item> {
        self.scanner.space();
        if self.scanner.peek() == Some(b',') {
            self.scanner.skip();
        }
        let key = self.scanner.key()?;
        Some((key, self.scanner.value()?))
    }
}

/// Reads `text`, the text of a checked value, as a string.
pub(crate) fn as_string(text: &str) -> Option<JsonStr<'_>> {
    Scanner::new(text).string()
}

#[derive(Debug, Clone)]
struct Unescape<'l> {
    rest: &'l str,
}

impl Unescape<'_> {
    fn unit(&mut self) -> Option<u32> {
        let (hex, rest) = self.rest.split_at_checked(4)?;
        self.rest = rest;
        u32::from_str_radix(hex, 16).ok()
    }

    /// The character of a `\u` escape; a high surrogate takes the low one behind it along.
    fn unicode(&mut self) -> Option<char> {
        let first = self.unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            return Some(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.rest;
        let second = self.rest.strip_prefix("\\u").and_then(|rest| {
            self.rest = rest;
            self.unit()
        });
        if let Some(second @ 0xDC00..0xE000) = second {
            let high = first.wrapping_sub(0xD800) << 10;
            let low = second.wrapping_sub(0xDC00);
            return char::from_u32(high.wrapping_add(low).wrapping_add(0x1_0000));
        }
        self.rest = before;
        Some(char::REPLACEMENT_CHARACTER)
    }
}

impl Iterator for Unescape<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let first = chars.next()?;
        self.rest = chars.as_str();
        if first != '\\' {
            return Some(first);
        }
        let mut chars = self.rest.chars();
        let escaped = chars.next()?;
        self.rest = chars.as_str();
        Some(match escaped {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => return self.unicode(),
            other => other,
        })
    }
}
