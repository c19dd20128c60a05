//! MessagePack: what passes the check can be read and skipped, and comes back as it was when it
//! is written again.
#![no_main]

use forebay_core_procwire::msgpack::{Int, ReadError, Reader, Token, Writer, check};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let checked = check(data);
    let mut reader = Reader::new(data);
    let skipped = reader.skip().and_then(|()| reader.finish());
    if checked.is_ok() {
        assert_eq!(skipped, Ok(()));
    }
    if skipped.is_err() {
        assert!(checked.is_err());
        return;
    }
    let mut out = vec![0; data.len() + 16];
    let Ok(shortest) = rewrite(data, &mut out) else { return };
    let mut again = vec![0; shortest.len()];
    assert_eq!(rewrite(shortest, &mut again), Ok(shortest), "the shortest form is the only one");
});

/// Writes every item of `data` in its shortest form.
fn rewrite<'o>(data: &[u8], out: &'o mut [u8]) -> Result<&'o [u8], ReadError> {
    let mut reader = Reader::new(data);
    let mut writer = Writer::new(out);
    while !reader.rest().is_empty() {
        if let Ok(time) = reader.clone().read_timestamp() {
            let _ = reader.read_timestamp();
            writer.timestamp(time).map_err(|_| ReadError::Truncated)?;
            continue;
        }
        match reader.read()? {
            Token::Nil => writer.nil(),
            Token::Bool(value) => writer.bool(value),
            Token::Int(Int::Unsigned(value)) => writer.uint(value),
            Token::Int(Int::Negative(value)) => writer.int(value),
            Token::Float(value) => writer.number(value),
            Token::Str(text) => writer.str_bytes(text),
            Token::Bin(bytes) => writer.bin(bytes),
            Token::Ext(kind, data) => writer.ext(kind, data),
            Token::Array(count) => writer.array(count),
            Token::Map(count) => writer.map(count),
        }
        .map_err(|_| ReadError::Truncated)?;
    }
    Ok(writer.into_written())
}
