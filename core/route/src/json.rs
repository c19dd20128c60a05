//! JSON strings, byte for byte as the contract with clients has them.

use crate::TooSmall;

/// Bytes of a worker's own text at most, before escaping.
pub(crate) const WORKER_TEXT_LEN_MAX: usize = 1024;

/// Writes as far as there is room and counts all the way, so that one pass tells the length.
#[derive(Debug)]
pub(crate) struct Out<'o> {
    buf: &'o mut [u8],
    len: usize,
}

impl<'o> Out<'o> {
    pub(crate) const fn new(buf: &'o mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// How much was written.
    pub(crate) const fn finish(self) -> Result<usize, TooSmall> {
        if self.len <= self.buf.len() { Ok(self.len) } else { Err(TooSmall { need: self.len }) }
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(room) = self.buf.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Adds the inside of a JSON string: `"`, `\` and what lies below 0x20 escaped.
    pub(crate) fn escaped(&mut self, mut text: &[u8]) {
        let special = |&byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        while let Some(index) = text.iter().position(special) {
            let (plain, rest) = text.split_at_checked(index).unwrap_or((text, &[]));
            self.raw(plain);
            let Some((&byte, rest)) = rest.split_first() else { return };
            self.escape(byte);
            text = rest;
        }
        self.raw(text);
    }

    fn escape(&mut self, byte: u8) {
        let digit = |nibble: u8| match nibble {
            0..=9 => nibble.wrapping_add(b'0'),
            _ => nibble.wrapping_sub(10).wrapping_add(b'a'),
        };
        match byte {
            b'"' => self.raw(b"\\\""),
            b'\\' => self.raw(b"\\\\"),
            0x08 => self.raw(b"\\b"),
            b'\t' => self.raw(b"\\t"),
            b'\n' => self.raw(b"\\n"),
            0x0c => self.raw(b"\\f"),
            b'\r' => self.raw(b"\\r"),
            _ => self.raw(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]),
        }
    }

    /// Adds text that a worker wrote: invalid UTF-8 becomes U+FFFD, and what then lies beyond
    /// [`WORKER_TEXT_LEN_MAX`] is cut off at the end of a character.
    pub(crate) fn foreign(&mut self, text: &[u8]) {
        const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
        let mut room = WORKER_TEXT_LEN_MAX;
        // What fits of the text is within its first bytes: replacing never makes it shorter.
        let text = text.get(..WORKER_TEXT_LEN_MAX.saturating_add(4)).unwrap_or(text);
        for chunk in text.utf8_chunks() {
            let valid = chunk.valid();
            let end = valid.floor_char_boundary(room);
            self.escaped(valid.as_bytes().get(..end).unwrap_or(&[]));
            room = room.saturating_sub(end);
            let invalid = !chunk.invalid().is_empty();
            if end < valid.len() || (invalid && room < REPLACEMENT.len()) {
                return;
            }
            if invalid {
                self.raw(REPLACEMENT);
                room = room.saturating_sub(REPLACEMENT.len());
            }
        }
    }
}
