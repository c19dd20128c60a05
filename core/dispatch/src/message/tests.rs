//! What is encoded is read back; what is no field is refused.

use std::string::String;
use std::vec;
use std::vec::Vec;

use forebay_core_procwire::msgpack::{Reader, Token, Writer};
use forebay_core_procwire::{HEADER_LEN, Header, MaxPayload, MethodId, RequestId};
use proptest::prelude::*;

use super::*;
use crate::home::Body;

fn method(id: u16) -> MethodId {
    MethodId::new(id).unwrap()
}

fn request(id: u32) -> RequestId {
    RequestId::new(id).unwrap()
}

/// The whole frame: the slot around the message, then the body.
fn whole(slot: &[u8; SLOT_LEN], written: Written, message: &[u8], body: &[u8]) -> Vec<u8> {
    let (head, tail) = slot[..usize::from(written.len)].split_at(usize::from(written.head));
    let bytes = [head, message, tail, body].concat();
    let header = Header::parse(*bytes.first_chunk().unwrap(), MaxPayload::DEFAULT).unwrap();
    assert_eq!(bytes.len(), HEADER_LEN + header.payload_len as usize);
    bytes
}

/// The example of the call's specification, byte for byte.
#[test]
fn the_call_of_a_plain_get() {
    let message = CallMessage {
        method: "GET",
        target: "/query?x=1",
        authority: b"db.do",
        scheme: "http",
        service: "db",
        environment: "production",
        peer: "127.0.0.1:50000",
        request_id: [0xab; 16],
    };
    let mut out = [0; 256];
    let fields = [(b"Host".as_slice(), b"db.do".as_slice())];
    let path = [b"/query".as_slice()];
    let len = message.encode(path.into_iter(), fields.into_iter(), &mut out).unwrap();
    let frame = CallFrame {
        method: method(9),
        request: request(7),
        message: len as u32,
        deadline_ms: 30_000,
        window: 262_144,
        body: Body::None,
    };
    let mut slot = [0; SLOT_LEN];
    let written = frame.write(&mut slot);
    let bytes = whole(&slot, written, &out[..len], b"");
    let mut expected =
        b"\0\x09\0\0\0\0\x07\0\0\0\x97\x8e\xa1v\x01\xa1m\xa3GET\xa1t\xaa/query?x=1".to_vec();
    expected.extend(b"\xa1p\xa6/query\xa1a\xa5db.do\xa1s\xa4http\xa1h\x92\xa4Host\xa5db.do");
    expected.extend(b"\xa1n\xa2db\xa1e\xaaproduction\xa1c\xaf127.0.0.1:50000\xa1i\xc4\x10");
    expected.extend([0xab; 16]);
    expected.extend(b"\xa1d\xcd\x75\x30\xa1w\xce\0\x04\0\0\xa1b\xc0");
    assert_eq!(bytes[HEADER_LEN..], expected[HEADER_LEN..]);
    assert_eq!(bytes[..7], expected[..7]);
}

/// The largest values fill the slot and no more.
#[test]
fn the_largest_frames_fit_a_slot() {
    let mut slot = [0; SLOT_LEN];
    let call = CallFrame {
        method: method(0xFFFD),
        request: request(u32::MAX),
        message: 40_000,
        deadline_ms: u32::MAX,
        window: u32::MAX,
        body: Body::Streamed(Some(u64::MAX)),
    };
    let written = call.write(&mut slot);
    let tail = &slot[usize::from(written.head)..usize::from(written.len)];
    assert!(tail.ends_with(b"\xa1l\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    let part = PartFrame {
        method: method(0xFFFD),
        request: request(u32::MAX),
        call: request(u32::MAX),
        offset: u64::MAX,
        last: true,
        len: 1 << 20,
        trailers: false,
    };
    let written = part.write(&mut slot);
    assert!(slot[..usize::from(written.len)].ends_with(&[0xc3, 0xc6, 0, 16, 0, 0]));
    let written = write_grant(&mut slot, method(3), request(u32::MAX), u64::MAX);
    assert_eq!(usize::from(written.len), HEADER_LEN + 1 + 5 + 9);
}

fn text() -> impl Strategy<Value = String> {
    "[!-~]{0,40}"
}

fn read_fields(reader: &mut Reader<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let count = reader.read_array().unwrap() / 2;
    let mut field = || reader.read_bytes_or_str().unwrap().to_vec();
    (0..count).map(|_| (field(), field())).collect()
}

/// A request as strategies make it.
#[derive(Debug, Clone)]
struct Made {
    words: [String; 7],
    pieces: Vec<String>,
    fields: Vec<(String, Vec<u8>)>,
    request_id: [u8; 16],
}

impl Made {
    fn encode(&self, out: &mut [u8]) -> Option<usize> {
        let [method, target, authority, scheme, service, environment, peer] = &self.words;
        let message = CallMessage {
            method,
            target,
            authority: authority.as_bytes(),
            scheme,
            service,
            environment,
            peer,
            request_id: self.request_id,
        };
        let fields = self.fields.iter().map(|(name, value)| (name.as_bytes(), value.as_slice()));
        message.encode(self.pieces.iter().map(|piece| piece.as_bytes()), fields, out).ok()
    }

    /// Reads the members that a front encodes, in the order of 7.2.
    fn check(&self, reader: &mut Reader<'_>) {
        let [method, target, authority, scheme, service, environment, peer] = &self.words;
        let path = self.pieces.concat();
        assert_eq!(reader.read_map(), Ok(14));
        assert_eq!((key(reader), reader.read_u64()), ("v", Ok(1)));
        let texts = [("m", method), ("t", target), ("p", &path), ("a", authority), ("s", scheme)];
        for (name, text) in texts {
            assert_eq!((key(reader), reader.read_str()), (name, Ok(text.as_str())));
        }
        assert_eq!(key(reader), "h");
        let expected: Vec<_> =
            self.fields.iter().map(|(name, value)| (name.clone().into(), value.clone())).collect();
        assert_eq!(read_fields(reader), expected);
        for (name, text) in [("n", service), ("e", environment), ("c", peer)] {
            assert_eq!((key(reader), reader.read_str()), (name, Ok(text.as_str())));
        }
        assert_eq!((key(reader), reader.read_bytes()), ("i", Ok(&self.request_id[..])));
    }
}

fn made() -> impl Strategy<Value = Made> {
    let words = prop::array::uniform7(text());
    let pieces = prop::collection::vec("/[a-z]{0,30}", 0..5);
    let field = ("[a-z-]{1,20}", prop::collection::vec(32u8.., 0..60));
    let fields = prop::collection::vec(field, 0..20);
    (words, pieces, fields, any::<[u8; 16]>())
        .prop_map(|(words, pieces, fields, request_id)| Made { words, pieces, fields, request_id })
}

fn key<'i>(reader: &mut Reader<'i>) -> &'i str {
    reader.read_str().unwrap()
}

fn check_body(reader: &mut Reader<'_>, body: Body, data: &[u8]) {
    assert_eq!(key(reader), "b");
    match body {
        Body::None => assert_eq!(reader.read(), Ok(Token::Nil)),
        Body::Inline(_) => assert_eq!(reader.read_bytes(), Ok(data)),
        Body::Streamed(len) => {
            assert_eq!((reader.read_map(), key(reader)), (Ok(1), "l"));
            match len {
                Some(len) => assert_eq!(reader.read_u64(), Ok(len)),
                None => assert_eq!(reader.read(), Ok(Token::Nil)),
            }
        }
    }
    assert_eq!(reader.finish(), Ok(()));
}

proptest! {
    /// dispatch 13.2: the call message round-trips, members in the order of 7.2.
    #[test]
    fn a_call_message_round_trips(
        made in made(),
        (deadline_ms, window) in any::<(u32, u32)>(),
        body in prop_oneof![
            Just(Body::None),
            (0u32..300).prop_map(Body::Inline),
            any::<Option<u64>>().prop_map(Body::Streamed),
        ],
    ) {
        let mut out = vec![0; 8192];
        let len = made.encode(&mut out).unwrap();
        prop_assert_eq!(made.encode(&mut vec![0; len - 1]), None, "too little room");
        let message = u32::try_from(len).unwrap();
        let (method, request) = (method(1), request(1));
        let frame = CallFrame { method, request, message, deadline_ms, window, body };
        let mut slot = [0; SLOT_LEN];
        let written = frame.write(&mut slot);
        let data = match body {
            Body::Inline(len) => vec![b'd'; len as usize],
            Body::None | Body::Streamed(_) => vec![],
        };
        let bytes = whole(&slot, written, &out[..len], &data);

        let mut reader = Reader::new(&bytes[HEADER_LEN..]);
        made.check(&mut reader);
        assert_eq!((key(&mut reader), reader.read_u64()), ("d", Ok(deadline_ms.into())));
        assert_eq!((key(&mut reader), reader.read_u64()), ("w", Ok(window.into())));
        check_body(&mut reader, body, &data);
    }

    /// Fields that were checked carry over to another core as bytes; others are refused.
    #[test]
    fn fields_are_checked_and_carried(
        fields in prop::collection::vec(
            ("[!-~]{0,6}", prop::collection::vec(any::<u8>(), 0..6)),
            0..8,
        ),
    ) {
        let mut out = vec![0; 1024];
        let mut writer = Writer::new(&mut out);
        writer.array(fields.len() as u32 * 2).unwrap();
        for (name, value) in &fields {
            writer.str(name).unwrap();
            writer.bin(value).unwrap();
        }
        let is_token = |name: &str| {
            !name.is_empty() && !name.contains(|c| "\"(),/:;<=>?@[\\]{}".contains(c))
        };
        let is_value = |value: &[u8]| value.iter().all(|b| *b == 9 || (*b >= 32 && *b != 127));
        let good = fields.iter().all(|(name, value)| is_token(name) && is_value(value));
        let parsed = Fields::parse(writer.written());
        prop_assert_eq!(parsed.is_ok(), good);
        if let Ok(parsed) = parsed {
            let carried = Fields::from_bytes(parsed.as_bytes());
            let read: Vec<_> = carried.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            let expected: Vec<_> =
                fields.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone())).collect();
            prop_assert_eq!(read, expected);
        }
    }
}

#[test]
fn trailers_are_a_flat_array() {
    let mut out = [0; 32];
    let fields = [(b"a".as_slice(), b"b".as_slice()), (b"c", b"\xff")];
    let len = encode_trailers(fields.into_iter(), &mut out).unwrap();
    assert_eq!(out[..len], *b"\x94\xa1a\xa1b\xa1c\xc4\x01\xff");
}
