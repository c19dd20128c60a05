//! Field lines as a flat array of names and values.

use forebay_core_procwire::msgpack::Reader;

use super::scan::Invalid;

/// Most fields of a response.
const COUNT_MAX: u32 = 96;

/// Names and values in order, checked, borrowed from the frame that brought them.
///
/// To carry them to another core, copy [`as_bytes`](Self::as_bytes) and give the copy to
/// [`from_bytes`](Self::from_bytes) there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'i> {
    /// The elements of the array, without its header.
    bytes: &'i [u8],
}

/// Names and values one by one.
#[derive(Debug, Clone)]
pub struct FieldsIter<'i> {
    rest: &'i [u8],
}

impl<'i> Fields<'i> {
    /// No fields.
    pub const EMPTY: Self = Self { bytes: &[] };

    /// The encoded form: MessagePack strings and binaries, name, value, name, value.
    #[must_use]
    pub const fn as_bytes(&self) -> &'i [u8] {
        self.bytes
    }

    /// The fields that [`as_bytes`](Self::as_bytes) encoded. Of other bytes, those fields that can
    /// be read.
    #[must_use]
    pub const fn from_bytes(bytes: &'i [u8]) -> Self {
        Self { bytes }
    }

    /// Names and values in order.
    #[must_use]
    pub const fn iter(&self) -> FieldsIter<'i> {
        FieldsIter { rest: self.bytes }
    }

    /// Reads and checks a flat array: names are tokens, values have no controls but tab (RFC 9110
    /// sections 5.1 and 5.5), at most 96 fields.
    pub(crate) fn parse(array: &'i [u8]) -> Result<Self, Invalid> {
        let mut reader = Reader::new(array);
        let count = reader.read_array().map_err(|_| Invalid)?;
        if !count.is_multiple_of(2) || count > COUNT_MAX.saturating_mul(2) {
            return Err(Invalid);
        }
        let all = reader.rest();
        for _ in 0..count / 2 {
            let name = reader.read_bytes_or_str().map_err(|_| Invalid)?;
            let value = reader.read_bytes_or_str().map_err(|_| Invalid)?;
            if !is_token(name) || !value.iter().all(|&byte| is_value_byte(byte)) {
                return Err(Invalid);
            }
        }
        let len = all.len().saturating_sub(reader.rest().len());
        Ok(Self { bytes: all.get(..len).unwrap_or(&[]) })
    }
}

impl<'i> IntoIterator for Fields<'i> {
    type Item = (&'i [u8], &'i [u8]);
    type IntoIter = FieldsIter<'i>;

    fn into_iter(self) -> FieldsIter<'i> {
        self.iter()
    }
}

impl<'i> Iterator for FieldsIter<'i> {
    /// Name and value.
    type Item = (&'i [u8], &'i [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = Reader::new(self.rest);
        let name = reader.read_bytes_or_str().ok()?;
        let value = reader.read_bytes_or_str().ok()?;
        self.rest = reader.rest();
        Some((name, value))
    }
}

/// A token as RFC 9110 section 5.6.2 has it.
fn is_token(name: &[u8]) -> bool {
    let is_token_byte =
        |&byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.iter().all(is_token_byte)
}

const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..=0xff)
}
