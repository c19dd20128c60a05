//! The client side of HTTP/1.1: requests out, responses in, bodies both ways.

use forebay_core_http1::Part;
use forebay_core_http1::client::{Config, Connection, Event, Request, RequestBody, Sent, Traits};
use forebay_core_time::Instant;
use forebay_tests::allocator::{Counts, count};

const RESPONSES: [&[u8]; 3] = [
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\nKeep-Alive: timeout=9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n",
];

#[test]
fn requests_and_responses_travel_without_allocating() {
    let now = Instant::from_millis(1);
    let mut connection = Connection::new(now, Config::new(), [Sent::default(); 2]);
    let request = Request {
        method: b"POST",
        target: b"/",
        host: b"a.do",
        upgrade: b"",
        fields: b"accept: */*\r\n",
        body: RequestBody::Chunked,
        traits: Traits::default(),
        headers_timeout_ms: 1_000,
        body_timeout_ms: 1_000,
    };
    let mut out = [0; 256];
    let (mut ends, mut bytes) = (0, 0);
    let ((), counts) = count(|| {
        for response in RESPONSES.into_iter().cycle().take(3_000) {
            connection.write_request(now, &request, &mut out).expect("an idle connection");
            connection.write_part(now, 3, &mut out[..Part::SLOT_LEN]).expect("a part");
            connection.write_end(now, &mut out).expect("an end");
            let mut rest = response;
            while !connection.is_idle() {
                connection.set_window(now, 3);
                let step = connection.handle_bytes(now, rest).expect("a good response");
                rest = &rest[step.used..];
                match step.event {
                    Some(Event::Body(part)) => bytes += part.len(),
                    Some(Event::End(_)) => ends += 1,
                    Some(_) | None => {}
                }
            }
        }
    });
    assert_eq!((ends, bytes), (3_000, 10_000));
    assert_eq!(counts, Counts::default());
}
