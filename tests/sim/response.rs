//! What a client makes of the bytes that come back: a strict reader of HTTP/1.1 responses.

/// Reads responses, one after another.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    waiting: Vec<u8>,
    current: Option<Response>,
}

/// A final response, as far as it came.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) closes: bool,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Read {
    /// 100 or 103.
    Interim(u16),
    /// A whole response.
    Response(Response),
}

impl Reader {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Whether a response has begun and is not complete.
    pub(crate) fn is_inside(&self) -> bool {
        self.current.is_some() || !self.waiting.is_empty()
    }

    /// What has come of the response that is underway.
    pub(crate) const fn current(&self) -> Option<&Response> {
        self.current.as_ref()
    }

    /// The next thing that is complete. `bodiless`: the request was HEAD.
    ///
    /// # Panics
    /// On anything that is no well-formed response.
    pub(crate) fn next(&mut self, bodiless: bool) -> Option<Read> {
        if self.current.is_none() {
            let head = self.take_head()?;
            if head.status < 200 {
                assert!(matches!(head.status, 100 | 103), "interim status {}", head.status);
                return Some(Read::Interim(head.status));
            }
            self.current = Some(head);
        }
        let response = self.current.as_mut().expect("set above");
        let none = bodiless || matches!(response.status, 204 | 304);
        let done = match response.framing {
            _ if none => true,
            Framing::Length(len) => {
                let missing = len - response.body.len();
                let taken = missing.min(self.waiting.len());
                response.body.extend(self.waiting.drain(..taken));
                response.body.len() == len
            }
            Framing::Chunked => take_chunks(&mut self.waiting, &mut response.body),
            Framing::UntilClose => {
                response.body.append(&mut self.waiting);
                false
            }
        };
        done.then(|| Read::Response(self.current.take().expect("set above")))
    }

    /// The connection has ended: a response that lasts until then is complete now.
    pub(crate) fn end(&mut self) -> Option<Response> {
        self.current.take().filter(|response| response.framing == Framing::UntilClose)
    }

    fn take_head(&mut self) -> Option<Response> {
        let len = self.waiting.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head: Vec<u8> = self.waiting.drain(..len).collect();
        let head = String::from_utf8(head).expect("heads are text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().expect("a status line");
        let rest = status.strip_prefix("HTTP/1.1 ").expect("the version");
        let status = rest.get(..3).and_then(|code| code.parse().ok()).expect("a status");
        let fields: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").expect("name and value"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let field = |name| fields.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        let chunked = field("transfer-encoding").is_some_and(|value| value == "chunked");
        let length = field("content-length").map(|text| text.parse().expect("a length"));
        assert!(!(chunked && length.is_some()), "two framings");
        let framing = match length {
            Some(length) => Framing::Length(length),
            None if chunked => Framing::Chunked,
            None => Framing::UntilClose,
        };
        let closes = field("connection").is_some_and(|value| value == "close");
        Some(Response { status, closes, framing, body: Vec::new(), fields })
    }
}

/// Moves whole chunks; true behind the last one and its trailers.
fn take_chunks(waiting: &mut Vec<u8>, body: &mut Vec<u8>) -> bool {
    while let Some(line) = waiting.windows(2).position(|two| two == b"\r\n") {
        let size = str::from_utf8(&waiting[..line]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size in hex");
        if size == 0 {
            // Trailers end with an empty line, which follows at once if there are none.
            let rest = &waiting[line..];
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else {
                return false;
            };
            waiting.drain(..line + end + 4);
            return true;
        }
        let end = line + 2 + size;
        if waiting.len() < end + 2 {
            return false;
        }
        assert_eq!(&waiting[end..end + 2], b"\r\n", "the end of a chunk");
        body.extend_from_slice(&waiting[line + 2..end]);
        waiting.drain(..end + 2);
    }
    false
}
