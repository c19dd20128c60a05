//! Headers and frames, procwire sections 4, 5, 8.1 and 8.2.

use forebay_core_frame::{Decoder, Event, FrameBuf};
use forebay_core_procwire::{
    EventId, Flags, Header, HeaderError, MaxPayload, RequestId, ResponseKind, ToChild, ToParent,
    WireId,
};
use proptest::prelude::*;

use crate::vectors::{bytes, cuts, rows};

const HEADERS: &str = include_str!("../../../../tests/vectors/procwire/headers.tsv");
const FRAMES: &str = include_str!("../../../../tests/vectors/procwire/frames.tsv");
const ARROW: &str = include_str!("../../../../tests/vectors/procwire/arrow.tsv");

#[test]
fn headers_parse_or_are_refused_as_the_vectors_say() {
    let mut count = 0;
    for [name, limit, hex, expected] in rows(HEADERS) {
        let max = if limit == "ceiling" { MaxPayload::CEILING } else { MaxPayload::DEFAULT };
        let raw: [u8; 11] = bytes(hex).try_into().unwrap();
        let found = match Header::parse(raw, max) {
            Ok(header) => {
                assert_eq!(header.emit(), raw, "{name}");
                assert_eq!(header.emit_wide(), *[&raw[..], &[0; 5]].concat(), "{name}");
                let request = header.request.map_or(0, RequestId::value);
                let (id, flags) = (header.id.value(), header.flags.bits());
                format!("ok {id} {flags:02x} {request} {}", header.payload_len)
            }
            Err(error) => format!("refused {}", word(error)),
        };
        assert_eq!(found, expected, "{name}");
        for pieces in cuts(&raw) {
            assert_eq!(cut_header(&pieces, max), Header::parse(raw, max), "{name}");
        }
        count += 1;
    }
    assert_eq!(count, 16);
}

fn cut_header(pieces: &[&[u8]], max: MaxPayload) -> Result<Header, HeaderError> {
    let mut decoder = Decoder::<Header>::new(max);
    for piece in pieces {
        let step = decoder.decode(piece);
        match step {
            Err(error) => {
                assert_eq!(decoder.decode(piece), Err(error), "closed for good");
                return Err(error);
            }
            Ok(step) => match step.event {
                Some(Event::Frame { header, .. } | Event::Start { header }) => return Ok(header),
                Some(Event::Part { .. }) => panic!("a part before a start"),
                None => assert_eq!(step.used, piece.len()),
            },
        }
    }
    panic!("no header in {pieces:?}")
}

fn word(error: HeaderError) -> &'static str {
    match error {
        HeaderError::ZeroId => "zero-id",
        HeaderError::OverLimit => "over-limit",
        HeaderError::OverCeiling => "over-ceiling",
        HeaderError::ReservedFlags => "reserved-flags",
        other => panic!("{other:?} has no vector"),
    }
}

#[test]
fn a_limit_above_the_ceiling_is_the_ceiling() {
    assert_eq!(MaxPayload::new(u32::MAX), MaxPayload::CEILING);
    assert_eq!(MaxPayload::new(5).bytes(), 5);
    assert_eq!(MaxPayload::default().bytes(), 1 << 30);
}

#[test]
fn frames_are_classified_as_the_vectors_say_at_every_cut() {
    let mut count = 0;
    for [name, receiver, kind, id, request, payload, hex] in rows(FRAMES) {
        let (frame, payload) = (bytes(hex), bytes(payload));
        for pieces in cuts(&frame) {
            let (header, got) = gather(&pieces);
            assert_eq!(got, payload, "{name}");
            assert_eq!(header.id.value().to_string(), id, "{name}");
            assert_eq!(header.request.map_or(0, RequestId::value).to_string(), request, "{name}");
            assert_eq!(class(receiver, &header), kind, "{name}");
        }
        let header = Header {
            id: WireId::new(id.parse().unwrap()).unwrap(),
            flags: flags(kind),
            request: RequestId::new(request.parse().unwrap()),
            payload_len: payload.len() as u32,
        };
        assert_eq!([&header.emit(), &*payload].concat(), frame, "{name}");
        count += 1;
    }
    assert_eq!(count, 26);
}

/// Section 8.4: a stream of its own in one frame, given back as it came.
#[test]
fn an_arrow_stream_travels_unchanged() {
    for [_, hex] in rows(ARROW) {
        let payload = bytes(hex);
        assert_eq!(payload.len(), 296);
        let header = Header {
            id: WireId::new(1).unwrap(),
            flags: Flags::RESULT,
            request: RequestId::new(1),
            payload_len: 296,
        };
        let frame = [&header.emit(), &*payload].concat();
        for pieces in cuts(&frame) {
            assert_eq!(gather(&pieces), (header, payload.clone()));
        }
    }
}

fn gather(pieces: &[&[u8]]) -> (Header, Vec<u8>) {
    let mut decoder = Decoder::<Header>::new(MaxPayload::DEFAULT);
    let mut buf = FrameBuf::new([0; 512]);
    let mut found = None;
    for piece in pieces {
        let mut input = *piece;
        loop {
            let step = decoder.decode(input).unwrap();
            input = &input[step.used..];
            let Some(event) = step.event else { break };
            if let Some(whole) = buf.handle_event(event).unwrap() {
                assert!(found.is_none(), "two frames in one");
                found = Some((whole.header, whole.payload.to_vec()));
            }
        }
    }
    assert!(decoder.is_boundary());
    found.expect("the pieces hold a frame")
}

fn class(receiver: &str, header: &Header) -> &'static str {
    if receiver == "child" {
        return match ToChild::of(header) {
            ToChild::Request { method, request } => {
                assert_eq!((WireId::from(method), request), (header.id, header.request));
                "request"
            }
            ToChild::Abort(request) => {
                assert_eq!(Some(request), header.request);
                "abort"
            }
            ToChild::Ignored => "auth",
        };
    }
    match ToParent::of(header) {
        ToParent::Event(event) => {
            assert_eq!(Some(event), EventId::new(header.id.value()));
            "event"
        }
        ToParent::Ignored => "ignored",
        ToParent::Response { request, kind } => {
            assert_eq!(Some(request), header.request);
            assert_eq!(kind.flags(), header.flags);
            match kind {
                ResponseKind::Result => "result",
                ResponseKind::Ack => "ack",
                ResponseKind::Chunk => "chunk",
                ResponseKind::End => "end",
                ResponseKind::Error => "error",
                ResponseKind::StreamError => "stream-error",
            }
        }
    }
}

fn flags(kind: &str) -> Flags {
    match kind {
        "request" | "abort" | "auth" => Flags::REQUEST,
        "result" => Flags::RESULT,
        "ack" => Flags::ACK,
        "chunk" => Flags::CHUNK,
        "end" => Flags::END,
        "error" => Flags::ERROR,
        "stream-error" => Flags::STREAM_ERROR,
        "event" => Flags::EVENT,
        other => panic!("{other} has no flags"),
    }
}

/// What the published parent was seen to accept (procwire sections 5.8 to 5.10).
#[test]
fn the_parent_is_as_tolerant_as_the_published_one() {
    let of = |id: u16, bits: u8, request: u32| {
        ToParent::of(&Header {
            id: WireId::new(id).unwrap(),
            flags: Flags::new(bits).unwrap(),
            request: RequestId::new(request),
            payload_len: 0,
        })
    };
    let response = |kind| ToParent::Response { request: RequestId::new(7).unwrap(), kind };
    assert_eq!(of(9, 0x02, 7), response(ResponseKind::Result));
    assert_eq!(of(0xFFFF, 0x03, 7), response(ResponseKind::Result));
    assert_eq!(of(1, 0x09, 0), ToParent::Event(EventId::new(1).unwrap()));
    assert_eq!(of(1, 0x00, 0), ToParent::Ignored);
    assert_eq!(of(1, 0x03, 0), ToParent::Ignored);
    assert_eq!(of(1, 0x0B, 0), ToParent::Ignored);
    assert_eq!(of(0xFFFE, 0x01, 0), ToParent::Ignored);
    assert_eq!(of(1, 0x01, 7), ToParent::Ignored);
    assert_eq!(of(1, 0x1F, 7), response(ResponseKind::StreamError));
    assert_eq!(of(1, 0x27, 7), response(ResponseKind::Error));
}

proptest! {
    /// Section 4.4: the four checks in their order, against a plain model, and nothing else.
    #[test]
    fn a_header_is_refused_exactly_as_section_4_4_says(
        raw in any::<[u8; 11]>(),
        near_zero in any::<bool>(),
        max in any::<u32>(),
    ) {
        let mut raw = raw;
        if near_zero {
            raw[0] = 0;
            raw[1] &= 1;
            raw[7] &= 0x41;
        }
        let max = MaxPayload::new(max);
        let len = u32::from_be_bytes(raw[7..].try_into().unwrap());
        let expected = if raw[0] == 0 && raw[1] == 0 {
            Err(HeaderError::ZeroId)
        } else if len > 0x7FFF_FFFF {
            Err(HeaderError::OverCeiling)
        } else if len > max.bytes() {
            Err(HeaderError::OverLimit)
        } else if raw[2] & 0xC0 != 0 {
            Err(HeaderError::ReservedFlags)
        } else {
            Ok(raw)
        };
        prop_assert_eq!(Header::parse(raw, max).map(|header| header.emit()), expected);
    }

    /// Section 4.3: ids wrap from 0xFFFF_FFFF to 1 and are never 0.
    #[test]
    fn request_ids_never_become_zero(id in prop_oneof![any::<u32>(), Just(u32::MAX)]) {
        if let Some(request) = RequestId::new(id) {
            let next = request.next().value();
            prop_assert_eq!(next, if id == u32::MAX { 1 } else { id + 1 });
        }
    }
}
