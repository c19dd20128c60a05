//! AUTH, procwire section 5.2.

use forebay_core_procwire::{AuthGate, AuthStep, token_matches};
use proptest::prelude::*;

use crate::vectors::{bytes, cuts, rows};

const FRAMES: &str = include_str!("../../../../tests/vectors/procwire/frames.tsv");

fn auth_frame() -> (Vec<u8>, Vec<u8>) {
    let [.., token, frame] =
        rows::<7>(FRAMES).find(|[name, ..]| *name == "F23").expect("F23 is in the file");
    (bytes(token), bytes(frame))
}

fn run(token: &[u8], pieces: &[&[u8]]) -> (AuthStep, usize) {
    let mut gate = AuthGate::new();
    let mut used = 0;
    let mut step = AuthStep::Pending { need: 11 + token.len() };
    for piece in pieces {
        step = gate.handle_bytes(token, piece);
        match step {
            AuthStep::Pending { .. } => used += piece.len(),
            AuthStep::Adopted { used: last } => return (step, used + last),
            AuthStep::Refused => {
                let again = gate.handle_bytes(token, piece);
                assert_eq!(again, AuthStep::Refused, "refused for good");
                return (step, used);
            }
        }
    }
    (step, used)
}

#[test]
fn the_token_opens_the_gate_at_every_cut_and_later_frames_are_left() {
    let (token, frame) = auth_frame();
    let stream = [&*frame, &[0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0]].concat();
    for pieces in cuts(&stream) {
        let (step, used) = run(&token, &pieces);
        assert!(matches!(step, AuthStep::Adopted { .. }), "{pieces:?}: {step:?}");
        assert_eq!(used, frame.len());
    }
}

#[test]
fn flags_and_request_id_of_auth_are_not_looked_at() {
    let (token, mut frame) = auth_frame();
    frame[2] = 0x03;
    frame[6] = 9;
    assert!(matches!(run(&token, &[&frame]).0, AuthStep::Adopted { .. }));
}

#[test]
fn a_connection_is_refused_with_its_header() {
    let (token, frame) = auth_frame();
    for (at, value) in [(0, 0x00), (1, 0xFF), (2, 0x40), (7, 0x01), (10, 0x3F), (10, 0x41)] {
        let mut header = frame[..11].to_vec();
        header[at] = value;
        assert_eq!(run(&token, &[&header]).0, AuthStep::Refused, "byte {at} = {value:#x}");
        let whole = [&header, &frame[11..]].concat();
        for pieces in cuts(&whole) {
            assert_eq!(run(&token, &pieces).0, AuthStep::Refused);
        }
    }
    assert_eq!(run(&token, &[&frame[..11]]).0, AuthStep::Pending { need: 64 });
    assert_eq!(run(&token, &[&frame[..4]]).0, AuthStep::Pending { need: 71 });
}

#[test]
fn an_empty_token_lets_nobody_in() {
    let header = [0xFF, 0xFE, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(run(b"", &[&header]).0, AuthStep::Refused);
}

proptest! {
    /// Section 5.2: only the exact token, whatever differs and wherever it is cut.
    #[test]
    fn one_wrong_bit_refuses(at in 0_usize..64, bit in 0_u8..8, cut in 0_usize..75) {
        let (token, mut frame) = auth_frame();
        frame[11 + at] ^= 1 << bit;
        let (front, back) = frame.split_at(cut);
        prop_assert_eq!(run(&token, &[front, back]).0, AuthStep::Refused);
    }

    #[test]
    fn tokens_match_exactly_when_equal(a in "[ab]{0,3}", b in "[ab]{0,3}") {
        prop_assert_eq!(token_matches(a.as_bytes(), b.as_bytes()), a == b);
    }
}
