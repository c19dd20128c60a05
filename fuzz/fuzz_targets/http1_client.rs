//! Any bytes from a server, cut anywhere, and a caller that asks, pauses and grants at any time:
//! whole and chopped input must mean the same, and the machine must come to an end.
#![no_main]

use forebay_core_http1::Part;
use forebay_core_http1::client::{
    Config, Connection, Event, Request, RequestBody, ResponseHead, Sent, Traits,
};
use forebay_core_time::Instant;

const CONFIG: Config =
    Config { header_len: 64, body_len: 1 << 12, request_count: 7, ..Config::new() };

type Client = Connection<[Sent; 4]>;

/// Asks in a way that four bits choose.
fn ask(client: &mut Client, bits: u8, out: &mut [u8]) -> bool {
    let request = Request {
        method: if bits & 1 == 0 { b"GET" } else { b"CONNECT" },
        target: b"/",
        host: b"a.do",
        upgrade: if bits & 2 == 0 { b"" } else { b"x" },
        fields: b"a: b\r\n",
        body: match bits & 0b1100 {
            0b0100 => RequestBody::Length(3),
            0b1000 => RequestBody::Chunked,
            _ => RequestBody::None,
        },
        traits: Traits {
            idempotent: bits & 16 == 0,
            connect: bits & 1 != 0,
            head: bits & 32 != 0,
            blocking: bits & 64 != 0,
            reset: bits & 128 != 0,
            ..Traits::default()
        },
        headers_timeout_ms: 1_000,
        body_timeout_ms: 1_000,
    };
    client.write_request(Instant::ZERO, &request, out).is_ok()
}

/// What the server's bytes meant, and how the connection ended.
fn meaning(input: &[u8], bits: u8, cuts: &[u8]) -> Vec<u8> {
    let mut client = Connection::new(Instant::ZERO, CONFIG, [Sent::default(); 4]);
    client.set_depth(4);
    while ask(&mut client, bits & 0b1110_0011, &mut [0; 256]) {}
    let mut meaning = Vec::new();
    let (mut start, mut end) = (0, 0);
    for cut in cuts.iter().map(|cut| usize::from(*cut)).chain([input.len()]) {
        end = input.len().min(end + cut);
        while step(&mut client, &input[..end], &mut start, &mut meaning) {}
    }
    if client.error().is_none() {
        let event = client.handle_eof(Instant::ZERO);
        meaning.extend(format!("{event:?}").bytes());
    }
    meaning.extend(format!("{:?} {}", client.error(), client.unanswered()).bytes());
    meaning
}

fn add_head(meaning: &mut Vec<u8>, head: &ResponseHead<'_>) {
    meaning.extend(format!("{} {:?}", head.status, head.framing).bytes());
    meaning.extend_from_slice(head.reason);
    meaning.extend_from_slice(head.fields);
}

/// Whether there is more to do.
fn step(client: &mut Client, input: &[u8], start: &mut usize, meaning: &mut Vec<u8>) -> bool {
    client.set_window(Instant::ZERO, u64::MAX);
    let Ok(step) = client.handle_bytes(Instant::ZERO, &input[*start..]) else {
        return false;
    };
    *start += step.used;
    let happened = step.used > 0 || step.event.is_some();
    match step.event {
        Some(Event::Informational(head) | Event::Response(head) | Event::Switch(head)) => {
            add_head(meaning, &head);
        }
        Some(Event::Body(part)) => {
            assert!(!part.is_empty() && input[..*start].ends_with(part));
            meaning.extend_from_slice(part);
        }
        Some(Event::End(trailers)) => {
            meaning.push(b'.');
            meaning.extend_from_slice(trailers);
        }
        None => {}
    }
    happened
}

/// Any call at any time: refused or done, never a panic, and in the end the connection is over.
fn disorder(input: &[u8], calls: &[u8]) {
    let mut client = Connection::new(Instant::ZERO, CONFIG, [Sent::default(); 4]);
    let (mut start, mut out) = (0, [0; 256]);
    for (count, call) in calls.iter().enumerate() {
        let now = Instant::from_millis(count as u64 * 97);
        match call % 9 {
            0 => drop(ask(&mut client, call / 9, &mut out)),
            1 => drop(client.write_part(now, u64::from(call / 9), &mut out[..Part::SLOT_LEN])),
            2 => drop(client.write_end(now, &mut out)),
            3 => client.set_window(now, u64::from(*call)),
            4 => client.pause(),
            5 => client.set_depth(u32::from(call / 9)),
            6 => drop(client.handle_timeout(now)),
            7 if *call > 240 => drop(client.handle_eof(now)),
            _ => {
                let rest = &input[start..input.len().min(start + usize::from(*call))];
                if let Ok(step) = client.handle_bytes(now, rest) {
                    assert!(step.used <= rest.len());
                    start += step.used;
                }
            }
        }
    }
    client.set_window(Instant::MAX, 0);
    // Two responses may end here: that of a body, and then the end of the stream.
    for _ in 0..8 {
        let _ = client.handle_eof(Instant::MAX);
    }
    assert!(client.is_closed() || client.is_switched());
    assert!(!client.wants_read() && client.poll_timeout().is_none(), "nothing is waited for");
}

// The first byte says how many bytes of cuts and calls follow, the second what is asked; the rest
// is what the server sends.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [count, bits, rest @ ..] = data else { return };
    let (cuts, input) = rest.split_at(rest.len().min(usize::from(*count)));
    assert_eq!(meaning(input, *bits, &[]), meaning(input, *bits, cuts));
    disorder(input, cuts);
});
