//! What a worker answers: the meaning of complete maps.

use forebay_core_procwire::msgpack::Reader;

use super::scan::{Invalid, Parts, Scan};
use super::{Fields, Head};

/// Status and fields: those of the final head, or 103.
pub(crate) fn head<'i>(map: &'i [u8], parts: &Parts) -> Result<Head<'i>, Invalid> {
    let status = value_at(map, parts.status)?.read_u64().map_err(|_| Invalid)?;
    let status = u16::try_from(status).map_err(|_| Invalid)?;
    if status != 103 && !(200..=599).contains(&status) {
        return Err(Invalid);
    }
    let fields = Fields::parse(value_at(map, parts.fields)?.rest())?;
    Ok(Head { status, fields })
}

/// The fields behind a body.
pub(crate) fn trailers<'i>(map: &'i [u8], parts: &Parts) -> Result<Fields<'i>, Invalid> {
    Fields::parse(value_at(map, parts.trailers)?.rest())
}

/// The text of an error: a string, or the member `message` of a map. Empty if there is none.
pub(crate) fn error_text(payload: &[u8]) -> &[u8] {
    let mut reader = Reader::new(payload);
    if let Ok(text) = reader.read_str_bytes() {
        return text;
    }
    let parts = Scan::default().advance(payload, payload.len()).ok().flatten();
    let message = parts.and_then(|parts| value_at(payload, parts.message).ok());
    message.and_then(|mut reader| reader.read_str_bytes().ok()).unwrap_or(&[])
}

fn value_at(map: &[u8], at: Option<usize>) -> Result<Reader<'_>, Invalid> {
    at.and_then(|at| map.get(at..)).map(Reader::new).ok_or(Invalid)
}
