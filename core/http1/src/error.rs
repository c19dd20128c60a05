//! What a peer did wrong, and what the caller did wrong.

use core::error::Error;
use core::fmt::{self, Display, Formatter};

/// A rule that the peer broke, or a wait that it let pass. The connection ends with it.
///
/// Every violation has the number of its rule ([`rule`](Self::rule)) and, unless the connection
/// ends in silence, the status of the answer ([`status`](Self::status)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerError {
    /// The request line is not `method SP target SP version CRLF` (RFC 9112 section 3).
    RequestLine,
    /// More empty lines before a request than the limit allows (RFC 9112 section 2.2).
    EmptyLines,
    /// The method is longer than the limit allows.
    MethodLength,
    /// TRACE: answering 405 would owe an `Allow`, so it is 501.
    Trace,
    /// A protocol version other than 1.0 and 1.1 (RFC 9112 section 2.3).
    VersionUnsupported,
    /// No protocol version, or something else in its place (RFC 9112 section 2.3).
    Version,
    /// A line feed without carriage return or the reverse (RFC 9112 section 2.2, strictly).
    LineEnd,
    /// The target has none of the permitted forms (RFC 9112 section 3.2).
    Target,
    /// CONNECT: there is no tunnel here.
    Connect,
    /// A byte that may not stand in a target.
    TargetByte,
    /// The request line is longer than the limit allows.
    RequestLineLength,
    /// A malformed percent escape or `%00` in the path.
    Escape,
    /// A field line without a proper name and colon (RFC 9112 section 5.1).
    FieldName,
    /// A folded field line, or white space before the first one (RFC 9112 section 5.2).
    Folding,
    /// A control byte in a field value (RFC 9110 section 5.5).
    FieldValue,
    /// More field lines, or more options in `Connection`, than the limit allows (RFC 6585).
    FieldCount,
    /// The field lines of a head or of trailers are longer than the limit allows (RFC 6585).
    FieldLength,
    /// HTTP/1.1 without a `Host`, or with an empty one (RFC 9112 section 3.2).
    HostMissing,
    /// More than one `Host` (RFC 9112 section 3.2).
    HostRepeated,
    /// `Host`, or the authority of the target, is not `host [":" port]`.
    HostSyntax,
    /// `Content-Length` is not 1 to 19 digits (RFC 9110 section 8.6).
    ContentLength,
    /// `Content-Length` twice or as a list (RFC 9112 section 6.3).
    ContentLengthRepeated,
    /// `Content-Length` together with `Transfer-Encoding` (RFC 9112 section 6.1).
    TwoFramings,
    /// `Transfer-Encoding` in HTTP/1.0 (RFC 9112 section 6.1).
    CodingInHttp10,
    /// A transfer coding other than `chunked` (RFC 9112 section 6.1).
    Coding,
    /// `Transfer-Encoding` twice, or `chunked` repeated, not last or misspelt (RFC 9112 section
    /// 6.1).
    CodingMalformed,
    /// The body is, or was announced to be, larger than the limit allows.
    BodyLength,
    /// A chunk size line that does not begin with 1 to 16 hex digits (RFC 9112 section 7.1).
    ChunkSize,
    /// Chunk data is not followed by CRLF (RFC 9112 section 7.1).
    ChunkEnd,
    /// A malformed chunk extension, or one longer than the limits allow (RFC 9112 section 7.1.1).
    ChunkExtension,
    /// The stream ended inside a request. No answer: the peer is gone.
    Truncated,
    /// An expectation other than `100-continue` (RFC 9110 section 10.1.1).
    Expectation,
    /// After the end of the stream no response byte was written for as long as the grace lasts.
    ClientGone,
    /// The head was not complete in time.
    HeadTimeout,
    /// The body paused for too long.
    BodyTimeout,
    /// No byte of a request came for too long. No answer.
    IdleTimeout,
    /// `Connection` names `Host`, `Content-Length` or `Transfer-Encoding`.
    ConnectionOption,
}

impl PeerError {
    /// The status of the answer, or `None` where the connection ends without one.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        Some(match self {
            Self::MethodLength | Self::Trace | Self::Connect | Self::Coding => 501,
            Self::VersionUnsupported => 505,
            Self::RequestLineLength => 414,
            Self::FieldCount | Self::FieldLength => 431,
            Self::BodyLength => 413,
            Self::Expectation => 417,
            Self::HeadTimeout | Self::BodyTimeout => 408,
            Self::RequestLine
            | Self::EmptyLines
            | Self::Version
            | Self::LineEnd
            | Self::Target
            | Self::TargetByte
            | Self::Escape
            | Self::FieldName
            | Self::Folding
            | Self::FieldValue
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostSyntax
            | Self::ContentLength
            | Self::ContentLengthRepeated
            | Self::TwoFramings
            | Self::CodingInHttp10
            | Self::CodingMalformed
            | Self::ChunkSize
            | Self::ChunkEnd
            | Self::ChunkExtension
            | Self::ConnectionOption => 400,
            Self::Truncated | Self::ClientGone | Self::IdleTimeout => return None,
        })
    }

    /// The number of the rule, as the crate's documentation lists them. It is the `message` of the
    /// error answer.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::RequestLine => "L1",
            Self::EmptyLines => "L2",
            Self::MethodLength | Self::Trace => "L3",
            Self::VersionUnsupported | Self::Version => "L4",
            Self::LineEnd => "L6",
            Self::Target | Self::Connect => "T1",
            Self::TargetByte => "T2",
            Self::RequestLineLength => "T3",
            Self::Escape => "T4",
            Self::FieldName => "F1",
            Self::Folding => "F2",
            Self::FieldValue => "F3",
            Self::FieldCount | Self::FieldLength => "F4",
            Self::HostMissing => "H1",
            Self::HostRepeated => "H2",
            Self::HostSyntax => "H3",
            Self::ContentLength => "B1",
            Self::ContentLengthRepeated => "B2",
            Self::TwoFramings => "B3",
            Self::CodingInHttp10 => "B4",
            Self::Coding | Self::CodingMalformed => "B5",
            Self::BodyLength => "B7",
            Self::ChunkSize => "C1",
            Self::ChunkEnd => "C3",
            Self::ChunkExtension => "C4",
            Self::Truncated => "C6",
            Self::Expectation => "K5",
            Self::ClientGone => "K6",
            Self::HeadTimeout | Self::BodyTimeout | Self::IdleTimeout => "K7",
            Self::ConnectionOption => "K8",
        }
    }
}

impl Display for PeerError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::RequestLine => "malformed request line",
            Self::EmptyLines => "too many empty lines before a request",
            Self::MethodLength => "method too long",
            Self::Trace => "TRACE is not implemented",
            Self::VersionUnsupported => "unsupported protocol version",
            Self::Version => "malformed protocol version",
            Self::LineEnd => "a line does not end in CRLF",
            Self::Target => "malformed request target",
            Self::Connect => "CONNECT is not implemented",
            Self::TargetByte => "forbidden byte in the request target",
            Self::RequestLineLength => "request line too long",
            Self::Escape => "malformed percent escape in the path",
            Self::FieldName => "malformed field name",
            Self::Folding => "folded field line",
            Self::FieldValue => "control byte in a field value",
            Self::FieldCount => "too many fields",
            Self::FieldLength => "fields too long",
            Self::HostMissing => "no host",
            Self::HostRepeated => "more than one host",
            Self::HostSyntax => "malformed host",
            Self::ContentLength => "malformed content length",
            Self::ContentLengthRepeated => "more than one content length",
            Self::TwoFramings => "content length together with transfer encoding",
            Self::CodingInHttp10 => "transfer encoding in HTTP/1.0",
            Self::Coding => "unknown transfer coding",
            Self::CodingMalformed => "malformed transfer encoding",
            Self::BodyLength => "body too large",
            Self::ChunkSize => "malformed chunk size",
            Self::ChunkEnd => "chunk data without its end",
            Self::ChunkExtension => "malformed chunk extension",
            Self::Truncated => "end of stream inside a request",
            Self::Expectation => "unknown expectation",
            Self::ClientGone => "the client is gone",
            Self::HeadTimeout => "head not complete in time",
            Self::BodyTimeout => "body paused for too long",
            Self::IdleTimeout => "idle for too long",
            Self::ConnectionOption => "connection option names a framing or routing field",
        };
        f.write_str(text)
    }
}

impl Error for PeerError {}

/// What the caller did wrong; the machine is as it was before the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageError {
    /// The call does not fit the state, for example a second response head.
    OutOfOrder,
    /// The output has no room for what must be written.
    NoRoom,
    /// The status may not be sent by this call.
    Status,
    /// A field name is not a token.
    FieldName,
    /// A field value has a control byte.
    FieldValue,
    /// More or longer fields than the limits allow.
    Fields,
    /// `Content-Length` is malformed, repeated, or differs from the body's known length.
    ContentLength,
    /// The request does not permit a change of protocol.
    Upgrade,
    /// A method is not a token.
    Method,
    /// A request target is empty, or has white space or a control byte.
    Target,
}

impl Display for UsageError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::OutOfOrder => "call out of order",
            Self::NoRoom => "no room in the output",
            Self::Status => "status not permitted here",
            Self::FieldName => "field name is not a token",
            Self::FieldValue => "control byte in a field value",
            Self::Fields => "too many or too long fields",
            Self::ContentLength => "content length malformed, repeated or wrong",
            Self::Upgrade => "the request does not permit a change of protocol",
            Self::Method => "method is not a token",
            Self::Target => "malformed request target",
        };
        f.write_str(text)
    }
}

impl Error for UsageError {}
