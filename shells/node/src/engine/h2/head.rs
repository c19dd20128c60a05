//! Heads, from and to lines.

use core::fmt::Write as _;

use http::header::{CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TE};
use http::uri::{Authority, InvalidUri, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Uri, Version};

use crate::engine::command::{Body, Request};
use crate::engine::failure::{Failure, Kind};
use crate::engine::options::ClientOptions;

/// A request as HTTP/2 has it.
///
/// # Errors
/// A part that HTTP/2 cannot carry; a change of protocol that the server does not offer.
pub(super) fn request(
    request: &Request,
    options: &ClientOptions,
    extended: bool,
) -> Result<http::Request<()>, Box<Failure>> {
    let head = &request.head;
    let mut built = http::Request::new(());
    *built.version_mut() = Version::HTTP_2;
    *built.method_mut() = Method::from_bytes(head.method()).map_err(|_| invalid("method"))?;
    if wants_websocket(request, extended)? {
        *built.method_mut() = Method::CONNECT;
        built.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    }
    *built.uri_mut() = uri(request, options)?;
    fields(request, built.headers_mut())?;
    Ok(built)
}

/// Whether `request` wants to change to the only protocol that there is.
///
/// # Errors
/// It wants another one, or the server does not offer it.
pub(super) fn wants_websocket(request: &Request, extended: bool) -> Result<bool, Box<Failure>> {
    let upgrade = request.head.upgrade();
    if upgrade.is_empty() {
        return Ok(false);
    }
    if !upgrade.eq_ignore_ascii_case(b"websocket") {
        let token = String::from_utf8_lossy(upgrade);
        let message = format!("Custom upgrade \"{token}\" not supported over HTTP/2");
        return Err(Box::new(Failure::new(Kind::InvalidArgument).with_message(message)));
    }
    if !extended {
        let message = "HTTP/2: Extended CONNECT protocol not supported by server";
        return Err(Box::new(Failure::new(Kind::Informational).with_message(message)));
    }
    Ok(true)
}

fn uri(request: &Request, options: &ClientOptions) -> Result<Uri, Box<Failure>> {
    let head = &request.head;
    if request.flags.connect && head.upgrade().is_empty() {
        let authority = Authority::try_from(head.path()).map_err(|_| invalid("path"))?;
        return Ok(Uri::from(authority));
    }
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if options.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(Authority::try_from(head.host()).map_err(|_| invalid("host"))?);
    parts.path_and_query = Some(target(head.path()).map_err(|_| invalid("path"))?);
    Uri::from_parts(parts).map_err(|_| invalid("path"))
}

/// The library takes no characters that do not belong into a URI: they are encoded, which means
/// the same.
fn target(path: &[u8]) -> Result<PathAndQuery, InvalidUri> {
    PathAndQuery::try_from(path).or_else(|_| {
        let mut encoded = String::with_capacity(path.len() + 8);
        for &byte in path {
            match byte {
                b'"' | b'<' | b'>' | b'`' | 0x7f.. => {
                    write!(encoded, "%{byte:02X}").expect("a string takes everything");
                }
                _ => encoded.push(char::from(byte)),
            }
        }
        PathAndQuery::try_from(encoded)
    })
}

fn fields(request: &Request, headers: &mut HeaderMap) -> Result<(), Box<Failure>> {
    for line in request.head.fields().split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| invalid("header"))?;
        let value = line[colon + 1..].trim_ascii();
        if is_of_connection(&name) || name == TE && value != b"trailers" {
            continue;
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| invalid("header"))?;
        headers.append(name, value);
    }
    let length = match &request.body {
        Body::Whole(bytes) => Some(bytes.len() as u64),
        Body::Stream { length } => *length,
        Body::Empty => Some(0),
        Body::None => None,
    };
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if request.flags.expect_continue {
        headers.insert(EXPECT, HeaderValue::from_static("100-continue"));
    }
    Ok(())
}

/// What speaks of a connection that HTTP/2 does not have (RFC 9113 section 8.2.2).
fn is_of_connection(name: &HeaderName) -> bool {
    matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

fn invalid(what: &str) -> Box<Failure> {
    let message = format!("HTTP/2: {what} cannot be sent");
    Box::new(Failure::new(Kind::InvalidArgument).with_message(message))
}

/// Fields as lines.
pub(super) fn lines(headers: &HeaderMap) -> Vec<u8> {
    let len = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut lines = Vec::with_capacity(len);
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            lines.extend_from_slice(part);
        }
    }
    lines
}
