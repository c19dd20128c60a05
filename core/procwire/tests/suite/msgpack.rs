//! MessagePack, procwire sections 7.1 to 7.3 and 8.3.

use forebay_core_procwire::msgpack::{
    DEPTH_MAX, Full, Int, ReadError, Reader, Timestamp, Token, Writer, check,
};
use proptest::prelude::*;

use crate::vectors::{bytes, rows};

const VALUES: &str = include_str!("../../../../tests/vectors/procwire/msgpack.tsv");
const REFUSED: &str = include_str!("../../../../tests/vectors/procwire/msgpack-refused.tsv");

/// A plain tree, the model of everything below.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Nil,
    Bool(bool),
    Int(Int),
    Number(f64),
    Str(Vec<u8>),
    Bin(Vec<u8>),
    Ext(i8, Vec<u8>),
    Time(Timestamp),
    Array(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl Value {
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Nil => writer.nil(),
            Self::Bool(value) => writer.bool(*value),
            Self::Int(Int::Unsigned(value)) => writer.uint(*value),
            Self::Int(Int::Negative(value)) => writer.int(*value),
            Self::Number(value) => writer.number(*value),
            Self::Str(text) => writer.str_bytes(text),
            Self::Bin(bytes) => writer.bin(bytes),
            Self::Ext(kind, data) => writer.ext(*kind, data),
            Self::Time(time) => writer.timestamp(*time),
            Self::Array(items) => {
                writer.array(items.len() as u32)?;
                items.iter().try_for_each(|item| item.write(writer))
            }
            Self::Map(pairs) => {
                writer.map(pairs.len() as u32)?;
                pairs.iter().try_for_each(|(key, value)| {
                    key.write(writer)?;
                    value.write(writer)
                })
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, ReadError> {
        if let Ok(time) = reader.read_timestamp() {
            return Ok(Self::Time(time));
        }
        Ok(match reader.read()? {
            Token::Nil => Self::Nil,
            Token::Bool(value) => Self::Bool(value),
            Token::Int(value) => Self::Int(value),
            Token::Float(value) => Self::Number(value),
            Token::Str(text) => Self::Str(text.to_vec()),
            Token::Bin(bytes) => Self::Bin(bytes.to_vec()),
            Token::Ext(kind, data) => Self::Ext(kind, data.to_vec()),
            Token::Array(count) => {
                Self::Array((0..count).map(|_| Self::read(reader)).collect::<Result<_, _>>()?)
            }
            Token::Map(count) => {
                let pair = |_| Ok((Self::read(reader)?, Self::read(reader)?));
                Self::Map((0..count).map(pair).collect::<Result<_, ReadError>>()?)
            }
        })
    }

    fn encoded(&self) -> Vec<u8> {
        let mut out = vec![0; 1 << 18];
        let mut writer = Writer::new(&mut out);
        self.write(&mut writer).expect("it fits");
        writer.into_written().to_vec()
    }
}

/// Reads the notation of the vector file.
fn notation<'t>(text: &mut &'t str) -> Value {
    let mut until = |ends: &[char]| -> &'t str {
        let (front, back) = text.split_at(text.find(ends).unwrap_or(text.len()));
        *text = back;
        front
    };
    let word = until(&['(', '[', '{', '"', ',', ']', '}', ':']);
    match word {
        "nil" => return Value::Nil,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "" => {}
        "text" | "buf" | "bin" | "ext" | "time" => {
            let inside = until(&[')']).trim_start_matches('(');
            *text = &text[1..];
            return call(word, inside);
        }
        number => {
            return match number.strip_suffix(".0").unwrap_or(number).parse() {
                Ok(float) if number.contains('.') => Value::Number(float),
                _ => Value::Int(
                    number
                        .parse::<u64>()
                        .map_or_else(|_| Int::from(number.parse::<i64>().unwrap()), Int::from),
                ),
            };
        }
    }
    let open = text.as_bytes()[0];
    *text = &text[1..];
    let mut items = Vec::new();
    match open {
        b'"' => {
            let (inside, rest) = text.split_once('"').unwrap();
            *text = rest;
            return Value::Str(inside.as_bytes().to_vec());
        }
        b'[' | b'{' => {
            while !text.starts_with([']', '}']) {
                items.push(notation(text));
                *text = text.trim_start_matches([',', ':']);
            }
            *text = &text[1..];
        }
        other => panic!("{} opens nothing", other as char),
    }
    if open == b'[' {
        return Value::Array(items);
    }
    Value::Map(items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
}

fn call(word: &str, inside: &str) -> Value {
    let numbers = || inside.split_once(',').unwrap();
    match word {
        "text" => Value::Str(bytes(inside)),
        "buf" => Value::Ext(1, bytes(inside)),
        "bin" => Value::Bin(bytes(inside)),
        "ext" => Value::Ext(numbers().0.parse().unwrap(), bytes(numbers().1)),
        _ => {
            let (seconds, nanos) = numbers();
            let time = Timestamp::new(seconds.parse().unwrap(), nanos.parse().unwrap());
            Value::Time(time.unwrap())
        }
    }
}

#[test]
fn values_go_both_ways_as_the_vectors_say() {
    let mut count = 0;
    for [way, hex, text] in rows(VALUES) {
        let (encoded, value) = (bytes(hex), notation(&mut { text }));
        if way != "decode" {
            assert_eq!(value.encoded(), encoded, "{text}");
        }
        if way != "encode" {
            let mut reader = Reader::new(&encoded);
            let found = Value::read(&mut reader).unwrap();
            assert_eq!(reader.finish(), Ok(()));
            // NaN is not equal to itself, its text is.
            assert_eq!(format!("{found:?}"), format!("{value:?}"));
        }
        assert_eq!(check(&encoded), Ok(()), "{text}");
        for cut in 0..encoded.len().min(300) {
            assert_eq!(check(&encoded[..cut]), Err(ReadError::Truncated), "{text} cut at {cut}");
        }
        count += 1;
    }
    assert_eq!(count, 75);
}

#[test]
fn payloads_are_refused_as_the_vectors_say() {
    for [hex, expected] in rows(REFUSED) {
        let found = match check(&bytes(hex)).expect_err(hex) {
            ReadError::Truncated => "truncated",
            ReadError::Reserved => "reserved",
            ReadError::Range => "range",
            ReadError::Key => "key",
            ReadError::Trailing => "trailing",
            ReadError::Depth => "depth",
            other => panic!("{hex}: {other:?}"),
        };
        assert_eq!(found, expected, "{hex}");
    }
}

#[test]
fn nesting_ends_at_the_limit_but_skipping_does_not() {
    let nested = |depth: usize| [vec![0x91; depth], vec![0x00]].concat();
    assert_eq!(check(&nested(DEPTH_MAX)), Ok(()));
    assert_eq!(check(&nested(DEPTH_MAX + 1)), Err(ReadError::Depth));
    let deep = nested(100_000);
    let mut reader = Reader::new(&deep);
    assert_eq!(reader.skip(), Ok(()));
    assert_eq!(reader.rest(), []);
}

#[test]
fn a_container_never_claims_more_than_there_is() {
    for hex in ["dd00000003c0c0", "92c0", "df00000002c0c0c0", "82c0c0c0"] {
        let encoded = bytes(hex);
        assert_eq!(Reader::new(&encoded).read(), Err(ReadError::Truncated), "{hex}");
    }
}

/// Section 7.3: what a declared type takes.
#[test]
fn numbers_are_taken_in_either_form_when_exact() {
    let read = |hex: &str| Reader::new(&bytes(hex)).read_i64();
    assert_eq!(read("cb4340000000000000"), Ok(1 << 53));
    assert_eq!(read("cbc3e0000000000000"), Ok(i64::MIN));
    assert_eq!(read("ca40400000"), Ok(3));
    assert_eq!(read("cb43e0000000000000"), Err(ReadError::Range), "2^63");
    assert_eq!(read("cb3ff8000000000000"), Err(ReadError::Range), "1.5");
    assert_eq!(read("cb7ff8000000000000"), Err(ReadError::Range), "NaN");
    assert_eq!(read("cb7ff0000000000000"), Err(ReadError::Range), "infinity");
    assert_eq!(read("cfffffffffffffffff"), Err(ReadError::Range));
    assert_eq!(read("a131"), Err(ReadError::Type));
    let read = |hex: &str| Reader::new(&bytes(hex)).read_u64();
    assert_eq!(read("cfffffffffffffffff"), Ok(u64::MAX));
    assert_eq!(read("d301"), Err(ReadError::Truncated));
    assert_eq!(read("d30000000000000001"), Ok(1));
    assert_eq!(read("cb43f0000000000000"), Err(ReadError::Range), "2^64");
    assert_eq!(read("ff"), Err(ReadError::Range));
    let read = |hex: &str| Reader::new(&bytes(hex)).read_f64();
    assert_eq!(read("01"), Ok(1.0));
    assert_eq!(read("ff"), Ok(-1.0));
    assert_eq!(read("cfffffffffffffffff"), Ok(18_446_744_073_709_552_000.0));
}

#[test]
fn bytes_are_taken_in_every_form() {
    for hex in ["c403010203", "c70301010203", "c5 0003010203", "c80003 01010203"] {
        assert_eq!(Reader::new(&bytes(hex)).read_bytes(), Ok(&[1, 2, 3][..]), "{hex}");
    }
    assert_eq!(Reader::new(&bytes("a3010203")).read_bytes(), Err(ReadError::Type));
    assert_eq!(Reader::new(&bytes("a3010203")).read_bytes_or_str(), Ok(&[1, 2, 3][..]));
    assert_eq!(Reader::new(&bytes("c70302010203")).read_bytes_or_str(), Err(ReadError::Type));
    assert_eq!(Reader::new(&bytes("c6000f4240")).read_bytes_or_str_head(), Ok(1_000_000));
    assert_eq!(Reader::new(&bytes("c6000f42")).read_bytes_or_str_head(), Err(ReadError::Truncated));
}

#[test]
fn a_failed_read_stays_where_it_was() {
    let encoded = bytes("a5 68656c6c6f");
    let mut reader = Reader::new(&encoded);
    assert_eq!(reader.read_u64(), Err(ReadError::Type));
    assert_eq!(reader.read_bytes(), Err(ReadError::Type));
    assert!(!reader.take_nil());
    assert_eq!(reader.peek(), Ok(Token::Str(b"hello")));
    assert_eq!(reader.read_str(), Ok("hello"));
    assert_eq!(reader.read_str(), Err(ReadError::Truncated));
    assert_eq!(Reader::new(&bytes("a3eda080")).read_str(), Err(ReadError::Utf8));
    assert_eq!(Reader::new(&bytes("a3eda080")).read_str_bytes(), Ok(&[0xED, 0xA0, 0x80][..]));
}

#[test]
fn times_out_of_range_are_refused() {
    for (hex, expected) in [
        ("d7ffffffffff00000000", ReadError::Range),
        ("c70cffffffffff0000000000000000", ReadError::Range),
        ("c705ff0000000000", ReadError::Range),
        ("d702 7ff8000000000000", ReadError::Range),
        ("d702 4340000000000000", ReadError::Range),
        ("d605 00000000", ReadError::Type),
        ("c0", ReadError::Type),
    ] {
        assert_eq!(Reader::new(&bytes(hex)).read_timestamp(), Err(expected), "{hex}");
    }
    assert_eq!(Timestamp::new(0, 1_000_000_000), None);
    assert_eq!(Timestamp::from_millis(-1).to_millis(), -1);
    assert_eq!(Timestamp::from_millis(i64::MIN).to_millis(), i64::MIN);
}

#[test]
fn what_does_not_fit_is_not_written_at_all() {
    let mut out = [0; 4];
    let mut writer = Writer::new(&mut out);
    assert_eq!(writer.str("abc"), Ok(()));
    assert_eq!(writer.str("a"), Err(Full));
    assert_eq!(writer.written(), b"\xa3abc");
    assert_eq!(writer.nil(), Err(Full));
    assert_eq!(writer.len(), 4);
}

fn value() -> impl Strategy<Value = Value> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(|value| Value::Int(Int::from(value))),
        any::<i64>().prop_map(|value| Value::Int(Int::from(value))),
        any::<i8>().prop_map(|value| Value::Int(Int::from(i64::from(value)))),
        any::<f64>().prop_filter_map("a fraction", |value| {
            (value.fract() != 0.0).then_some(Value::Number(value))
        }),
        ".*".prop_map(|text| Value::Str(text.into_bytes())),
        bytes().prop_map(Value::Bin),
        (3_i8..127, bytes()).prop_map(|(kind, data)| Value::Ext(kind, data)),
        (any::<i64>(), 0_u32..1_000_000_000)
            .prop_map(|(seconds, nanos)| Value::Time(Timestamp::new(seconds, nanos).unwrap())),
    ];
    let key = prop_oneof![
        "[a-z]{0,40}".prop_map(|text| Value::Str(text.into_bytes())),
        any::<i64>().prop_map(|value| Value::Int(Int::from(value))),
    ];
    leaf.prop_recursive(4, 64, 20, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..20).prop_map(Value::Map),
        ]
    })
}

proptest! {
    /// Section 7: what is written is read again, passes the check, and is skipped as one value.
    #[test]
    fn values_come_back(value in value(), behind in any::<u8>()) {
        let mut encoded = value.encoded();
        prop_assert_eq!(check(&encoded), Ok(()));
        encoded.push(behind);
        let mut reader = Reader::new(&encoded);
        prop_assert_eq!(Value::read(&mut reader), Ok(value));
        prop_assert_eq!(reader.finish(), Err(ReadError::Trailing));
        let mut reader = Reader::new(&encoded);
        prop_assert_eq!(reader.skip(), Ok(()));
        prop_assert_eq!(reader.rest(), &[behind]);
    }

    /// Section 7.1: every number as JavaScript writes it comes back as the same number.
    #[test]
    fn javascript_numbers_come_back(number in any::<f64>()) {
        let encoded = Value::Number(number).encoded();
        let found = Reader::new(&encoded).read_f64().unwrap();
        prop_assert!(found == number || found.is_nan() && number.is_nan());
    }

    /// Arbitrary bytes: whatever passes the check can be read as a tree and skipped, and what
    /// cannot be skipped does not pass.
    #[test]
    fn checked_payloads_can_be_read(payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut reader = Reader::new(&payload);
        let skipped = reader.skip().and_then(|()| reader.finish());
        if check(&payload).is_ok() {
            prop_assert_eq!(skipped, Ok(()));
            prop_assert!(Value::read(&mut Reader::new(&payload)).is_ok());
        }
        if skipped.is_err() {
            prop_assert!(check(&payload).is_err());
        }
    }

    /// Exactness: the integer that a float is, and no other.
    #[test]
    fn floats_are_integers_only_when_exact(number in any::<f64>(), whole in any::<i64>()) {
        if let Some(int) = Int::from_f64(number) {
            prop_assert_eq!(int.to_f64(), number);
        }
        let back = Int::from_f64(whole as f64).and_then(Int::as_i64);
        prop_assert!(back == Some(whole) || back.is_none_or(|back| back as f64 == whole as f64));
    }
}
