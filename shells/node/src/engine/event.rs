//! What the engine tells.

use core::net::SocketAddr;
use core::time::Duration;

use super::command::{ClientId, RequestId};
use super::failure::Failure;

/// One event. It borrows from the engine's memory: the sink copies what it keeps.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The request has a connection, and nothing of it is written before
    /// [`Command::Go`](super::Command::Go). Said again when it has to be sent again; not said first
    /// of a request that was [`started`](super::RequestFlags::started).
    Offer {
        /// Which.
        id: RequestId,
    },
    /// A 1xx response, neither 100 (but in HTTP/2) nor 101.
    Informational {
        /// Whose.
        id: RequestId,
        /// What it says.
        head: Head<'a>,
    },
    /// The final response's head; data follows.
    Head {
        /// Whose.
        id: RequestId,
        /// What it says.
        head: Head<'a>,
    },
    /// Bytes of the body, or of an upgraded stream, within the credit given.
    Data {
        /// Whose.
        id: RequestId,
        /// Not empty.
        data: Data<'a>,
    },
    /// The response, or the reading side of an upgraded stream, is complete.
    End {
        /// Whose.
        id: RequestId,
        /// The trailer section, in the form of [`Head::fields`]; empty: none.
        trailers: &'a [u8],
    },
    /// Head, the whole body, and end in one: responses that were read at once.
    ///
    /// Only within the credit, and not during a pause.
    Response {
        /// Whose.
        id: RequestId,
        /// What it says.
        head: Head<'a>,
        /// All of it; may be empty.
        body: &'a [u8],
        /// As in [`Event::End`].
        trailers: &'a [u8],
    },
    /// So many more bytes of the upload are wanted. The first comes when the body may be sent.
    BodyCredit {
        /// Whose.
        id: RequestId,
        /// Added to what is left.
        bytes: u32,
    },
    /// The request is written, its body included. Told for requests with a body only, and of an
    /// upgraded stream when its writing side has ended.
    BodySent {
        /// Whose.
        id: RequestId,
    },
    /// The connection is a raw stream now: [`Event::Data`] and [`Event::End`] bring what comes
    /// (what was read beyond the head first), [`Command::BodyChunk`](super::Command::BodyChunk) and
    /// [`Command::BodyEnd`](super::Command::BodyEnd) write to it.
    ///
    /// The client has forgotten the connection and may open another. The request lives until both
    /// sides have ended, [`Event::Error`], or [`Command::Abort`](super::Command::Abort).
    Upgrade {
        /// Whose.
        id: RequestId,
        /// The answer: 101, or anything to CONNECT.
        head: Head<'a>,
    },
    /// The request failed.
    Error {
        /// Which.
        id: RequestId,
        /// Why. With [`Kind::Connect`](super::Kind::Connect): because of its client's last
        /// [`Event::ConnectFailed`], told before.
        failure: Failure,
    },
    /// A client begins to connect.
    Connecting {
        /// Which.
        client: ClientId,
        /// What the request wishes for which that is done.
        servername: Option<&'a str>,
    },
    /// Only the caller can tell: [`Command::Answer`](super::Command::Answer) is awaited.
    Ask {
        /// Whose connection is being made.
        client: ClientId,
        /// Of the question.
        number: u32,
        /// What is asked.
        question: Question<'a>,
    },
    /// A client's connection is ready, TLS included.
    Connected {
        /// Whose.
        client: ClientId,
        /// What there is to know about it.
        info: Connected,
    },
    /// HTTP/2: so many requests may run on the connection at a time, as the server has it. Told
    /// when it is not what was asked for.
    Streams {
        /// Whose.
        client: ClientId,
        /// At least 1.
        max: u32,
    },
    /// HTTP/2: the server has answered a ping.
    Pong {
        /// Whose.
        client: ClientId,
        /// How long that took.
        after: Duration,
    },
    /// A connection that was told as ready is gone.
    Disconnected {
        /// Whose.
        client: ClientId,
        /// Why.
        failure: Failure,
    },
    /// A connection did not become ready.
    ConnectFailed {
        /// Whose.
        client: ClientId,
        /// Why.
        failure: Failure,
    },
    /// After [`Command::Close`](super::Command::Close) or
    /// [`Command::Destroy`](super::Command::Destroy): nothing of the client is left.
    Closed {
        /// Which.
        client: ClientId,
    },
}

/// What is asked of the caller.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// The addresses of a name.
    Lookup {
        /// The name.
        host: &'a str,
    },
    /// A stream to the server, TLS included.
    Socket {
        /// The name that the request wishes for.
        servername: Option<&'a str>,
    },
    /// Whether a server is who it should be; its chain is trusted. Any answer is a yes.
    Identity {
        /// Who it should be.
        host: &'a str,
        /// Its certificates in DER, its own first.
        chain: &'a [Vec<u8>],
    },
}

/// A response's head.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// 100 to 999.
    pub status: u16,
    /// Of the response.
    pub version: Version,
    /// The reason phrase as received, latin1; empty in HTTP/2.
    pub reason: &'a [u8],
    /// Fields as received: lines `Name: value`, each with CR LF behind it, white space around the
    /// value not removed, folded lines unfolded. HTTP/2: written as such lines.
    pub fields: &'a [u8],
}

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

/// Bytes that came.
#[derive(Debug)]
pub enum Data<'a> {
    /// In the engine's read buffer: will be copied.
    Borrowed(&'a [u8]),
    /// At the end of a buffer, from `start` on: for pieces of 32 KiB and more. The sink may take
    /// the buffer and leave another, with room or without.
    Owned {
        /// What was read.
        buffer: &'a mut Vec<u8>,
        /// At most its length.
        start: usize,
    },
}

impl Data<'_> {
    /// The bytes, wherever they are.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned { buffer, start } => &buffer[*start..],
        }
    }
}

/// A connection that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// What is spoken on it: [`Version::Http11`] or [`Version::Http2`].
    pub version: Version,
    /// Of a Unix socket: none.
    pub local: Option<SocketAddr>,
    /// Of a Unix socket: none.
    pub remote: Option<SocketAddr>,
}
