//! Bodies, byte for byte.

use super::*;
use crate::json::WORKER_TEXT_LEN_MAX;
use proptest::prelude::*;
use std::string::{String, ToString};
use std::vec;

fn text(body: &ErrorBody<'_>) -> String {
    let mut out = vec![0xff; body.len() + 3];
    let len = body.emit(&mut out).unwrap();
    assert_eq!(len, body.len());
    assert_eq!(out[len..], [0xff; 3], "nothing behind the body");
    assert_eq!(body.emit(&mut out[..len - 1]), Err(TooSmall { need: len }));
    String::from_utf8(out[..len].to_vec()).unwrap()
}

fn worker_says(said: &[u8]) -> String {
    let body = text(&ErrorBody::Dispatch(Failure::Worker(said)));
    let inner = body.strip_prefix(r#"{"error":"Internal server error","message":""#).unwrap();
    inner.strip_suffix(r#""}"#).unwrap().to_string()
}

#[test]
fn row_1_names_the_host_and_the_normal_path() {
    let services_tail = br#"","available_services":["gateway","db"]}"#;
    let path = NormalPath::parse(br#"/a/../te"st"#).unwrap();
    let body = ErrorBody::ServiceNotFound { host: b"unknown.do", path, services_tail };
    assert_eq!(
        text(&body),
        r#"{"error":"Service not found","message":"No worker found for unknown.do/te\"st","available_services":["gateway","db"]}"#
    );
    assert_eq!((body.status(), body.content_type()), (404, "application/json"));
    assert_eq!(body.retry_after_s(), None);
}

#[test]
fn row_2() {
    let body = ErrorBody::ServiceNotDeployed { service: b"db", environment: b"production" };
    assert_eq!(
        text(&body),
        r#"{"error":"Service not deployed","message":"Worker \"db\" not found in production namespace","hint":"Service may not be deployed yet. Deploy via Deploy API."}"#
    );
    assert_eq!((body.status(), body.content_type()), (404, "application/json"));
}

#[test]
fn row_3_is_plain_text() {
    let body = ErrorBody::Configuration;
    assert_eq!(text(&body), "Configuration error");
    assert_eq!((body.status(), body.content_type()), (500, "text/plain;charset=UTF-8"));
}

#[test]
fn row_4() {
    let service = b"db";
    let cases = [
        (Failure::Worker(b"no such table"), "no such table"),
        (Failure::Worker(b""), "Unknown error"),
        (Failure::Hidden, "Unknown error"),
        (Failure::Exited { service }, r#"Worker \"db\" exited while handling the request"#),
        (
            Failure::NotStarted { service, reason: b"no http method" },
            r#"Worker \"db\" failed to start: no http method"#,
        ),
        (Failure::InvalidResponse { service }, r#"Worker \"db\" sent an invalid response"#),
    ];
    for (failure, message) in cases {
        let body = ErrorBody::Dispatch(failure);
        let expected = std::format!(r#"{{"error":"Internal server error","message":"{message}"}}"#);
        assert_eq!(text(&body), expected);
        assert_eq!(body.status(), 500);
    }
}

#[test]
fn row_5_says_when_to_come_back() {
    let service = b"db";
    let open = Overload::CircuitOpen { service, retry_after_s: 17 };
    let cases = [
        (Overload::QueueFull { service }, r#"Worker \"db\" has too many calls waiting"#, 1),
        (Overload::QueueTimeout { service }, r#"Worker \"db\" was busy for too long"#, 1),
        (open, r#"Worker \"db\" keeps failing to start"#, 17),
        (Overload::Capacity, "Gateway is at capacity", 1),
        (Overload::Stopping, "Gateway is stopping", 1),
    ];
    for (overload, message, after) in cases {
        let body = ErrorBody::Overloaded(overload);
        let expected = std::format!(r#"{{"error":"Service overloaded","message":"{message}"}}"#);
        assert_eq!(text(&body), expected);
        assert_eq!((body.status(), body.retry_after_s()), (503, Some(after)));
    }
}

#[test]
fn row_6() {
    let body = ErrorBody::Timeout { service: b"db" };
    assert_eq!(
        text(&body),
        r#"{"error":"Worker timeout","message":"Worker \"db\" did not answer in time"}"#
    );
    assert_eq!(body.status(), 504);
}

#[test]
fn strings_are_escaped_in_one_way() {
    assert_eq!(worker_says(b"\"\\/\x7f"), "\\\"\\\\/\x7f");
    assert_eq!(worker_says(b"\x08\t\n\x0c\r"), r"\b\t\n\f\r");
    assert_eq!(worker_says(b"\x00\x01\x0b\x1f"), r"\u0000\u0001\u000b\u001f");
    assert_eq!(worker_says("gr\u{fc}n \u{1f332}".as_bytes()), "gr\u{fc}n \u{1f332}");
    assert_eq!(worker_says(b"a\xff\xc3(b\xf0\x9f"), "a\u{fffd}\u{fffd}(b\u{fffd}");
}

#[test]
fn a_workers_text_is_cut_at_a_character() {
    let long = "a".repeat(1030);
    assert_eq!(worker_says(long.as_bytes()), long[..1024]);
    let two = std::format!("a{}", "\u{e9}".repeat(520));
    assert_eq!(worker_says(two.as_bytes()), two[..1023]);
    // The length before escaping counts.
    assert_eq!(worker_says("\"".repeat(1030).as_bytes()), "\\\"".repeat(1024));
    // A replacement counts with its three bytes.
    assert_eq!(worker_says(&[0xff; 2000]), "\u{fffd}".repeat(341));
    assert_eq!(worker_says(&[b"a".repeat(1022), b"\xffb".to_vec()].concat()), "a".repeat(1022));
}

/// Reads back what was escaped.
fn unescape(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        if char == '"' || char < ' ' {
            return None;
        }
        if char != '\\' {
            out.push(char);
            continue;
        }
        out.push(match chars.next()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = chars.by_ref().take(4).collect();
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?
            }
            char @ ('"' | '\\') => char,
            _ => return None,
        });
    }
    Some(out)
}

proptest! {
    /// Reading back gives the text with U+FFFD for what was no UTF-8, cut.
    #[test]
    fn escaping_loses_nothing_but_the_cut(said in prop::collection::vec(any::<u8>(), 1..1200)) {
        let whole = String::from_utf8_lossy(&said);
        let end = whole.floor_char_boundary(WORKER_TEXT_LEN_MAX);
        prop_assert_eq!(unescape(&worker_says(&said)), Some(whole[..end].to_string()));
    }

    #[test]
    fn escaping_loses_nothing_of_text(said in "(\\PC|[\\x00-\\x20\"\\\\]|é|🌲){1,900}") {
        let end = said.floor_char_boundary(WORKER_TEXT_LEN_MAX);
        prop_assert_eq!(unescape(&worker_says(said.as_bytes())), Some(said[..end].to_string()));
    }
}
