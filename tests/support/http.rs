//! A plain HTTP/1.1 client for tests: blocking, with a deadline on every read, and no opinion on
//! what it sends.

use core::net::SocketAddr;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::gateway::PATIENCE;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    buf: Vec<u8>,
}

/// A whole answer, its body without framing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, values as they came.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the first field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("somebody listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        stream.set_nodelay(true).expect("a socket takes options");
        Self { stream, buf: Vec::new() }
    }

    /// Sends bytes as they are.
    ///
    /// # Panics
    /// When they cannot be sent within 20 s.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the gateway takes the bytes");
    }

    /// Like [`send`](Self::send), for a gateway that may have closed.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends `GET target` for a host.
    pub fn get(&mut self, host: &str, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        self.answer()
    }

    /// Sends a request with a body of known length.
    pub fn post(&mut self, host: &str, target: &str, body: &[u8]) -> Answer {
        let len = body.len();
        self.send(format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len}\r\n\r\n"
        ));
        self.send(body);
        self.answer()
    }

    /// Reads the next final answer to a request that was not HEAD, with its body.
    ///
    /// # Panics
    /// When the connection ends or stalls before the answer is whole.
    pub fn answer(&mut self) -> Answer {
        let mut head = self.head();
        while head.status < 200 {
            head = self.head();
        }
        self.body_of(head)
    }

    /// Reads the head of the next answer, which may be an interim one.
    ///
    /// # Panics
    /// When the connection ends or stalls before the head is whole.
    pub fn head(&mut self) -> Answer {
        let end = loop {
            if let Some(at) = self.buf.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.fill().expect("the gateway answers in time"), "closed before an answer");
        };
        let head: Vec<u8> = self.buf.drain(..end).collect();
        parse_head(&head)
    }

    /// Reads the body that belongs to a head.
    ///
    /// # Panics
    /// When the connection ends or stalls before it is whole.
    pub fn body_of(&mut self, mut head: Answer) -> Answer {
        if let Some(len) = head.field("content-length") {
            let len = len.parse().expect("a length is a number");
            head.body = self.take(len);
        } else if head.field("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                head.body.extend_from_slice(&chunk);
            }
        } else if head.status != 204 && head.status != 304 {
            head.body = self.rest();
        }
        head
    }

    /// Reads one chunk; `None` is the last one, whose trailers are dropped.
    ///
    /// # Panics
    /// When the connection ends or stalls inside it.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line = self.line();
        let len = usize::from_str_radix(&line, 16).expect("a chunk begins with its size");
        if len == 0 {
            while !self.line().is_empty() {}
            return None;
        }
        let chunk = self.take(len);
        assert_eq!(self.take(2), b"\r\n", "a chunk ends with CRLF");
        Some(chunk)
    }

    /// Reads up to the end of the stream.
    ///
    /// # Panics
    /// When it does not end within 20 s.
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill().unwrap_or_else(|error| {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
            false
        }) {}
        core::mem::take(&mut self.buf)
    }

    /// Reads up to `max` bytes, at least one; 0 at the end of the stream.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn read(&mut self, max: usize) -> io::Result<usize> {
        if !self.buf.is_empty() {
            let len = self.buf.len().min(max);
            self.buf.drain(..len);
            return Ok(len);
        }
        let mut scratch = vec![0; max];
        self.stream.read(&mut scratch)
    }

    /// Ends this side's direction.
    ///
    /// # Panics
    /// When the connection is gone.
    pub fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("the connection is there");
    }

    /// The socket itself.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn line(&mut self) -> String {
        let end = loop {
            if let Some(at) = self.buf.windows(2).position(|w| w == b"\r\n") {
                break at;
            }
            assert!(self.fill().expect("the gateway answers in time"), "closed inside a line");
        };
        let line = self.buf.drain(..end + 2).take(end).collect();
        String::from_utf8(line).expect("a line is text")
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.buf.len() < len {
            assert!(self.fill().expect("the gateway answers in time"), "closed inside a body");
        }
        self.buf.drain(..len).collect()
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut scratch = [0; 64 * 1024];
        let len = self.stream.read(&mut scratch)?;
        self.buf.extend_from_slice(&scratch[..len]);
        Ok(len > 0)
    }
}

fn parse_head(head: &[u8]) -> Answer {
    let text = core::str::from_utf8(head).expect("a head is text");
    let mut lines = text.trim_end().split("\r\n");
    let status =
        lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).expect("a status line");
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a field has a colon");
        (name.to_ascii_lowercase(), value.trim().to_owned())
    });
    let fields = fields.collect();
    Answer { status: status[..3].parse().expect("three digits"), fields, body: Vec::new() }
}
