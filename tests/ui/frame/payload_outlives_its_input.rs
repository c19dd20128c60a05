//! The payload in an event borrows the caller's bytes: they cannot change while it is in use.

use forebay_core_frame::{Decoder, Event};
use forebay_core_procwire::{Header, MaxPayload};

fn main() {
    let mut input = [0_u8; 64];
    let mut decoder = Decoder::<Header>::new(MaxPayload::default());
    let step = decoder.decode(&input).expect("a frame");
    input[0] = 1; //~ E0506
    if let Some(Event::Frame { payload, .. }) = step.event {
        assert!(payload.is_empty());
    }
}
