//! Arrow tables (procwire section 7.5): a payload is one whole Arrow IPC stream.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::{IpcWriteOptions, StreamEncoder};
use arrow_ipc::{self as ipc, MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, SchemaRef};
use bytes::Bytes;

use crate::codec::BrokenText;
use crate::connection::Outgoing;
use crate::error::Error;
use crate::payload::{Incoming, sealed};

/// Bytes that every part of a stream is aligned to, as the npm codec has it.
const ALIGNMENT: usize = 8;

/// An Arrow table (the npm codec `arrow`, feature `arrow` of this crate).
///
/// A table that comes in shares the memory of its frame as far as that is aligned; one that goes
/// out is written from the memory of its columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names and types of the columns.
    pub schema: SchemaRef,
    /// The rows, all of this schema.
    pub batches: Vec<RecordBatch>,
}

impl Table {
    /// Rows of all batches.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

impl From<RecordBatch> for Table {
    fn from(batch: RecordBatch) -> Self {
        Self { schema: batch.schema(), batches: vec![batch] }
    }
}

impl sealed::Decode for Table {
    fn decode(payload: Incoming<'_>, _: BrokenText) -> Result<Self, String> {
        decode(payload.into_bytes()).map_err(|error| format!("invalid payload: {error}"))
    }
}

fn decode(payload: Bytes) -> Result<Table, ArrowError> {
    check(&payload)?;
    let mut rest = Buffer::from(payload);
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        batches.extend(decoder.decode(&mut rest)?);
    }
    decoder.finish()?;
    let schema = decoder.schema();
    let schema = schema.ok_or_else(|| ArrowError::IpcError("a stream without a schema".into()))?;
    Ok(Table { schema, batches })
}

/// Looks at what the decoder of arrow-ipc takes for granted: lengths that no type bounds, and
/// buffers that lie inside their message.
fn check(payload: &[u8]) -> Result<(), ArrowError> {
    let mut rest = payload;
    while !rest.is_empty() {
        let mut len = word(&mut rest)?;
        if len == u32::MAX {
            len = word(&mut rest)?;
        }
        if len == 0 {
            return if rest.is_empty() { Ok(()) } else { Err(broken("bytes behind its end")) };
        }
        let message = take(&mut rest, len.into())?;
        let message = root_as_message(message).map_err(|error| broken(&error.to_string()))?;
        let body = take(&mut rest, message.bodyLength())?;
        let dictionary = message.header_as_dictionary_batch().and_then(|batch| batch.data());
        if let Some(batch) = message.header_as_record_batch().or(dictionary) {
            check_batch(&batch, body.len())?;
        }
    }
    Ok(())
}

fn check_batch(batch: &ipc::RecordBatch<'_>, body_len: usize) -> Result<(), ArrowError> {
    let inside = |start: i64, len: i64| {
        let end = start.checked_add(len).and_then(|end| usize::try_from(end).ok());
        start >= 0 && len >= 0 && end.is_some_and(|end| end <= body_len)
    };
    if !batch.buffers().into_iter().flatten().all(|buffer| inside(buffer.offset(), buffer.length()))
    {
        return Err(broken("a buffer outside its message"));
    }
    let counts = |node: &ipc::FieldNode| (0..=node.length()).contains(&node.null_count());
    if batch.length() < 0 || !batch.nodes().into_iter().flatten().all(counts) {
        return Err(broken("a column with an impossible length"));
    }
    Ok(())
}

fn word(rest: &mut &[u8]) -> Result<u32, ArrowError> {
    let (word, after) = rest.split_first_chunk().ok_or_else(|| broken("it is cut"))?;
    *rest = after;
    Ok(u32::from_le_bytes(*word))
}

fn take<'b>(rest: &mut &'b [u8], len: i64) -> Result<&'b [u8], ArrowError> {
    let len = usize::try_from(len).ok();
    let split = len.and_then(|len| rest.split_at_checked(len));
    let (taken, after) = split.ok_or_else(|| broken("it is cut"))?;
    *rest = after;
    Ok(taken)
}

fn broken(what: &str) -> ArrowError {
    ArrowError::IpcError(format!("in the stream, {what}"))
}

impl sealed::Encode for Table {
    fn encode(&self, out: &mut Outgoing<'_>) -> Result<(), Error> {
        let buffers = encode(self).map_err(|error| Error::Encode(error.to_string()))?;
        for buffer in buffers {
            out.attach(&Bytes::from_owner(buffer));
        }
        Ok(())
    }
}

fn encode(table: &Table) -> Result<Vec<Buffer>, ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut encoder = StreamEncoder::try_new_with_options(&table.schema, options)?;
    let mut buffers = Vec::new();
    for batch in &table.batches {
        if batch.schema() != table.schema {
            return Err(ArrowError::SchemaError("a batch of another schema".into()));
        }
        buffers.extend(encoder.encode(batch)?);
    }
    buffers.extend(encoder.finish()?);
    Ok(buffers)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int32Array, StringArray};
    use arrow_schema::Schema;

    use super::*;
    use crate::connection::Scratch;

    /// `{v: Int32Array [7]}` as the npm codec writes it (procwire section 8.4).
    const VECTOR: &str = include_str!("../../../../tests/vectors/procwire/arrow.tsv");

    fn vector() -> Vec<u8> {
        let line = VECTOR.lines().find_map(|line| line.strip_prefix("int32-7\t"));
        let pairs = line
            .expect("it is there")
            .as_bytes()
            .chunks(2)
            .map(|pair| core::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn read(bytes: &[u8]) -> Result<Table, String> {
        sealed::Decode::decode(Incoming::Borrowed { bytes, chunk: None }, BrokenText::Refuse)
    }

    fn written(table: &Table) -> Vec<u8> {
        let mut scratch = Scratch::default();
        sealed::Encode::encode(table, &mut Outgoing::new(&mut scratch)).unwrap();
        scratch.to_vec()
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn the_vector_is_read() {
        let table = read(&vector()).unwrap();
        assert_eq!(table, batch(vec![("v", Arc::new(Int32Array::from(vec![7])))]).into());
        assert_eq!(read(&written(&table)), Ok(table));
    }

    #[test]
    fn tables_come_back() {
        let rows = |from: i32| {
            let numbers: Vec<i32> = (from..from + 5000).collect();
            let texts = numbers.iter().map(|n| (n % 3 > 0).then(|| n.to_string()));
            let floats = numbers.iter().map(|n| (n % 2 > 0).then_some(f64::from(*n)));
            batch(vec![
                ("text", Arc::new(texts.collect::<StringArray>()) as ArrayRef),
                ("float", Arc::new(floats.collect::<Float64Array>())),
                ("number", Arc::new(Int32Array::from(numbers))),
            ])
        };
        let batches = vec![rows(0), rows(5000), rows(9).slice(3, 7), rows(0).slice(0, 0)];
        let table = Table { schema: batches[0].schema(), batches };
        assert_eq!(table.row_count(), 10_007);
        assert_eq!(read(&written(&table)), Ok(table));
        let none = Table { schema: Arc::new(Schema::empty()), batches: vec![] };
        assert_eq!(read(&written(&none)), Ok(none));
    }

    #[test]
    fn a_batch_of_another_schema_is_refused() {
        let one = batch(vec![("a", Arc::new(Int32Array::from(vec![1])))]);
        let other = batch(vec![("b", Arc::new(Int32Array::from(vec![1])))]);
        let table = Table { schema: one.schema(), batches: vec![one, other] };
        assert!(encode(&table).is_err());
    }

    /// Cut anywhere, or with a byte changed, a stream is a table or an error.
    #[test]
    fn broken_streams_are_errors() {
        let whole = vector();
        let end = whole.len() - 8;
        for len in (0..end).filter(|len| *len != 0 && *len != 136) {
            assert!(read(&whole[..len]).is_err(), "{len} bytes");
        }
        assert!(read(&[]).is_err());
        assert!(read(&[&whole[..], b"more"].concat()).is_err());
        for index in 0..whole.len() {
            for change in 1..=255 {
                let mut bytes = whole.clone();
                bytes[index] ^= change;
                let _ = read(&bytes);
            }
        }
    }
}
