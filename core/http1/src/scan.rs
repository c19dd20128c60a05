//! The search for the end of a head or of a trailer section, which goes on where it stopped.

use crate::class;
use crate::config::{Config, index, narrow};
use crate::error::PeerError;
use crate::request_line;

/// How far the lines at the start of the input were searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scan {
    /// Bytes searched.
    searched: u32,
    /// Where the current line begins.
    line: u32,
    /// Where the line behind the request line begins; 0 before that.
    fields: u32,
    /// Empty lines before the request line.
    empty_lines: u8,
}

impl Scan {
    /// Whether nothing has been searched yet.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.searched == 0
    }

    /// Where the field lines begin, once the request line was found.
    pub(crate) const fn fields(&self) -> usize {
        index(self.fields)
    }

    /// Looks for the end of a head in `input`, which begins with what was searched before.
    /// Checks the request line as soon as it is complete, and that every line ends in CRLF.
    ///
    /// # Bound
    ///
    /// Linear in the bytes that were not searched before.
    pub(crate) fn head(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<Option<usize>, PeerError> {
        while self.fields == 0 {
            let start = index(self.line);
            match input.get(start) {
                Some(b'\r' | b'\n') | None => {}
                Some(first) if class::is(*first, class::TOKEN) => {}
                Some(_) => return Err(PeerError::RequestLine),
            }
            let window = start.saturating_add(index(config.request_line_len));
            let Some(line) = self.next_line(input, window)? else {
                return if input.len() >= window {
                    Err(PeerError::RequestLineLength)
                } else {
                    Ok(None)
                };
            };
            if line.is_empty() {
                self.empty_lines = self.empty_lines.saturating_add(1);
                if self.empty_lines > config.empty_line_count {
                    return Err(PeerError::EmptyLines);
                }
            } else {
                request_line::check(line, config)?;
                self.fields = self.line;
            }
        }
        self.section(input, config.fields_len)
    }

    /// Looks for the end of a trailer section in `input`, as [`head`](Self::head) does.
    pub(crate) fn trailers(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<Option<usize>, PeerError> {
        self.section(input, config.trailers_len)
    }

    /// Field lines of at most `len_max` bytes in all, and an empty line.
    fn section(&mut self, input: &[u8], len_max: u32) -> Result<Option<usize>, PeerError> {
        let lines_end = index(self.fields).saturating_add(index(len_max));
        let window = lines_end.saturating_add(2);
        while let Some(line) = self.next_line(input, window)? {
            if line.is_empty() {
                return Ok(Some(index(self.line)));
            }
            if index(self.line) > lines_end {
                return Err(PeerError::FieldLength);
            }
        }
        if input.len() >= window { Err(PeerError::FieldLength) } else { Ok(None) }
    }

    /// The next line that ends before `window`, without its CRLF.
    fn next_line<'i>(
        &mut self,
        input: &'i [u8],
        window: usize,
    ) -> Result<Option<&'i [u8]>, PeerError> {
        let window = input.get(..window).unwrap_or(input);
        let start = index(self.searched);
        let Some(offset) = find_lf(window.get(start..).unwrap_or_default()) else {
            self.searched = narrow(window.len());
            return Ok(None);
        };
        let end = start.saturating_add(offset);
        let line = window.get(index(self.line)..end).unwrap_or_default();
        self.searched = narrow(end.saturating_add(1));
        self.line = self.searched;
        line.strip_suffix(b"\r").map(Some).ok_or(PeerError::LineEnd)
    }
}

/// The offset of the first line feed, eight bytes at a time.
fn find_lf(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const LF: u64 = u64::from_ne_bytes([b'\n'; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    for (count, word) in words.iter().enumerate() {
        let zero = u64::from_le_bytes(*word) ^ LF;
        let found = zero.wrapping_sub(ONES) & !zero & (ONES << 7);
        if found != 0 {
            let offset = usize::try_from(found.trailing_zeros() / 8).unwrap_or(0);
            return Some(count.wrapping_mul(8).wrapping_add(offset));
        }
    }
    let offset = rest.iter().position(|byte| *byte == b'\n')?;
    Some(bytes.len().wrapping_sub(rest.len()).wrapping_add(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;

    #[test]
    fn the_first_line_feed_is_found_at_any_offset() {
        for len in 0..40 {
            for at in 0..len {
                let mut bytes = vec![b'\x8A'; len];
                bytes[at] = b'\n';
                if let Some(second) = bytes.get_mut(at + 3) {
                    *second = b'\n';
                }
                assert_eq!(find_lf(&bytes), Some(at));
            }
            assert_eq!(find_lf(&vec![b'\x0B'; len]), None);
        }
    }

    #[test]
    fn single_bytes_are_searched_once_each() {
        // Linear work: what was searched never shrinks and grows by what is new only.
        let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scan = Scan::default();
        for len in 0..head.len() {
            let before = scan.searched;
            let end = scan.head(&head[..len], &Config::new()).expect("a good head");
            assert!(scan.searched >= before && index(scan.searched) <= len);
            assert_eq!(end, (len >= head.len() - 4).then_some(head.len() - 4), "{len}");
            if end.is_some() {
                return;
            }
            assert_eq!(index(scan.searched), len);
        }
    }

    #[test]
    fn limits_hold_at_the_byte() {
        let config = Config { request_line_len: 16, fields_len: 9, ..Config::new() };
        let whole = |bytes: &[u8]| Scan::default().head(bytes, &config);
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Ok(Some(27)));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: ab\r\n\r\n"), Err(PeerError::FieldLength));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: abcde"), Err(PeerError::FieldLength));
        assert_eq!(whole(b"GET / HTTP/1.1\r\nHost: abc"), Ok(None));
        assert_eq!(whole(b"GET /a HTTP/1.1\r\n"), Err(PeerError::RequestLineLength));
        assert_eq!(whole(b"GET /aaaaaaaaaa"), Ok(None));
        assert_eq!(whole(b"GET /aaaaaaaaaaa"), Err(PeerError::RequestLineLength));
    }
}
