//! What an answer has to look like: learnt from the first one, which is checked in full, and then
//! compared byte by byte, but for the date.

use load::answer::DATE_LEN;

/// The bytes of the right answer, and where its date lies, if it has one.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    date: std::ops::Range<usize>,
}

impl Template {
    /// Takes the front of `input` as the answer, when it is whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it: status, body, length, form.
    pub fn learn(input: &[u8], status: u16, body: &[u8]) -> Result<Option<Self>, String> {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(input).map_err(|error| format!("no HTTP answer: {error}"))?;
        let httparse::Status::Complete(head_len) = parsed else { return Ok(None) };
        let shown = String::from_utf8_lossy(&input[..head_len]);
        if head.code != Some(status) {
            return Err(format!("status is not {status}: {shown}"));
        }
        let chunked = field(head.headers, "transfer-encoding") == Some("chunked");
        let length = field(head.headers, "content-length").map_or(Ok(0), str::parse::<usize>);
        if !chunked && length != Ok(body.len()) {
            return Err(format!("content-length is not {}: {shown}", body.len()));
        }
        let rest = &input[head_len..];
        let received = if chunked { unchunk(rest)? } else { plain(rest, body.len()) };
        let Some((got, used)) = received else { return Ok(None) };
        if got != body {
            return Err(format!("another body: {}", String::from_utf8_lossy(&got)));
        }
        let date = field(head.headers, "date").map_or(0..0, |value| {
            let start = value.as_ptr().addr() - input.as_ptr().addr();
            start..start + DATE_LEN
        });
        Ok(Some(Self { bytes: input[..head_len + used].to_vec(), date }))
    }

    /// Bytes of one answer.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether `input` is what comes at `offset` of an endless row of answers.
    pub fn matches(&self, mut offset: usize, mut input: &[u8]) -> bool {
        while !input.is_empty() {
            let (part, rest) = input.split_at(input.len().min(self.bytes.len() - offset));
            if !self.matches_part(offset, part) {
                return false;
            }
            (offset, input) = (0, rest);
        }
        true
    }

    fn matches_part(&self, offset: usize, part: &[u8]) -> bool {
        let end = offset + part.len();
        let before = offset..end.min(self.date.start).max(offset);
        let after = end.min(self.date.end).max(offset)..end;
        part[..before.len()] == self.bytes[before]
            && part[part.len() - after.len()..] == self.bytes[after]
    }
}

/// A body of a known length and the bytes it takes, when it is whole.
fn plain(input: &[u8], len: usize) -> Option<(Vec<u8>, usize)> {
    input.get(..len).map(|body| (body.to_vec(), len))
}

/// A chunked body without trailers and the bytes it takes, when it is whole.
fn unchunk(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut used) = (Vec::new(), 0);
    loop {
        let size = httparse::parse_chunk_size(&input[used..]);
        let size = size.map_err(|_| "an invalid chunk size".to_owned())?;
        let httparse::Status::Complete((start, len)) = size else { return Ok(None) };
        let (start, len) = (used + start, len as usize);
        let Some(data) = input.get(start..start + len + 2) else { return Ok(None) };
        body.extend_from_slice(&data[..len]);
        used = start + len + 2;
        if len == 0 {
            return Ok(Some((body, used)));
        }
    }
}

fn field<'a>(fields: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
    str::from_utf8(field.value).ok()
}

#[cfg(test)]
mod tests {
    use super::Template;
    use load::answer::{Answer, BODY};

    #[test]
    fn another_date_matches_and_any_other_byte_does_not() {
        let answer = Answer::new();
        let learnt = Template::learn(answer.bytes(), 404, BODY.as_bytes());
        let template = learnt.expect("right").expect("whole");
        for index in 0..template.len() {
            let mut bytes = answer.bytes().repeat(2);
            bytes[template.len() + index] ^= 1;
            let in_date = template.date.contains(&index);
            for cut in [0, 1, index, template.len() + index, template.len() + index + 1] {
                let (front, rest) = bytes.split_at(cut);
                let whole =
                    template.matches(0, front) && template.matches(cut % template.len(), rest);
                assert_eq!(whole, in_date, "byte {index}, cut at {cut}");
            }
        }
    }

    #[test]
    fn a_chunked_answer_is_whole_after_its_last_chunk() {
        let answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\nHTTP";
        let template = Template::learn(answer, 200, b"abc").expect("right").expect("whole");
        assert_eq!(template.len(), answer.len() - 4);
        assert!(Template::learn(&answer[..template.len() - 1], 200, b"abc").unwrap().is_none());
    }

    #[test]
    fn a_wrong_first_answer_is_refused() {
        let answer = Answer::new();
        assert!(Template::learn(answer.bytes(), 200, BODY.as_bytes()).is_err());
        assert!(Template::learn(answer.bytes(), 404, &BODY.as_bytes()[1..]).is_err());
        assert!(Template::learn(&answer.bytes()[..280], 404, BODY.as_bytes()).unwrap().is_none());
        assert!(Template::learn(b"nonsense\r\n\r\n", 404, b"").is_err());
    }
}
