use core::ops::BitOr;

/// The flags of a frame (procwire section 4.2). Never holds a reserved bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// The frame goes from the child to the parent.
    pub const TO_PARENT: Self = Self(0x01);
    /// The frame answers a request.
    pub const IS_RESPONSE: Self = Self(0x02);
    /// The answer is an error.
    pub const IS_ERROR: Self = Self(0x04);
    /// The answer is of a stream.
    pub const IS_STREAM: Self = Self(0x08);
    /// The stream ends here.
    pub const STREAM_END: Self = Self(0x10);
    /// The answer is an acknowledgement.
    pub const IS_ACK: Self = Self(0x20);
    /// Bits that must be 0.
    pub const RESERVED: u8 = 0xC0;

    /// A request, AUTH or ABORT (procwire section 5.1, as all below).
    pub const REQUEST: Self = Self(0x00);
    /// An event.
    pub const EVENT: Self = Self(0x01);
    /// The one answer of a `result` method.
    pub const RESULT: Self = Self(0x03);
    /// An error of any method that is not a stream.
    pub const ERROR: Self = Self(0x07);
    /// A stream's chunk.
    pub const CHUNK: Self = Self(0x0B);
    /// An error of a stream method.
    pub const STREAM_ERROR: Self = Self(0x0F);
    /// A stream's end.
    pub const END: Self = Self(0x1B);
    /// The answer of an `ack` method.
    pub const ACK: Self = Self(0x23);

    /// `None` when a reserved bit is set.
    #[inline]
    #[must_use]
    pub const fn new(bits: u8) -> Option<Self> {
        if bits & Self::RESERVED == 0 { Some(Self(bits)) } else { None }
    }

    /// The byte on the wire.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether every bit of `other` is set here.
    #[inline]
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
