//! Field lines without a parser's array: the slow and strict check, and a walk over what it passed.

use crate::class;
use crate::error::PeerError;

/// Checks field lines, each of which ends in CRLF (RFC 9112 section 5), and counts them.
///
/// This is the verdict on trailers, and on the field lines of a head that the fast way did not
/// accept.
pub(crate) fn check(lines: &[u8], count_max: usize) -> Result<usize, PeerError> {
    let mut count = 0usize;
    for line in (Lines { rest: lines }) {
        count = count.wrapping_add(1);
        if count > count_max {
            return Err(PeerError::FieldCount);
        }
        check_line(line)?;
    }
    Ok(count)
}

fn check_line(line: &[u8]) -> Result<(), PeerError> {
    let name_len = line.iter().position(|byte| !class::is(*byte, class::TOKEN));
    match name_len.and_then(|len| line.get(len)) {
        Some(b' ' | b'\t') if name_len == Some(0) => return Err(PeerError::Folding),
        Some(b'\r') => return Err(PeerError::LineEnd),
        Some(b':') if name_len != Some(0) => {}
        Some(_) | None => return Err(PeerError::FieldName),
    }
    let value = name_len.and_then(|len| line.get(len..)).unwrap_or_default();
    match value.iter().find(|byte| !class::is(**byte, class::VALUE)) {
        None => Ok(()),
        Some(b'\r') => Err(PeerError::LineEnd),
        Some(_) => Err(PeerError::FieldValue),
    }
}

/// The lines of a block, without their CRLF.
#[derive(Debug, Clone)]
struct Lines<'i> {
    rest: &'i [u8],
}

impl<'i> Iterator for Lines<'i> {
    type Item = &'i [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Takes the next name and value from lines that [`check`] passed.
pub(crate) fn next<'i>(rest: &mut &'i [u8]) -> Option<(&'i str, &'i [u8])> {
    let mut lines = Lines { rest };
    let line = lines.next()?;
    *rest = lines.rest;
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let name = core::str::from_utf8(name).ok()?;
    Some((name, class::trim(value.get(1..).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_its_rule() {
        assert_eq!(check(b"A: b\r\nC:\r\nD:\t\xFF \r\n", 3), Ok(3));
        assert_eq!(check(b"A: b\r\nC:\r\n", 1), Err(PeerError::FieldCount));
        for line in [
            b": v\r\n".as_slice(),
            b"A\r\n",
            b"A : b\r\n",
            b"A(: b\r\n",
            b"A\x00: b\r\n",
            b"\xC3: b\r\n",
        ] {
            assert_eq!(check(line, 9), Err(PeerError::FieldName), "{line:?}");
        }
        assert_eq!(check(b" A: b\r\n", 9), Err(PeerError::Folding));
        assert_eq!(check(b"A: b\r\n\tc\r\n", 9), Err(PeerError::Folding));
        assert_eq!(check(b"A: b\x00\r\n", 9), Err(PeerError::FieldValue));
        assert_eq!(check(b"A: b\x7F\r\n", 9), Err(PeerError::FieldValue));
        assert_eq!(check(b"A: b\rc\r\n", 9), Err(PeerError::LineEnd));
        assert_eq!(check(b"A\r: b\r\n", 9), Err(PeerError::LineEnd));
    }

    #[test]
    fn names_and_values_are_found() {
        let mut rest = b"A: b c \r\nD:\r\n".as_slice();
        assert_eq!(next(&mut rest), Some(("A", b"b c".as_slice())));
        assert_eq!(next(&mut rest), Some(("D", b"".as_slice())));
        assert_eq!(next(&mut rest), None);
    }
}
