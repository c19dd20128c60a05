//! From MessagePack to serde types.

use std::borrow::Cow;

use forebay_core_procwire::msgpack::{DEPTH_MAX, Int, ReadError, Reader, Token};
use serde::de::value::{MapAccessDeserializer, SeqDeserializer};
use serde::de::{
    self, DeserializeSeed, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{BrokenText, CodecError, timestamp, value};

type Result<T> = core::result::Result<T, CodecError>;

/// Reads one value.
pub(super) struct Deserializer<'de> {
    reader: Reader<'de>,
    /// Containers that may still be entered.
    depth_left: usize,
    broken_text: BrokenText,
}

impl<'de> Deserializer<'de> {
    pub(super) fn new(payload: &'de [u8], broken_text: BrokenText) -> Self {
        Self { reader: Reader::new(payload), depth_left: DEPTH_MAX, broken_text }
    }

    pub(super) fn finish(&self) -> Result<()> {
        Ok(self.reader.finish()?)
    }

    /// Gives the visitor a token as it is.
    fn visit<V: Visitor<'de>>(&mut self, token: Token<'de>, visitor: V) -> Result<V::Value> {
        match token {
            Token::Nil => visitor.visit_unit(),
            Token::Bool(value) => visitor.visit_bool(value),
            Token::Int(value) => visit_int(value, visitor),
            Token::Float(value) => visitor.visit_f64(value),
            Token::Str(text) => self.visit_text(text, visitor),
            Token::Bin(bytes) => visitor.visit_borrowed_bytes(bytes),
            Token::Ext(kind, data) => visit_ext(kind, data, visitor),
            Token::Array(count) => self.nested(|inner| {
                let mut items = Items { inner, left: count };
                let value = visitor.visit_seq(&mut items)?;
                if items.left > 0 {
                    return Err(CodecError::custom("an array with more items than expected"));
                }
                Ok(value)
            }),
            Token::Map(count) => self.nested(|inner| {
                let mut items = Items { inner, left: count };
                let value = visitor.visit_map(&mut items)?;
                if items.left > 0 {
                    return Err(CodecError::custom("a map with more entries than expected"));
                }
                Ok(value)
            }),
        }
    }

    fn visit_text<V: Visitor<'de>>(&self, text: &'de [u8], visitor: V) -> Result<V::Value> {
        match self.text(text)? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn text<'t>(&self, text: &'t [u8]) -> Result<Cow<'t, str>> {
        match (core::str::from_utf8(text), self.broken_text) {
            (Ok(text), _) => Ok(Cow::Borrowed(text)),
            (Err(_), BrokenText::Replace) => Ok(String::from_utf8_lossy(text)),
            (Err(_), BrokenText::Refuse) => Err(ReadError::Utf8.into()),
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(ReadError::Depth)?;
        let value = read(self);
        self.depth_left += 1;
        value
    }

    /// An integer is wanted: an exact float is one (procwire section 7.3).
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        let token = self.reader.read()?;
        if let Token::Float(value) = token
            && let Some(value) = Int::from_f64(value)
        {
            return visit_int(value, visitor);
        }
        self.visit(token, visitor)
    }

    /// A float is wanted: every number is one.
    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.reader.read()? {
            Token::Int(value) => visitor.visit_f64(value.to_f64()),
            token => self.visit(token, visitor),
        }
    }
}

fn visit_int<'de, V: Visitor<'de>>(value: Int, visitor: V) -> Result<V::Value> {
    match value {
        Int::Unsigned(value) => visitor.visit_u64(value),
        Int::Negative(value) => visitor.visit_i64(value),
    }
}

/// A `Buffer` is bytes, a time a map of one reserved key, as is every other extension.
fn visit_ext<'de, V: Visitor<'de>>(kind: i8, data: &'de [u8], visitor: V) -> Result<V::Value> {
    use forebay_core_procwire::msgpack::{EXT_BUFFER, EXT_DATE, EXT_TIMESTAMP, Timestamp};

    match kind {
        EXT_BUFFER => visitor.visit_borrowed_bytes(data),
        EXT_TIMESTAMP | EXT_DATE => {
            let time = Timestamp::from_extension(kind, data).ok_or(ReadError::Range)?;
            let pair = (time.seconds(), time.nanos());
            visitor.visit_map(de::value::MapDeserializer::new(core::iter::once((
                timestamp::FIELD,
                Pair(pair.0, pair.1),
            ))))
        }
        _ => visitor.visit_map(de::value::MapDeserializer::new(core::iter::once((
            value::EXT_FIELD,
            ExtData(kind, data),
        )))),
    }
}

/// The two numbers of a time, as a sequence.
struct Pair(i64, u32);

impl<'de> IntoDeserializer<'de, CodecError> for Pair {
    type Deserializer = PairDeserializer;

    fn into_deserializer(self) -> PairDeserializer {
        PairDeserializer(self)
    }
}

struct PairDeserializer(Pair);

impl<'de> de::Deserializer<'de> for PairDeserializer {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let Pair(seconds, nanos) = self.0;
        visitor.visit_seq(SeqDeserializer::new([seconds, i64::from(nanos)].into_iter()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

/// Type and data of an extension, as a map of one entry: data by type.
struct ExtData<'de>(i8, &'de [u8]);

impl<'de> IntoDeserializer<'de, CodecError> for ExtData<'de> {
    type Deserializer = MapAccessDeserializer<
        de::value::MapDeserializer<
            'de,
            core::iter::Once<(i8, de::value::BorrowedBytesDeserializer<'de, CodecError>)>,
            CodecError,
        >,
    >;

    fn into_deserializer(self) -> Self::Deserializer {
        let data = de::value::BorrowedBytesDeserializer::new(self.1);
        MapAccessDeserializer::new(de::value::MapDeserializer::new(core::iter::once((
            self.0, data,
        ))))
    }
}

impl<'de> de::Deserializer<'de> for &mut Deserializer<'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let token = self.reader.read()?;
        self.visit(token, visitor)
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.reader.take_nil() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    /// Bytes are a sequence of numbers to a type that asks for one, such as `Vec<u8>`.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        use forebay_core_procwire::msgpack::EXT_BUFFER;

        match self.reader.read()? {
            Token::Bin(bytes) | Token::Ext(EXT_BUFFER, bytes) => {
                visitor.visit_seq(SeqDeserializer::new(bytes.iter().copied()))
            }
            token => self.visit(token, visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.reader.read()? {
            Token::Str(name) => visitor.visit_enum(self.text(name)?.into_deserializer()),
            Token::Map(1) => self.nested(|inner| visitor.visit_enum(Variant { inner })),
            token => {
                let what = format!("{token:?}");
                let unexpected = Unexpected::Other(&what);
                Err(de::Error::invalid_type(unexpected, &"a variant's name, alone or with data"))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.reader.skip()?;
        visitor.visit_unit()
    }

    /// Times and addresses travel as text, which JavaScript can read.
    fn is_human_readable(&self) -> bool {
        true
    }

    forward_to_deserialize_any! {
        bool char str string bytes byte_buf unit unit_struct map struct identifier
    }
}

/// The items of an array, or the entries of a map.
struct Items<'a, 'de> {
    inner: &'a mut Deserializer<'de>,
    left: u32,
}

impl Items<'_, '_> {
    fn next(&mut self) -> bool {
        let more = self.left > 0;
        self.left = self.left.saturating_sub(1);
        more
    }

    fn size_hint(&self) -> Option<usize> {
        usize::try_from(self.left).ok()
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = CodecError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.next() { seed.deserialize(&mut *self.inner).map(Some) } else { Ok(None) }
    }

    fn size_hint(&self) -> Option<usize> {
        Items::size_hint(self)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = CodecError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.next() {
            seed.deserialize(Key { inner: &mut *self.inner }).map(Some)
        } else {
            Ok(None)
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.inner)
    }

    fn size_hint(&self) -> Option<usize> {
        Items::size_hint(self)
    }
}

/// A map's key. JavaScript makes text of every number, so one stands for the other.
struct Key<'a, 'de> {
    inner: &'a mut Deserializer<'de>,
}

impl<'de> Key<'_, 'de> {
    fn integer<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.inner.reader.read()? {
            Token::Int(value) => visit_int(value, visitor),
            Token::Str(text) => {
                let number = self.inner.text(text)?;
                match (number.parse::<u64>(), number.parse::<i64>()) {
                    (Ok(value), _) => visitor.visit_u64(value),
                    (Err(_), Ok(value)) => visitor.visit_i64(value),
                    (Err(_), Err(_)) => self.inner.visit_text(text, visitor),
                }
            }
            Token::Float(value) => match Int::from_f64(value) {
                Some(value) => visit_int(value, visitor),
                None => visitor.visit_f64(value),
            },
            _ => Err(ReadError::Key.into()),
        }
    }
}

impl<'de> de::Deserializer<'de> for Key<'_, 'de> {
    type Error = CodecError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.inner.reader.read()? {
            Token::Str(b"__proto__") => Err(ReadError::Key.into()),
            Token::Str(text) => self.inner.visit_text(text, visitor),
            Token::Int(Int::Unsigned(value)) => visitor.visit_string(value.to_string()),
            Token::Int(Int::Negative(value)) => visitor.visit_string(value.to_string()),
            Token::Float(value) => visitor.visit_string(value.to_string()),
            _ => Err(ReadError::Key.into()),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.integer(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.inner.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// `{variant: data}`, behind the head of the map.
struct Variant<'a, 'de> {
    inner: &'a mut Deserializer<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let name = seed.deserialize(Key { inner: &mut *self.inner })?;
        Ok((name, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = CodecError;

    fn unit_variant(self) -> Result<()> {
        de::Deserialize::deserialize(self.inner)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self.inner)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        de::Deserializer::deserialize_seq(self.inner, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        de::Deserializer::deserialize_any(self.inner, visitor)
    }
}
