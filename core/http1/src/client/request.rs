//! What a client asks.

use crate::class;
use crate::error::UsageError;
use crate::lines;
use crate::name::Known;
use crate::write::Output;

/// A request: the parts of its head, and what it asks of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// A token.
    pub method: &'a [u8],
    /// The target in any of its forms: bytes above 0x20 but 0x7F.
    pub target: &'a [u8],
    /// The value of `host`.
    pub host: &'a [u8],
    /// The protocol to upgrade to; empty: none.
    pub upgrade: &'a [u8],
    /// Field lines, each with its CRLF, sent as they are. The encoder writes `host`, `connection`
    /// and `upgrade` in front of them and the framing behind; these, `content-length` and
    /// `transfer-encoding` may not be among them.
    pub fields: &'a [u8],
    /// How the body is sent.
    pub body: RequestBody,
    /// What else there is to know.
    pub traits: Traits,
    /// From the end of the request, or progress of its body, to the response's head; 0: no limit.
    pub headers_timeout_ms: u32,
    /// Between two bytes of the response's body that are wanted; 0: no limit.
    pub body_timeout_ms: u32,
}

/// How the body of a request is delimited (RFC 9112 section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// None, and no field says so.
    None,
    /// `content-length`; may be 0.
    Length(u64),
    /// `transfer-encoding: chunked`
    Chunked,
}

impl RequestBody {
    /// Whether anything follows the head.
    pub(crate) const fn follows(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked => true,
        }
    }
}

/// What a request asks of its connection.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traits {
    /// May be sent while others are unanswered.
    pub idempotent: bool,
    /// Nothing is sent behind it before the head of its response.
    pub blocking: bool,
    /// The connection ends with it, and the head says so.
    pub reset: bool,
    /// The method is CONNECT: whatever final response comes, the connection is handed over.
    pub connect: bool,
    /// The method is HEAD: the response has no body.
    pub head: bool,
    /// The body is produced while it is sent, and can fail: not behind an unanswered request.
    pub streams: bool,
}

impl Request<'_> {
    /// Whether the connection is to become another protocol's.
    pub(crate) const fn switches(&self) -> bool {
        self.traits.connect || !self.upgrade.is_empty()
    }

    /// Checks that no part breaks out of its place.
    pub(crate) fn check(&self) -> Result<(), UsageError> {
        if self.method.is_empty() || !class::all(self.method, class::TOKEN) {
            return Err(UsageError::Method);
        }
        let plain = |byte: &u8| *byte > b' ' && *byte != 0x7F;
        if self.target.is_empty() || !self.target.iter().all(plain) {
            return Err(UsageError::Target);
        }
        if !class::all(self.host, class::VALUE) || !class::all(self.upgrade, class::VALUE) {
            return Err(UsageError::FieldValue);
        }
        check_fields(self.fields)
    }

    /// Writes the head; `close`: the connection ends with it.
    pub(crate) fn put(&self, output: &mut Output<'_>, close: bool) {
        output.put(self.method);
        output.put(b" ");
        output.put(self.target);
        output.put(b" HTTP/1.1\r\nhost: ");
        output.put(self.host);
        if self.upgrade.is_empty() {
            output.put(if close {
                b"\r\nconnection: close\r\n"
            } else {
                b"\r\nconnection: keep-alive\r\n"
            });
        } else {
            output.put(b"\r\nconnection: upgrade\r\nupgrade: ");
            output.put(self.upgrade);
            output.put(b"\r\n");
        }
        output.put(self.fields);
        match self.body {
            RequestBody::None => output.put(b"\r\n"),
            RequestBody::Length(len) => {
                output.put(b"content-length: ");
                output.put_decimal(len);
                output.put(b"\r\n\r\n");
            }
            RequestBody::Chunked => output.put(b"transfer-encoding: chunked\r\n\r\n"),
        }
    }
}

/// Checks field lines that the caller has put together.
fn check_fields(lines: &[u8]) -> Result<(), UsageError> {
    let mut at = 0usize;
    while at < lines.len() {
        let line = lines::field(lines, at).ok_or(UsageError::FieldValue)?;
        match Known::of(lines.get(at..line.colon).unwrap_or_default()) {
            Known::Host
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Connection
            | Known::Upgrade => return Err(UsageError::FieldName),
            Known::Expect
            | Known::Date
            | Known::HopByHop
            | Known::ProxyAuthenticate
            | Known::Other => {}
        }
        at = line.next;
    }
    Ok(())
}
