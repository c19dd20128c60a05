use core::error::Error;
use core::fmt;

use super::{EXT_BUFFER, EXT_DATE, EXT_TIMESTAMP, Int, Timestamp};

/// Reads MessagePack values from the front of a slice.
///
/// Every method either reads one item and moves on, or fails and stays where it was, so a caller
/// can try another type or, after [`ReadError::Truncated`], come back with more bytes. A container
/// is its count, followed by that many values, or pairs of them.
#[derive(Debug, Clone)]
pub struct Reader<'i> {
    rest: &'i [u8],
}

/// One item: a whole scalar, or the head of a container.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the types of MessagePack")]
pub enum Token<'i> {
    /// Nil: JavaScript's `null` and `undefined`.
    Nil,
    /// A boolean.
    Bool(bool),
    /// An integer of any width.
    Int(Int),
    /// A float of either width.
    Float(f64),
    /// Text, which may be broken UTF-8.
    Str(&'i [u8]),
    /// Bytes.
    Bin(&'i [u8]),
    /// An extension: its type and its data.
    Ext(i8, &'i [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs of key and value follow.
    Map(u32),
}

/// Why a value could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadError {
    /// The input ends inside the value, or before it.
    Truncated,
    /// The byte 0xC1, which is no value.
    Reserved,
    /// A value of another type.
    Type,
    /// A number that the wanted type does not hold, or a time out of range.
    Range,
    /// Text that is not UTF-8.
    Utf8,
    /// Containers nested too deeply.
    Depth,
    /// A map key that is neither text nor a number, or is `__proto__`.
    Key,
    /// Bytes behind the one value of a payload.
    Trailing,
}

/// The head of an item: what it is, and how long its data is.
#[derive(Debug, Clone, Copy)]
enum Head {
    Nil,
    Bool(bool),
    Int(Int),
    Float(f64),
    Str(u32),
    Bin(u32),
    Ext(i8, u32),
    Array(u32),
    Map(u32),
}

impl<'i> Reader<'i> {
    /// A reader at the front of `input`.
    #[must_use]
    pub const fn new(input: &'i [u8]) -> Self {
        Self { rest: input }
    }

    /// What has not been read yet.
    #[must_use]
    pub const fn rest(&self) -> &'i [u8] {
        self.rest
    }

    /// Ends a payload, which is exactly one value (procwire section 7.3).
    ///
    /// # Errors
    /// Bytes are left.
    pub const fn finish(&self) -> Result<(), ReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReadError::Trailing) }
    }

    /// Reads any item.
    ///
    /// # Errors
    /// The input is cut or broken. A container that claims more items than bytes are left counts
    /// as cut.
    pub fn read(&mut self) -> Result<Token<'i>, ReadError> {
        let (head, rest) = head(self.rest)?;
        let (token, rest) = match head {
            Head::Nil => (Token::Nil, rest),
            Head::Bool(value) => (Token::Bool(value), rest),
            Head::Int(value) => (Token::Int(value), rest),
            Head::Float(value) => (Token::Float(value), rest),
            Head::Str(len) => data(rest, len).map(|(data, rest)| (Token::Str(data), rest))?,
            Head::Bin(len) => data(rest, len).map(|(data, rest)| (Token::Bin(data), rest))?,
            Head::Ext(kind, len) => {
                data(rest, len).map(|(data, rest)| (Token::Ext(kind, data), rest))?
            }
            Head::Array(count) => (Token::Array(claimed(count, 1, rest)?), rest),
            Head::Map(count) => (Token::Map(claimed(count, 2, rest)?), rest),
        };
        self.rest = rest;
        Ok(token)
    }

    /// Reads any item and leaves it where it is.
    ///
    /// # Errors
    /// See [`read`](Self::read).
    pub fn peek(&self) -> Result<Token<'i>, ReadError> {
        self.clone().read()
    }

    /// Takes a nil if one comes next.
    pub fn take_nil(&mut self) -> bool {
        match self.rest.split_first() {
            Some((0xC0, rest)) => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Takes a text of less than 32 bytes, as most keys and values are, if one comes next whole.
    #[inline]
    fn take_short_str(&mut self) -> Option<&'i [u8]> {
        let (&first, rest) = self.rest.split_first()?;
        if !(0xA0..=0xBF).contains(&first) {
            return None;
        }
        let (text, rest) = rest.split_at_checked(usize::from(first & 0x1F))?;
        self.rest = rest;
        Some(text)
    }

    /// Reads a boolean.
    ///
    /// # Errors
    /// The next value is another, or the input is cut.
    pub fn read_bool(&mut self) -> Result<bool, ReadError> {
        self.read_if(|token| {
            let Token::Bool(value) = token else { return Err(ReadError::Type) };
            Ok(value)
        })
    }

    /// Reads an integer, also one that is written as a float, if exact (procwire section 7.3).
    ///
    /// # Errors
    /// The next value is no integer, or the input is cut.
    pub fn read_int(&mut self) -> Result<Int, ReadError> {
        self.read_if(|token| {
            if let Token::Float(value) = token {
                return Int::from_f64(value).ok_or(ReadError::Range);
            }
            let Token::Int(value) = token else { return Err(ReadError::Type) };
            Ok(value)
        })
    }

    /// Reads an integer of 0 to 2^64 - 1, also from an exact float.
    ///
    /// # Errors
    /// The next value is no such integer, or the input is cut.
    pub fn read_u64(&mut self) -> Result<u64, ReadError> {
        let mut ahead = self.clone();
        let value = ahead.read_int()?.as_u64().ok_or(ReadError::Range)?;
        *self = ahead;
        Ok(value)
    }

    /// Reads an integer of -2^63 to 2^63 - 1, also from an exact float.
    ///
    /// # Errors
    /// The next value is no such integer, or the input is cut.
    pub fn read_i64(&mut self) -> Result<i64, ReadError> {
        let mut ahead = self.clone();
        let value = ahead.read_int()?.as_i64().ok_or(ReadError::Range)?;
        *self = ahead;
        Ok(value)
    }

    /// Reads a number as a float; an integer is rounded if need be.
    ///
    /// # Errors
    /// The next value is no number, or the input is cut.
    pub fn read_f64(&mut self) -> Result<f64, ReadError> {
        self.read_if(|token| {
            if let Token::Float(value) = token {
                return Ok(value);
            }
            let Token::Int(value) = token else { return Err(ReadError::Type) };
            Ok(value.to_f64())
        })
    }

    /// Reads text.
    ///
    /// # Errors
    /// The next value is no text or not UTF-8, or the input is cut.
    pub fn read_str(&mut self) -> Result<&'i str, ReadError> {
        self.read_if(|token| {
            let Token::Str(text) = token else { return Err(ReadError::Type) };
            core::str::from_utf8(text).map_err(|_| ReadError::Utf8)
        })
    }

    /// Reads text as it is; a lone surrogate of JavaScript arrives as broken UTF-8.
    ///
    /// # Errors
    /// The next value is no text, or the input is cut.
    pub fn read_str_bytes(&mut self) -> Result<&'i [u8], ReadError> {
        if let Some(text) = self.take_short_str() {
            return Ok(text);
        }
        self.read_if(|token| {
            let Token::Str(text) = token else { return Err(ReadError::Type) };
            Ok(text)
        })
    }

    /// Reads bytes: bin, or the extension that a JavaScript `Buffer` arrives as.
    ///
    /// # Errors
    /// The next value is no bytes, or the input is cut.
    pub fn read_bytes(&mut self) -> Result<&'i [u8], ReadError> {
        self.read_if(|token| {
            let (Token::Bin(bytes) | Token::Ext(EXT_BUFFER, bytes)) = token else {
                return Err(ReadError::Type);
            };
            Ok(bytes)
        })
    }

    /// Reads bytes, or text as bytes.
    ///
    /// # Errors
    /// The next value is neither, or the input is cut.
    pub fn read_bytes_or_str(&mut self) -> Result<&'i [u8], ReadError> {
        if let Some(text) = self.take_short_str() {
            return Ok(text);
        }
        self.read_if(|token| {
            let (Token::Bin(bytes) | Token::Ext(EXT_BUFFER, bytes) | Token::Str(bytes)) = token
            else {
                return Err(ReadError::Type);
            };
            Ok(bytes)
        })
    }

    /// Reads only the head of what [`read_bytes_or_str`](Self::read_bytes_or_str) takes: the
    /// length of its data, which follows and need not be in the input.
    ///
    /// # Errors
    /// The next value is neither, or the input ends inside the head.
    pub fn read_bytes_or_str_head(&mut self) -> Result<u32, ReadError> {
        let (head, rest) = head(self.rest)?;
        let (Head::Bin(len) | Head::Ext(EXT_BUFFER, len) | Head::Str(len)) = head else {
            return Err(ReadError::Type);
        };
        self.rest = rest;
        Ok(len)
    }

    /// Reads a time: a timestamp in any of its forms, or a legacy date.
    ///
    /// # Errors
    /// The next value is no time or out of range, or the input is cut.
    pub fn read_timestamp(&mut self) -> Result<Timestamp, ReadError> {
        self.read_if(|token| {
            let Token::Ext(kind, data) = token else { return Err(ReadError::Type) };
            if kind != EXT_TIMESTAMP && kind != EXT_DATE {
                return Err(ReadError::Type);
            }
            Timestamp::from_extension(kind, data).ok_or(ReadError::Range)
        })
    }

    /// Reads the head of an array: so many values follow.
    ///
    /// # Errors
    /// The next value is no array, or has more items than bytes are left.
    pub fn read_array(&mut self) -> Result<u32, ReadError> {
        self.read_if(|token| {
            let Token::Array(count) = token else { return Err(ReadError::Type) };
            Ok(count)
        })
    }

    /// Reads the head of a map: so many pairs follow.
    ///
    /// # Errors
    /// The next value is no map, or has more items than bytes are left.
    pub fn read_map(&mut self) -> Result<u32, ReadError> {
        self.read_if(|token| {
            let Token::Map(count) = token else { return Err(ReadError::Type) };
            Ok(count)
        })
    }

    /// Passes over one value, whatever is inside it.
    ///
    /// # Errors
    /// The value is cut or broken.
    ///
    /// # Bound
    /// One step for each item inside, no recursion, at any depth.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        let mut ahead = self.clone();
        let mut left = 1_u64;
        while left > 0 {
            let inside = match ahead.read()? {
                Token::Array(count) => u64::from(count),
                Token::Map(count) => u64::from(count).saturating_mul(2),
                Token::Nil
                | Token::Bool(_)
                | Token::Int(_)
                | Token::Float(_)
                | Token::Str(_)
                | Token::Bin(_)
                | Token::Ext(..) => 0,
            };
            left = left.saturating_sub(1).saturating_add(inside);
        }
        *self = ahead;
        Ok(())
    }

    /// Reads one item if `wanted` accepts it.
    #[inline]
    fn read_if<T>(
        &mut self,
        wanted: impl FnOnce(Token<'i>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut ahead = self.clone();
        let value = wanted(ahead.read()?)?;
        *self = ahead;
        Ok(value)
    }
}

/// Splits `len` bytes of data off.
#[inline]
fn data(rest: &[u8], len: u32) -> Result<(&[u8], &[u8]), ReadError> {
    let len = usize::try_from(len).map_err(|_| ReadError::Truncated)?;
    rest.split_at_checked(len).ok_or(ReadError::Truncated)
}

/// A count that the bytes left can hold, each item being one byte at least.
fn claimed(count: u32, bytes_each: u64, rest: &[u8]) -> Result<u32, ReadError> {
    let left = u64::try_from(rest.len()).unwrap_or(u64::MAX);
    if u64::from(count).saturating_mul(bytes_each) <= left {
        Ok(count)
    } else {
        Err(ReadError::Truncated)
    }
}

fn chunk<const N: usize>(input: &[u8]) -> Result<([u8; N], &[u8]), ReadError> {
    input.split_first_chunk().map(|(chunk, rest)| (*chunk, rest)).ok_or(ReadError::Truncated)
}

fn head(input: &[u8]) -> Result<(Head, &[u8]), ReadError> {
    let (&first, rest) = input.split_first().ok_or(ReadError::Truncated)?;
    let head = match first {
        0x00..=0x7F => Head::Int(Int::Unsigned(u64::from(first))),
        0x80..=0x8F => Head::Map(u32::from(first & 0x0F)),
        0x90..=0x9F => Head::Array(u32::from(first & 0x0F)),
        0xA0..=0xBF => Head::Str(u32::from(first & 0x1F)),
        0xC0 => Head::Nil,
        0xC1 => return Err(ReadError::Reserved),
        0xC2 => Head::Bool(false),
        0xC3 => Head::Bool(true),
        0xC4..=0xC6 | 0xC7..=0xC9 | 0xD9..=0xDF => return sized_head(first, rest),
        0xCA..=0xD3 => return number_head(first, rest),
        0xD4..=0xD8 => {
            let ([kind], rest) = chunk(rest)?;
            return Ok((
                Head::Ext(i8::from_be_bytes([kind]), 1 << (first & 0x0F).wrapping_sub(4)),
                rest,
            ));
        }
        0xE0..=0xFF => Head::Int(Int::from(i64::from(i8::from_be_bytes([first])))),
    };
    Ok((head, rest))
}

/// Heads that carry a length or a count of 1, 2 or 4 bytes.
fn sized_head(first: u8, rest: &[u8]) -> Result<(Head, &[u8]), ReadError> {
    let (len, rest) = match first {
        0xC4 | 0xC7 | 0xD9 => chunk(rest).map(|([len], rest)| (u32::from(len), rest))?,
        0xC5 | 0xC8 | 0xDA | 0xDC | 0xDE => {
            chunk(rest).map(|(len, rest)| (u32::from(u16::from_be_bytes(len)), rest))?
        }
        _ => chunk(rest).map(|(len, rest)| (u32::from_be_bytes(len), rest))?,
    };
    Ok(match first {
        0xC4..=0xC6 => (Head::Bin(len), rest),
        0xC7..=0xC9 => {
            let ([kind], rest) = chunk(rest)?;
            (Head::Ext(i8::from_be_bytes([kind]), len), rest)
        }
        0xD9..=0xDB => (Head::Str(len), rest),
        0xDC | 0xDD => (Head::Array(len), rest),
        _ => (Head::Map(len), rest),
    })
}

fn number_head(first: u8, rest: &[u8]) -> Result<(Head, &[u8]), ReadError> {
    fn unsigned(value: impl Into<u64>, rest: &[u8]) -> (Head, &[u8]) {
        (Head::Int(Int::from(value.into())), rest)
    }
    fn signed(value: impl Into<i64>, rest: &[u8]) -> (Head, &[u8]) {
        (Head::Int(Int::from(value.into())), rest)
    }
    Ok(match first {
        0xCA => chunk(rest).map(|(b, r)| (Head::Float(f64::from(f32::from_be_bytes(b))), r))?,
        0xCB => chunk(rest).map(|(b, r)| (Head::Float(f64::from_be_bytes(b)), r))?,
        0xCC => chunk(rest).map(|(b, r)| unsigned(u8::from_be_bytes(b), r))?,
        0xCD => chunk(rest).map(|(b, r)| unsigned(u16::from_be_bytes(b), r))?,
        0xCE => chunk(rest).map(|(b, r)| unsigned(u32::from_be_bytes(b), r))?,
        0xCF => chunk(rest).map(|(b, r)| unsigned(u64::from_be_bytes(b), r))?,
        0xD0 => chunk(rest).map(|(b, r)| signed(i8::from_be_bytes(b), r))?,
        0xD1 => chunk(rest).map(|(b, r)| signed(i16::from_be_bytes(b), r))?,
        0xD2 => chunk(rest).map(|(b, r)| signed(i32::from_be_bytes(b), r))?,
        _ => chunk(rest).map(|(b, r)| signed(i64::from_be_bytes(b), r))?,
    })
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the value is cut",
            Self::Reserved => "0xc1 is no value",
            Self::Type => "a value of another type",
            Self::Range => "a value out of range",
            Self::Utf8 => "text that is not UTF-8",
            Self::Depth => "values nested too deeply",
            Self::Key => "a map key that JavaScript does not take",
            Self::Trailing => "bytes behind the value",
        })
    }
}

impl Error for ReadError {}
