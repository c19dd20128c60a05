//! Heads of answers that are prepared once and copied often.

use crate::class;
use crate::error::UsageError;
use crate::name::Known;
use crate::response::put_status_line;
use crate::write::Output;

/// The head of an answer with a fixed status and fixed fields, ready to be copied
/// ([`Connection::write_answer`](crate::Connection::write_answer)); the date is patched
/// ([`set_date`](Self::set_date)) and the body's length appended.
#[derive(Debug, Clone)]
pub struct Template {
    bytes: [u8; Self::CAPACITY],
    len: u8,
    /// Where the 29 bytes of the date begin.
    date: u8,
}

impl Template {
    /// The longest head, without the digits of `Content-Length` and without `Connection`, in bytes.
    pub const CAPACITY: usize = 224;

    /// Prepares a head with this status and these fields, which must not be about framing,
    /// persistence or the date.
    ///
    /// # Errors
    ///
    /// A status below 200, above 599, or without a body (204, 304); a field that is malformed or
    /// not permitted; more than [`CAPACITY`](Self::CAPACITY) bytes.
    pub fn new(status: u16, fields: &[(&str, &str)]) -> Result<Self, UsageError> {
        if !(200..=599).contains(&status) || matches!(status, 204 | 304) {
            return Err(UsageError::Status);
        }
        let mut bytes = [0; Self::CAPACITY];
        let mut output = Output::new(&mut bytes);
        put_status_line(&mut output, status);
        for (name, value) in fields {
            if name.is_empty() || !class::all(name.as_bytes(), class::TOKEN) {
                return Err(UsageError::FieldName);
            }
            if !class::all(value.as_bytes(), class::VALUE) {
                return Err(UsageError::FieldValue);
            }
            if Known::of(name.as_bytes()) != Known::Other {
                return Err(UsageError::FieldName);
            }
            output.put_field(name.as_bytes(), value.as_bytes());
        }
        output.put(b"Date: ");
        let date = output.len();
        output.put_field(b"Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length", b"");
        // The digits go in place of the CRLF.
        let len = output.finish().ok_or(UsageError::NoRoom)?.wrapping_sub(2);
        let narrow = |value: usize| u8::try_from(value).map_err(|_| UsageError::NoRoom);
        Ok(Self { bytes, len: narrow(len)?, date: narrow(date)? })
    }

    /// Changes the date, 29 bytes as RFC 9110 section 5.6.7 gives them.
    pub fn set_date(&mut self, date: &[u8; 29]) {
        let start = usize::from(self.date);
        if let Some(place) = self.bytes.get_mut(start..start.saturating_add(date.len())) {
            place.copy_from_slice(date);
        }
    }

    /// Everything up to the digits of `Content-Length`.
    #[inline]
    pub(crate) fn head(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
