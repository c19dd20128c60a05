use std::string::String;
use std::vec::Vec;

use core::time::Duration;

use super::*;
use crate::{Form, Framing, Part, ResponseHead, Template, UsageError};

const DATE: &[u8; 29] = b"Sat, 21 Nov 2026 04:00:00 GMT";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.do\r\n\r\n";

type Pair = (&'static [u8], &'static [u8]);

fn at(ms: u64) -> Instant {
    Instant::ZERO.saturating_add(Duration::from_millis(ms))
}

fn connection() -> Connection {
    Connection::new(at(0), Config::new())
}

/// Offers bytes at 0 ms; `inspect` sees the event.
fn offer<R>(
    connection: &mut Connection,
    input: &[u8],
    inspect: impl FnOnce(Option<Event<'_, '_>>) -> R,
) -> (usize, R) {
    let mut slots = [const { crate::FieldSlot::uninit() }; 96];
    let step = connection.handle_bytes(at(0), input, &mut slots).expect("good bytes");
    (step.used, inspect(step.event))
}

fn request(input: &[u8]) -> Connection {
    let mut connection = connection();
    offer(&mut connection, input, |event| assert!(matches!(event, Some(Event::Request(_)))));
    connection
}

fn head(
    status: u16,
    length: Option<u64>,
    fields: &[Pair],
) -> ResponseHead<'_, impl Iterator<Item = (&[u8], &[u8])> + Clone> {
    ResponseHead { status, length, date: DATE, fields: fields.iter().copied() }
}

/// What a whole answer looks like on the wire.
fn answer(
    connection: &mut Connection,
    status: u16,
    length: Option<u64>,
    fields: &[Pair],
    parts: &[&[u8]],
) -> String {
    let mut out = [0; 1_024];
    let len = connection.write_head(&head(status, length, fields), &mut out).expect("a good head");
    let mut bytes = Vec::from(&out[..len]);
    for part in parts {
        let written =
            connection.write_part(part.len() as u64, &mut out).expect("a head went before");
        bytes.extend_from_slice(&out[..written.slot_len]);
        bytes.extend_from_slice(&part[..written.take as usize]);
    }
    let trailers: [Pair; 2] = [(b"X-Sum", b"1"), (b"Content-Length", b"9")];
    let len = connection.write_end(trailers.into_iter(), &mut out).expect("a head went before");
    bytes.extend_from_slice(&out[..len]);
    String::from_utf8(bytes).expect("an answer of ASCII")
}

#[test]
fn a_head_is_delivered_with_its_parts() {
    // The borrowed view of a request: what is passed on, and what ends here (RFC 9110 7.6.1).
    let input = b"POST http://A.do:80/p?q HTTP/1.1\r\nHost: b.do\r\nX-A: 1\r\nconnection: x-b, keep-alive\r\n\
        X-B: 2\r\nTE: trailers\r\nContent-Length: 3\r\nExpect: 100-Continue\r\nX-A: 3\r\n\r\n";
    let (used, ()) = offer(&mut connection(), input, |event| {
        let Some(Event::Request(head)) = event else { panic!("{event:?}") };
        assert_eq!((head.method(), head.target().form()), ("POST", Form::Absolute));
        assert_eq!((head.target().path(), head.target().query()), ("/p", Some("q")));
        assert_eq!(head.authority(), Some(b"A.do:80".as_slice()));
        assert_eq!(head.facts().framing(), Framing::Length(3));
        assert!(head.facts().expects_continue() && head.facts().keep_alive());
        let forwarded: Vec<_> = head.forwarded_fields().collect();
        let expected: [(&[u8], &[u8]); 4] =
            [(b"Host", b"A.do:80"), (b"X-A", b"1"), (b"Content-Length", b"3"), (b"X-A", b"3")];
        assert_eq!(forwarded, expected);
        assert_eq!(head.fields().len(), 8);
    });
    assert_eq!(used, input.len());
}

#[test]
fn framing_follows_version_method_and_status() {
    let get10 = b"GET / HTTP/1.0\r\n\r\n";
    let keep10 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let head = b"HEAD / HTTP/1.1\r\nHost: a.do\r\n\r\n";
    let date = "Date: Sat, 21 Nov 2026 04:00:00 GMT\r\n";
    let parts: [&[u8]; 3] = [b"ab", b"", b"cde"];
    let cases: [(&[u8], u16, Option<u64>, &str); 8] = [
        (GET, 200, Some(5), "Content-Length: 5\r\n\r\nabcde"),
        (
            GET,
            200,
            None,
            "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        (GET, 204, None, "\r\n"),
        (GET, 304, Some(5), "\r\n"),
        (head, 200, None, "\r\n"),
        (get10, 200, None, "Connection: close\r\n\r\nabcde"),
        (get10, 200, Some(5), "Content-Length: 5\r\nConnection: close\r\n\r\nabcde"),
        (keep10, 200, Some(5), "Content-Length: 5\r\nConnection: keep-alive\r\n\r\nabcde"),
    ];
    for (input, status, length, expected) in cases {
        let text = answer(&mut request(input), status, length, &[], &parts);
        let line = std::format!("HTTP/1.1 {status} {}\r\n", crate::response::reason(status));
        assert_eq!(text, line + date + expected);
    }
}

#[test]
fn a_response_keeps_its_fields_but_those_of_the_hop() {
    let fields: [Pair; 8] = [
        (b"Date", b"now"),
        (b"Connection", b"x-a"),
        (b"X-A", b"1"),
        (b"X-B", b"\xFF\t"),
        (b"Transfer-Encoding", b"gzip"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Content-Length", b"02"),
        (b"Keep-Alive", b"1"),
    ];
    let mut connection = request(GET);
    let mut out = [0; 256];
    let len = connection.write_head(&head(200, None, &fields), &mut out).expect("a good head");
    assert_eq!(
        &out[..len],
        b"HTTP/1.1 200 OK\r\nDate: now\r\nX-B: \xFF\t\r\nContent-Length: 02\r\n\r\n"
    );
    // What exceeds the announced length is cut, and the connection is not used again.
    assert_eq!(connection.write_part(3, &mut out), Ok(Part { slot_len: 0, take: 2 }));
    assert_eq!(connection.write_end([].into_iter(), &mut out), Ok(0));
    assert_eq!(connection.handle_written(at(0)), After::Linger);
}

#[test]
fn what_may_not_be_sent_is_refused_and_nothing_changes() {
    let mut out = [0; 256];
    let mut connection = request(GET);
    let bad: [(u16, Pair, UsageError); 9] = [
        (100, (b"A", b""), UsageError::Status),
        (600, (b"A", b""), UsageError::Status),
        (200, (b"", b""), UsageError::FieldName),
        (200, (b"A B", b""), UsageError::FieldName),
        (200, (b"A:", b""), UsageError::FieldName),
        (200, (b"A", b"b\r\nC: d"), UsageError::FieldValue),
        (200, (b"A", b"\0"), UsageError::FieldValue),
        (200, (b"Content-Length", b"+1"), UsageError::ContentLength),
        (200, (b"Content-Length", b"1, 1"), UsageError::ContentLength),
    ];
    for (status, field, error) in bad {
        assert_eq!(connection.write_head(&head(status, None, &[field]), &mut out), Err(error));
    }
    let twice: [Pair; 2] = [(b"Content-Length", b"1"), (b"content-length", b"1")];
    assert_eq!(
        connection.write_head(&head(200, None, &twice), &mut out),
        Err(UsageError::ContentLength)
    );
    let many = [(b"A".as_slice(), b"".as_slice()); 97];
    assert_eq!(connection.write_head(&head(200, None, &many), &mut out), Err(UsageError::Fields));
    assert_eq!(
        connection.write_head(&head(200, None, &[]), &mut out[..40]),
        Err(UsageError::NoRoom)
    );
    assert_eq!(connection.write_part(1, &mut out), Err(UsageError::OutOfOrder));
    assert_eq!(
        connection.write_informational(102, [].into_iter(), &mut out),
        Err(UsageError::Status)
    );
    assert_eq!(connection.write_refusal(DATE, &mut out), Err(UsageError::OutOfOrder));
    assert!(connection.write_head(&head(200, None, &[]), &mut out).is_ok());
    assert_eq!(connection.write_head(&head(200, None, &[]), &mut out), Err(UsageError::OutOfOrder));
    let trailer: Pair = (b"A", b"\r");
    assert_eq!(connection.write_end([trailer].into_iter(), &mut out), Err(UsageError::FieldValue));
}

#[test]
fn a_body_shorter_than_announced_breaks_the_connection() {
    let mut connection = request(GET);
    let mut out = [0; 256];
    connection.write_head(&head(200, Some(5), &[]), &mut out).expect("a good head");
    connection.write_part(4, &mut out).expect("a part");
    assert_eq!(connection.write_end([].into_iter(), &mut out), Ok(0));
    assert_eq!(connection.handle_written(at(0)), After::Close);
}

#[test]
fn body_bytes_come_only_as_far_as_granted() {
    let mut connection = request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nContent-Length: 5\r\n\r\n");
    assert!(!connection.wants_read());
    assert_eq!(offer(&mut connection, b"hello", |event| event.is_none()), (0, true));
    connection.grant_body(at(0), 2);
    assert!(connection.wants_read());
    let part = |event: Option<Event<'_, '_>>| match event {
        Some(Event::Body(part)) => String::from_utf8_lossy(part).into_owned(),
        other => std::format!("{other:?}"),
    };
    assert_eq!(offer(&mut connection, b"hello", part), (2, "he".into()));
    assert_eq!(connection.poll_timeout(), None, "nobody waits for bytes that are not wanted");
    connection.grant_body(at(0), 9);
    assert!(!connection.request_is_complete());
    assert_eq!(offer(&mut connection, b"lloGET", part), (3, "llo".into()));
    assert!(connection.request_is_complete());
    assert_eq!(offer(&mut connection, b"GET", part), (0, "Some(RequestEnd)".into()));
    assert_eq!(offer(&mut connection, b"GET", part), (0, "None".into()));
}

#[test]
fn the_end_of_chunks_needs_no_grant() {
    let mut connection =
        request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.grant_body(at(0), 5);
    assert_eq!(offer(&mut connection, b"5\r\nhello", |_| ()).0, 8);
    assert!(connection.wants_read());
    let trailers = |event: Option<Event<'_, '_>>| match event {
        Some(Event::Trailers(trailers)) => trailers.map(|(name, _)| String::from(name)).collect(),
        other => Vec::from([std::format!("{other:?}")]),
    };
    let end = b"\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\n";
    assert_eq!(offer(&mut connection, end, trailers), (end.len(), Vec::from(["X-Sum".into()])));
    assert_eq!(offer(&mut connection, b"", trailers), (0, Vec::from(["Some(RequestEnd)".into()])));
}

const WAITING: &[u8] =
    b"PUT / HTTP/1.1\r\nHost: a.do\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";

#[test]
fn a_hundred_is_due_when_the_body_is_asked_for() {
    let mut out = [0; 256];
    let mut connection = request(WAITING);
    assert_eq!(connection.write_continue(&mut out), Ok(0));
    connection.grant_body(at(0), 5);
    assert!(connection.continue_is_due());
    assert_eq!(connection.write_continue(&mut out), Ok(25));
    assert_eq!(&out[..25], b"HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(connection.write_continue(&mut out), Ok(0));
    // Not if the body is already arriving.
    let mut connection = request(&[WAITING, b"h"].concat());
    connection.grant_body(at(0), 5);
    assert!(!connection.continue_is_due());
}

#[test]
fn a_body_that_waits_for_a_hundred_is_given_up_with_the_answer() {
    let mut connection = request(WAITING);
    let text = answer(&mut connection, 200, Some(0), &[], &[]);
    assert!(text.contains("Connection: close"), "{text}");
    assert_eq!(connection.handle_written(at(0)), After::Linger);
}

fn template() -> Template {
    let mut template = Template::new(404, &[("Content-Type", "text/plain")]).expect("a good head");
    template.set_date(DATE);
    template
}

#[test]
fn a_prepared_answer_is_a_whole_one() {
    let mut out = [0; 512];
    let mut connection = request(GET);
    let len = connection.write_answer(&template(), b"no", &mut out).expect("it is owed");
    let text = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n\
        Content-Length: 2\r\n\r\nno";
    assert_eq!(&out[..len], text.as_bytes());
    assert_eq!(connection.handle_written(at(7)), After::Open);
    assert_eq!(connection.poll_timeout(), Some(at(60_007)));
    offer(&mut connection, b"HEAD / HTTP/1.1\r\nHost: a.do\r\n\r\n", |_| ());
    let len = connection.write_answer(&template(), b"no", &mut out).expect("it is owed");
    assert_eq!(&out[..len], text.strip_suffix("no").expect("the body").as_bytes());
    assert_eq!(Template::new(204, &[]).err(), Some(UsageError::Status));
    assert_eq!(Template::new(200, &[("Connection", "x")]).err(), Some(UsageError::FieldName));
    assert_eq!(Template::new(200, &[("A", "\n")]).err(), Some(UsageError::FieldValue));
    assert_eq!(Template::new(200, &[("A", &"b".repeat(200))]).err(), Some(UsageError::NoRoom));
}

#[test]
fn an_unwanted_body_is_dropped_if_it_is_short() {
    let mut out = [0; 512];
    let mut connection = request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nContent-Length: 65536\r\n\r\n");
    connection.write_answer(&template(), b"no", &mut out).expect("it is owed");
    assert!(!String::from_utf8_lossy(&out).contains("Connection: close"));
    assert_eq!(connection.handle_written(at(0)), After::Open);
    let body = std::vec![0; 65_536];
    assert_eq!(offer(&mut connection, &body[..9], |event| event.is_none()), (9, true));
    assert_eq!(
        offer(&mut connection, &[&body[9..], GET].concat(), |event| event.is_none()),
        (65_527, true)
    );
    assert!(connection.poll_timeout().is_some(), "idle again");
    offer(&mut connection, GET, |event| assert!(matches!(event, Some(Event::Request(_)))));
    // With one byte more, of unknown length, or withheld, the connection ends.
    let longer = b"PUT / HTTP/1.1\r\nHost: a.do\r\nContent-Length: 65537\r\n\r\n".as_slice();
    let unknown = b"PUT / HTTP/1.1\r\nHost: a.do\r\nTransfer-Encoding: chunked\r\n\r\n";
    for input in [longer, unknown, WAITING] {
        let mut connection = request(input);
        let len = connection.write_answer(&template(), b"no", &mut out).expect("it is owed");
        assert!(String::from_utf8_lossy(&out[..len]).contains("Connection: close"));
        assert_eq!(connection.handle_written(at(0)), After::Linger);
    }
}

#[test]
fn lingering_ends_after_a_second_or_64_kib_or_with_the_stream() {
    let end = |act: fn(&mut Connection)| {
        let mut connection = request(WAITING);
        answer(&mut connection, 200, Some(0), &[], &[]);
        assert_eq!(connection.handle_written(at(0)), After::Linger);
        connection.handle_shutdown(at(5));
        assert_eq!(connection.poll_timeout(), Some(at(1_005)));
        assert!(!connection.is_closed() && connection.wants_read());
        act(&mut connection);
        connection.is_closed()
    };
    assert!(end(|connection| connection.handle_timeout(at(1_005)).expect("nobody waits")));
    assert!(!end(|connection| connection.handle_timeout(at(1_004)).expect("early")));
    assert!(end(|connection| offer(connection, &[0; 65_536], |_| ()).1));
    assert!(!end(|connection| offer(connection, &[0; 65_535], |_| ()).1));
    assert!(end(|connection| {
        connection.handle_eof(at(6));
        offer(connection, b"", |_| ());
    }));
}

#[test]
fn the_same_head_needs_no_parser() {
    let mut first = connection();
    let input = [GET, b"GET"].concat();
    let (used, facts) = offer(&mut first, &input, |event| match event {
        Some(Event::Request(head)) => *head.facts(),
        other => panic!("{other:?}"),
    });
    let mut second = connection();
    assert_eq!(second.handle_same_head(at(0), &input[..used - 1], &input[..used], &facts), None);
    assert_eq!(second.handle_same_head(at(0), &input, &input[..used], &facts), Some(used));
    assert_eq!(
        answer(&mut second, 200, Some(0), &[], &[]),
        answer(&mut first, 200, Some(0), &[], &[])
    );
    // Not in the middle of a head.
    offer(&mut second, b"G", |_| ());
    assert_eq!(second.handle_same_head(at(0), &input, &input[..used], &facts), None);
}

#[test]
fn after_a_half_close_the_answer_must_begin_in_time() {
    let mut connection = request(GET);
    connection.handle_eof(at(10));
    assert_eq!(connection.poll_timeout(), Some(at(260)));
    assert_eq!(connection.handle_timeout(at(260)), Err(PeerError::ClientGone));
    assert!(connection.is_closed() && !connection.owes_refusal());
    assert_eq!(connection.handle_written(at(260)), After::Close);
    // An answer that has begun settles it.
    let mut connection = request(GET);
    connection.handle_eof(at(10));
    let mut out = [0; 256];
    connection.write_head(&head(200, Some(0), &[]), &mut out).expect("a good head");
    assert_eq!(connection.poll_timeout(), None);
    connection.write_end([].into_iter(), &mut out).expect("the end");
    assert_eq!(connection.handle_written(at(20)), After::Open);
    offer(&mut connection, b"", |event| assert!(event.is_none()));
    assert!(connection.is_closed());
    // Without grace the call is given up at once, with endless grace never.
    for (grace, deadline) in [(0, Some(at(10))), (u32::MAX, None)] {
        let config = Config { half_close_grace_ms: grace, ..Config::new() };
        let mut connection = Connection::new(at(0), config);
        offer(&mut connection, GET, |_| ());
        connection.handle_eof(at(10));
        assert_eq!(connection.poll_timeout(), deadline);
    }
}

#[test]
fn timeouts_are_answered_where_they_can_be() {
    let mut out = [0; 512];
    let mut idle = connection();
    assert_eq!(idle.handle_timeout(at(59_999)), Ok(()));
    assert_eq!(idle.handle_timeout(at(60_000)), Err(PeerError::IdleTimeout));
    assert!(idle.is_closed());
    let mut begun = connection();
    offer(&mut begun, b"GET", |_| ());
    offer(&mut begun, b"GET /", |_| ());
    assert_eq!(begun.handle_timeout(at(10_000)), Err(PeerError::HeadTimeout));
    let len = begun.write_refusal(DATE, &mut out).expect("it is owed");
    let text = "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\n\
        Date: Sat, 21 Nov 2026 04:00:00 GMT\r\nContent-Length: 42\r\nConnection: close\r\n\r\n\
        {\"error\":\"Request Timeout\",\"message\":\"K7\"}";
    assert_eq!(&out[..len], text.as_bytes());
    assert_eq!(begun.handle_written(at(10_000)), After::Linger);
    let mut paused = request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nContent-Length: 5\r\n\r\n");
    paused.grant_body(at(5), 5);
    assert_eq!(paused.poll_timeout(), Some(at(30_005)));
    paused.write_head(&head(200, None, &[]), &mut out).expect("a good head");
    assert_eq!(paused.handle_timeout(at(30_005)), Err(PeerError::BodyTimeout));
    assert!(!paused.owes_refusal(), "the head is out");
    assert_eq!(paused.handle_written(at(30_005)), After::Close);
}

#[test]
fn an_error_is_repeated() {
    let mut connection = connection();
    let mut slots = [const { crate::FieldSlot::uninit() }; 96];
    for _ in 0..2 {
        let error = connection.handle_bytes(at(0), b" GET", &mut slots).expect_err("a bad line");
        assert_eq!(error, PeerError::RequestLine);
    }
    assert!(!connection.wants_read() && connection.owes_refusal());
}

#[test]
fn every_refusal_fits_its_bound() {
    // The longest: reason phrase and rule of every status there is.
    for (error, input) in [
        (PeerError::FieldLength, [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; 20_000]].concat()),
        (PeerError::VersionUnsupported, b"GET / HTTP/3.0\r\n".to_vec()),
    ] {
        let mut connection = connection();
        let mut slots = [const { crate::FieldSlot::uninit() }; 96];
        let result = connection.handle_bytes(at(0), &input, &mut slots);
        assert_eq!(result.expect_err("a bad head"), error);
        let mut out = [0; Connection::REFUSAL_LEN_MAX];
        assert!(connection.write_refusal(DATE, &mut out).is_ok());
    }
}

#[test]
fn an_early_hint_goes_before_the_head() {
    let mut out = [0; 256];
    let link: Pair = (b"Link", b"</a.css>");
    let mut connection = request(GET);
    let len = connection.write_informational(103, [link].into_iter(), &mut out).expect("a hint");
    assert_eq!(&out[..len], b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    assert!(connection.owes_head());
    let mut old = request(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.write_informational(103, [link].into_iter(), &mut out), Ok(0));
}

#[test]
fn a_connection_is_handed_over_only_after_101() {
    let upgrade =
        b"GET /ws HTTP/1.1\r\nHost: a.do\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let input = [upgrade.as_slice(), b"\x81\x00"].concat();
    let mut connection = connection();
    let (used, offered) = offer(&mut connection, &input, |event| match event {
        Some(Event::Request(head)) => head.upgrade() == Some(b"websocket"),
        other => panic!("{other:?}"),
    });
    assert!(offered);
    assert_eq!(offer(&mut connection, &input[used..], |_| ()).0, 0, "not before 101");
    let mut out = [0; 256];
    let len =
        connection.write_switch(b"websocket", [].into_iter(), &mut out).expect("it was offered");
    assert_eq!(
        &out[..len],
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    assert_eq!(connection.handle_written(at(0)), After::Switched);
    assert_eq!(offer(&mut connection, &input[used..], |_| ()).0, 0, "theirs now");
    // A request with a body is refused an upgrade; so is one that asks for none.
    let with_body = b"PUT /ws HTTP/1.1\r\nHost: a.do\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n";
    for input in [with_body.as_slice(), GET] {
        let mut connection = request(input);
        let result = connection.write_switch(b"websocket", [].into_iter(), &mut out);
        assert_eq!(result, Err(UsageError::Upgrade));
    }
}

#[test]
fn an_aborted_answer_closes() {
    let mut connection = request(GET);
    connection.abort_response();
    assert_eq!(connection.handle_written(at(0)), After::Close);
    assert!(!connection.wants_read());
}

#[test]
fn a_body_error_after_the_head_is_not_answered() {
    let mut connection =
        request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.grant_body(at(0), 9);
    let mut out = [0; 256];
    connection.write_head(&head(200, None, &[]), &mut out).expect("a good head");
    let mut slots = [const { crate::FieldSlot::uninit() }; 1];
    let error = connection.handle_bytes(at(0), b"x", &mut slots).expect_err("not a size");
    assert_eq!(error, PeerError::ChunkSize);
    assert!(!connection.owes_refusal());
    assert_eq!(connection.handle_written(at(0)), After::Close);
}

#[test]
fn a_request_that_was_read_whole_can_still_be_refused() {
    let mut connection = request(GET);
    connection.refuse(PeerError::Target);
    assert!(connection.owes_refusal());
    let mut out = [0; 256];
    let len = connection.write_refusal(DATE, &mut out).expect("it is owed");
    assert!(out[..len].ends_with(br#"{"error":"Bad Request","message":"T1"}"#));
    assert_eq!(connection.handle_written(at(0)), After::Linger);
}

#[test]
fn the_search_for_a_head_begins_anew_behind_trailers() {
    // What was searched of a trailer section once counted as searched of the next head.
    let mut connection =
        request(b"PUT / HTTP/1.1\r\nHost: a.do\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.grant_body(at(0), 9);
    offer(&mut connection, b"0\r\nX-Sum: 1\r\n\r\n", |_| ());
    answer(&mut connection, 200, Some(0), &[], &[]);
    let mut slots = [const { crate::FieldSlot::uninit() }; 1];
    let result = connection.handle_bytes(at(0), b"GET / HTTP/1.1\nHost: a.do\r\n\r\n", &mut slots);
    assert_eq!(result.expect_err("a bare line feed"), PeerError::LineEnd);
}

/// RFC 9110 section 9.3.2: no body follows, or the client would take it for the next answer.
#[test]
fn a_refused_head_request_has_no_body() {
    let mut slots = [const { crate::FieldSlot::uninit() }; 96];
    let mut out = [0; Connection::REFUSAL_LEN_MAX];
    let mut refused = |connection: &mut Connection, input: &[u8], cut: usize| {
        // An error at the cut is the one that comes again.
        let _first = connection.handle_bytes(at(0), &input[..cut], &mut slots).is_err();
        connection.handle_bytes(at(0), input, &mut slots).expect_err("a bad head");
        let len = connection.write_refusal(DATE, &mut out).expect("it is owed");
        !out[..len].ends_with(b"\r\n\r\n")
    };
    let fields =
        ["Host : a.do\r\n\r\n", "A: b\r\n\r\n", "Host: a.do\n\r\n", "Host: a.do\r\nB: \0\r\n\r\n"];
    for field in fields {
        for (line, has_body) in [
            ("HEAD / HTTP/1.1\r\n", false),
            ("\r\nHEAD / HTTP/1.1\r\n", false),
            // More empty lines than are permitted: what follows is not looked at.
            ("\r\n\r\n\r\nHEAD / HTTP/1.1\r\n", true),
            ("HEADS / HTTP/1.1\r\n", true),
            ("GET / HTTP/1.1\r\n", true),
        ] {
            let input = [line, field].concat();
            for cut in 0..input.len() {
                let mut fresh = connection();
                let found = refused(&mut fresh, input.as_bytes(), cut);
                assert_eq!(found, has_body, "{input:?} cut at {cut}");
            }
            // What came before says nothing about it.
            let mut used = request(b"HEAD / HTTP/1.1\r\nHost: a.do\r\n\r\n");
            answer(&mut used, 200, Some(0), &[], &[]);
            assert_eq!(used.handle_written(at(0)), After::Open);
            assert_eq!(refused(&mut used, input.as_bytes(), 0), has_body, "{input:?}");
        }
    }
    let mut begun = connection();
    offer(&mut begun, b"HEAD / HT", |_| ());
    assert_eq!(begun.handle_timeout(at(10_000)), Err(PeerError::HeadTimeout));
    let len = begun.write_refusal(DATE, &mut out).expect("it is owed");
    assert!(out[..len].ends_with(b"\r\n\r\n"));
}
