//! Sending, pipelining, persistence and time. What bytes mean is in `tests/responses.rs`.

use std::string::String;
use std::vec::Vec;

use forebay_core_time::Instant;

use super::*;
use crate::error::UsageError;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

const GET: Request<'static> = Request {
    method: b"GET",
    target: b"/",
    host: b"a.do",
    upgrade: b"",
    fields: b"",
    body: RequestBody::None,
    traits: Traits {
        idempotent: true,
        blocking: false,
        reset: false,
        connect: false,
        head: false,
        streams: false,
    },
    headers_timeout_ms: 1_000,
    body_timeout_ms: 500,
};

type Client = Connection<[Sent; 3]>;

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn client(config: Config) -> Client {
    Connection::new(at(0), config, [Sent::default(); 3])
}

/// What is written for a request.
fn write(client: &mut Client, request: &Request<'_>) -> Result<String, UsageError> {
    let mut out = [0; 256];
    let len = client.write_request(at(0), request, &mut out)?;
    Ok(String::from_utf8(out[..len].to_vec()).expect("ASCII"))
}

/// Takes all of a response at one moment, and gives the body.
fn read(client: &mut Client, now: Instant, mut input: &[u8]) -> Result<Vec<u8>, ResponseError> {
    let mut body = Vec::new();
    loop {
        client.set_window(now, 100);
        let step = client.handle_bytes(now, input)?;
        input = &input[step.used..];
        match step.event {
            Some(Event::Body(part)) => body.extend_from_slice(part),
            Some(Event::End(_)) => return Ok(body),
            Some(_) => {}
            None => return Ok(body),
        }
    }
}

#[test]
fn lines_are_in_the_order_that_servers_of_undici_see() {
    let request = Request {
        method: b"POST",
        target: b"/a?b",
        fields: b"X-A: b\r\naccept: */*\r\n",
        body: RequestBody::Length(3),
        ..GET
    };
    let text = write(&mut client(Config::new()), &request).expect("a good request");
    assert_eq!(
        text,
        "POST /a?b HTTP/1.1\r\nhost: a.do\r\nconnection: keep-alive\r\nX-A: b\r\naccept: */*\r\n\
         content-length: 3\r\n\r\n"
    );
    let request = Request { upgrade: b"websocket", ..GET };
    let text = write(&mut client(Config::new()), &request).expect("a good request");
    assert_eq!(
        text,
        "GET / HTTP/1.1\r\nhost: a.do\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
}

#[test]
fn no_part_breaks_out_of_its_place() {
    for (request, error) in [
        (Request { method: b"GET /", ..GET }, UsageError::Method),
        (Request { method: b"", ..GET }, UsageError::Method),
        (Request { target: b"/ HTTP/1.1\r\nX: y", ..GET }, UsageError::Target),
        (Request { target: b"", ..GET }, UsageError::Target),
        (Request { host: b"a\r\nb: c", ..GET }, UsageError::FieldValue),
        (Request { upgrade: b"x\n", ..GET }, UsageError::FieldValue),
        (Request { fields: b"a: b\r\n\r\n", ..GET }, UsageError::FieldValue),
        (Request { fields: b"a: b", ..GET }, UsageError::FieldValue),
        (Request { fields: b"a: b\nc: d\r\n", ..GET }, UsageError::FieldValue),
        (Request { fields: b"Content-Length: 5\r\n", ..GET }, UsageError::FieldName),
        (Request { fields: b"a: b\r\nTransfer-Encoding: x\r\n", ..GET }, UsageError::FieldName),
    ] {
        let mut client = client(Config::new());
        assert_eq!(write(&mut client, &request), Err(error), "{request:?}");
        assert!(client.is_idle() && write(&mut client, &GET).is_ok(), "nothing has changed");
    }
    assert_eq!(
        client(Config::new()).write_request(at(0), &GET, &mut [0; 20]),
        Err(UsageError::NoRoom)
    );
}

#[test]
fn bodies_are_framed() {
    let mut chunked = client(Config::new());
    let request = Request { body: RequestBody::Chunked, ..GET };
    assert!(write(&mut chunked, &request).expect("good").ends_with("chunked\r\n\r\n"));
    let mut slot = [0; 20];
    let part = chunked.write_part(at(0), 26, &mut slot).expect("a part");
    assert_eq!((&slot[..part.slot_len], part.take), (&b"1a\r\n"[..], 26));
    let part = chunked.write_part(at(0), 0, &mut slot).expect("nothing");
    assert_eq!((part.slot_len, part.take), (0, 0));
    let part = chunked.write_part(at(0), 1, &mut slot).expect("a part");
    assert_eq!(&slot[..part.slot_len], b"\r\n1\r\n");
    let len = chunked.write_end(at(0), &mut slot).expect("an end");
    assert_eq!(&slot[..len], b"\r\n0\r\n\r\n");
    assert_eq!(chunked.write_part(at(0), 1, &mut slot), Err(UsageError::OutOfOrder));
}

#[test]
fn no_more_and_no_less_than_announced_is_sent() {
    let mut client = client(Config::new());
    write(&mut client, &Request { body: RequestBody::Length(3), ..GET }).expect("good");
    let mut slot = [0; 20];
    assert_eq!(client.write_part(at(0), 4, &mut slot), Err(UsageError::ContentLength));
    client.write_part(at(0), 2, &mut slot).expect("a part");
    assert_eq!(client.write_end(at(0), &mut slot), Err(UsageError::ContentLength));
    client.write_part(at(0), 1, &mut slot).expect("the rest");
    assert_eq!(client.write_end(at(0), &mut slot), Ok(0));
    assert_eq!(read(&mut client, at(0), OK).expect("a response"), b"hi");
    assert!(client.is_idle());
}

#[test]
fn what_may_not_be_pipelined_waits() {
    let mut client = client(Config::new());
    client.set_depth(2);
    assert!(client.can_send(&GET));
    write(&mut client, &GET).expect("the first");
    let alone = [
        Request { traits: Traits { idempotent: false, ..GET.traits }, ..GET },
        Request { traits: Traits { streams: true, ..GET.traits }, ..GET },
        Request { traits: Traits { connect: true, ..GET.traits }, ..GET },
        Request { upgrade: b"x", ..GET },
    ];
    assert!(alone.iter().all(|request| !client.can_send(request)));
    write(&mut client, &GET).expect("the second");
    assert!(!client.can_send(&GET), "depth 2");
    assert_eq!(write(&mut client, &GET), Err(UsageError::OutOfOrder));
    client.set_depth(100);
    write(&mut client, &GET).expect("the third");
    assert!(!client.can_send(&GET), "the storage has room for three");
    for _ in 0..3 {
        read(&mut client, at(0), OK).expect("a response");
    }
    assert!(client.is_idle() && alone.iter().all(|request| client.can_send(request)));
}

#[test]
fn a_blocking_request_holds_back_the_next_until_its_head() {
    let mut client = client(Config::new());
    client.set_depth(3);
    let blocking = Request { traits: Traits { blocking: true, ..GET.traits }, ..GET };
    write(&mut client, &GET).expect("the first");
    write(&mut client, &blocking).expect("the second");
    assert!(!client.can_send(&GET));
    read(&mut client, at(0), OK).expect("a response");
    assert!(!client.can_send(&GET), "not its head");
    let head = &OK[..OK.len() - 2];
    assert!(client.handle_bytes(at(0), head).expect("a head").event.is_some());
    assert!(client.can_send(&GET));
}

#[test]
fn the_last_request_says_so() {
    let close = "connection: close\r\n";
    let reset = Request { traits: Traits { reset: true, ..GET.traits }, ..GET };
    let mut once = client(Config::new());
    once.set_depth(3);
    assert!(write(&mut once, &reset).expect("good").contains(close));
    assert!(!once.can_send(&GET), "nothing follows it");
    read(&mut once, at(0), OK).expect("a response");
    assert!(once.is_closed());

    let mut counted = client(Config { request_count: 2, ..Config::new() });
    assert!(!write(&mut counted, &GET).expect("good").contains(close));
    read(&mut counted, at(0), OK).expect("a response");
    assert!(write(&mut counted, &GET).expect("good").contains(close));
    read(&mut counted, at(0), OK).expect("a response");
    assert!(counted.is_closed());

    let mut alone = client(Config::new());
    alone.set_depth(0);
    assert!(write(&mut alone, &GET).expect("good").contains(close));
}

#[test]
fn a_response_before_the_end_of_the_request_ends_the_connection() {
    let mut client = client(Config::new());
    write(&mut client, &Request { body: RequestBody::Chunked, ..GET }).expect("good");
    read(&mut client, at(0), OK).expect("a response");
    assert!(client.is_closed() && !client.is_sending());
}

#[test]
fn time_runs_for_what_is_awaited() {
    let mut client = client(Config::new());
    assert_eq!(client.poll_timeout(), Some(at(4_000)), "idle");
    write(&mut client, &Request { body: RequestBody::Length(1), ..GET }).expect("good");
    assert_eq!(client.poll_timeout(), Some(at(1_000)), "head");
    client.write_part(at(300), 1, &mut [0; 20]).expect("a part");
    client.write_end(at(400), &mut [0; 20]).expect("the end");
    assert_eq!(client.poll_timeout(), Some(at(1_400)), "progress");
    let early = b"HTTP/1.1 103 E\r\n\r\n";
    client.handle_bytes(at(500), early).expect("informational");
    assert_eq!(client.poll_timeout(), Some(at(1_500)), "informational");
    let head = &OK[..OK.len() - 2];
    client.handle_bytes(at(600), head).expect("a head");
    assert_eq!(client.poll_timeout(), None, "nobody wants the body");
    client.set_window(at(700), 1);
    assert_eq!(client.poll_timeout(), Some(at(1_200)), "body");
    assert_eq!(client.handle_timeout(at(1_199)), Ok(()), "early");
    let step = client.handle_bytes(at(800), b"hi").expect("a byte");
    assert_eq!((step.used, step.event), (1, Some(Event::Body(b"h"))));
    assert_eq!((client.poll_timeout(), client.wants_read()), (None, false), "paused");
    client.pause();
    assert_eq!(client.handle_bytes(at(850), b"i"), Ok(Step { used: 0, event: None }));
    client.set_window(at(900), 9);
    assert_eq!(client.handle_timeout(at(1_400)), Err(ResponseError::BodyTimeout));
    assert!(client.is_closed());
    assert_eq!(client.handle_bytes(at(1_500), b"i"), Err(ResponseError::BodyTimeout), "again");
}

#[test]
fn idle_time_follows_the_hint() {
    for (seconds, idle) in [("3", Some(1_000)), ("2", None), ("9999", Some(600_000))] {
        let mut client = client(Config::new());
        write(&mut client, &GET).expect("good");
        let text = std::format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout={seconds}\r\n\r\n"
        );
        read(&mut client, at(0), text.as_bytes()).expect("a response");
        assert_eq!(client.poll_timeout(), idle.map(at), "{seconds}");
        assert_eq!(client.is_closed(), idle.is_none());
    }
}

#[test]
fn the_next_response_has_its_own_time() {
    let mut client = client(Config::new());
    client.set_depth(2);
    write(&mut client, &GET).expect("the first");
    write(&mut client, &Request { headers_timeout_ms: 70, ..GET }).expect("the second");
    assert_eq!(client.poll_timeout(), Some(at(1_000)));
    read(&mut client, at(900), OK).expect("a response");
    assert_eq!(client.poll_timeout(), Some(at(970)));
    assert_eq!(client.handle_timeout(at(970)), Err(ResponseError::HeadTimeout));
    assert_eq!(client.unanswered(), 1);
}
