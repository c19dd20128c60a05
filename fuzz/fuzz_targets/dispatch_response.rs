//! Bytes of a worker that answers one call: the same events however they are cut, one end at most.
#![no_main]

use forebay_core_dispatch::home::Event;
use forebay_core_dispatch::message::GATHER_LEN;
use forebay_core_time::Instant;
use forebay_fuzz::home::{INIT, PLAIN_INIT, waiting};

/// Everything that was told, with the pieces of bodies joined.
fn told(init: &[u8], pieces: &[&[u8]]) -> String {
    let (mut home, instance) = waiting(init);
    let mut gather = vec![0; GATHER_LEN];
    let (mut told, mut body, mut ends) = (String::new(), Vec::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let step = home.handle_bytes(Instant::ZERO, instance, rest, &mut gather);
            assert!(step.used > 0, "nothing was taken");
            let taken;
            (taken, rest) = rest.split_at(step.used);
            let Some(event) = step.event else { continue };
            assert_eq!(ends, 0, "{event:?} behind the end");
            match event {
                Event::Head { head, length, body: bytes, last, .. } => {
                    assert!(taken.ends_with(bytes));
                    let fields: Vec<_> = head.fields.iter().collect();
                    told += &format!("head {} {fields:?} {length:?};", head.status);
                    body.extend_from_slice(bytes);
                    ends += u32::from(last);
                }
                Event::Body { bytes, last, .. } => {
                    assert!(taken.ends_with(bytes) && (last || !bytes.is_empty()));
                    body.extend_from_slice(bytes);
                    ends += u32::from(last);
                }
                Event::Informational { head, .. } => told += &format!("info {};", head.status),
                Event::Trailers { fields, .. } => {
                    told += &format!("trailers {:?};", fields.iter().count())
                }
                Event::Refused { refusal, detail, .. } => {
                    told += &format!("refused {refusal:?} {detail:?};");
                    ends += 1;
                }
                // What was passed on of the body before depends on the cut.
                Event::Broken { .. } => {
                    told += "broken;";
                    body.clear();
                    ends += 1;
                }
            }
        }
    }
    format!("{told} {body:?} {ends}")
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (bytes, pieces) = forebay_fuzz::cut(data);
    for init in [INIT, PLAIN_INIT] {
        assert_eq!(told(init, &[bytes]), told(init, &pieces));
    }
});
