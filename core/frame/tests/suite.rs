//! The crate from outside, over a header of its own: whole equals chopped, and the ring beside a
//! plain model.

use core::fmt;

use forebay_core_frame::{Decoder, Event, FrameBuf, Header, HeaderRing, Loan, Slot, TooLong};
use proptest::prelude::*;

/// Two bytes: a tag, of which 0xFF is refused, and the payload's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tagged {
    tag: u8,
    len: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Tag,
    Long,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl core::error::Error for Refused {}

impl Header for Tagged {
    const LEN: usize = 2;
    type Limits = u8;
    type Error = Refused;

    fn parse(input: &[u8], limits: &u8) -> Result<Option<Self>, Refused> {
        match input {
            [0xFF, _, ..] => Err(Refused::Tag),
            [_, len, ..] if len > limits => Err(Refused::Long),
            [tag, len, ..] => Ok(Some(Self { tag: *tag, len: *len })),
            _ => Ok(None),
        }
    }

    fn payload_len(&self) -> usize {
        self.len.into()
    }

    fn emit(&self, out: &mut [u8]) -> Option<usize> {
        out.get_mut(..2)?.copy_from_slice(&[self.tag, self.len]);
        Some(2)
    }
}

type Frames = Vec<(Tagged, Vec<u8>)>;

/// Decodes the pieces as a connection would deliver them, and checks on the way what every step
/// promises.
fn decode(pieces: &[&[u8]]) -> (Frames, Result<(), Refused>, bool) {
    let mut decoder = Decoder::<Tagged>::new(100);
    let mut frames = Frames::new();
    let mut cut: Option<(Tagged, Vec<u8>)> = None;
    for piece in pieces {
        let mut input = *piece;
        loop {
            let step = match decoder.decode(input) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(decoder.decode(&[1, 0]), Err(error), "failed for good");
                    return (frames, Err(error), false);
                }
            };
            let payload_end = input[..step.used].as_ptr_range().end;
            input = &input[step.used..];
            match step.event {
                None => {
                    assert!(input.is_empty() && step.need > 0);
                    break;
                }
                Some(Event::Frame { header, payload }) => {
                    assert!(cut.is_none() && step.need == 0);
                    assert!(payload.is_empty() || payload.as_ptr_range().end == payload_end);
                    frames.push((header, payload.to_vec()));
                }
                Some(Event::Start { header }) => {
                    assert!(cut.is_none() && step.need == header.payload_len());
                    cut = Some((header, Vec::new()));
                }
                Some(Event::Part { header, offset, bytes, last }) => {
                    let (started, mut payload) = cut.take().expect("a start came before");
                    assert_eq!((started, payload.len()), (header, offset));
                    assert!(!bytes.is_empty() && bytes.as_ptr_range().end == payload_end);
                    payload.extend_from_slice(bytes);
                    assert_eq!(step.need, header.payload_len() - payload.len());
                    assert_eq!(last, step.need == 0);
                    if last {
                        frames.push((header, payload));
                    } else {
                        cut = Some((header, payload));
                    }
                }
            }
        }
    }
    (frames, Ok(()), decoder.is_boundary())
}

fn encode(frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let frame =
        |(tag, payload): &(u8, Vec<u8>)| [&[*tag, payload.len() as u8], &**payload].concat();
    frames.iter().flat_map(frame).collect()
}

#[test]
fn a_frame_inside_the_input_is_one_event_and_one_slice() {
    let input = b"\x01\x03abc\x02\x00\x03\x01z";
    let mut decoder = Decoder::<Tagged>::new(100);
    let step = decoder.decode(input).unwrap();
    let header = Tagged { tag: 1, len: 3 };
    assert_eq!(step.event, Some(Event::Frame { header, payload: b"abc" }));
    assert_eq!((step.used, step.need), (5, 0));
    let step = decoder.decode(&input[5..]).unwrap();
    let header = Tagged { tag: 2, len: 0 };
    assert_eq!(step.event, Some(Event::Frame { header, payload: b"" }));
}

#[test]
fn need_tells_how_much_is_missing() {
    let mut decoder = Decoder::<Tagged>::new(100);
    let mut need = |input: &[u8]| decoder.decode(input).unwrap().need;
    assert_eq!(need(b""), 2);
    assert_eq!(need(b"\x01"), 1);
    assert_eq!(need(b""), 1);
    assert_eq!(need(b"\x05"), 5);
    assert_eq!(need(b"ab"), 3);
    assert_eq!(need(b""), 3);
    assert_eq!(need(b"cde"), 0);
    assert_eq!(need(b""), 2);
}

#[test]
fn a_cut_header_and_a_whole_payload_are_still_one_event() {
    let mut decoder = Decoder::<Tagged>::new(100);
    assert_eq!(decoder.decode(b"\x01").unwrap().event, None);
    let step = decoder.decode(b"\x02hi\x09").unwrap();
    let header = Tagged { tag: 1, len: 2 };
    assert_eq!(step.event, Some(Event::Frame { header, payload: b"hi" }));
    assert_eq!(step.used, 3);
}

#[test]
fn a_header_is_refused_before_its_payload_is_looked_at() {
    assert_eq!(decode(&[b"\x01\x65"]).1, Err(Refused::Long));
    assert_eq!(decode(&[b"\xff", b"\x00"]).1, Err(Refused::Tag));
    let (frames, end, _) = decode(&[b"\x01\x01a\xff\x00"]);
    assert_eq!((frames.len(), end), (1, Err(Refused::Tag)));
}

#[test]
fn a_buffer_gathers_cut_frames_and_refuses_long_ones() {
    let mut buf = FrameBuf::new([0; 4]);
    let header = Tagged { tag: 1, len: 4 };
    let part = |offset, bytes, last| Event::Part { header, offset, bytes, last };
    assert_eq!(buf.handle_event(Event::Start { header }), Ok(None));
    assert_eq!(buf.handle_event(part(0, b"ab", false)), Ok(None));
    assert_eq!(buf.gathered(), b"ab");
    let whole = buf.handle_event(part(2, b"cd", true)).unwrap().unwrap();
    assert_eq!((whole.header, whole.payload), (header, &b"abcd"[..]));
    let long = Tagged { tag: 1, len: 5 };
    let refused = TooLong { len: 5, limit: 4 };
    assert_eq!(buf.handle_event(Event::Start { header: long }), Err(refused));
    assert_eq!(buf.handle_event(part(0, b"abcd", false)), Ok(None));
    assert_eq!(buf.handle_event(part(4, b"e", true)), Ok(None));
    let event = Event::Frame { header: long, payload: b"abcde" };
    assert!(buf.handle_event(event).unwrap().is_some(), "a whole frame needs no room");
    assert_eq!(buf.into_storage(), *b"abcd");
}

#[test]
fn a_ring_is_full_until_the_oldest_comes_back() {
    let mut ring = HeaderRing::new([Loan::default(); 3], 8);
    let slots: Vec<_> = (0..3).map(|_| ring.lend().unwrap()).collect();
    assert_eq!((ring.lend(), ring.free_count()), (None, 0));
    assert!(ring.release(slots[1]).is_ok());
    assert_eq!(ring.lend(), None, "an older one is still out");
    assert!(ring.release(slots[0]).is_ok());
    assert_eq!(ring.free_count(), 2);
    assert!(ring.release(slots[0]).is_err());
    let again = ring.lend().unwrap();
    assert_eq!(ring.range(again), 0..8);
    assert!(ring.release(slots[0]).is_err(), "an earlier use of the same place");
    assert!(ring.slot_mut(again, &mut [0; 24]).is_some_and(|slot| slot.len() == 8));
    assert!(ring.slot_mut(slots[2], &mut [0; 23]).is_none());
    assert_eq!(ring.bytes_len(), 24);
}

#[test]
fn a_ring_without_slots_is_always_full() {
    let none: [Loan; 0] = [];
    assert_eq!(HeaderRing::new(none, 8).lend(), None);
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..120)
}

proptest! {
    /// Whole equals chopped: the same frames and the same end, at every single cut, byte by byte,
    /// and at arbitrary cuts, however the stream ends.
    #[test]
    fn whole_equals_chopped(
        frames in prop::collection::vec((any::<u8>(), payload()), 0..6),
        lens in prop::collection::vec(0_usize..40, 0..20),
        lost in 0_usize..10,
    ) {
        let mut stream = encode(&frames);
        stream.truncate(stream.len().saturating_sub(lost));
        let whole = decode(&[&stream]);
        for at in 0..=stream.len() {
            let (front, back) = stream.split_at(at);
            prop_assert_eq!(&decode(&[front, back]), &whole, "cut at {}", at);
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(&decode(&bytes), &whole);
        let mut rest = &*stream;
        let mut pieces = Vec::new();
        for len in lens {
            let (piece, later) = rest.split_at(len.min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        pieces.push(rest);
        prop_assert_eq!(&decode(&pieces), &whole);
        // And the frames are those that were sent, up to the first that is refused or lost.
        for ((header, payload), (tag, sent)) in whole.0.iter().zip(&frames) {
            prop_assert_eq!((header.tag, payload), (*tag, sent));
        }
        let fine = frames.iter().all(|(tag, payload)| *tag != 0xFF && payload.len() <= 100);
        if fine && lost == 0 {
            prop_assert_eq!((whole.0.len(), whole.2), (frames.len(), true));
        }
    }

    /// The ring beside a list: no slot is lent twice, none is lost, order never matters.
    #[test]
    fn the_ring_agrees_with_a_list(ops in prop::collection::vec((0_u8..4, 0_usize..5), 0..200)) {
        let mut ring = HeaderRing::new([Loan::default(); 5], 16);
        let mut out: Vec<(Slot, bool)> = Vec::new();
        for (op, which) in ops {
            match op {
                0 | 1 => match ring.lend() {
                    Some(slot) => {
                        prop_assert!(out.iter().all(|(other, _)| other.index() != slot.index()));
                        out.push((slot, true));
                    }
                    None => prop_assert_eq!(out.len(), 5),
                },
                2 if which < out.len() => {
                    let (slot, lent) = out[which];
                    prop_assert_eq!(ring.release(slot).is_ok(), lent);
                    out[which].1 = false;
                }
                3 if which < out.len() => {
                    let (slot, lent) = out[which];
                    prop_assert_eq!(ring.release_through(slot).is_ok(), lent);
                    if lent {
                        out.drain(..=which);
                    }
                }
                _ => {}
            }
            let returned = out.iter().take_while(|(_, lent)| !lent).count();
            out.drain(..returned);
            prop_assert_eq!(ring.free_count(), 5 - out.len());
        }
    }
}
