//! From serde types to MessagePack.

use forebay_core_procwire::msgpack::{Full, Timestamp, Writer};
use serde::ser::{
    self, Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct,
    SerializeStructVariant, SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    Serializer as _,
};

use super::{BrokenText, CodecError, put, timestamp, value};

type Result<T = ()> = core::result::Result<T, CodecError>;

/// Writes one value. Structs are maps with the names of their fields, enums what serde calls
/// externally tagged.
pub(super) struct Serializer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Serializer<'o> {
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    fn scalar(
        self,
        write: impl FnOnce(&mut Writer<'_>) -> core::result::Result<(), Full>,
    ) -> Result {
        put(self.out, 0, write);
        Ok(())
    }

    fn container(self, kind: Kind, count: Option<usize>) -> Container<'o> {
        let head = self.out.len();
        let declared = count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        kind.put(self.out, declared);
        Container { out: self.out, kind, head, declared, count: 0 }
    }

    /// The head of `{variant: …}`.
    fn variant(self, name: &str) -> Result<Self> {
        put(self.out, 0, |writer| writer.map(1));
        Serializer::new(self.out).serialize_str(name)?;
        Ok(self)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Map,
}

impl Kind {
    fn put(self, out: &mut Vec<u8>, count: u32) {
        put(out, 0, |writer| match self {
            Self::Array => writer.array(count),
            Self::Map => writer.map(count),
        });
    }
}

/// An array or a map whose items are counted while they are written.
pub(super) struct Container<'o> {
    out: &'o mut Vec<u8>,
    kind: Kind,
    /// Where its head begins.
    head: usize,
    declared: u32,
    count: u32,
}

impl Container<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.count = self.count.checked_add(1).ok_or_else(|| CodecError::custom("too many"))?;
        value.serialize(Serializer::new(self.out))
    }

    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.count = self.count.checked_add(1).ok_or_else(|| CodecError::custom("too many"))?;
        let start = self.out.len();
        key.serialize(Serializer::new(self.out))?;
        check_key(self.out.get(start..).unwrap_or(&[]))
    }

    fn close(self) -> Result {
        if self.count != self.declared {
            let (mut old, mut new) = (Vec::new(), Vec::new());
            self.kind.put(&mut old, self.declared);
            self.kind.put(&mut new, self.count);
            self.out.splice(self.head..self.head + old.len(), new);
        }
        Ok(())
    }
}

/// JavaScript reads text and numbers as keys, and never `__proto__` (procwire section 7.2).
fn check_key(encoded: &[u8]) -> Result {
    use forebay_core_procwire::msgpack::{Reader, Token};

    match Reader::new(encoded).read() {
        Ok(Token::Str(b"__proto__")) => Err(CodecError::custom("the key __proto__")),
        Ok(Token::Str(_) | Token::Int(_)) => Ok(()),
        Ok(_) | Err(_) => Err(CodecError::custom("a map key that is neither text nor integer")),
    }
}

impl<'o> ser::Serializer for Serializer<'o> {
    type Ok = ();
    type Error = CodecError;
    type SerializeSeq = Container<'o>;
    type SerializeTuple = Container<'o>;
    type SerializeTupleStruct = Container<'o>;
    type SerializeTupleVariant = Container<'o>;
    type SerializeMap = Container<'o>;
    type SerializeStruct = Container<'o>;
    type SerializeStructVariant = Container<'o>;

    fn serialize_bool(self, v: bool) -> Result {
        self.scalar(|writer| writer.bool(v))
    }

    fn serialize_i8(self, v: i8) -> Result {
        self.serialize_i64(i64::from(v))
    }

    fn serialize_i16(self, v: i16) -> Result {
        self.serialize_i64(i64::from(v))
    }

    fn serialize_i32(self, v: i32) -> Result {
        self.serialize_i64(i64::from(v))
    }

    fn serialize_i64(self, v: i64) -> Result {
        self.scalar(|writer| writer.int(v))
    }

    fn serialize_i128(self, v: i128) -> Result {
        match (i64::try_from(v), u64::try_from(v)) {
            (Ok(v), _) => self.serialize_i64(v),
            (Err(_), Ok(v)) => self.serialize_u64(v),
            (Err(_), Err(_)) => Err(CodecError::custom("an integer beyond 64 bits")),
        }
    }

    fn serialize_u8(self, v: u8) -> Result {
        self.serialize_u64(u64::from(v))
    }

    fn serialize_u16(self, v: u16) -> Result {
        self.serialize_u64(u64::from(v))
    }

    fn serialize_u32(self, v: u32) -> Result {
        self.serialize_u64(u64::from(v))
    }

    fn serialize_u64(self, v: u64) -> Result {
        self.scalar(|writer| writer.uint(v))
    }

    fn serialize_u128(self, v: u128) -> Result {
        let v = u64::try_from(v).map_err(|_| CodecError::custom("an integer beyond 64 bits"))?;
        self.serialize_u64(v)
    }

    fn serialize_f32(self, v: f32) -> Result {
        self.serialize_f64(f64::from(v))
    }

    fn serialize_f64(self, v: f64) -> Result {
        self.scalar(|writer| writer.number(v))
    }

    fn serialize_char(self, v: char) -> Result {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, v: &str) -> Result {
        checked_len(v.len())?;
        put(self.out, v.len(), |writer| writer.str(v));
        Ok(())
    }

    fn serialize_bytes(self, v: &[u8]) -> Result {
        put(self.out, 0, |writer| writer.bin_head(checked_len(v.len()).unwrap_or(0)));
        checked_len(v.len())?;
        self.out.extend_from_slice(v);
        Ok(())
    }

    fn serialize_none(self) -> Result {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        self.scalar(|writer| writer.nil())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        match name {
            timestamp::NAME => serialize_timestamp(value, self.out),
            value::EXT_NAME => serialize_ext(value, self.out),
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        value.serialize(self.variant(variant)?)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Container<'o>> {
        Ok(self.container(Kind::Array, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Container<'o>> {
        Ok(self.container(Kind::Array, Some(len)))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Container<'o>> {
        Ok(self.container(Kind::Array, Some(len)))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'o>> {
        Ok(self.variant(variant)?.container(Kind::Array, Some(len)))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Container<'o>> {
        Ok(self.container(Kind::Map, len))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Container<'o>> {
        Ok(self.container(Kind::Map, Some(len)))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Container<'o>> {
        Ok(self.variant(variant)?.container(Kind::Map, Some(len)))
    }
}

/// The two numbers of a [`Timestamp`](super::Timestamp), as they are encoded elsewhere, become
/// the extension.
fn serialize_timestamp<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result {
    let mut pair = Vec::new();
    value.serialize(Serializer::new(&mut pair))?;
    let (seconds, nanos): (i64, u32) = super::from_slice(&pair, BrokenText::Refuse)?;
    let time = Timestamp::new(seconds, nanos);
    let time = time.ok_or_else(|| CodecError::custom("nanoseconds of a second or more"))?;
    put(out, 12, |writer| writer.timestamp(time));
    Ok(())
}

/// Type and data of any other extension.
fn serialize_ext<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result {
    let mut pair = Vec::new();
    value.serialize(Serializer::new(&mut pair))?;
    let (kind, data): (i8, bytes::Bytes) = super::from_slice(&pair, BrokenText::Refuse)?;
    checked_len(data.len())?;
    put(out, data.len(), |writer| writer.ext(kind, &data));
    Ok(())
}

fn checked_len(len: usize) -> Result<u32> {
    u32::try_from(len).map_err(|_| CodecError::custom("text or bytes of 4 GiB or more"))
}

impl SerializeSeq for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.item(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeTuple for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.item(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeTupleStruct for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.item(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeTupleVariant for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        self.item(value)
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeMap for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result {
        value.serialize(Serializer::new(self.out))
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeStruct for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.key(key)?;
        value.serialize(Serializer::new(self.out))
    }

    fn end(self) -> Result {
        self.close()
    }
}

impl SerializeStructVariant for Container<'_> {
    type Ok = ();
    type Error = CodecError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result {
        self.key(key)?;
        value.serialize(Serializer::new(self.out))
    }

    fn end(self) -> Result {
        self.close()
    }
}
