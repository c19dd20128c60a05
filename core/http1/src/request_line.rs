//! The request line, checked by itself: the verdict on a line that the fast way did not accept, and
//! the early one on a head that is still incomplete.

use crate::class;
use crate::config::Config;
use crate::error::PeerError;
use crate::target::Target;

/// Checks a request line without its CRLF (RFC 9112 section 3).
pub(crate) fn check(line: &[u8], config: &Config) -> Result<(), PeerError> {
    let (method, rest) = cut(line)?;
    if method.is_empty() || !class::all(method, class::TOKEN) {
        return Err(PeerError::RequestLine);
    }
    let Ok((target, version)) = cut(rest) else {
        return Err(PeerError::Version);
    };
    if target.is_empty() || version.iter().any(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(PeerError::RequestLine);
    }
    match version {
        b"HTTP/1.1" | b"HTTP/1.0" => {}
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(PeerError::VersionUnsupported);
        }
        _ => return Err(PeerError::Version),
    }
    check_method(method, config)?;
    Target::parse(target, method).map(drop)
}

/// Checks a token that stands where a method does.
#[inline(always)]
pub(crate) fn check_method(method: &[u8], config: &Config) -> Result<(), PeerError> {
    if method.len() <= 4 { Ok(()) } else { check_long_method(method, config) }
}

fn check_long_method(method: &[u8], config: &Config) -> Result<(), PeerError> {
    if method.len() > usize::from(config.method_len) {
        return Err(PeerError::MethodLength);
    }
    match method {
        b"TRACE" => Err(PeerError::Trace),
        b"CONNECT" => Err(PeerError::Connect),
        _ => Ok(()),
    }
}

/// What stands before and behind the first space.
fn cut(bytes: &[u8]) -> Result<(&[u8], &[u8]), PeerError> {
    let space = bytes.iter().position(|byte| *byte == b' ').ok_or(PeerError::RequestLine)?;
    let (before, rest) = bytes.split_at_checked(space).ok_or(PeerError::RequestLine)?;
    Ok((before, rest.get(1..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(line: &[u8]) -> Result<(), PeerError> {
        check(line, &Config::new())
    }

    #[test]
    fn each_mistake_has_its_rule() {
        assert_eq!(verdict(b"GET / HTTP/1.1"), Ok(()));
        assert_eq!(verdict(b"GET  / HTTP/1.1"), Err(PeerError::RequestLine));
        assert_eq!(verdict(b"GET / HTTP/1.1 "), Err(PeerError::RequestLine));
        assert_eq!(verdict(b"GET\t/ HTTP/1.1"), Err(PeerError::RequestLine));
        assert_eq!(verdict(b"GET /"), Err(PeerError::Version));
        assert_eq!(verdict(b"GET / http/1.1"), Err(PeerError::Version));
        assert_eq!(verdict(b"GET / HTTP/1.10"), Err(PeerError::Version));
        assert_eq!(verdict(b"GET / HTTP/1.2"), Err(PeerError::VersionUnsupported));
        assert_eq!(verdict(b"PRI * HTTP/2.0"), Err(PeerError::VersionUnsupported));
        assert_eq!(verdict(b"TRACE / HTTP/1.1"), Err(PeerError::Trace));
        assert_eq!(verdict(b"CONNECT a:1 HTTP/1.1"), Err(PeerError::Connect));
        assert_eq!(
            verdict(&[b"A".repeat(33), b" / HTTP/1.1".to_vec()].concat()),
            Err(PeerError::MethodLength)
        );
        assert_eq!(verdict(b"GET /\xC3\xA9 HTTP/1.1"), Err(PeerError::TargetByte));
    }
}
