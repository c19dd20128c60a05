//! The control plane, procwire sections 2 and 8.5.

use core::time::Duration;

use forebay_core_procwire::child::{ChildControl, Command, ControlStep};
use forebay_core_procwire::control::{
    Init, InitError, LineSplitter, LineTooLong, Message, MethodDecl, NeedError, PING_LINE,
    PONG_LINE, SHUTDOWN_LINE, TooShort, write_error, write_init,
};
use forebay_core_procwire::{EventId, MethodId, PeerError, ResponseType};
use proptest::prelude::*;

use crate::vectors::{cuts, rows};

const LINES: &str = include_str!("../../../../tests/vectors/procwire/control.tsv");

fn line(name: &str) -> &'static str {
    rows::<3>(LINES).find(|row| row[0] == name).expect("a line of this name")[2]
}

fn kind(line: &[u8]) -> &'static str {
    match Message::parse(line) {
        Some(Message::Init(_)) => "init",
        Some(Message::Error(_)) => "error",
        Some(Message::Ping) => "ping",
        Some(Message::Pong) => "pong",
        Some(Message::Shutdown) => "shutdown",
        None => "ignored",
    }
}

fn init(line: &str) -> Result<Init<'_>, InitError> {
    match Message::parse(line.as_bytes()) {
        Some(Message::Init(init)) => init,
        other => panic!("{line} is {other:?}"),
    }
}

fn schema(methods: &str, events: &str) -> String {
    format!(
        r#"{{"method":"$init","params":{{"pipe":"/p","schema":{{"methods":{methods},"events":{events}}}}}}}"#
    )
}

fn lines(pieces: &[&[u8]], room: usize) -> Result<Vec<Vec<u8>>, LineTooLong> {
    let mut splitter = LineSplitter::new(vec![0; room]);
    let mut found = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        loop {
            let step = splitter.handle_bytes(input)?;
            let Some(line) = step.line else { break };
            found.push(line.to_vec());
            input = &input[step.used..];
        }
    }
    found.extend(splitter.handle_eof().map(<[u8]>::to_vec));
    Ok(found)
}

#[test]
fn lines_are_told_apart_as_the_vectors_say() {
    for [name, expected, line] in rows(LINES) {
        assert_eq!(kind(line.as_bytes()), expected, "{name}");
    }
}

#[test]
fn all_lines_survive_every_cut_and_both_line_ends() {
    for end in ["\n", "\r\n"] {
        let stream: String = rows::<3>(LINES).map(|row| format!("{}{end}", row[2])).collect();
        let expected: Vec<_> = rows::<3>(LINES)
            .filter(|row| row[2].starts_with('{'))
            .map(|row| row[2].as_bytes().to_vec())
            .collect();
        for pieces in cuts(stream.as_bytes()) {
            assert_eq!(lines(&pieces, 1024), Ok(expected.clone()));
        }
    }
}

#[test]
fn only_a_line_that_begins_with_a_brace_can_be_too_long() {
    let fits = format!("{{{}\n", "x".repeat(99));
    let long = format!("{{{}\n", "x".repeat(100));
    let log = format!("log {}\n", "x".repeat(1000));
    assert_eq!(lines(&[log.as_bytes(), fits.as_bytes()], 100).unwrap().len(), 1);
    for pieces in cuts(long.as_bytes()) {
        assert_eq!(lines(&pieces, 100), Err(LineTooLong));
    }
    for pieces in cuts(log.as_bytes()) {
        assert_eq!(lines(&pieces, 100), Ok(vec![]));
    }
}

#[test]
fn a_splitter_stays_failed() {
    let mut splitter = LineSplitter::new([0; 4]);
    assert_eq!(splitter.handle_bytes(b"{1234"), Err(LineTooLong));
    assert_eq!(splitter.handle_bytes(b"\n{}\n"), Err(LineTooLong));
    assert_eq!(splitter.handle_eof(), None);
}

#[test]
fn the_last_line_counts_without_its_end() {
    assert_eq!(lines(&[b"{\"a\"", b":1}"], 100), Ok(vec![b"{\"a\":1}".to_vec()]));
    assert_eq!(lines(&[b"lo", b"g"], 100), Ok(vec![]));
}

#[test]
fn fixed_lines_are_those_of_the_published_packages() {
    for (bytes, name) in [(PING_LINE, "ping"), (PONG_LINE, "pong"), (SHUTDOWN_LINE, "shutdown")] {
        assert_eq!(bytes, format!("{}\n", line(name)).as_bytes());
    }
}

#[test]
fn an_init_is_read_in_full() {
    let init = init(line("init")).unwrap();
    assert!(init.pipe().as_plain().unwrap().ends_with("ddeeff.sock"));
    let methods: Vec<_> =
        init.methods().map(|m| (m.name.to_string(), m.id.value(), m.response, m.timeout)).collect();
    let five = Some(Duration::from_secs(5));
    assert_eq!(
        methods,
        [
            ("echo".into(), 1, ResponseType::Result, None),
            ("generate".into(), 2, ResponseType::Stream, five)
        ]
    );
    assert_eq!(init.need_method("echo", ResponseType::Result).map(MethodId::value), Ok(1));
    assert_eq!(init.need_event("progress").map(EventId::value), Ok(1));
}

/// The rows of section 2.3's table that the handshake itself decides.
#[test]
fn needs_that_are_not_met_are_named() {
    let init = init(line("init")).unwrap();
    let mismatch = NeedError::ResponseMismatch { announced: ResponseType::Stream };
    assert_eq!(init.need_method("generate", ResponseType::Result), Err(mismatch));
    assert_eq!(init.need_method("no", ResponseType::Result), Err(NeedError::MissingMethod));
    assert_eq!(init.need_event("echo"), Err(NeedError::MissingEvent));
}

#[test]
fn an_unusable_init_says_why() {
    let format = [
        r#"{"method":"$init"}"#,
        r#"{"method":"$init","params":null}"#,
        r#"{"method":"$init","params":{"schema":{"methods":{},"events":{}}}}"#,
        r#"{"method":"$init","params":{"pipe":1,"schema":{"methods":{},"events":{}}}}"#,
        r#"{"method":"$init","params":{"pipe":"p"}}"#,
        r#"{"method":"$init","params":{"pipe":"p","schema":{"methods":{}}}}"#,
        r#"{"method":"$init","params":{"pipe":"p","schema":{"events":{}}}}"#,
        r#"{"method":"$init","params":{"pipe":"p","schema":{"methods":null,"events":{}}}}"#,
        r#"{"method":"$init","params":{"pipe":"p","schema":{"methods":[],"events":{}}}}"#,
    ];
    for line in format {
        assert_eq!(init(line).err(), Some(InitError::Format), "{line}");
    }
    for id in ["0", "65534", "70000", "-1", "1.5", "\"1\"", "null", "99999999999999999999"] {
        let method = schema(&format!(r#"{{"a":{{"id":{id},"response":"ack"}}}}"#), "{}");
        assert_eq!(init(&method).err(), Some(InitError::Id), "{id}");
        let event = schema("{}", &format!(r#"{{"a":{{"id":{id}}}}}"#));
        assert_eq!(init(&event).err(), Some(InitError::Id), "{id}");
    }
    for entry in [r#"{"id":1}"#, r#"{"id":1,"response":"maybe"}"#, "1", "null"] {
        let line = schema(&format!(r#"{{"a":{entry}}}"#), "{}");
        assert_eq!(init(&line).err(), Some(InitError::Entry), "{entry}");
    }
}

#[test]
fn an_init_may_be_odd_where_the_published_parent_does_not_look() {
    let empty = schema("{}", "{}");
    assert_eq!(init(&empty).unwrap().methods().count(), 0);
    // Ids with gaps, up to the last usable one, and the same numbers for methods and events.
    let line = schema(r#"{"a":{"id":65533,"response":"none"}}"#, r#"{"a":{"id":65533}}"#);
    assert_eq!(init(&line).unwrap().method("a").unwrap().id.value(), 65533);
    // Names as JSON.parse has them: unescaped, the last of several.
    let line = schema(
        r#"{"\u0061":{"id":1,"response":"ack"},"a":{"id":2,"response":"ack"}}"#,
        r#"{"\ud83d\ude00\ud800":{"id":1,"x":[{}]}}"#,
    );
    let init = init(&line).unwrap();
    assert_eq!(init.method("a").unwrap().id.value(), 2);
    assert_eq!(init.events().next().unwrap().name.to_string(), "\u{1F600}\u{FFFD}");
}

#[test]
fn timeouts_are_milliseconds_and_zero_or_less_is_none() {
    for (text, expected) in [
        ("1500.5", Some(Duration::from_micros(1_500_500))),
        ("0", Some(Duration::ZERO)),
        ("-3", Some(Duration::ZERO)),
        ("\"1\"", None),
        ("null", None),
    ] {
        let methods = format!(r#"{{"a":{{"id":1,"response":"ack","timeout":{text}}}}}"#);
        let line = schema(&methods, "{}");
        assert_eq!(init(&line).unwrap().method("a").unwrap().timeout, expected, "{text}");
    }
}

#[test]
fn the_init_writer_writes_the_bytes_of_the_published_child() {
    let id = |value| MethodId::new(value).unwrap();
    let methods = [
        MethodDecl { name: "echo", id: id(1), response: ResponseType::Result },
        MethodDecl { name: "generate", id: id(65533), response: ResponseType::Stream },
    ];
    let events = [("progress", EventId::new(10).unwrap())];
    let mut out = [0; 512];
    let len = write_init(&mut out, "/tmp/p.sock", methods, events).unwrap();
    let expected = concat!(
        r#"{"jsonrpc":"2.0","method":"$init","params":{"pipe":"/tmp/p.sock","schema":"#,
        r#"{"methods":{"echo":{"id":1,"response":"result"},"#,
        r#""generate":{"id":65533,"response":"stream"}},"#,
        r#""events":{"progress":{"id":10}}},"version":"1.0.0"}}"#,
        "\n"
    );
    assert_eq!(core::str::from_utf8(&out[..len]), Ok(expected));
    for room in 0..len {
        let result = write_init(&mut out[..room], "/tmp/p.sock", methods, events);
        assert_eq!(result, Err(TooShort { need: len }));
    }
}

#[test]
fn the_error_writer_writes_what_the_parent_reads() {
    let mut out = [0; 512];
    let len = write_error(&mut out, "no database").unwrap();
    assert_eq!(&out[..len], format!("{}\n", line("error")).as_bytes());
    let text = "a\"b\\c\n\t\r\u{8}\u{c}\0\u{1f}\u{7f}é\u{2028}\u{2029}";
    let len = write_error(&mut out, text).unwrap();
    let line = core::str::from_utf8(&out[..len]).unwrap();
    let escaped = "a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0000\\u001f\u{7f}é\\u2028\\u2029";
    assert!(line.contains(escaped), "{line}");
}

#[test]
fn a_child_answers_pings_and_ends_once() {
    let stream = b"garbage\n {\"method\":\"$ping\"}\n{bad json\n{\"method\":\"$ping\"}\r\n\
        {\"method\":\"$shutdown\"}\n{\"method\":\"$ping\"}\n";
    for pieces in cuts(stream) {
        let mut control = ChildControl::new([0; 64]);
        let mut commands = Vec::new();
        for piece in pieces {
            let mut input = piece;
            loop {
                let ControlStep { used, command } = control.handle_bytes(input).unwrap();
                input = &input[used..];
                let Some(command) = command else { break };
                commands.push(command);
            }
            assert!(input.is_empty());
        }
        assert_eq!(commands, [Command::Pong, Command::Shutdown]);
        assert_eq!(control.handle_eof(), None);
    }
}

#[test]
fn a_child_ends_when_stdin_does() {
    let mut control = ChildControl::new([0; 8]);
    assert_eq!(control.handle_bytes(b"{\"method\""), Err(PeerError::LineTooLong));
    assert_eq!(control.handle_eof(), Some(Command::Shutdown));
    assert_eq!(control.handle_eof(), None);
}

#[test]
fn nesting_is_read_to_128_levels() {
    for (depth, expected) in [(127, "ping"), (128, "ignored")] {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        let line = format!(r#"{{"method":"$ping","x":{open}{close}}}"#);
        assert_eq!(kind(line.as_bytes()), expected, "{depth}");
    }
}

#[test]
fn values_of_every_grammar_rule() {
    for (value, fine) in [
        ("0", true),
        ("-0", true),
        ("12.5e-3", true),
        ("1E+9", true),
        ("-", false),
        ("1.", false),
        (".5", false),
        ("1e", false),
        ("+1", false),
        ("00", false),
        ("true", true),
        ("tru", false),
        ("null", true),
        ("nul", false),
        ("\"\\u12aF\"", true),
        ("\"\\u12g4\"", false),
        ("\"\\x\"", false),
        ("\"\t\"", false),
        ("\"é\"", true),
        ("[]", true),
        ("[1,]", false),
        ("[1 2]", false),
        ("{\"a\":[{}],\"b\":{}}", true),
        ("{\"a\"}", false),
        ("{a:1}", false),
        ("[}", false),
        ("[1}", false),
        ("{\"a\":1]", false),
        ("", false),
        ("\"", false),
    ] {
        let line = format!(r#"{{"method":"$ping","x":{value}}}"#);
        let expected = if fine { "ping" } else { "ignored" };
        assert_eq!(kind(line.as_bytes()), expected, "{value}");
    }
    assert_eq!(kind(b"{\"method\":\"$ping\",\"x\":\"\xff\"}"), "ignored");
}

proptest! {
    /// Section 2.1: whatever a name holds, the line has one end, no separator of Node's reader
    /// and nothing that is not text; and what was written is what is read.
    #[test]
    fn names_come_back_as_they_went(
        pipe in ".*",
        names in prop::collection::hash_set("(?s).*", 0..5),
    ) {
        let methods: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, id)| MethodDecl {
                name,
                id: MethodId::new(id).unwrap(),
                response: ResponseType::Ack,
            })
            .collect();
        let events = names.iter().zip(7..).map(|(name, id)| (&**name, EventId::new(id).unwrap()));
        let mut out = vec![0; 64 * 1024];
        let len = write_init(&mut out, &pipe, methods.iter().copied(), events).unwrap();
        let (end, text) = out[..len].split_last().unwrap();
        prop_assert_eq!(*end, b'\n');
        let text = core::str::from_utf8(text).unwrap();
        let separators = ['\n', '\r', '\u{2028}', '\u{2029}'];
        prop_assert!(!text.contains(separators));
        let init = init(text).unwrap();
        let mut room = vec![0; init.pipe().len_max()];
        prop_assert_eq!(init.pipe().unescape(&mut room), Some(&*pipe));
        for method in &methods {
            prop_assert_eq!(init.method(method.name).map(|found| found.id), Some(method.id));
        }
        prop_assert_eq!(init.events().count(), names.len());
    }

    /// Section 2.3: duplicates are found wherever the two ids lie in the range.
    #[test]
    fn ids_are_refused_exactly_when_one_comes_twice(
        ids in prop::collection::vec(
            prop_oneof![1_u16..4, 8190..8195_u16, 65530..=65533_u16],
            0..4,
        ),
    ) {
        let entries: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| format!(r#""m{index}":{{"id":{id},"response":"ack"}}"#))
            .collect();
        let line = schema(&format!("{{{}}}", entries.join(",")), "{}");
        let unique: std::collections::HashSet<_> = ids.iter().collect();
        prop_assert_eq!(init(&line).is_ok(), unique.len() == ids.len());
    }

    /// Section 2.1: arbitrary bytes, cut anywhere, give the same lines as a plain split.
    #[test]
    fn the_splitter_agrees_with_a_plain_split(
        stream in prop::collection::vec(prop::sample::select(b"{\n\rx".to_vec()), 0..60),
        at in 0_usize..60,
    ) {
        let (front, back) = stream.split_at(at.min(stream.len()));
        let expected: Vec<_> = stream
            .split(|byte| *byte == b'\n')
            .filter(|line| line.first() == Some(&b'{'))
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            .collect();
        prop_assert_eq!(lines(&[front, back], 64), Ok(expected));
    }
}
