//! The field names that mean something to a connection.

/// A field that a connection acts on or does not pass on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    Upgrade,
    Date,
    /// Ends at this hop and means nothing here (RFC 9110 section 7.6.1).
    HopByHop,
    /// `Proxy-Authenticate`: as above, in responses.
    ProxyAuthenticate,
    Other,
}

impl Known {
    /// The meaning of a name in any case. Bytes that are not tokens may be taken for others.
    ///
    /// Length and first letter decide nearly always, before anything is compared.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        let Some(first) = name.first() else {
            return Self::Other;
        };
        match (name.len(), first | 0x20) {
            (2, b't') if same(name, b"te") => Self::HopByHop,
            (4, b'h') if same(name, b"host") => Self::Host,
            (4, b'd') if same(name, b"date") => Self::Date,
            (6, b'e') if same(name, b"expect") => Self::Expect,
            (7, b'u') if same(name, b"upgrade") => Self::Upgrade,
            (10, b'c') if same(name, b"connection") => Self::Connection,
            (10, b'k') if same(name, b"keep-alive") => Self::HopByHop,
            (14, b'c') if same(name, b"content-length") => Self::ContentLength,
            (14, b'h') if same(name, b"http2-settings") => Self::HopByHop,
            (16, b'p') if same(name, b"proxy-connection") => Self::HopByHop,
            (17, b't') if same(name, b"transfer-encoding") => Self::TransferEncoding,
            (18, b'p') if same(name, b"proxy-authenticate") => Self::ProxyAuthenticate,
            (19, b'p') if same(name, b"proxy-authorization") => Self::HopByHop,
            _ => Self::Other,
        }
    }
}

/// Whether [`Known::of`] this name can be something else than [`Known::Other`]: whether a known
/// name has its length and begins with its letter, or with a byte of the same last five bits.
#[inline(always)]
pub(crate) fn may_be_known(name: &[u8]) -> bool {
    const fn letters(text: &[u8; 2]) -> u32 {
        let [first, second] = *text;
        1 << (first & 31) | 1 << (second & 31)
    }
    const FIRST: [u32; 20] = {
        let mut first = [0; 20];
        first[2] = letters(b"tt");
        first[4] = letters(b"dh");
        first[6] = letters(b"ee");
        first[7] = letters(b"uu");
        first[10] = letters(b"ck");
        first[14] = letters(b"ch");
        first[16] = letters(b"pp");
        first[17] = letters(b"tt");
        first[18] = letters(b"pp");
        first[19] = letters(b"pp");
        first
    };
    match (name.first(), FIRST.get(name.len())) {
        (Some(first), Some(letters)) => letters.wrapping_shr(u32::from(*first)) & 1 == 1,
        _ => false,
    }
}

/// Whether a trailer of this name could change what the message means (RFC 9110 section 6.5.1):
/// framing, routing, authentication, content, cookies.
pub(crate) fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"authorization",
        b"cookie",
        b"set-cookie",
        b"trailer",
        b"www-authenticate",
        b"max-forwards",
        b"forwarded",
        b"age",
    ];
    match Known::of(name) {
        Known::Date | Known::Other => {}
        Known::Host
        | Known::ContentLength
        | Known::TransferEncoding
        | Known::Connection
        | Known::Expect
        | Known::Upgrade
        | Known::HopByHop
        | Known::ProxyAuthenticate => return true,
    }
    let content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    content || NAMES.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// Compares with a lower-case name of the same length: letters in any case. `| 0x20` maps no two
/// token bytes to one byte of these names but the two cases of a letter.
#[inline]
fn same<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    match <&[u8; N]>::try_from(name) {
        Ok(name) => name.iter().zip(lower).fold(0, |acc, (a, b)| acc | ((a | 0x20) ^ b)) == 0,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Known::of(b"hOsT"), Known::Host);
        assert_eq!(Known::of(b"Transfer-Encoding"), Known::TransferEncoding);
        assert_eq!(Known::of(b"Transfer_Encoding"), Known::Other);
        assert_eq!(Known::of(b"HTTP2-Settings"), Known::HopByHop);
        assert_eq!(Known::of(b"Accept"), Known::Other);
    }

    #[test]
    fn one_other_token_byte_is_another_name() {
        // Every byte of every known name replaced by every other token byte.
        let names: [&[u8]; 13] = [
            b"te",
            b"host",
            b"date",
            b"expect",
            b"upgrade",
            b"connection",
            b"keep-alive",
            b"content-length",
            b"http2-settings",
            b"proxy-connection",
            b"transfer-encoding",
            b"proxy-authenticate",
            b"proxy-authorization",
        ];
        for name in names {
            assert_ne!(Known::of(name), Known::Other);
            assert!(may_be_known(name));
            assert!(may_be_known(&name.to_ascii_uppercase()));
            for at in 0..name.len() {
                for byte in
                    (0..=u8::MAX).filter(|byte| crate::class::is(*byte, crate::class::TOKEN))
                {
                    let mut other = name.to_vec();
                    other[at] = byte;
                    let same = other.eq_ignore_ascii_case(name);
                    assert_eq!(Known::of(&other) == Known::of(name), same, "{other:?}");
                }
            }
        }
    }
}
