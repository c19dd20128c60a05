//! What the application answers.

use crate::class;
use crate::config::{Config, index};
use crate::error::UsageError;
use crate::name::{Known, is_forbidden_in_trailers};
use crate::parse::{content_length, options};
use crate::write::Output;

/// The head of a response, and how long its body is.
///
/// `fields` are names and values in the order in which they are sent. Left out of them are the
/// hop-by-hop ones (`Connection` and what it names, `Keep-Alive`, `Proxy-Connection`,
/// `Proxy-Authenticate`, `TE`, `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings`): the machine
/// decides on framing and persistence. A `Content-Length` among them is enforced.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead<'a, F> {
    /// 200 to 599.
    pub status: u16,
    /// The length of the whole body where it is known. Without it, and without a `Content-Length`
    /// field, the body is chunked, or in HTTP/1.0 ends with the connection.
    pub length: Option<u64>,
    /// The value of `Date`, used if `fields` has none (RFC 9110 section 6.6.1).
    pub date: &'a [u8; 29],
    /// The fields.
    pub fields: F,
}

/// What has to be sent for one part of a body: the bytes that were written to the slot, then so
/// many bytes of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Bytes written to the slot; at most [`Part::SLOT_LEN`].
    pub slot_len: usize,
    /// How much of the payload is sent. Less than was offered where the response has no body or
    /// its announced length is reached; the rest must be dropped.
    pub take: u64,
}

impl Part {
    /// What a slot must hold: CRLF, 16 hex digits, CRLF.
    pub const SLOT_LEN: usize = 20;
}

/// What to do when everything that the machine wrote has been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Go on: the connection persists, or the answer is not complete yet.
    Open,
    /// Shut down the write side, say so
    /// ([`handle_shutdown`](crate::Connection::handle_shutdown)), go on reading until the
    /// connection [is closed](crate::Connection::is_closed).
    Linger,
    /// Close.
    Close,
    /// The connection belongs to the other protocol.
    Switched,
}

/// What the fields of a response say that the machine must know.
pub(crate) struct Scanned {
    pub(crate) has_date: bool,
    pub(crate) content_length: Option<u64>,
    /// `Connection` names fields, which are left out.
    names_fields: bool,
}

/// Checks the fields of a response before anything is written.
pub(crate) fn scan_fields<'a, F>(fields: F, config: &Config) -> Result<Scanned, UsageError>
where
    F: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    let mut scanned = Scanned { has_date: false, content_length: None, names_fields: false };
    let mut count = 0usize;
    let mut len = 0usize;
    for (name, value) in fields {
        if name.is_empty() || !class::all(name, class::TOKEN) {
            return Err(UsageError::FieldName);
        }
        if !class::all(value, class::VALUE) {
            return Err(UsageError::FieldValue);
        }
        count = count.wrapping_add(1);
        len = len.saturating_add(name.len()).saturating_add(value.len()).saturating_add(4);
        if count > usize::from(config.field_count) || len > index(config.response_fields_len) {
            return Err(UsageError::Fields);
        }
        match Known::of(name) {
            Known::Date => scanned.has_date = true,
            Known::Connection => scanned.names_fields = true,
            Known::ContentLength => {
                let value = content_length(value).map_err(|_| UsageError::ContentLength)?;
                if scanned.content_length.replace(value).is_some() {
                    return Err(UsageError::ContentLength);
                }
            }
            Known::Host
            | Known::TransferEncoding
            | Known::Expect
            | Known::Upgrade
            | Known::HopByHop
            | Known::ProxyAuthenticate
            | Known::Other => {}
        }
    }
    Ok(scanned)
}

/// Writes the fields of a response but those that end at this hop; `Content-Length` only where it
/// is to be passed on.
pub(crate) fn put_fields<'a, F>(output: &mut Output<'_>, fields: F, scanned: &Scanned, length: bool)
where
    F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
{
    for (name, value) in fields.clone() {
        let keep = match Known::of(name) {
            Known::Host | Known::Expect | Known::Date | Known::Other => true,
            Known::ContentLength => length,
            Known::TransferEncoding
            | Known::Connection
            | Known::Upgrade
            | Known::HopByHop
            | Known::ProxyAuthenticate => false,
        };
        if keep && !(scanned.names_fields && is_named(fields.clone(), name)) {
            output.put_field(name, value);
        }
    }
}

/// Writes trailers but those that could change the message.
pub(crate) fn put_trailers<'a, F>(output: &mut Output<'_>, trailers: F)
where
    F: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    for (name, value) in trailers {
        if !is_forbidden_in_trailers(name) {
            output.put_field(name, value);
        }
    }
}

/// Whether a `Connection` field names this one. Framing and date are the machine's business.
fn is_named<'a, F>(fields: F, name: &[u8]) -> bool
where
    F: Iterator<Item = (&'a [u8], &'a [u8])>,
{
    match Known::of(name) {
        Known::ContentLength | Known::Date => return false,
        Known::Host
        | Known::TransferEncoding
        | Known::Connection
        | Known::Expect
        | Known::Upgrade
        | Known::HopByHop
        | Known::ProxyAuthenticate
        | Known::Other => {}
    }
    fields
        .filter(|(field, _)| Known::of(field) == Known::Connection)
        .any(|(_, value)| options(value).any(|option| option.eq_ignore_ascii_case(name)))
}

/// Writes `HTTP/1.1`, the status and its reason phrase.
pub(crate) fn put_status_line(output: &mut Output<'_>, status: u16) {
    output.put(b"HTTP/1.1 ");
    output.put_decimal(u64::from(status));
    output.put(b" ");
    output.put(reason(status).as_bytes());
    output.put(b"\r\n");
}

/// The reason phrase of a status (RFC 9110 section 15 and the registry); empty for others.
pub(crate) const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        207 => "Multi-Status",
        208 => "Already Reported",
        226 => "IM Used",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        305 => "Use Proxy",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        423 => "Locked",
        424 => "Failed Dependency",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        506 => "Variant Also Negotiates",
        507 => "Insufficient Storage",
        508 => "Loop Detected",
        511 => "Network Authentication Required",
        _ => "",
    }
}
