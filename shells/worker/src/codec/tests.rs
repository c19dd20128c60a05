//! The vectors of procwire section 8.3 through serde, and the rules of section 7.3.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{BrokenText, CodecError, Timestamp, Value, to_bytes};

const VALUES: &str = include_str!("../../../../tests/vectors/procwire/msgpack.tsv");
const REFUSED: &str = include_str!("../../../../tests/vectors/procwire/msgpack-refused.tsv");

/// Hex, with `N*xx` for a byte that is repeated; `-` is nothing.
fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in text.split(' ').filter(|part| *part != "-") {
        let (count, hex) = part.split_once('*').unwrap_or(("1", part));
        let hex = hex.as_bytes().chunks(2).map(|pair| core::str::from_utf8(pair).unwrap());
        let once: Vec<u8> = hex.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        bytes.extend(once.repeat(count.parse().unwrap()));
    }
    bytes
}

fn lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect())
}

/// What is decoded is encoded as the peer would, but for a `Buffer`, which comes back as bin, and
/// text that is no UTF-8, which Rust has no type for.
#[test]
fn vectors_round_trip() {
    let mut count = 0;
    for line in lines(VALUES).filter(|line| line[0] != "encode") {
        let bytes = unhex(line[1]);
        let value: Result<Value, _> = from_slice(&bytes);
        if line[2].contains("eda080") {
            assert!(value.is_err(), "{line:?}");
            continue;
        }
        let value = value.unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let encoded = to_bytes(&value).unwrap();
        let again: Value = from_slice(&encoded).unwrap();
        assert_eq!(to_bytes(&again).unwrap(), encoded, "{line:?}");
        if line[0] == "both" && !line[2].contains("buf") {
            assert_eq!(encoded, bytes, "{line:?}");
        }
        count += 1;
    }
    assert!(count > 60, "{count} vectors");
}

#[test]
fn vectors_that_peers_refuse_are_refused() {
    for line in lines(REFUSED) {
        let value: Result<Value, _> = from_slice(&unhex(line[0]));
        assert!(value.is_err(), "{line:?} became {value:?}");
    }
}

fn from_slice<T: serde::de::DeserializeOwned>(payload: &[u8]) -> Result<T, CodecError> {
    super::from_slice(payload, BrokenText::Refuse)
}

/// Half of a surrogate pair, in a value, a key, the name of a variant, and in nothing that is read.
#[test]
fn broken_text_is_replaced_on_demand() {
    #[derive(Debug, Deserialize, PartialEq)]
    struct Known {
        a: u8,
    }
    fn lossy<T: serde::de::DeserializeOwned>(hex: &str) -> Result<T, CodecError> {
        super::from_slice(&unhex(hex), BrokenText::Replace)
    }
    const BROKEN: &str = "\u{FFFD}\u{FFFD}\u{FFFD}";
    assert_eq!(lossy::<String>("a3eda080").unwrap(), BROKEN);
    assert_eq!(lossy::<Value>("a3eda080").unwrap(), Value::from(BROKEN));
    let map: BTreeMap<String, u8> = lossy("81a3eda08001").unwrap();
    assert_eq!(map, BTreeMap::from([(BROKEN.to_owned(), 1)]));
    assert!(lossy::<Result<u8, u8>>("81a3eda08001").is_err(), "no variant of that name");
    assert!(lossy::<BTreeMap<u32, u8>>("81a3eda08001").is_err(), "no number");
    let known = Known { a: 1 };
    assert_eq!(lossy::<Known>("82a3eda08001a16101").unwrap(), known);
    assert_eq!(from_slice::<Known>(&unhex("82a162a3eda080a16101")).unwrap(), known);
    assert!(from_slice::<String>(&unhex("a3eda080")).is_err());
}

fn decoded<T: serde::de::DeserializeOwned>(hex: &str) -> T {
    from_slice(&unhex(hex)).unwrap_or_else(|error| panic!("{hex}: {error}"))
}

fn encoded<T: Serialize>(value: T) -> Vec<u8> {
    to_bytes(&value).unwrap().to_vec()
}

#[test]
fn numbers_stand_for_each_other_where_exact() {
    assert_eq!(decoded::<f64>("01"), 1.0);
    assert_eq!(decoded::<f32>("ff"), -1.0);
    assert_eq!(decoded::<u64>("cb4340000000000000"), 1 << 53);
    assert_eq!(decoded::<i8>("cbc010000000000000"), -4);
    assert_eq!(decoded::<u8>("cf0000000000000007"), 7);
    assert_eq!(decoded::<Option<u16>>("cb3ff0000000000000"), Some(1));
    assert!(from_slice::<u64>(&unhex("cb3ff8000000000000")).is_err(), "1.5 is no integer");
    assert!(from_slice::<u8>(&unhex("cd0100")).is_err(), "256 is no u8");
    assert!(from_slice::<u64>(&unhex("ff")).is_err(), "-1 is no u64");
    assert_eq!(encoded(2.0), unhex("02"));
    assert_eq!(encoded(-0.0), unhex("00"));
    assert_eq!(encoded(1.5_f32), unhex("cb3ff8000000000000"));
}

#[test]
fn bytes_come_in_every_form() {
    for hex in ["c403010203", "c70301010203", "93010203"] {
        assert_eq!(decoded::<Bytes>(hex), [1, 2, 3].as_slice(), "{hex}");
        assert_eq!(decoded::<Vec<u8>>(hex), [1, 2, 3], "{hex}");
    }
    assert_eq!(encoded(Bytes::from_static(&[1, 2, 3])), unhex("c403010203"));
}

#[test]
fn times_come_in_every_form() {
    let expected = Timestamp::from_millis(1_700_000_000_000);
    for hex in ["d6ff6553f100", "d7024278bcfe56800000", "c70cff00000000000000006553f100"] {
        assert_eq!(decoded::<Timestamp>(hex), expected, "{hex}");
        assert_eq!(decoded::<Value>(hex), Value::Time(expected), "{hex}");
    }
    assert_eq!(encoded(expected), unhex("d6ff6553f100"));
    assert_eq!(encoded(Timestamp::from_millis(-1)), unhex("c70cff3b8b87c0ffffffffffffffff"));
    assert!(from_slice::<Timestamp>(&unhex("01")).is_err());
}

#[test]
fn times_convert_to_the_system_and_back() {
    for millis in [0, 1, -1, 1_700_000_000_123, -1_700_000_000_123] {
        let time = Timestamp::from_millis(millis);
        let system = time.to_system_time().unwrap();
        assert_eq!(Timestamp::from(system), time);
        assert_eq!(time.to_millis(), millis);
    }
}

#[derive(Debug, Default, PartialEq, Deserialize, Serialize)]
struct Record {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
enum Shape {
    Empty,
    Circle(f64),
    Box(u8, u8),
    Named { name: String, at: Timestamp },
}

/// Buffered by serde before it is told what it is.
#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind")]
enum Tagged {
    Sent { at: Timestamp, data: Bytes },
    Seen { by: BTreeMap<String, u8> },
}

#[test]
fn structs_are_maps_and_tolerate_what_they_do_not_know() {
    let all = Record { id: 1, note: Some("x".into()) };
    assert_eq!(encoded(&all), unhex("82a2696401a46e6f7465a178"));
    assert_eq!(decoded::<Record>("82a46e6f7465a178a2696401"), all);
    let bare = Record { id: 1, note: None };
    assert_eq!(encoded(&bare), unhex("81a2696401"));
    for hex in ["81a2696401", "82a2696401a46e6f7465c0", "83a17893010203a2696401a17981c4ff"] {
        let read: Result<Record, _> = from_slice(&unhex(hex));
        if hex.contains("81c4") {
            assert!(read.is_err(), "cut inside what is skipped");
        } else {
            assert_eq!(read.unwrap(), bare, "{hex}");
        }
    }
}

#[test]
fn enums_round_trip() {
    let at = Timestamp::new(5, 6).unwrap();
    for shape in
        [Shape::Empty, Shape::Circle(2.0), Shape::Box(1, 2), Shape::Named { name: "n".into(), at }]
    {
        assert_eq!(from_slice::<Shape>(&encoded(&shape)).unwrap(), shape);
    }
    assert_eq!(encoded(Shape::Empty), unhex("a5456d707479"));
    for tagged in [
        Tagged::Sent { at, data: Bytes::from_static(b"xy") },
        Tagged::Seen { by: BTreeMap::from([("a".into(), 1)]) },
    ] {
        assert_eq!(from_slice::<Tagged>(&encoded(&tagged)).unwrap(), tagged);
    }
}

#[test]
fn keys_are_text_or_integers() {
    assert_eq!(decoded::<BTreeMap<u32, u8>>("81a13701"), BTreeMap::from([(7, 1)]));
    assert_eq!(decoded::<BTreeMap<String, u8>>("810701"), BTreeMap::from([("7".into(), 1)]));
    assert_eq!(encoded(BTreeMap::from([(7, 1)])), unhex("810701"));
    assert!(to_bytes(&BTreeMap::from([(vec![1], 1)])).is_err());
    assert!(to_bytes(&BTreeMap::from([("__proto__", 1)])).is_err());
}

/// Sequences and maps whose length serde does not know before.
#[test]
fn unknown_lengths_are_counted() {
    struct Lazy(usize);

    impl Serialize for Lazy {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeSeq;

            let mut seq = serializer.serialize_seq(None)?;
            for n in 0..self.0 {
                seq.serialize_element(&(n % 2))?;
            }
            seq.end()
        }
    }

    for len in [0, 1, 15, 16, 65_535, 65_536] {
        let items: Vec<u8> = from_slice(&encoded(("before", Lazy(len), "behind")))
            .map(|(_, items, _): (String, Vec<u8>, String)| items)
            .unwrap();
        assert_eq!(items.len(), len);
    }
}

#[test]
fn a_payload_is_one_value() {
    assert!(from_slice::<u8>(&[]).is_err());
    assert!(from_slice::<u8>(&[1, 1]).is_err());
    assert!(from_slice::<(u8, u8)>(&[0x93, 1, 2, 3]).is_err());
    assert_eq!(decoded::<()>("c0"), ());
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<u64>().prop_map(Value::Unsigned),
        (i64::MIN..0).prop_map(Value::Negative),
        (-1e300..1e300).prop_map(|value: f64| Value::Float(value + 0.5)),
        ".{0,40}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(|b| Value::Bytes(b.into())),
        (any::<i64>(), 0..1_000_000_000_u32)
            .prop_map(|(s, n)| Value::Time(Timestamp::new(s, n).unwrap())),
        (3..127_i8, proptest::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(kind, data)| Value::Ext(kind, data.into())),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
            proptest::collection::vec(("[a-z]{0,8}", inner), 0..20).prop_map(Value::Map),
        ]
    })
}

/// A float that is a safe integer is one on the wire.
fn as_on_the_wire(value: Value) -> Value {
    match value {
        Value::Float(f) if f.fract() == 0.0 && f.abs() < 9_007_199_254_740_992.0 => {
            from_slice(&encoded(f)).unwrap()
        }
        Value::Array(items) => Value::Array(items.into_iter().map(as_on_the_wire).collect()),
        Value::Map(entries) => {
            Value::Map(entries.into_iter().map(|(k, v)| (k, as_on_the_wire(v))).collect())
        }
        other => other,
    }
}

proptest! {
    /// Procwire section 7.3: whatever is written is read again.
    #[test]
    fn values_round_trip(value in value()) {
        let bytes = to_bytes(&value).unwrap();
        let read = from_slice::<Value>(&bytes);
        prop_assert_eq!(read.unwrap(), as_on_the_wire(value));
    }

    /// No bytes panic or allocate by what they declare.
    #[test]
    fn any_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = from_slice::<Value>(&bytes);
        let _ = from_slice::<Record>(&bytes);
        let _ = from_slice::<Shape>(&bytes);
        let _ = from_slice::<Tagged>(&bytes);
        let _ = from_slice::<Timestamp>(&bytes);
    }
}
