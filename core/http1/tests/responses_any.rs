//! Properties of a client: cuts change nothing, no bytes panic, a window bounds what is delivered.

mod client;

use client::{Asked, replay};
use forebay_core_http1::client::{Config, Connection, Event, Request, RequestBody, Sent, Traits};
use forebay_core_time::Instant;
use forebay_tests::chopper::Chopper;
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces of responses, good and bad, that meet each other in any order.
const PIECES: [&str; 38] = [
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200\r\n",
    "HTTP/1.1 103 Early Hints\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 304 \r\n",
    "HTTP/1.2 200 OK\r\n",
    "HTTP/",
    "1.1 ",
    "200",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    " ",
    "\t",
    ":",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n\r\n",
    "content-length: x\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Keep-Alive: timeout=1\r\n",
    "Keep-Alive: timeout=5\r\n",
    "X-A: b\r\n",
    "X-A:\t\u{e9} \r\n",
    " folded\r\n",
    "5\r\nhello\r\n",
    "5;a=b\r\n",
    "hello",
    "0\r\n\r\n",
    "0\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "\0",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn asked() -> impl Strategy<Value = Asked> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 0..4usize, prop_oneof![Just(0), 1..9u64])
        .prop_map(|(head, connect, upgrade, count, body_len)| Asked {
            head,
            connect: connect && count == 1,
            upgrade: upgrade && count == 1,
            count,
            body_len,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// The meaning does not depend on how the bytes were cut.
    #[test]
    fn cuts_change_nothing(asked in asked(), input in bytes(), seed in any::<u64>()) {
        let whole = replay(asked, [input.as_slice()].into_iter());
        prop_assert_eq!(&replay(asked, input.chunks(1)), &whole);
        prop_assert_eq!(&replay(asked, Chopper::new(seed).pieces(&input)), &whole);
    }

    /// No bytes at all can panic, nor claim bytes that are not there.
    #[test]
    fn random_bytes_do_no_harm(asked in asked(), input in vec(any::<u8>(), 0..200)) {
        let _ = replay(asked, [input.as_slice()].into_iter());
    }

    /// No more of a body is delivered than the window allows, and nothing is lost by waiting.
    #[test]
    fn a_window_bounds_what_is_delivered(
        body in vec(any::<u8>(), 1..400),
        windows in vec(0..30u64, 1..80),
        chunked in any::<bool>(),
    ) {
        let now = Instant::ZERO;
        let mut connection = Connection::new(now, Config::new(), [Sent::default(); 1]);
        let request = Request {
            method: b"GET", target: b"/", host: b"a", upgrade: b"", fields: b"",
            body: RequestBody::None, traits: Traits::default(),
            headers_timeout_ms: 0, body_timeout_ms: 0,
        };
        connection.write_request(now, &request, &mut [0; 99]).expect("a good request");
        let mut input = if chunked {
            let mut input = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in body.chunks(17) {
                input.extend(format!("{:x}\r\n", part.len()).into_bytes());
                input.extend_from_slice(part);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"0\r\n\r\n");
            input
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            [head.into_bytes(), body.clone()].concat()
        };
        let mut delivered = Vec::new();
        let mut windows = windows.into_iter().chain(core::iter::repeat(30));
        while !connection.is_idle() {
            let step = connection.handle_bytes(now, &input).expect("a good response");
            let (used, waits) = (step.used, step.used == 0 && step.event.is_none());
            if let Some(Event::Body(part)) = step.event {
                delivered.extend_from_slice(part);
            }
            input.drain(..used);
            if waits {
                prop_assert!(!connection.wants_read());
                let window = windows.next().expect("endless");
                let before = delivered.len();
                connection.set_window(now, window);
                while let Ok(step) = connection.handle_bytes(now, &input) {
                    let Some(Event::Body(part)) = step.event else {
                        let used = step.used;
                        input.drain(..used);
                        break;
                    };
                    delivered.extend_from_slice(part);
                    let used = step.used;
                    input.drain(..used);
                }
                prop_assert!((delivered.len() - before) as u64 <= window);
            }
        }
        prop_assert_eq!(delivered, body);
    }
}
