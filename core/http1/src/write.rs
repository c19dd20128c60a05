//! Bytes into the caller's memory.

/// A place to write that remembers whether everything fitted.
pub(crate) struct Output<'o> {
    bytes: &'o mut [u8],
    len: usize,
    full: bool,
}

impl<'o> Output<'o> {
    pub(crate) const fn new(bytes: &'o mut [u8]) -> Self {
        Self { bytes, len: 0, full: false }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Appends; what does not fit is not written at all.
    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.bytes.get_mut(self.len..end) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len = end;
            }
            None => self.full = true,
        }
    }

    /// Appends a field line.
    #[inline]
    pub(crate) fn put_field(&mut self, name: &[u8], value: &[u8]) {
        self.put(name);
        self.put(b": ");
        self.put(value);
        self.put(b"\r\n");
    }

    /// Appends decimal digits.
    pub(crate) fn put_decimal(&mut self, value: u64) {
        let mut digits = [0; 20];
        let mut rest = value;
        let mut start = digits.len();
        for place in digits.iter_mut().rev() {
            *place = digit(rest % 10);
            rest /= 10;
            start = start.wrapping_sub(1);
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(start..).unwrap_or_default());
    }

    /// Appends what stands before the data of a chunk: the end of the chunk before it, if there was
    /// one, and its own size.
    pub(crate) fn put_chunk(&mut self, begun: bool, len: u64) {
        self.put(if begun { b"\r\n" } else { b"" });
        self.put_hex(len);
        self.put(b"\r\n");
    }

    /// Appends hex digits.
    fn put_hex(&mut self, value: u64) {
        let mut digits = [0; 16];
        let mut rest = value;
        let mut start = digits.len();
        for place in digits.iter_mut().rev() {
            *place = digit(rest & 0xF);
            rest >>= 4;
            start = start.wrapping_sub(1);
            if rest == 0 {
                break;
            }
        }
        self.put(digits.get(start..).unwrap_or_default());
    }

    /// The length of what was written, or `None` if something did not fit.
    pub(crate) const fn finish(self) -> Option<usize> {
        if self.full { None } else { Some(self.len) }
    }
}

/// The digit of a value below 16.
fn digit(value: u64) -> u8 {
    let value = u8::try_from(value & 0xF).unwrap_or(0);
    if value < 10 { value.wrapping_add(b'0') } else { value.wrapping_add(b'a' - 10) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{format, vec};

    #[test]
    fn numbers_have_their_digits() {
        for value in [0, 7, 10, 255, 4096, 1_234_567_890, u64::MAX] {
            let mut bytes = [0; 64];
            let mut output = Output::new(&mut bytes);
            output.put_decimal(value);
            output.put(b" ");
            output.put_hex(value);
            let len = output.finish().expect("there is room");
            assert_eq!(&bytes[..len], format!("{value} {value:x}").as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_noticed() {
        let mut bytes = vec![0; 3];
        let mut output = Output::new(&mut bytes);
        output.put(b"ab");
        output.put(b"cd");
        assert_eq!(output.finish(), None);
    }
}
