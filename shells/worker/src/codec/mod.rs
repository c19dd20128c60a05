//! MessagePack as JavaScript peers write and read it, for serde types.
//!
//! What goes beyond a plain MessagePack codec (procwire section 7.3): a `Buffer` (extension 1) is
//! bytes like any bin, integers and exact floats stand for each other, a `Date` is a
//! [`Timestamp`], a map's number keys and their text stand for each other, nothing nests deeper
//! than 128, and no declared length is believed.

#[cfg(feature = "arrow")]
mod arrow;
mod de;
mod ser;
#[cfg(test)]
mod tests;
mod timestamp;
mod value;

use core::fmt;

use bytes::Bytes;
use forebay_core_procwire::msgpack::{Full, ReadError, Writer};
use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(feature = "arrow")]
pub use arrow::Table;
pub use timestamp::Timestamp;
pub use value::Value;

use crate::error::Error;

/// Why a payload could not be decoded or a value not encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecError {
    message: String,
}

/// What to do with text that is not UTF-8, as JavaScript's lone surrogates arrive.
#[expect(unnameable_types, reason = "in the signature of a sealed trait")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenText {
    /// The payload cannot be decoded.
    Refuse,
    /// U+FFFD stands for what is broken.
    Replace,
}

/// Decodes the one value of a payload.
pub(crate) fn from_slice<T: DeserializeOwned>(
    payload: &[u8],
    broken_text: BrokenText,
) -> Result<T, CodecError> {
    let mut deserializer = de::Deserializer::new(payload, broken_text);
    let value = T::deserialize(&mut deserializer)?;
    deserializer.finish()?;
    Ok(value)
}

/// Appends the encoded value.
pub(crate) fn to_writer<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    value.serialize(ser::Serializer::new(out)).map_err(|error| Error::Encode(error.message))
}

/// The encoded value.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let mut out = Vec::new();
    to_writer(value, &mut out)?;
    Ok(Bytes::from(out))
}

/// An encoded string.
pub(crate) fn encode_text(text: &str) -> Bytes {
    let mut out = Vec::new();
    put(&mut out, text.len(), |writer| writer.str(text));
    Bytes::from(out)
}

/// Appends what `write` writes: an item of at most `data_len` bytes of data.
pub(crate) fn put(
    out: &mut Vec<u8>,
    data_len: usize,
    write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) {
    /// Longest head of an item, and longest number.
    const HEAD_LEN_MAX: usize = 18;

    let start = out.len();
    out.resize(start + data_len + HEAD_LEN_MAX, 0);
    let mut writer = Writer::new(out.get_mut(start..).unwrap_or(&mut []));
    write(&mut writer).expect("the memory is as long as the item");
    let len = writer.len();
    out.truncate(start + len);
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for CodecError {}

impl serde::de::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string() }
    }
}

impl serde::ser::Error for CodecError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string() }
    }
}

impl From<ReadError> for CodecError {
    fn from(error: ReadError) -> Self {
        Self { message: format!("invalid payload: {error}") }
    }
}
