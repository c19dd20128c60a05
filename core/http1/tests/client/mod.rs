//! A client that asks once, or several times in a row, and writes down what it is told.

use core::fmt::Write as _;

use forebay_core_http1::client::{
    Config, Connection, Event, Request, RequestBody, ResponseHead, Sent, Traits,
};
use forebay_core_time::Instant;

/// What was asked before the bytes came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    pub(crate) head: bool,
    pub(crate) connect: bool,
    pub(crate) upgrade: bool,
    /// Requests on the wire.
    pub(crate) count: usize,
    /// The limit on bodies, 0: none.
    pub(crate) body_len: u64,
}

/// Sends the requests, takes the pieces and then the end of the stream, and says what they meant:
/// adjacent parts of a body as one.
pub(crate) fn replay<'a>(asked: Asked, pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let now = Instant::ZERO;
    let mut config = Config::new();
    if asked.body_len > 0 {
        config.body_len = asked.body_len;
    }
    let mut connection = Connection::new(now, config, [Sent::default(); 8]);
    connection.set_depth(8);
    for _ in 0..asked.count {
        let mut out = [0; 256];
        connection.write_request(now, &request(asked), &mut out).expect("a good request");
    }
    let mut log = Log::default();
    let mut kept = Vec::new();
    for piece in pieces {
        kept.extend_from_slice(piece);
        let used = take(&mut connection, &kept, &mut log);
        kept.drain(..used);
    }
    log.finish(&mut connection, &kept)
}

fn request(asked: Asked) -> Request<'static> {
    Request {
        method: if asked.connect { b"CONNECT" } else { b"GET" },
        target: b"/",
        host: b"a.do",
        upgrade: if asked.upgrade { b"x" } else { b"" },
        fields: b"",
        body: RequestBody::None,
        traits: Traits {
            idempotent: true,
            connect: asked.connect,
            head: asked.head,
            ..Traits::default()
        },
        headers_timeout_ms: 0,
        body_timeout_ms: 0,
    }
}

/// Offers the input until nothing happens any more, and gives how much was used.
fn take(connection: &mut Connection<[Sent; 8]>, input: &[u8], log: &mut Log) -> usize {
    let now = Instant::ZERO;
    let mut start = 0;
    loop {
        connection.set_window(now, u64::MAX);
        let Ok(step) = connection.handle_bytes(now, &input[start..]) else {
            return start;
        };
        if let Some(Event::Body(part)) = step.event {
            assert!(!part.is_empty() && input[..start + step.used].ends_with(part));
        }
        start += step.used;
        if step.used == 0 && step.event.is_none() {
            return start;
        }
        log.add(step.event);
    }
}

#[derive(Default)]
struct Log {
    text: String,
    in_body: bool,
}

impl Log {
    fn add(&mut self, event: Option<Event<'_>>) {
        let in_body = matches!(event, Some(Event::Body(_)));
        if event.is_none() {
            return;
        }
        if in_body && !self.in_body {
            self.text.push_str("D ");
        } else if self.in_body && !in_body {
            self.text.push_str("; ");
        }
        self.in_body = in_body;
        match event {
            Some(Event::Informational(head)) => self.head('I', &head),
            Some(Event::Response(head)) => self.head('H', &head),
            Some(Event::Switch(head)) => self.head('S', &head),
            Some(Event::Body(part)) => self.text.push_str(&part.escape_ascii().to_string()),
            Some(Event::End(trailers)) => {
                let _ = write!(self.text, "E {}; ", trailers.escape_ascii());
            }
            None => {}
        }
    }

    fn head(&mut self, kind: char, head: &ResponseHead<'_>) {
        let (reason, fields) = (head.reason.escape_ascii(), head.fields.escape_ascii());
        let fields = fields.to_string();
        let fields = if fields.len() > 200 { "..." } else { &fields };
        let reason = reason.to_string();
        let reason = if reason.len() > 200 { "..." } else { &reason };
        let _ = write!(self.text, "{kind} {} [{reason}] {fields}; ", head.status);
    }

    /// The end of the stream; `kept` is what was not used.
    fn finish(mut self, connection: &mut Connection<[Sent; 8]>, kept: &[u8]) -> String {
        let (persists, switched) = (connection.is_idle(), connection.is_switched());
        if let Some(error) = connection.error() {
            self.add(Some(Event::End(b"")));
            let len = self.text.len() - "E ; ".len();
            self.text.truncate(len);
            let _ = write!(self.text, "! {error}");
            return self.text;
        }
        if persists || switched || connection.is_closed() {
            let state = if persists {
                "open"
            } else if switched {
                "switched"
            } else {
                "closed"
            };
            let _ = write!(self.text, "{state} {}", kept.escape_ascii());
            return self.text.trim_end().to_owned();
        }
        match connection.handle_eof(Instant::ZERO) {
            Ok(event) => {
                self.add(event);
                self.text.push_str("closed");
            }
            Err(error) => {
                if self.in_body {
                    self.text.push_str("; ");
                }
                let _ = write!(self.text, "! eof: {error}");
            }
        }
        self.text
    }
}
