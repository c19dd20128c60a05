//! What a name in the configuration may look like. The table and the configuration check with the
//! same functions.

use crate::authority::{self, HOST_LEN_MAX, HostBuf, LABEL_LEN_MAX};

/// Services of one table at most.
pub const SERVICE_COUNT_MAX: usize = 4096;
/// Zones of one table at most.
pub const ZONE_COUNT_MAX: usize = 16;
/// Bytes of a path prefix at most.
pub const PREFIX_LEN_MAX: usize = 255;

/// Whether `name` can name a service: `[a-z][a-z0-9-]{0,62}`, not ending in `-`.
#[must_use]
pub fn is_service(name: &str) -> bool {
    name.len() <= LABEL_LEN_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Whether `label` can stand as one label of a host, in lower case.
#[must_use]
pub fn is_label(label: &str) -> bool {
    (1..=LABEL_LEN_MAX).contains(&label.len())
        && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

/// Whether `zone` can be a zone: a host in exactly the form that [`authority::parse`] gives it, so
/// lower case, without port or trailing dot, an IPv6 literal in brackets and in the text form of
/// RFC 5952.
#[must_use]
pub fn is_zone(zone: &str) -> bool {
    let mut buf: HostBuf = [0; _];
    zone.len() <= HOST_LEN_MAX
        && authority::parse(zone.as_bytes(), &mut buf)
            .is_ok_and(|authority| authority.host.as_bytes() == zone.as_bytes())
}

/// Whether `prefix` can stand before the service in a path: begins and ends with `/`, no empty
/// segment, no dot segment, no `%`, and only bytes that a request's path may have.
#[must_use]
pub fn is_prefix(prefix: &str) -> bool {
    if prefix == "/" {
        return true;
    }
    let Some(inner) = prefix.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
        return false;
    };
    prefix.len() <= PREFIX_LEN_MAX
        && inner.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        && inner
            .bytes()
            .all(|byte| matches!(byte, 0x21..=0x7e) && !matches!(byte, b'%' | b'?' | b'#' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services() {
        for name in ["a", "gateway", "a-1", "a--b", &"a".repeat(63)] {
            assert!(is_service(name), "{name}");
        }
        for name in ["", "A", "1a", "-a", "a-", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(!is_service(name), "{name}");
        }
    }

    #[test]
    fn zones() {
        let long = [&"a".repeat(63) as &str; 4].join(".");
        for zone in ["do", "a.b", "localhost", "127.0.0.1", "[::1]", "[2001:db8::1]", &long[2..]] {
            assert!(is_zone(zone), "{zone}");
        }
        for zone in
            ["", "DO", "do.", "do:80", "do:", ".do", "a..b", "::1", "[0:0::1]", "[::A]", "ä", &long]
        {
            assert!(!is_zone(zone), "{zone}");
        }
    }

    #[test]
    fn prefixes() {
        for prefix in ["/", "/api/", "/v1/api/", "/a;b/", "/.a/"] {
            assert!(is_prefix(prefix), "{prefix}");
        }
        for prefix in
            ["", "api/", "/api", "//", "/a//b/", "/./", "/a/../", "/%61/", "/a b/", "/a?/", "/ä/"]
        {
            assert!(!is_prefix(prefix), "{prefix}");
        }
    }
}
