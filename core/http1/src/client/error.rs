//! What can be wrong with what a server sends.

use core::error::Error;
use core::fmt::{self, Display, Formatter};

/// Why the connection ended. Every one of these ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseError {
    /// The bytes are not HTTP/1.x.
    Syntax(Fault),
    /// [`Config::header_len`](super::Config::header_len) is reached.
    HeaderLength,
    /// Lengths that contradict each other, or a body that is shorter than announced behind a head
    /// that announced the end of the connection.
    ContentLength,
    /// [`Config::body_len`](super::Config::body_len) is exceeded.
    BodyLength,
    /// 100 (Continue) that nobody asked for, or bytes that answer no request.
    Unsolicited,
    /// 101 (Switching Protocols) that nobody asked for.
    UnsolicitedSwitch,
    /// The stream ended before the response did, or while nothing was asked.
    Closed,
    /// No head in time.
    HeadTimeout,
    /// The body paused for too long.
    BodyTimeout,
    /// Nothing was asked for too long.
    IdleTimeout,
}

/// Where bytes leave the grammar (RFC 9112), in the words of the parser that Node.js uses, which
/// programs may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The line does not begin with `HTTP/`.
    Protocol,
    /// The first digit of the version.
    MajorVersion,
    /// The dot of the version.
    VersionDot,
    /// The second digit of the version.
    MinorVersion,
    /// A version other than 1.0 and 1.1.
    Version,
    /// What stands between version and status.
    VersionSpace,
    /// Not three digits, or below 100.
    Status,
    /// What stands behind the status.
    StatusEnd,
    /// A status line that ends in LF alone.
    StatusLineCr,
    /// A CR in a reason phrase.
    StatusLineLf,
    /// White space in front of the first field.
    LeadingSpace,
    /// A folded field line.
    Folding,
    /// A field name.
    FieldName,
    /// A field value.
    FieldValue,
    /// A field line that ends in LF alone.
    FieldCr,
    /// A CR in a field value.
    FieldLf,
    /// An empty line that is LF alone.
    HeadCr,
    /// A CR that begins a line and is not followed by LF.
    HeadLf,
    /// `Content-Length` without a digit.
    LengthEmpty,
    /// `Content-Length` with something that is no digit.
    LengthDigit,
    /// `Content-Length` behind `Transfer-Encoding`.
    LengthWithCoding,
    /// The size of a chunk.
    ChunkSize,
    /// A size that does not fit 64 bits, or all of them together.
    ChunkLength,
    /// The extensions of a chunk, or their length.
    ChunkExtension,
    /// A size line that does not end in CRLF.
    ChunkSizeEnd,
    /// What stands behind the data of a chunk.
    ChunkEnd,
    /// The stream ended inside a chunked body that was to be the last.
    Eof,
}

impl Fault {
    /// The words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Protocol => "Expected HTTP/, RTSP/ or ICE/",
            Self::MajorVersion => "Invalid major version",
            Self::VersionDot => "Expected dot",
            Self::MinorVersion => "Invalid minor version",
            Self::Version => "Invalid HTTP version",
            Self::VersionSpace => "Expected space after version",
            Self::Status => "Invalid status code",
            Self::StatusEnd => "Invalid response status",
            Self::StatusLineCr => "Missing expected CR after response line",
            Self::StatusLineLf => "Expected LF after CR",
            Self::LeadingSpace => "Unexpected space after start line",
            Self::Folding => "Unexpected whitespace after header value",
            Self::FieldName => "Invalid header token",
            Self::FieldValue => "Invalid header value char",
            Self::FieldCr => "Missing expected CR after header value",
            Self::FieldLf => "Missing expected LF after header value",
            Self::HeadCr => "Invalid header field char",
            Self::HeadLf => "Expected LF after headers",
            Self::LengthEmpty => "Empty Content-Length",
            Self::LengthDigit => "Invalid character in Content-Length",
            Self::LengthWithCoding => "Content-Length can't be present with Transfer-Encoding",
            Self::ChunkSize => "Invalid character in chunk size",
            Self::ChunkLength => "Chunk size overflow",
            Self::ChunkExtension => "Invalid character in chunk extensions",
            Self::ChunkSizeEnd => "Missing expected CR after chunk size",
            Self::ChunkEnd => "Expected LF after chunk data",
            Self::Eof => "Invalid EOF state",
        }
    }
}

impl Display for ResponseError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Syntax(fault) => fault.reason(),
            Self::HeaderLength => "fields too long",
            Self::ContentLength => "content length contradicts the message",
            Self::BodyLength => "body too large",
            Self::Unsolicited => "bytes that answer no request",
            Self::UnsolicitedSwitch => "change of protocol that was not asked for",
            Self::Closed => "end of stream before the end of the response",
            Self::HeadTimeout => "no head in time",
            Self::BodyTimeout => "body paused for too long",
            Self::IdleTimeout => "idle for too long",
        };
        f.write_str(text)
    }
}

impl Error for ResponseError {}
