//! What the engine is told.

use core::fmt;
use core::net::IpAddr;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;

use super::options::ClientOptions;

/// A client; numbers are dense and chosen by who opens it, so they may index a table.
///
/// A number is used again only after [`Event::Closed`](super::Event::Closed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u32);

/// A request. Slots are dense and may index a table; the generation differs each time that a slot
/// is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// An index.
    pub slot: u32,
    /// Told with every event, and compared by JavaScript.
    pub generation: u32,
}

/// One instruction. What names a client or a request that is gone has no effect.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// A client comes into being. It connects when a request needs it.
    Open {
        /// Not in use.
        client: ClientId,
        /// Shared by all clients that have the same ones: what is costly to derive from them, such
        /// as trust in certificates, is derived once.
        options: Arc<ClientOptions>,
    },
    /// How many requests may be on the wire at a time; 0 means one, and no keep-alive.
    Pipelining {
        /// Which.
        client: ClientId,
        /// The new depth.
        depth: u32,
    },
    /// A request goes to the end of the client's queue.
    Dispatch(Box<Request>),
    /// A request that was offered is still wanted.
    Go {
        /// Which.
        id: RequestId,
    },
    /// The next bytes of a body that was announced as [`Body::Stream`], or to an upgraded stream.
    BodyChunk {
        /// Whose.
        id: RequestId,
        /// Not empty.
        chunk: Bytes,
    },
    /// The body is complete; on an upgraded stream: no more will be written.
    BodyEnd {
        /// Whose.
        id: RequestId,
    },
    /// So many more bytes of the response are wanted.
    Credit {
        /// Whose.
        id: RequestId,
        /// Added to what is left.
        bytes: u32,
    },
    /// The consumer rests: read no more of this response now, whatever the credit, and let the body
    /// timeout stand still.
    Pause {
        /// Whose.
        id: RequestId,
    },
    /// The consumer goes on.
    Resume {
        /// Whose.
        id: RequestId,
    },
    /// Nothing more about this request: it leaves the queue, or its connection is closed (HTTP/2:
    /// its stream is reset). No event answers.
    Abort {
        /// Which.
        id: RequestId,
    },
    /// The client closes its connection once its queue is empty. Answer:
    /// [`Event::Closed`](super::Event::Closed).
    Close {
        /// Which.
        client: ClientId,
    },
    /// The client closes its connection now; its requests end without an event. Answer:
    /// [`Event::Closed`](super::Event::Closed).
    Destroy {
        /// Which.
        client: ClientId,
    },
    /// The answer to [`Event::Ask`](super::Event::Ask).
    Answer {
        /// Who asked.
        client: ClientId,
        /// The question's.
        number: u32,
        /// None: there is no answer, and the connection does not come about.
        answer: Option<Answer>,
    },
    /// The engine deals with what [`Engine::submit`](super::Engine::submit) has begun by itself.
    TakeBack,
    /// The sink has room again after [`EventSink::is_full`](super::EventSink::is_full).
    Drained,
}

/// What the caller's functions said; to each question its part.
#[derive(Debug, Default)]
pub struct Answer {
    /// Of a name.
    pub addresses: Vec<IpAddr>,
    /// The engine's end of a stream that leads to the server.
    #[cfg(unix)]
    pub socket: Option<UnixStream>,
    /// HTTP/2 is to be spoken on it.
    pub h2: bool,
}

/// A request and all that goes with it.
#[derive(Debug)]
pub struct Request {
    /// Under which name events about it come.
    pub id: RequestId,
    /// To whom.
    pub client: ClientId,
    /// What is sent first.
    pub head: RequestHead,
    /// What is sent next.
    pub body: Body,
    /// What it asks of the connection.
    pub flags: RequestFlags,
    /// Until the response's head, from when the request was written; progress of the upload and
    /// informational responses start it anew. 0: no limit.
    pub headers_timeout_ms: u32,
    /// Between two pieces of the response's body; stands still during a pause. 0: no limit.
    pub body_timeout_ms: u32,
    /// Response bytes that may come before the first [`Command::Credit`].
    pub credit: u32,
    /// How packets are marked from this request on (IP_TOS, IPV6_TCLASS). HTTP/1.1 only.
    pub type_of_service: Option<u8>,
    /// Another server name than the client's; a connection with a different one is closed first.
    pub servername: Option<Box<str>>,
}

/// A request's head in parts. It was checked before: no part can break out of its line.
///
/// The parts lie one behind the other in one allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    bytes: Box<[u8]>,
    method_end: u32,
    path_end: u32,
    host_end: u32,
    upgrade_end: u32,
}

impl RequestHead {
    /// Puts `bytes`, which are the five parts one behind the other, and the ends of the first four
    /// together.
    ///
    /// Returns nothing when an end lies in front of the one before or behind the bytes.
    #[must_use]
    pub fn new(bytes: Box<[u8]>, ends: [u32; 4]) -> Option<Self> {
        let [method_end, path_end, host_end, upgrade_end] = ends;
        let ordered = ends.is_sorted() && upgrade_end as usize <= bytes.len();
        ordered.then_some(Self { bytes, method_end, path_end, host_end, upgrade_end })
    }

    /// A token, as given: `GET`.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.bytes[..self.method_end as usize]
    }

    /// The target: origin form, absolute form through a proxy, or authority form of CONNECT.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.bytes[self.method_end as usize..self.path_end as usize]
    }

    /// The value of the field `host`, of `:authority` in HTTP/2.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        &self.bytes[self.path_end as usize..self.host_end as usize]
    }

    /// The protocol to upgrade to; empty: none.
    #[must_use]
    pub fn upgrade(&self) -> &[u8] {
        &self.bytes[self.host_end as usize..self.upgrade_end as usize]
    }

    /// The other fields, each as `Name: value` with CR LF behind it, spelt and ordered as the
    /// caller did, values in latin1.
    ///
    /// They have none of `host`, `connection`, `upgrade`, `content-length` and
    /// `transfer-encoding`: these the engine writes, the first three in front and the framing
    /// behind.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        &self.bytes[self.upgrade_end as usize..]
    }
}

impl fmt::Debug for RequestHead {
    /// Without fields: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &String::from_utf8_lossy(self.method()))
            .field("path", &String::from_utf8_lossy(self.path()))
            .finish_non_exhaustive()
    }
}

/// What is sent behind the head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Nothing, and no framing.
    None,
    /// Nothing, framed as `content-length: 0`.
    Empty,
    /// All of it. Framed by its length.
    Whole(Bytes),
    /// Chunks that come as commands.
    Stream {
        /// The length to announce; the sum of the chunks was checked against it. Without one the
        /// body is chunked.
        length: Option<u64>,
    },
}

/// What a request asks of its connection.
#[expect(clippy::struct_excessive_bools, reason = "independent wishes")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestFlags {
    /// It may be pipelined behind others, and sent again when it got no answer.
    pub idempotent: bool,
    /// Nothing is pipelined behind it before its response's head.
    pub blocking: bool,
    /// `connection: close`, and the connection ends with it.
    pub reset: bool,
    /// The method is CONNECT: any status ends in [`Event::Upgrade`](super::Event::Upgrade).
    pub connect: bool,
    /// The method is HEAD: the response has no body.
    pub head: bool,
    /// HTTP/2: withhold the body until `100 Continue`.
    pub expect_continue: bool,
    /// HTTP/1.1 only, whatever the client allows.
    pub no_h2: bool,
    /// The caller knows of a connection that can take it: it is written as soon as possible,
    /// without [`Event::Offer`](super::Event::Offer).
    pub started: bool,
}

#[cfg(test)]
mod tests {
    use super::RequestHead;

    #[test]
    fn a_head_gives_its_parts_back() {
        let bytes = b"GET/ahostwebsocketA: b\r\n".to_vec().into_boxed_slice();
        let head = RequestHead::new(bytes, [3, 5, 9, 18]).expect("ends in order");
        assert_eq!(head.method(), b"GET");
        assert_eq!(head.path(), b"/a");
        assert_eq!(head.host(), b"host");
        assert_eq!(head.upgrade(), b"websocket");
        assert_eq!(head.fields(), b"A: b\r\n");
        assert!(!format!("{head:?}").contains("A: b"));
    }

    #[test]
    fn ends_out_of_order_make_no_head() {
        for ends in [[4, 3, 4, 4], [1, 2, 3, 5]] {
            assert_eq!(RequestHead::new(b"GET/".as_slice().into(), ends), None);
        }
    }
}
