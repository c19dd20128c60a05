//! Any bytes, cut anywhere, and an application that grants, gives up and answers at any time: whole
//! and chopped input must mean the same, and the machine must come to an end.
#![no_main]

use forebay_core_http1::{Config, Connection, Event, FieldSlot, ResponseHead};
use forebay_core_time::Instant;

const DATE: &[u8; 29] = b"Sat, 21 Nov 2026 04:00:00 GMT";
const CONFIG: Config = Config { body_len: 1 << 16, trailers_len: 64, ..Config::new() };

/// What the peer's bytes meant: heads, bodies, ends, and the error.
fn meaning(input: &[u8], cuts: &[u8]) -> Vec<u8> {
    let mut connection = Connection::new(Instant::ZERO, CONFIG);
    let mut meaning = Vec::new();
    let (mut start, mut end) = (0, 0);
    for cut in cuts.iter().map(|cut| usize::from(*cut)).chain([input.len()]) {
        end = input.len().min(end + cut);
        while step(&mut connection, &input[..end], &mut start, &mut meaning) {}
    }
    meaning
}

/// Whether there is more to do.
fn step(
    connection: &mut Connection,
    input: &[u8],
    start: &mut usize,
    meaning: &mut Vec<u8>,
) -> bool {
    let now = Instant::ZERO;
    let mut slots = [const { FieldSlot::uninit() }; 96];
    let step = match connection.handle_bytes(now, &input[*start..], &mut slots) {
        Ok(step) => step,
        Err(error) => {
            let mut out = [0; Connection::REFUSAL_LEN_MAX];
            if connection.owes_refusal() {
                let len = connection.write_refusal(DATE, &mut out).expect("there is room");
                meaning.extend_from_slice(&out[..len]);
            } else {
                assert_eq!(connection.error(), Some(error), "an error that is repeated");
            }
            return false;
        }
    };
    *start += step.used;
    let happened = step.used > 0 || step.event.is_some();
    let mut ended = false;
    match step.event {
        Some(Event::Request(head)) => {
            meaning.extend_from_slice(head.method().as_bytes());
            meaning.extend_from_slice(head.target().raw().as_bytes());
            head.forwarded_fields().for_each(|(_, value)| meaning.extend_from_slice(value));
            ended = !head.facts().has_body();
            connection.grant_body(now, u64::MAX);
        }
        Some(Event::Body(part)) => {
            assert!(!part.is_empty() && input[..*start].ends_with(part));
            meaning.extend_from_slice(part);
        }
        Some(Event::Trailers(trailers)) => {
            trailers.for_each(|(name, _)| meaning.extend_from_slice(name.as_bytes()));
        }
        Some(Event::RequestEnd) => ended = true,
        None => {}
    }
    if ended {
        answer(connection);
    }
    happened
}

fn answer(connection: &mut Connection) {
    let mut out = [0; 256];
    let fields = [].into_iter();
    let head = ResponseHead { status: 200, length: None, date: DATE, fields };
    connection.write_head(&head, &mut out).expect("a head is owed");
    connection.write_part(1, &mut out).expect("a head went before");
    connection.write_end([].into_iter(), &mut out).expect("a head went before");
    connection.handle_written(Instant::ZERO);
}

/// Any call at any time: refused or done, never a panic, and in the end the connection is over.
fn disorder(input: &[u8], calls: &[u8]) {
    let mut connection = Connection::new(Instant::ZERO, CONFIG);
    let (mut start, mut out) = (0, [0; 256]);
    for (count, call) in calls.iter().enumerate() {
        let now = Instant::from_millis(count as u64 * 97);
        let rest = &input[start..input.len().min(start + usize::from(*call))];
        let fields = [(b"A".as_slice(), rest)].into_iter();
        let head = ResponseHead {
            status: 200 + u16::from(*call),
            length: None,
            date: DATE,
            fields: fields.clone(),
        };
        match call % 12 {
            0 => connection.grant_body(now, u64::from(*call)),
            1 => connection.discard_body(now),
            2 => drop(connection.write_head(&head, &mut out)),
            3 => drop(connection.write_part(u64::from(*call), &mut out)),
            4 => drop(connection.write_end(fields, &mut out)),
            5 => drop(connection.write_continue(&mut out)),
            6 => drop(connection.write_refusal(DATE, &mut out)),
            7 => drop(connection.handle_written(now)),
            8 => drop(connection.handle_timeout(now)),
            9 => drop(connection.write_switch(b"x", fields, &mut out)),
            10 if *call > 240 => connection.abort_response(),
            11 if *call > 240 => connection.handle_eof(now),
            _ => {
                let mut slots = [const { FieldSlot::uninit() }; 8];
                if let Ok(step) = connection.handle_bytes(now, rest, &mut slots) {
                    assert!(step.used <= rest.len());
                    start += step.used;
                }
            }
        }
    }
    connection.abort_response();
    connection.handle_eof(Instant::MAX);
    for _ in 0..8 {
        let _ = connection.handle_bytes(Instant::MAX, b"", &mut []);
        let _ = connection.handle_timeout(Instant::MAX);
        let _ = connection.write_refusal(DATE, &mut out);
        connection.handle_written(Instant::MAX);
        connection.handle_shutdown(Instant::MAX);
    }
    assert!(!connection.wants_read(), "nothing is waited for for ever");
}

// The first byte says how many bytes of cuts and calls follow; the rest is what the client sends.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let (cuts, input) = rest.split_at(rest.len().min(usize::from(*count)));
    assert_eq!(meaning(input, &[]), meaning(input, cuts));
    disorder(input, cuts);
});
