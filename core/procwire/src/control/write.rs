use core::error::Error;
use core::fmt;

use crate::{EventId, MethodId, ResponseType};

/// `$ping` as the parent writes it, with the end of line (procwire section 2.2).
pub const PING_LINE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"$ping\"}\n";
/// `$pong` as the child writes it.
pub const PONG_LINE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"$pong\"}\n";
/// `$shutdown` as the parent writes it.
pub const SHUTDOWN_LINE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"$shutdown\",\"params\":{}}\n";

/// A method to be announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the caller builds it")]
pub struct MethodDecl<'a> {
    /// Its name, any text.
    pub name: &'a str,
    /// Its id; no two methods may have the same.
    pub id: MethodId,
    /// How it answers.
    pub response: ResponseType,
}

/// The line does not fit the memory given for it; nothing of use was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort {
    /// Bytes that it needs.
    pub need: usize,
}

/// Writes an `$init` line, its end included, and returns its length in bytes.
///
/// # Errors
/// [`TooShort`] says how many bytes are needed; an empty `out` asks for the length.
pub fn write_init<'a>(
    out: &mut [u8],
    pipe: &str,
    methods: impl IntoIterator<Item = MethodDecl<'a>>,
    events: impl IntoIterator<Item = (&'a str, EventId)>,
) -> Result<usize, TooShort> {
    let mut line = Line { out, len: 0 };
    line.raw("{\"jsonrpc\":\"2.0\",\"method\":\"$init\",\"params\":{\"pipe\":");
    line.string(pipe);
    line.raw(",\"schema\":{\"methods\":{");
    for (index, method) in methods.into_iter().enumerate() {
        line.entry(index, method.name, method.id.value());
        line.raw(",\"response\":");
        line.string(method.response.as_str());
        line.raw("}");
    }
    line.raw("},\"events\":{");
    for (index, (name, id)) in events.into_iter().enumerate() {
        line.entry(index, name, id.value());
        line.raw("}");
    }
    line.raw("}},\"version\":\"1.0.0\"}}\n");
    line.finish()
}

/// Writes an `$error` line, its end included, and returns its length in bytes.
///
/// # Errors
/// [`TooShort`] says how many bytes are needed.
pub fn write_error(out: &mut [u8], message: &str) -> Result<usize, TooShort> {
    let mut line = Line { out, len: 0 };
    line.raw("{\"jsonrpc\":\"2.0\",\"method\":\"$error\",\"params\":{\"message\":");
    line.string(message);
    line.raw("}}\n");
    line.finish()
}

/// Writes as far as there is room and counts on.
struct Line<'o> {
    out: &'o mut [u8],
    len: usize,
}

impl Line<'_> {
    fn raw(&mut self, text: &str) {
        let end = self.len.saturating_add(text.len());
        if let Some(to) = self.out.get_mut(self.len..end) {
            to.copy_from_slice(text.as_bytes());
        }
        self.len = end;
    }

    /// The start of an entry, up to its id.
    fn entry(&mut self, index: usize, name: &str, id: u16) {
        if index > 0 {
            self.raw(",");
        }
        self.string(name);
        self.raw(":{\"id\":");
        let mut digits = [0_u8; 5];
        self.raw(crate::id::decimal(id, &mut digits));
    }

    /// As `JSON.stringify` writes it, and with U+2028 and U+2029 escaped: Node's line reader
    /// would end the line there (procwire section 2.1).
    fn string(&mut self, text: &str) {
        self.raw("\"");
        for char in text.chars() {
            match char {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\u{8}' => self.raw("\\b"),
                '\u{c}' => self.raw("\\f"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => self.unicode(u32::from(char)),
                _ => self.char(char),
            }
        }
        self.raw("\"");
    }

    fn unicode(&mut self, code: u32) {
        self.raw("\\u");
        for shift in [12_u32, 8, 4, 0] {
            self.char(char::from_digit(code >> shift & 0xF, 16).unwrap_or('0'));
        }
    }

    fn char(&mut self, char: char) {
        self.raw(char.encode_utf8(&mut [0; 4]));
    }

    fn finish(self) -> Result<usize, TooShort> {
        if self.len <= self.out.len() { Ok(self.len) } else { Err(TooShort { need: self.len }) }
    }
}

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line needs {} bytes", self.need)
    }
}

impl Error for TooShort {}
