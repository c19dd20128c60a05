//! One pass over the lines of a head: where each name and value begins and ends. Names, values and
//! line ends are checked on the way.

use crate::class;
use crate::head::Version;
use crate::word;

/// Where the parts of a field line are, behind the start of the line or of the input.
pub(crate) struct Line {
    /// Behind the name, where its colon is.
    pub(crate) colon: usize,
    /// The value, without the white space around it.
    pub(crate) value: usize,
    pub(crate) value_end: usize,
    /// Behind the line.
    pub(crate) next: usize,
}

/// The field line that begins at `at` (RFC 9112 section 5), if it is complete and in order.
#[inline(always)]
pub(crate) fn field(text: &[u8], at: usize) -> Option<Line> {
    // How far what is left begins behind the start of the text.
    let at_of = |rest: &[u8]| text.len().wrapping_sub(rest.len());
    let behind_name = behind_token(text.get(at..)?);
    let [b':', behind_colon @ ..] = behind_name else {
        return None;
    };
    let value = match behind_colon {
        [b' ', value @ ..] if value.first().is_some_and(|first| *first > b' ') => value,
        [..] => behind_blanks(behind_colon),
    };
    let behind_value = behind_value(value);
    if behind_value.first_chunk() != Some(b"\r\n") {
        return None;
    }
    let (colon, end) = (at_of(behind_name), at_of(behind_value));
    let last = text.get(end.wrapping_sub(1));
    let value_end = if last.is_some_and(|last| *last > b' ') { end } else { trimmed(text, end) };
    let value = at_of(value);
    (colon != at).then_some(Line {
        colon,
        value,
        value_end: value_end.max(value),
        next: end.wrapping_add(2),
    })
}

/// What follows the token at the start of `text`. Byte by byte, but eight to a bounds check: a
/// token has too many ranges for words to gain from it, and where branches are foreseen the next
/// line begins before this one is done.
#[inline(always)]
pub(crate) fn behind_token(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        if let Some(len) = chunk.iter().position(|byte| !class::is(*byte, class::TOKEN)) {
            return rest.get(len..).unwrap_or_default();
        }
        rest = behind;
    }
    let len = rest.iter().position(|byte| !class::is(*byte, class::TOKEN)).unwrap_or(rest.len());
    rest.get(len..).unwrap_or_default()
}

/// The version and the end of the request line, if `text` begins with the space before it; then
/// what follows.
#[inline(always)]
pub(crate) fn version(text: &[u8]) -> Option<(Version, &[u8])> {
    let (line_end, behind) = text.split_first_chunk()?;
    if line_end == b" HTTP/1.1\r\n" {
        return Some((Version::Http11, behind));
    }
    (line_end == b" HTTP/1.0\r\n").then_some((Version::Http10, behind))
}

/// What follows the value at the start of `text`, which ends before a control byte but HTAB, or
/// with the text.
#[inline(always)]
fn behind_value(text: &[u8]) -> &[u8] {
    let mut rest = text;
    loop {
        let (word, behind) = word::cut(rest);
        let marks = word::not_value(word);
        if marks == 0 {
            rest = behind;
            // The rest of a long value by blocks, which the compiler puts into vectors.
            while let Some((block, behind)) = rest.split_first_chunk::<16>()
                && is_plain(block)
            {
                rest = behind;
            }
            continue;
        }
        match rest.get(word::first(marks)..) {
            Some([b'\t', behind @ ..]) => rest = behind,
            behind => return behind.unwrap_or_default(),
        }
    }
}

/// Whether no byte is a control.
#[inline(always)]
fn is_plain(block: &[u8; 16]) -> bool {
    !block.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == 0x7F))
}

const fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cold]
fn behind_blanks(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().position(|byte| !is_blank(byte)).unwrap_or(bytes.len());
    bytes.get(len..).unwrap_or_default()
}

/// Where the blanks begin that end at `end`.
#[cold]
fn trimmed(text: &[u8], end: usize) -> usize {
    let before = text.get(..end).unwrap_or_default();
    before.iter().rposition(|byte| !is_blank(byte)).map_or(0, |last| last.wrapping_add(1))
}
