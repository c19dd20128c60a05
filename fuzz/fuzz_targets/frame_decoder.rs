//! The frame decoder: cut frames are the whole ones, and a refused header stays refused.
#![no_main]

use forebay_core_frame::{Decoder, Event, FrameBuf};
use forebay_core_procwire::{Header, HeaderError, MaxPayload};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (bytes, pieces) = forebay_fuzz::cut(data);
    let whole = decode(&[bytes]);
    assert_eq!(decode(&pieces), whole);
    assert_eq!(decode(&bytes.chunks(1).collect::<Vec<_>>()), whole);
});

type Frames = Vec<(Header, Vec<u8>)>;

fn decode(pieces: &[&[u8]]) -> (Frames, Result<bool, HeaderError>) {
    let mut decoder = Decoder::<Header>::new(MaxPayload::new(300));
    let mut buf = FrameBuf::new([0; 300]);
    let mut frames = Frames::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            let step = match decoder.decode(input) {
                Ok(step) => step,
                Err(error) => {
                    assert_eq!(decoder.decode(input), Err(error));
                    return (frames, Err(error));
                }
            };
            input = &input[step.used..];
            let Some(event) = step.event else { break };
            if let Event::Frame { payload, .. } | Event::Part { bytes: payload, .. } = event {
                assert!(payload.len() <= step.used);
            }
            if let Some(whole) = buf.handle_event(event).expect("within the limit") {
                frames.push((whole.header, whole.payload.to_vec()));
            }
        }
        assert!(input.is_empty());
    }
    (frames, Ok(decoder.is_boundary()))
}
