//! The byte cases of HTTP/1.1 (`tests/vectors/http1/cases.md`): their notation, and what a client
//! that replayed one must have seen.

/// The file, as it is in the tree.
pub const CASES: &str = include_str!("../vectors/http1/cases.md");

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// `P001`
    pub id: String,
    /// What the row is about.
    pub name: String,
    /// What the client does, in order.
    pub script: Vec<Action>,
    /// The final answers; for each the permitted ones.
    pub expect: Vec<Vec<Expect>>,
    /// What becomes of the connection.
    pub connection: Fate,
    /// The body of the first answer.
    pub echo: Option<Vec<u8>>,
    /// The answer that has no body, because the request was HEAD.
    pub head: Option<usize>,
    /// Whether a 100 (Continue) must come or must not.
    pub interim: Option<bool>,
    /// Waits for a timeout of the server.
    pub slow: bool,
}

/// What a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Waits so many milliseconds.
    Pause(u64),
    /// Waits for any answer.
    Wait,
    /// Shuts down its side.
    Fin,
}

/// What a final answer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// An answer of this status.
    Status(u16),
    /// The end of the connection without an answer.
    None,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A further request succeeds.
    Keep,
    /// The server closes.
    Close,
    /// Either.
    Any,
}

/// An answer that a client read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, which may be an interim one.
    pub status: u16,
    /// The head, with its empty line.
    pub head: Vec<u8>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// Every row of [`CASES`].
///
/// # Panics
/// When a row is not in the notation.
#[must_use]
pub fn all() -> Vec<Case> {
    let rows = CASES.lines().filter(|line| line.starts_with("| P") || line.starts_with("| X"));
    rows.map(case).collect()
}

/// Reads all answers that `bytes` hold; `head` is the final answer without a body.
///
/// # Errors
/// What is wrong with the bytes: not an answer, or an incomplete one.
pub fn read_answers(bytes: &[u8], head: Option<usize>) -> Result<Vec<Answer>, String> {
    let mut answers: Vec<Answer> = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let finals = answers.iter().filter(|answer| answer.status >= 200).count();
        let (answer, len) = read_answer(rest, head == Some(finals))?;
        answers.push(answer);
        rest = &rest[len..];
    }
    Ok(answers)
}

/// Judges the answers to one case; the fate of the connection is the caller's to try.
///
/// # Errors
/// What differs from the row.
pub fn judge(case: &Case, answers: &[Answer]) -> Result<(), String> {
    let interim = answers.iter().any(|answer| answer.status == 100);
    if case.interim.is_some_and(|needed| needed != interim) {
        return Err(format!("100 (Continue) came: {interim}"));
    }
    let finals: Vec<_> = answers.iter().filter(|answer| answer.status >= 200).collect();
    for (index, permitted) in case.expect.iter().enumerate() {
        let got = finals.get(index).map_or(Expect::None, |answer| Expect::Status(answer.status));
        if !permitted.contains(&got) {
            return Err(format!("answer {index} is {got:?}, not one of {permitted:?}"));
        }
    }
    if finals.len() > case.expect.len() {
        return Err(format!("{} answers", finals.len()));
    }
    match (&case.echo, finals.first()) {
        (Some(body), first) if first.is_none_or(|answer| answer.body != *body) => {
            Err(format!("the first answer is {first:?}"))
        }
        _ => Ok(()),
    }
}

fn read_answer(bytes: &[u8], bodiless: bool) -> Result<(Answer, usize), String> {
    let text = String::from_utf8_lossy(bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| format!("not a whole head: {text:?}"))? + 4;
    let head = &bytes[..end];
    let line = head.strip_prefix(b"HTTP/1.1 ").and_then(|line| line.get(..3));
    let status = line.and_then(|digits| core::str::from_utf8(digits).ok()?.parse().ok());
    let status: u16 = status.ok_or_else(|| format!("no status: {text:?}"))?;
    let lines = core::str::from_utf8(head).map_err(|_| "a head that is not ASCII")?;
    let field = |wanted: &str| {
        let mut lines = lines.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
    };
    let mut body = Vec::new();
    let mut at = end;
    if bodiless || status < 200 || matches!(status, 204 | 304) {
    } else if field("transfer-encoding") == Some("chunked") {
        at += read_chunks(&bytes[end..], &mut body)?;
    } else if let Some(len) = field("content-length") {
        let len: usize = len.parse().map_err(|_| "a length that is no number")?;
        let span = bytes.get(end..end + len).ok_or("a body that is too short")?;
        body.extend_from_slice(span);
        at += len;
    } else {
        body.extend_from_slice(&bytes[end..]);
        at = bytes.len();
    }
    Ok((Answer { status, head: head.to_vec(), body }, at))
}

fn read_chunks(bytes: &[u8], body: &mut Vec<u8>) -> Result<usize, String> {
    let mut at = 0;
    loop {
        let line = bytes[at..].windows(2).position(|window| window == b"\r\n");
        let line = &bytes[at..at + line.ok_or("a chunk size line without end")?];
        let size =
            core::str::from_utf8(line).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or_else(|| format!("a chunk size that is none: {line:?}"))?;
        at += line.len() + 2;
        let data = bytes.get(at..at + size).ok_or("a chunk that is too short")?;
        body.extend_from_slice(data);
        at += size;
        if bytes.get(at..at + 2) != Some(b"\r\n") {
            return Err("a chunk without CRLF, or trailers".to_owned());
        }
        at += 2;
        if size == 0 {
            return Ok(at);
        }
    }
}

fn case(row: &str) -> Case {
    let cells: Vec<_> = row.split('|').map(str::trim).collect();
    let [_, id, _, name, bytes, expect, connection, notes, _] = cells[..] else {
        panic!("a row has seven cells: {row}");
    };
    let bytes = bytes.trim_matches('`').as_bytes();
    let note = |wanted: &str| notes.split("; ").any(|note| note == wanted);
    let quoted = |start: &str| notes.split(start).nth(1).and_then(|rest| rest.split('\'').next());
    Case {
        id: id.to_owned(),
        name: name.to_owned(),
        script: script(bytes),
        expect: expect.split(", ").map(|one| one.split('/').map(expectation).collect()).collect(),
        connection: match connection {
            "keep" => Fate::Keep,
            "close" => Fate::Close,
            "any" => Fate::Any,
            other => panic!("{id}: {other}"),
        },
        echo: quoted("echo '").map(|body| body.as_bytes().to_vec()),
        head: notes.split("; ").find_map(|note| note.strip_prefix("head ")).map(index),
        interim: note("needs 100").then_some(true).or(note("no 100").then_some(false)),
        slow: note("slow"),
    }
}

fn index(digits: &str) -> usize {
    digits.parse().expect("an index")
}

fn expectation(text: &str) -> Expect {
    match text {
        "ok" => Expect::Status(200),
        "none" => Expect::None,
        status => Expect::Status(status.parse().expect("a status")),
    }
}

fn script(mut text: &[u8]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut bytes = Vec::new();
    while let Some(first) = text.first() {
        let special =
            (*first == b'{').then(|| braces(text)).filter(|(inside, _)| !inside.contains(&b'*'));
        let Some((inside, rest)) = special else {
            text = literal(text, &mut bytes);
            continue;
        };
        if !bytes.is_empty() {
            actions.push(Action::Send(core::mem::take(&mut bytes)));
        }
        actions.push(match inside.strip_prefix(b"pause ") {
            Some(ms) => Action::Pause(String::from_utf8_lossy(ms).parse().expect("milliseconds")),
            None if inside == b"wait" => Action::Wait,
            None if inside == b"fin" => Action::Fin,
            None => panic!("{:?}", String::from_utf8_lossy(inside)),
        });
        text = rest;
    }
    if !bytes.is_empty() {
        actions.push(Action::Send(bytes));
    }
    actions
}

/// Reads one escape, one repetition or one byte.
fn literal<'a>(text: &'a [u8], bytes: &mut Vec<u8>) -> &'a [u8] {
    match text {
        [b'\\', b'r', rest @ ..] => (bytes.push(b'\r'), rest).1,
        [b'\\', b'n', rest @ ..] => (bytes.push(b'\n'), rest).1,
        [b'\\', b't', rest @ ..] => (bytes.push(b'\t'), rest).1,
        [b'\\', b'0', rest @ ..] => (bytes.push(0), rest).1,
        [b'\\', b'\\', rest @ ..] => (bytes.push(b'\\'), rest).1,
        [b'\\', b'x', high, low, rest @ ..] => {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).expect("a hex digit") as u8;
            bytes.push(digit(high) << 4 | digit(low));
            rest
        }
        [b'{', ..] => {
            let (inside, rest) = braces(text);
            let star = inside.iter().position(|byte| *byte == b'*').expect("a repetition");
            let count: usize = String::from_utf8_lossy(&inside[..star]).parse().expect("a count");
            let mut once = Vec::new();
            let mut inner = &inside[star + 1..];
            while !inner.is_empty() {
                inner = literal(inner, &mut once);
            }
            bytes.extend(once.repeat(count));
            rest
        }
        [byte, rest @ ..] => (bytes.push(*byte), rest).1,
        [] => text,
    }
}

/// What stands between a brace and the one that closes it, and what follows.
fn braces(text: &[u8]) -> (&[u8], &[u8]) {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate() {
        depth += match byte {
            b'{' => 1,
            b'}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("a brace without end: {:?}", String::from_utf8_lossy(text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_case_is_there() {
        let cases = all();
        assert_eq!(cases.iter().filter(|case| case.id.starts_with('P')).count(), 121);
        let mut ids: Vec<_> = cases.iter().map(|case| &case.id).collect();
        ids.dedup();
        assert_eq!(ids.len(), cases.len());
    }

    #[test]
    fn the_notation_is_read() {
        let row = r"| P1 | L1 | n | `a\r\x41{2*b\n}{pause 5}c{wait}{fin}` | ok, 400/none | close | head 1; no 100 |";
        let case = case(row);
        let send = |bytes: &[u8]| Action::Send(bytes.to_vec());
        assert_eq!(
            case.script,
            [send(b"a\rAb\nb\n"), Action::Pause(5), send(b"c"), Action::Wait, Action::Fin]
        );
        assert_eq!(
            case.expect,
            [vec![Expect::Status(200)], vec![Expect::Status(400), Expect::None]]
        );
        assert_eq!((case.head, case.interim, case.slow), (Some(1), Some(false), false));
    }
}
