//! The responses of `tests/vectors/http1/responses.tsv`, whole, byte by byte and cut everywhere.

mod client;

use client::{Asked, replay};

/// Bytes as the vectors write them: `\r`, `\n`, `\t`, `\0`, `\xNN`, `\\`, `*N` behind `\R` and a
/// byte for repetition.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        if char != '\\' {
            bytes.push(u8::try_from(char).expect("ASCII"));
            continue;
        }
        match rest.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('t') => bytes.push(b'\t'),
            Some('0') => bytes.push(0),
            Some('\\') => bytes.push(b'\\'),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).expect("two hex digits"));
            }
            Some('R') => {
                let count: String = rest.by_ref().take_while(|char| *char != ';').collect();
                let byte = rest.next().map(|char| u8::try_from(char).expect("ASCII"));
                let count = count.parse().expect("a number");
                bytes.extend(core::iter::repeat_n(byte.expect("a byte"), count));
            }
            other => panic!("unknown escape {other:?}"),
        }
    }
    bytes
}

/// `get`, `head`, `connect`, `upgrade`, `nothing`, `get*3`, `get<5`.
fn parse(text: &str) -> Asked {
    let mut asked = Asked { count: 1, ..Asked::default() };
    let (text, limit) = text.split_once('<').unwrap_or((text, "0"));
    asked.body_len = limit.parse().expect("a limit");
    let (text, count) = text.split_once('*').unwrap_or((text, "1"));
    asked.count = count.parse().expect("a count");
    match text {
        "get" => {}
        "head" => asked.head = true,
        "connect" => asked.connect = true,
        "upgrade" => asked.upgrade = true,
        "nothing" => asked.count = 0,
        other => panic!("unknown request {other}"),
    }
    asked
}

#[test]
fn every_vector_means_what_it_says_however_it_is_cut() {
    let vectors = include_str!("../../../tests/vectors/http1/responses.tsv");
    let mut count = 0;
    let mut wrong = String::new();
    for line in vectors.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let columns: Vec<_> = line.split('\t').collect();
        let [name, asked, bytes, expected] = columns[..] else {
            panic!("four columns: {line}");
        };
        let asked = parse(asked);
        let bytes = unescape(bytes);
        let whole = replay(asked, [bytes.as_slice()].into_iter());
        if whole != expected {
            wrong.push_str(&format!("{name}\n  expected {expected}\n  found    {whole}\n"));
        }
        assert_eq!(replay(asked, bytes.chunks(1)), whole, "{name}, byte by byte");
        for cut in (0..bytes.len()).filter(|cut| *cut < 300 || cut % 4_999 == 0) {
            let (start, end) = bytes.split_at(cut);
            assert_eq!(replay(asked, [start, end].into_iter()), whole, "{name}, cut at {cut}");
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 100, "only {count} vectors");
}
