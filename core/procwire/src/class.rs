use crate::{EventId, Flags, Header, MethodId, RequestId};

/// What a frame from the parent means to an adopted child (procwire sections 5.1 to 5.3).
///
/// Only the id decides: the published child does not look at the flags of what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of procwire section 5.1")]
pub enum ToChild {
    /// A call of a method, which may be unknown. Without an id no answer is expected.
    Request {
        /// The method called.
        method: MethodId,
        /// What the answer must repeat.
        request: Option<RequestId>,
    },
    /// A request is no longer wanted.
    Abort(RequestId),
    /// AUTH after adoption, or an ABORT that names no request.
    Ignored,
}

/// What a frame from the child means to the parent (procwire sections 5.4 to 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of procwire section 5.1")]
pub enum ToParent {
    /// An answer, or a piece of one. Whether it fits the request is for the session to say.
    Response {
        /// The request that it answers.
        request: RequestId,
        /// Which answer it is.
        kind: ResponseKind,
    },
    /// An event, which may be unknown.
    Event(EventId),
    /// A frame that means nothing, such as an answer to no request.
    Ignored,
}

/// Which answer a response frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the kinds of procwire section 5.1")]
pub enum ResponseKind {
    /// The value of a `result` method, final.
    Result,
    /// An acknowledgement, final. Its payload may be empty whatever the codec (section 5.5).
    Ack,
    /// One chunk of a stream.
    Chunk,
    /// The end of a stream, final. A payload means nothing.
    End,
    /// An error, final; always MessagePack.
    Error,
    /// An error with the stream flag, final; always MessagePack.
    StreamError,
}

impl ToChild {
    /// Reads the header of a frame that a child received.
    #[inline]
    #[must_use]
    pub fn of(header: &Header) -> Self {
        match (header.id.method(), header.request) {
            (Some(method), request) => Self::Request { method, request },
            (None, Some(request)) if header.id == crate::WireId::ABORT => Self::Abort(request),
            (None, Some(_) | None) => Self::Ignored,
        }
    }
}

impl ToParent {
    /// Reads the header of a frame that a parent received: streams first, then responses, then
    /// events (procwire section 9.2). Method ids and the direction of responses are not looked at.
    #[inline]
    #[must_use]
    pub fn of(header: &Header) -> Self {
        let flags = header.flags;
        match header.request {
            Some(request) => match ResponseKind::of(flags) {
                Some(kind) => Self::Response { request, kind },
                None => Self::Ignored,
            },
            None if flags.contains(Flags::IS_RESPONSE) => Self::Ignored,
            None if flags.contains(Flags::TO_PARENT) => match header.id.event() {
                Some(event) => Self::Event(event),
                None => Self::Ignored,
            },
            None => Self::Ignored,
        }
    }
}

impl ResponseKind {
    /// Whether nothing may follow for the same request.
    #[inline]
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Chunk => false,
            Self::Result | Self::Ack | Self::End | Self::Error | Self::StreamError => true,
        }
    }

    /// The flags that a child sends for it.
    #[inline]
    #[must_use]
    pub const fn flags(self) -> Flags {
        match self {
            Self::Result => Flags::RESULT,
            Self::Ack => Flags::ACK,
            Self::Chunk => Flags::CHUNK,
            Self::End => Flags::END,
            Self::Error => Flags::ERROR,
            Self::StreamError => Flags::STREAM_ERROR,
        }
    }

    /// An error wins over the bits beside it; a stream flag wins over the response flag.
    const fn of(flags: Flags) -> Option<Self> {
        if flags.contains(Flags::IS_STREAM) {
            if flags.contains(Flags::IS_ERROR) {
                Some(Self::StreamError)
            } else if flags.contains(Flags::STREAM_END) {
                Some(Self::End)
            } else {
                Some(Self::Chunk)
            }
        } else if !flags.contains(Flags::IS_RESPONSE) {
            None
        } else if flags.contains(Flags::IS_ERROR) {
            Some(Self::Error)
        } else if flags.contains(Flags::IS_ACK) {
            Some(Self::Ack)
        } else {
            Some(Self::Result)
        }
    }
}
