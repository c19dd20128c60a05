//! Properties: cuts change nothing, no bytes panic, what is written is well-formed.

mod echo;

use echo::{DATE, Echo};
use forebay_core_http1::{Config, Connection, Event, FieldSlot, ResponseHead, UsageError};
use forebay_core_time::Instant;
use forebay_tests::chopper::Chopper;
use forebay_tests::http1_cases::read_answers;
use proptest::collection::vec;
use proptest::prelude::*;

/// Small limits, so that they are met.
const SMALL: Config = Config {
    request_line_len: 64,
    fields_len: 200,
    field_count: 6,
    trailer_count: 2,
    trailers_len: 40,
    body_len: 300,
    chunk_line_len: 12,
    chunk_extensions_len: 20,
    ..Config::new()
};

/// Pieces of requests, good and bad, that meet each other in any order.
const PIECES: [&str; 44] = [
    "GET ",
    "POST ",
    "HEAD ",
    "OPTIONS * ",
    "/",
    "/a?b ",
    "http://a.do/ ",
    "/%41 ",
    "/%zz ",
    "\\",
    "#",
    "HTTP/1.1\r\n",
    "HTTP/1.0\r\n",
    "HTTP/1.2\r\n",
    " ",
    "\t",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "Host: a.do\r\n",
    "Host: a b\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Connection: close\r\n",
    "Connection: x-a, keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "X-A: b\r\n",
    "X-A:\t\u{e9} \r\n",
    " folded\r\n",
    ":\r\n",
    "X A: b\r\n",
    "5\r\n",
    "5;a=b\r\n",
    "hello",
    "hello\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
    "\0",
    "GET / HTTP/1.1\r\nHost: a.do\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.do\r\nTransfer-Encoding: chunked\r\n\r\n",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What a server that gets these pieces, and then the end of the stream, has written. Nothing
/// hangs: in the end it is over.
fn replay<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut echo = Echo::new(SMALL);
    for piece in pieces {
        echo.receive(piece);
    }
    echo.finish();
    echo.sleep(100_000);
    assert!(echo.is_over(), "still open");
    core::mem::take(&mut echo.output)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Section 1 of the rules: the result does not depend on how the input was cut. The head of a
    /// request that waits for 100 (Continue) is the exception that K5 makes: it is cut before a
    /// body, so the interim answer is taken out.
    #[test]
    fn cuts_change_nothing(input in bytes(), seed in any::<u64>()) {
        const INTERIM: &str = "HTTP/1.1 100 Continue\r\n\r\n";
        let text = |output: Vec<u8>| String::from_utf8_lossy(&output).replace(INTERIM, "");
        let whole = text(replay([input.as_slice()].into_iter()));
        prop_assert_eq!(&text(replay(input.chunks(1))), &whole);
        prop_assert_eq!(&text(replay(Chopper::new(seed).pieces(&input))), &whole);
    }

    /// K3, K11: whatever came, what was written is a row of complete answers.
    #[test]
    fn answers_are_complete(input in bytes()) {
        let heads = input.windows(5).any(|window| window == b"HEAD ");
        let output = replay([input.as_slice()].into_iter());
        if !heads {
            prop_assert!(read_answers(&output, None).is_ok(), "{}", String::from_utf8_lossy(&output));
        }
    }

    /// No bytes at all can panic, nor claim bytes that are not there.
    #[test]
    fn random_bytes_do_no_harm(input in vec(any::<u8>(), 0..200)) {
        let _ = replay([input.as_slice()].into_iter());
    }

    /// The bytes that a head says it used are a head: offered again alone, they are the same one.
    #[test]
    fn an_accepted_head_stands_alone(input in bytes()) {
        let mut slots = [const { FieldSlot::uninit() }; 96];
        let mut connection = Connection::new(Instant::ZERO, SMALL);
        let Ok(step) = connection.handle_bytes(Instant::ZERO, &input, &mut slots) else {
            return Ok(());
        };
        let Some(Event::Request(head)) = step.event else {
            return Ok(());
        };
        let (facts, used) = (*head.facts(), step.used);
        prop_assert!(input[..used].ends_with(b"\r\n\r\n"));
        prop_assert_eq!(input[..used].iter().filter(|byte| **byte == b'\r').count(),
            input[..used].iter().filter(|byte| **byte == b'\n').count());
        let mut alone = Connection::new(Instant::ZERO, SMALL);
        let mut slots = [const { FieldSlot::uninit() }; 96];
        let step = alone.handle_bytes(Instant::ZERO, &input[..used], &mut slots).expect("it was accepted");
        let Some(Event::Request(head)) = step.event else {
            panic!("{:?}", step.event);
        };
        prop_assert_eq!(*head.facts(), facts);
        let mut same = Connection::new(Instant::ZERO, SMALL);
        let again = same.handle_same_head(Instant::ZERO, &input, &input[..used], &facts);
        prop_assert_eq!(again, Some(used));
    }

    /// Section 1: the writer refuses what may not be sent, and what it accepts reads back.
    #[test]
    fn fields_are_refused_or_read_back(
        name in vec(any::<u8>(), 0..6),
        value in vec(any::<u8>(), 0..12),
        status in 0u16..700,
    ) {
        let mut slots = [const { FieldSlot::uninit() }; 96];
        let mut connection = Connection::new(Instant::ZERO, Config::new());
        connection
            .handle_bytes(Instant::ZERO, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", &mut slots)
            .expect("a good head");
        let fields = [(name.as_slice(), value.as_slice())].into_iter();
        let head = ResponseHead { status, length: Some(0), date: DATE, fields };
        let mut out = [0; 512];
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let text = |byte: &u8| *byte == b'\t' || *byte >= b' ' && *byte != 0x7F;
        match connection.write_head(&head, &mut out) {
            Ok(len) => {
                prop_assert!((200..=599).contains(&status));
                prop_assert!(!name.is_empty() && name.iter().all(token) && value.iter().all(text));
                let lines = out[..len].split(|byte| *byte == b'\n').count();
                prop_assert!(lines <= 6, "a field is one line");
            }
            Err(UsageError::Status) => prop_assert!(!(200..=599).contains(&status)),
            Err(UsageError::FieldName) => prop_assert!(name.is_empty() || !name.iter().all(token)),
            Err(UsageError::FieldValue) => prop_assert!(!value.iter().all(text)),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
