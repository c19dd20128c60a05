use core::error::Error;
use core::fmt;

use crate::{Flags, RequestId, WireId};

/// Bytes of an encoded header.
pub const HEADER_LEN: usize = 11;

/// Bytes of a header and of what [`Header::emit_wide`] puts behind it.
pub const HEADER_WIDE_LEN: usize = 16;

/// The header of a data plane frame: 11 bytes, big-endian (procwire section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Method, event, AUTH or ABORT.
    pub id: WireId,
    /// What kind of frame it is.
    pub flags: Flags,
    /// The request it belongs to; `None` (0 on the wire) where no answer is expected.
    pub request: Option<RequestId>,
    /// Bytes that follow.
    pub payload_len: u32,
}

/// The longest payload that is taken from a peer, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxPayload(u32);

/// A header that breaks the protocol or the limit: the connection is dropped (procwire section
/// 4.4). Listed in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeaderError {
    /// The id field is 0.
    ZeroId,
    /// The payload is longer than the configured limit.
    OverLimit,
    /// The payload is longer than 2^31 - 1 bytes, whatever is configured.
    OverCeiling,
    /// A reserved flag is set.
    ReservedFlags,
}

impl MaxPayload {
    /// No limit allows more than 2^31 - 1 bytes.
    pub const CEILING: Self = Self(0x7FFF_FFFF);
    /// 1 GiB, what the published packages use.
    pub const DEFAULT: Self = Self(1 << 30);

    /// A limit of `bytes`, or the ceiling if that is less.
    #[must_use]
    pub const fn new(bytes: u32) -> Self {
        if bytes < Self::CEILING.0 { Self(bytes) } else { Self::CEILING }
    }

    /// The limit in bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl Default for MaxPayload {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Header {
    /// Reads and checks a header, in the order of procwire section 4.4.
    ///
    /// # Errors
    /// See [`HeaderError`].
    #[inline]
    pub const fn parse(bytes: [u8; HEADER_LEN], max: MaxPayload) -> Result<Self, HeaderError> {
        let [i0, i1, flags, r0, r1, r2, r3, l0, l1, l2, l3] = bytes;
        let payload_len = u32::from_be_bytes([l0, l1, l2, l3]);
        let Some(id) = WireId::new(u16::from_be_bytes([i0, i1])) else {
            return Err(HeaderError::ZeroId);
        };
        if payload_len > max.0 {
            return Err(over(payload_len));
        }
        let Some(flags) = Flags::new(flags) else {
            return Err(HeaderError::ReservedFlags);
        };
        let request = RequestId::new(u32::from_be_bytes([r0, r1, r2, r3]));
        Ok(Self { id, flags, request, payload_len })
    }

    /// The bytes on the wire.
    #[inline]
    #[must_use]
    pub const fn emit(&self) -> [u8; HEADER_LEN] {
        let [i0, i1] = self.id.value().to_be_bytes();
        let request = match self.request {
            Some(request) => request.value(),
            None => 0,
        };
        let [r0, r1, r2, r3] = request.to_be_bytes();
        let [l0, l1, l2, l3] = self.payload_len.to_be_bytes();
        [i0, i1, self.flags.bits(), r0, r1, r2, r3, l0, l1, l2, l3]
    }

    /// The bytes on the wire, and zeros behind them that do not belong there: as long as a copy
    /// that takes one step.
    #[inline]
    #[must_use]
    pub fn emit_wide(&self) -> [u8; HEADER_WIDE_LEN] {
        let request = self.request.map_or(0, RequestId::value);
        let wide = u128::from(self.id.value()) << 112
            | u128::from(self.flags.bits()) << 104
            | u128::from(request) << 72
            | u128::from(self.payload_len) << 40;
        wide.to_be_bytes()
    }
}

/// A limit never lies above the ceiling, so what is over the ceiling is over the limit too; the
/// error names the harder of the two.
const fn over(payload_len: u32) -> HeaderError {
    if payload_len > MaxPayload::CEILING.0 {
        HeaderError::OverCeiling
    } else {
        HeaderError::OverLimit
    }
}

impl forebay_core_frame::Header for Header {
    const LEN: usize = HEADER_LEN;
    type Limits = MaxPayload;
    type Error = HeaderError;

    #[inline]
    fn parse(input: &[u8], limits: &MaxPayload) -> Result<Option<Self>, HeaderError> {
        match input.first_chunk::<HEADER_LEN>() {
            Some(bytes) => Self::parse(*bytes, *limits).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn payload_len(&self) -> usize {
        usize::try_from(self.payload_len).unwrap_or(usize::MAX)
    }

    #[inline]
    fn emit(&self, out: &mut [u8]) -> Option<usize> {
        *out.first_chunk_mut::<HEADER_LEN>()? = Self::emit(self);
        Some(HEADER_LEN)
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroId => "a frame with id 0",
            Self::OverLimit => "a payload over the configured limit",
            Self::OverCeiling => "a payload over 2^31 - 1 bytes",
            Self::ReservedFlags => "a frame with reserved flags",
        })
    }
}

impl Error for HeaderError {}
