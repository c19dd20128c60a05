//! Classes of bytes, one table for all.

/// tchar (RFC 9110 section 5.6.2): method, field name.
pub(crate) const TOKEN: u8 = 1;
/// HTAB, SP, VCHAR and obs-text: field value, chunk extension.
pub(crate) const VALUE: u8 = 1 << 1;
/// VCHAR but `#`: request target.
pub(crate) const TARGET: u8 = 1 << 2;
/// Of those, what needs no second look in a path: not `?`, `%` or a backslash.
pub(crate) const PATH: u8 = 1 << 3;
/// Letters, digits, `-` and `_`: label of a host name.
pub(crate) const LABEL: u8 = 1 << 4;

const TABLE: [u8; 256] = table();

/// Whether `byte` belongs to `class`.
#[inline]
pub(crate) fn is(byte: u8, class: u8) -> bool {
    TABLE.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// Whether every byte belongs to `class`.
#[inline]
pub(crate) fn all(bytes: &[u8], class: u8) -> bool {
    bytes.iter().all(|byte| is(*byte, class))
}

/// The value of a hex digit.
#[inline]
pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte & 0xF),
        b'a'..=b'f' | b'A'..=b'F' => Some((byte & 0x7).wrapping_add(9)),
        _ => None,
    }
}

/// Without SP and HTAB at both ends (OWS, RFC 9110 section 5.6.3).
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
    let end =
        bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last.wrapping_add(1));
    bytes.get(start..end).unwrap_or_default()
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "evaluated by the compiler, where a mistake is an error"
)]
const fn table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0u8;
    loop {
        let mut classes = 0;
        let alphanumeric = byte.is_ascii_alphanumeric();
        if alphanumeric
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(byte, b'^'..=b'`' | b'|' | b'~')
        {
            classes |= TOKEN;
        }
        if byte == b'\t' || byte >= b' ' && byte != 0x7F {
            classes |= VALUE;
        }
        if byte.is_ascii_graphic() && byte != b'#' {
            classes |= TARGET;
            if !matches!(byte, b'?' | b'%' | b'\\') {
                classes |= PATH;
            }
        }
        if alphanumeric || matches!(byte, b'-' | b'_') {
            classes |= LABEL;
        }
        table[byte as usize] = classes;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_the_grammar_names() {
        for byte in 0..=u8::MAX {
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is(byte, TOKEN), token, "{byte:#x}");
            let value = byte == 9 || (0x20..=0x7E).contains(&byte) || byte >= 0x80;
            assert_eq!(is(byte, VALUE), value, "{byte:#x}");
            assert_eq!(
                is(byte, TARGET),
                (0x21..=0x7E).contains(&byte) && byte != b'#',
                "{byte:#x}"
            );
            let digit = char::from(byte).to_digit(16);
            assert_eq!(hex(byte).map(u32::from), digit, "{byte:#x}");
        }
    }

    #[test]
    fn trim_takes_blanks_from_both_ends_only() {
        assert_eq!(trim(b" \t a b\t "), b"a b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b""), b"");
    }
}
