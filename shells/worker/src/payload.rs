//! Payloads: which codec a type travels in.
//!
//! The type decides, for a request's input, its answer and an event separately: every serde type
//! is MessagePack, [`Raw`] and [`RawChunks`] are the bytes themselves.

use core::ops::Range;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{self, BrokenText};
use crate::error::Error;

/// A payload as raw bytes, in either direction (codecs `raw` and `raw-chunks` of the npm packages).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raw(pub Bytes);

/// One outgoing payload made of several buffers, none of which is copied into another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawChunks(pub Vec<Bytes>);

/// What a handler can take: every type that serde can decode, or [`Raw`].
pub trait FromPayload: sealed::Decode + Send + 'static {}

/// What can be sent: every type that serde can encode, [`Raw`] or [`RawChunks`].
pub trait IntoPayload: sealed::Encode {}

impl<T: sealed::Decode + Send + 'static> FromPayload for T {}
impl<T: sealed::Encode + ?Sized> IntoPayload for T {}

/// Bytes of a payload from which on a reference to the read buffer is cheaper than a copy.
pub(crate) const SHARED_LEN_MIN: usize = 512;

/// A payload is at least this part of the read buffer that it keeps.
const SHARED_PARTS_MAX: usize = 128;

/// One frame's payload as it came: still in the read buffer, or gathered since it was cut.
#[expect(unnameable_types, reason = "seals a public trait")]
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Lies whole in the read buffer.
    Borrowed {
        /// The payload.
        bytes: &'a [u8],
        /// What it lies in, if that can be kept.
        chunk: Option<&'a Bytes>,
    },
    /// Was gathered in memory of its own.
    Gathered(Bytes),
}

impl Incoming<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed { bytes, .. } => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        let len = self.as_slice().len();
        self.into_part(0..len)
    }

    /// Some of its bytes. What is kept of a read buffer keeps all of it, so it must be a fair part.
    pub(crate) fn into_part(self, range: Range<usize>) -> Bytes {
        match self {
            Self::Borrowed { bytes, chunk } => {
                let part = bytes.get(range).unwrap_or(&[]);
                let fair = part.len().saturating_mul(SHARED_PARTS_MAX);
                match chunk.filter(|chunk| part.len() >= SHARED_LEN_MIN && chunk.len() <= fair) {
                    Some(chunk) => chunk.slice_ref(part),
                    None => Bytes::copy_from_slice(part),
                }
            }
            Self::Gathered(bytes) => bytes.slice(range),
        }
    }
}

pub(crate) mod sealed {
    use super::{BrokenText, Bytes, Error, Incoming};
    use crate::connection::Outgoing;

    /// Decoding of one payload.
    #[expect(unnameable_types, reason = "seals a public trait")]
    pub trait Decode: Sized {
        /// # Errors
        /// The text that the error answer carries.
        fn decode(payload: Incoming<'_>, broken_text: BrokenText) -> Result<Self, String>;
    }

    /// Encoding of one payload.
    #[expect(unnameable_types, reason = "seals a public trait")]
    pub trait Encode {
        /// # Errors
        /// [`Error::Encode`] when the codec has no form for the value.
        fn encode(&self, out: &mut Outgoing<'_>) -> Result<(), Error>;

        /// The payload, if it need not be encoded.
        fn as_bytes(&self) -> Option<&Bytes> {
            None
        }

        /// The payload, if it need not be encoded.
        fn into_bytes(self) -> Result<Bytes, Self>
        where
            Self: Sized,
        {
            Err(self)
        }
    }
}

impl<T: DeserializeOwned> sealed::Decode for T {
    fn decode(payload: Incoming<'_>, broken_text: BrokenText) -> Result<Self, String> {
        codec::from_slice(payload.as_slice(), broken_text).map_err(|error| error.to_string())
    }
}

impl sealed::Decode for Raw {
    fn decode(payload: Incoming<'_>, _: BrokenText) -> Result<Self, String> {
        Ok(Self(payload.into_bytes()))
    }
}

impl<T: Serialize + ?Sized> sealed::Encode for T {
    fn encode(&self, out: &mut crate::connection::Outgoing<'_>) -> Result<(), Error> {
        codec::to_writer(self, out.inline())
    }
}

impl sealed::Encode for Raw {
    fn encode(&self, out: &mut crate::connection::Outgoing<'_>) -> Result<(), Error> {
        out.attach(&self.0);
        Ok(())
    }

    fn as_bytes(&self) -> Option<&Bytes> {
        Some(&self.0)
    }

    fn into_bytes(self) -> Result<Bytes, Self> {
        Ok(self.0)
    }
}

impl sealed::Encode for RawChunks {
    fn encode(&self, out: &mut crate::connection::Outgoing<'_>) -> Result<(), Error> {
        for chunk in &self.0 {
            out.attach(chunk);
        }
        Ok(())
    }
}
