//! The syntax of `Host` and of an authority: `host [":" port]`.
//!
//! Only the syntax: lower case and the match with a zone are the router's.

use core::net::Ipv6Addr;

use crate::class;
use crate::word;

const HOST_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// Whether this is a host name of letters, digits, `-`, `_` in labels of 1 to 63 bytes, at most 253
/// in all and with at most one dot behind, or an IPv6 address in brackets; then perhaps a colon and
/// a port, which may be empty.
#[inline]
pub(crate) fn is_valid(authority: &[u8]) -> bool {
    if is_short_name(authority) {
        return true;
    }
    if let Some(literal) = authority.strip_prefix(b"[") {
        return is_valid_literal(literal);
    }
    is_valid_name(authority)
}

/// A name of any length, and perhaps a port.
fn is_valid_name(authority: &[u8]) -> bool {
    let mut label_len = 0usize;
    let mut last_label_empty = true;
    let mut len = 0usize;
    let mut port = None;
    for (at, byte) in authority.iter().enumerate() {
        if class::is(*byte, class::LABEL) {
            label_len = label_len.wrapping_add(1);
            if label_len > LABEL_LEN_MAX {
                return false;
            }
        } else if *byte == b'.' {
            if label_len == 0 {
                return false;
            }
            label_len = 0;
        } else if *byte == b':' {
            port = authority.get(at.wrapping_add(1)..);
            break;
        } else {
            return false;
        }
        last_label_empty = label_len == 0;
        len = at.wrapping_add(1);
    }
    // One dot behind the name is not part of it.
    let name_len = len.wrapping_sub(usize::from(last_label_empty && len > 0));
    (1..=HOST_LEN_MAX).contains(&name_len) && port.is_none_or(is_valid_port)
}

/// Whether this is a name without port, in so few bytes that no label can be too long: what nearly
/// always comes, decided eight bytes at a time.
#[inline]
fn is_short_name(name: &[u8]) -> bool {
    if !(1..=LABEL_LEN_MAX).contains(&name.len()) {
        return false;
    }
    let mut rest = name;
    // A dot at the start makes an empty label, as one behind another does.
    let mut dot_before = 0x80;
    loop {
        let (word, behind) = word::cut(rest);
        let dots = word::equal(word, b'.');
        let bad = !(word::label(word) | dots) & word::HIGH | dots & (dots << 8 | dot_before);
        if rest.len() < 8 {
            return bad & word::first_bytes(rest.len()) == 0;
        }
        if bad != 0 || behind.is_empty() {
            return bad == 0;
        }
        dot_before = dots >> 56;
        rest = behind;
    }
}

fn is_valid_literal(rest: &[u8]) -> bool {
    let Some(end) = rest.iter().position(|byte| *byte == b']') else {
        return false;
    };
    let (address, port) = rest.split_at_checked(end).unwrap_or_default();
    let address = core::str::from_utf8(address).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    match port.get(1..).unwrap_or_default().split_first() {
        None => address.is_some(),
        Some((b':', port)) => address.is_some() && is_valid_port(port),
        Some(_) => false,
    }
}

/// Digits up to 65535, any number of zeros before them, or nothing.
fn is_valid_port(port: &[u8]) -> bool {
    let mut value = 0u32;
    for byte in port {
        if !byte.is_ascii_digit() {
            return false;
        }
        value = value.saturating_mul(10).saturating_add(u32::from(byte & 0xF));
    }
    value <= u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_short_way_agrees_with_the_long_one(name in "([a-zA-Z0-9_.-]{1,20}[ -~é]?){0,4}") {
            let name = name.as_bytes();
            let short = name.len() <= LABEL_LEN_MAX && !name.contains(&b':');
            prop_assert_eq!(is_short_name(name), short && is_valid_name(name));
        }
    }

    #[test]
    fn hosts_that_are_valid() {
        for host in [
            "gateway.do",
            "a",
            "a.",
            "A_b-c.do:8787",
            "a:",
            "a:0",
            "a:65535",
            "a:00080",
            "127.0.0.1",
            "[::1]",
            "[::1]:80",
            "[::ffff:1.2.3.4]:",
            &["a"; 127].join("."),
            &["a".repeat(63).as_str(); 3].join("."),
            &(["a"; 127].join(".") + "."),
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn hosts_that_are_not() {
        for host in [
            "",
            ".",
            ":80",
            "a..b",
            "a..",
            ".a",
            "a b",
            "a,b",
            "u@a",
            "%64b",
            "a:80a",
            "a:65536",
            "a:-1",
            "a:1:2",
            "[::1",
            "[::1]x",
            "[fe80::1%25eth0]",
            "[]",
            "[1.2.3.4]",
            "::1",
            "caf\u{e9}",
            "a/",
            &"a".repeat(64),
            &["a"; 128].join("."),
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
