//! Payloads: which codec a type travels in.
//!
//! The type decides, for a request's input, its answer and an event separately: every serde type
//! is MessagePack, [`Raw`] and [`RawChunks`] are the bytes themselves.

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

/// One frame's payload as it came: still in the read buffer, or gathered since it was cut.
#[expect(unnameable_types, reason = "seals a public trait")]
#[derive(Debug)]
pub enum Incoming<'a> {
    /// Lies whole in the read buffer.
    Borrowed(&'a [u8]),
    /// Was gathered in memory of its own.
    Gathered(Bytes),
}

impl Incoming<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Gathered(bytes) => bytes,
        }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Self::Gathered(bytes) => bytes,
        }
    }
}

pub(crate) mod sealed {
    use super::{BrokenText, Error, Incoming};
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
}

impl sealed::Encode for RawChunks {
    fn encode(&self, out: &mut crate::connection::Outgoing<'_>) -> Result<(), Error> {
        for chunk in &self.0 {
            out.attach(chunk);
        }
        Ok(())
    }
}
