//! HTTP calls as a gateway sends them.

use forebay_core_procwire::ResponseKind;
use forebay_core_procwire::msgpack::{Reader, Token, Writer};
use forebay_tests::parent::Parent;

use crate::{message, on_each_runtime, until_room};

/// A call message without its body member's value.
fn call(method: &str, path: &str, window: u64) -> Vec<u8> {
    let mut memory = [0; 1024];
    let mut writer = Writer::new(&mut memory);
    let mut write = || {
        writer.map(14)?;
        for (key, value) in [("v", "\u{1}"), ("m", method), ("t", path), ("p", path)] {
            writer.str(key)?;
            if key == "v" { writer.uint(1)? } else { writer.str(value)? }
        }
        for (key, value) in [("a", "gateway.do"), ("s", "http"), ("n", "gateway"), ("e", "test")] {
            writer.str(key)?;
            writer.str(value)?;
        }
        writer.str("h")?;
        writer.array(2)?;
        writer.str("Host")?;
        writer.str("gateway.do")?;
        writer.str("c")?;
        writer.str("127.0.0.1:50000")?;
        writer.str("i")?;
        writer.bin(&[7; 16])?;
        writer.str("d")?;
        writer.uint(30_000)?;
        writer.str("w")?;
        writer.uint(window)?;
        writer.str("b")
    };
    write().expect("the memory is long enough");
    writer.into_written().to_vec()
}

fn with_body(mut message: Vec<u8>, body: &[u8]) -> Vec<u8> {
    message.extend_from_slice(body);
    message
}

/// `[call, offset, last, data]`, with trailers if there are any.
fn part(call: u32, offset: u64, last: bool, data: &[u8], trailers: &[&str]) -> Vec<u8> {
    let mut memory = vec![0; data.len() + 256];
    let mut writer = Writer::new(&mut memory);
    let mut write = || {
        writer.array(if trailers.is_empty() { 4 } else { 5 })?;
        writer.uint(call.into())?;
        writer.uint(offset)?;
        writer.bool(last)?;
        writer.bin(data)?;
        if !trailers.is_empty() {
            writer.array(u32::try_from(trailers.len()).expect("few"))?;
            trailers.iter().try_for_each(|text| writer.str(text))?;
        }
        Ok::<_, forebay_core_procwire::msgpack::Full>(())
    };
    write().expect("the memory is long enough");
    writer.into_written().to_vec()
}

fn grant(call: u32, amount: u64) -> Vec<u8> {
    let mut memory = [0; 32];
    let mut writer = Writer::new(&mut memory);
    writer
        .array(2)
        .and_then(|()| writer.uint(call.into()))
        .and_then(|()| writer.uint(amount))
        .expect("fits");
    writer.into_written().to_vec()
}

/// Status, fields, body of a head.
fn head(payload: &[u8]) -> (u64, Vec<String>, Vec<u8>) {
    let mut reader = Reader::new(payload);
    let members = reader.read_map().expect("a head is a map");
    assert_eq!(reader.read_str(), Ok("s"));
    let status = reader.read_u64().expect("a status");
    assert_eq!(reader.read_str(), Ok("h"));
    let count = reader.read_array().expect("fields");
    let fields = (0..count).map(|_| reader.read_str().expect("text").to_owned()).collect();
    let mut body = Vec::new();
    if members == 3 {
        assert_eq!(reader.read_str(), Ok("b"));
        body = reader.read_bytes().expect("a body").to_vec();
    }
    reader.finish().expect("nothing behind it");
    (status, fields, body)
}

/// The rest of a response: its body, and its trailers.
fn rest(parent: &mut Parent, request: u32) -> (Vec<u8>, Vec<String>) {
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    loop {
        let (kind, payload) = parent.answer(request);
        match kind {
            ResponseKind::End => return (body, trailers),
            ResponseKind::Chunk => {}
            _ => panic!("{kind:?}: {}", message(&payload)),
        }
        let mut reader = Reader::new(&payload);
        if let Ok(Token::Map(1)) = reader.peek() {
            reader.read_map().expect("it is one");
            assert_eq!(reader.read_str(), Ok("t"));
            let count = reader.read_array().expect("fields");
            trailers = (0..count).map(|_| reader.read_str().expect("text").to_owned()).collect();
        } else {
            body.extend_from_slice(reader.read_bytes().expect("a part"));
        }
    }
}

#[test]
fn early_hints_come_before_the_head() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("GET", "/hints", 0), &[0xC0]));
        for link in ["</a.css>", "</b.css>"] {
            let (kind, payload) = parent.answer(request);
            let fields = vec!["link".to_owned(), link.to_owned()];
            assert_eq!((kind, head(&payload)), (ResponseKind::Chunk, (103, fields, vec![])));
        }
        let (kind, payload) = parent.answer(request);
        let (status, _, body) = head(&payload);
        assert_eq!((kind, status, body.as_slice()), (ResponseKind::Chunk, 200, &b"hinted"[..]));
        assert_eq!(rest(&mut parent, request), (vec![], vec![]));
    });
}

#[test]
fn a_whole_response_is_a_head_and_an_end() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("GET", "/whole", 1000), &[0xC0]));
        let (status, fields, body) = head(&parent.answer(request).1);
        assert_eq!((status, body.as_slice()), (200, b"/whole".as_slice()));
        assert_eq!(fields, ["content-type", "text/plain; charset=utf-8", "content-length", "6"]);
        assert_eq!(parent.answer(request), (ResponseKind::End, Vec::new()));

        // Without a body, yet with its length.
        let request = parent.call("http", &with_body(call("HEAD", "/whole", 1000), &[0xC0]));
        let (_, fields, body) = head(&parent.answer(request).1);
        assert_eq!((fields[3].as_str(), body.as_slice()), ("6", b"".as_slice()));
        assert_eq!(parent.answer(request).0, ResponseKind::End);
    });
}

#[test]
fn a_body_that_comes_inline_is_read() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("POST", "/echo", 1000), b"\xC4\x03abc"));
        let (status, fields, _) = head(&parent.answer(request).1);
        assert_eq!((status, fields), (200, vec!["x-method".to_owned(), "POST".to_owned()]));
        assert_eq!(
            rest(&mut parent, request),
            (b"abc".to_vec(), vec!["x-count".to_owned(), "0".to_owned()])
        );
    });
}

#[test]
fn a_body_that_comes_in_parts_is_ordered_and_acknowledged() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request =
            parent.call("http", &with_body(call("POST", "/echo", 1 << 20), b"\x81\xA1l\xC0"));
        let big = vec![b'x'; 100_000];
        let second = parent.call("http.body", &part(request, 3, false, &big, &[]));
        let first = parent.call("http.body", &part(request, 0, false, b"abc", &[]));
        let last = parent.call("http.body", &part(request, 100_003, true, b"", &["x-sum", "1"]));
        for part in [first, second, last] {
            assert_eq!(parent.answer(part), (ResponseKind::Ack, vec![0xC0]));
        }
        head(&parent.answer(request).1);
        let (body, trailers) = rest(&mut parent, request);
        assert!(body == [b"abc".as_slice(), &big].concat());
        assert_eq!(trailers, ["x-count", "1"]);
    });
}

#[test]
fn a_response_waits_for_its_window() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let body = [b"\xC5\x4E\x20".as_slice(), &[b'x'; 20_000]].concat();
        let request = parent.call("http", &with_body(call("POST", "/echo", 5000), &body));
        head(&parent.answer(request).1);
        let mut taken = 0;
        while taken < 20_000 {
            let mut allowed = 5000;
            while allowed > 0 {
                let payload = parent.answer(request).1;
                let len = Reader::new(&payload).read_bytes().expect("a part").len();
                assert!(len <= allowed, "{len} bytes, {allowed} allowed");
                allowed -= len;
                taken += len;
            }
            // Nothing more comes, though other answers do.
            assert_eq!(parent.ask("echo", &[1]), (ResponseKind::Result, vec![1]));
            if taken < 20_000 {
                parent.notice("http.grant", &grant(request, 5000));
            }
        }
        let (body, _) = rest(&mut parent, request);
        assert!(body.is_empty());
    });
}

#[test]
fn a_body_that_nobody_wants_is_refused() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("POST", "/refuse", 0), b"\x81\xA1l\x64"));
        let (status, ..) = head(&parent.answer(request).1);
        assert_eq!(status, 413);
        let (kind, _) = parent.ask("http.body", &part(request, 0, false, b"abc", &[]));
        assert_eq!(kind, ResponseKind::Error);
        // Of a call that never was, and of one that is none.
        assert_eq!(parent.ask("http.body", &part(9999, 0, true, b"", &[])).0, ResponseKind::Error);
        assert_eq!(parent.ask("http.body", &[0xC0]).0, ResponseKind::Error);
        parent.notice("http.grant", &grant(9999, 1));
        parent.notice("http.grant", &[0xC0]);
        assert_eq!(parent.ask("echo", &[1]).1, [1]);
    });
}

#[test]
fn parts_that_do_not_fit_fail_the_call() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("POST", "/echo", 0), b"\x81\xA1l\xC0"));
        head(&parent.answer(request).1);
        assert_eq!(
            parent.ask("http.body", &part(request, 0, false, b"abc", &[])).0,
            ResponseKind::Ack
        );
        assert_eq!(parent.answer(request).0, ResponseKind::Chunk);
        assert_eq!(
            parent.ask("http.body", &part(request, 1, false, b"bc", &[])).0,
            ResponseKind::Error
        );
        let (kind, payload) = parent.answer(request);
        assert_eq!(
            (kind, message(&payload)),
            (ResponseKind::StreamError, "the parts of the body do not fit together")
        );
    });
}

#[test]
fn failures_and_broken_messages_are_error_answers() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let request = parent.call("http", &with_body(call("GET", "/fail", 0), &[0xC0]));
        let (kind, payload) = parent.answer(request);
        assert_eq!((kind, message(&payload)), (ResponseKind::StreamError, "no"));
        for broken in [
            b"".as_slice(),
            b"\xC0",
            b"\x81\xA1m\x05",
            b"\x81\xA1h\x91\xA1x",
            b"\x81\xA1i\xC4\x01x",
        ] {
            let request = parent.call("http", broken);
            assert_eq!(parent.answer(request).0, ResponseKind::StreamError, "{broken:?}");
        }
    });
}

#[test]
fn an_aborted_call_stops_its_body_and_its_response() {
    on_each_runtime(|start| {
        let mut parent = start(&[("MAX_CONCURRENCY", "2")]);
        let upload = parent.call("http", &with_body(call("POST", "/echo", 0), b"\x81\xA1l\xC0"));
        let download = parent.call("http", &with_body(call("POST", "/echo", 1), b"\xC4\x03abc"));
        head(&parent.answer(upload).1);
        head(&parent.answer(download).1);
        assert_eq!(parent.answer(download).0, ResponseKind::Chunk);
        // A place is free again when the handler has ended.
        assert_eq!(parent.ask("echo", &[1]).0, ResponseKind::Error);
        parent.abort(upload);
        until_room(&mut parent);
        let _parked = parent.call("park", &[0xC0]);
        assert_eq!(parent.ask("echo", &[1]).0, ResponseKind::Error);
        parent.abort(download);
        until_room(&mut parent);
    });
}

/// A client that sends byte by byte to a handler that does not read: few requests stay open.
#[test]
fn small_parts_are_acknowledged_early_and_joined() {
    on_each_runtime(|start| {
        let mut parent = start(&[]);
        let message = with_body(call("POST", "/slow", 1 << 20), b"\x81\xA1l\xC0");
        let request = parent.call("http", &message);
        let bytes: Vec<u8> = (0..1000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for (offset, byte) in (0..).zip(&bytes) {
            let (kind, _) = parent.ask("http.body", &part(request, offset, false, &[*byte], &[]));
            assert_eq!(kind, ResponseKind::Ack);
        }
        // Overlapping what was joined.
        let (kind, _) = parent.ask("http.body", &part(request, 500, false, b"x", &[]));
        assert_eq!(kind, ResponseKind::Error);

        let request = parent.call("http", &message);
        for (offset, byte) in (0..).zip(&bytes) {
            parent.ask("http.body", &part(request, offset, false, &[*byte], &[]));
        }
        let last = parent.call("http.body", &part(request, 1000, true, b"", &[]));
        parent.ask("release", &[0xC0]);
        assert_eq!(parent.answer(last).0, ResponseKind::Ack);
        head(&parent.answer(request).1);
        assert!(rest(&mut parent, request).0 == bytes);
    });
}
