use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

/// The id field of a header as it is on the wire, never 0. It names a method, an event or one of
/// the two reserved kinds, depending on the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireId(NonZeroU16);

/// A method of the child, 1 to 0xFFFD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodId(NonZeroU16);

/// An event of the child, 1 to 0xFFFD. The numbers overlap with those of the methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(NonZeroU16);

/// A request that expects an answer, 1 to 0xFFFF_FFFF. On the wire 0 says "no answer", which is
/// `Option::None` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(NonZeroU32);

/// How a method answers, the `response` member of its entry in `$init`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the four types of procwire section 2.3")]
pub enum ResponseType {
    /// Exactly one value.
    Result,
    /// Any number of chunks, then an end.
    Stream,
    /// One acknowledgement, with or without a value.
    Ack,
    /// No answer at all; its requests carry no id.
    None,
}

impl WireId {
    /// The id of an AUTH frame (procwire section 5.2).
    pub const AUTH: Self = Self(NonZeroU16::new(0xFFFE).expect("0xFFFE is not 0"));
    /// The id of an ABORT frame (procwire section 5.3).
    pub const ABORT: Self = Self(NonZeroU16::MAX);

    /// `None` for 0, which no frame may carry.
    #[inline]
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0.get()
    }

    /// The id read as a method's; `None` for AUTH and ABORT.
    #[inline]
    #[must_use]
    pub const fn method(self) -> Option<MethodId> {
        MethodId::new(self.value())
    }

    /// The id read as an event's; `None` for AUTH and ABORT.
    #[inline]
    #[must_use]
    pub const fn event(self) -> Option<EventId> {
        EventId::new(self.value())
    }
}

/// An id of 1 to 0xFFFD, the range that methods and events share.
const fn usable(value: u16) -> Option<NonZeroU16> {
    if value < WireId::AUTH.value() { NonZeroU16::new(value) } else { None }
}

impl MethodId {
    /// `None` outside 1 to 0xFFFD.
    #[inline]
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match usable(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0.get()
    }
}

impl EventId {
    /// `None` outside 1 to 0xFFFD.
    #[inline]
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match usable(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0.get()
    }
}

impl RequestId {
    /// The first id that a parent gives out, and the one after the last.
    pub const FIRST: Self = Self(NonZeroU32::MIN);

    /// `None` for 0.
    #[inline]
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number on the wire.
    #[inline]
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0.get()
    }

    /// The id after this one; 1 follows 0xFFFF_FFFF (procwire section 4.3).
    #[inline]
    #[must_use]
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(value) => Self(value),
            None => Self::FIRST,
        }
    }
}

impl ResponseType {
    /// The word in `$init`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Stream => "stream",
            Self::Ack => "ack",
            Self::None => "none",
        }
    }

    /// Reads the word in `$init`; `None` for any other word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Result, Self::Stream, Self::Ack, Self::None]
            .into_iter()
            .find(|response| response.as_str() == word)
    }
}

impl From<MethodId> for WireId {
    fn from(id: MethodId) -> Self {
        Self(id.0)
    }
}

impl From<EventId> for WireId {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number in decimal, at the end of `out`.
pub(crate) fn decimal(value: u16, out: &mut [u8; 5]) -> &str {
    let mut left = value;
    let mut start = out.len();
    for digit in out.iter_mut().rev() {
        *digit = b'0' | u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        start = start.saturating_sub(1);
        if left == 0 {
            break;
        }
    }
    core::str::from_utf8(out.get(start..).unwrap_or(&[])).unwrap_or("")
}
