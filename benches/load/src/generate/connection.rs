//! One connection of the generator.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use super::template::Template;

/// What all connections send and expect.
#[derive(Debug)]
pub struct Script {
    /// All requests in a row, and the first `depth` of them again, so that a batch never wraps.
    bytes: Vec<u8>,
    /// Bytes of one request.
    request_len: usize,
    count: usize,
    depth: usize,
    status: u16,
    body: Vec<u8>,
}

impl Script {
    /// Requests of one length, sent in turns in batches of `depth`; each gets the same answer.
    pub fn new(requests: &[Vec<u8>], depth: usize, status: u16, body: &[u8]) -> Self {
        let request_len = requests[0].len();
        assert!(requests.iter().all(|request| request.len() == request_len));
        let bytes = requests.iter().cycle().take(requests.len() + depth).flatten().copied();
        let (bytes, count) = (bytes.collect(), requests.len());
        Self { bytes, request_len, count, depth, status, body: body.to_vec() }
    }

    /// Whether a batch surely fits a socket's buffer.
    pub fn is_small(&self) -> bool {
        self.depth * self.request_len <= 16 * 1024
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    fn batch(&self, first: usize) -> &[u8] {
        &self.bytes[first * self.request_len..][..self.depth * self.request_len]
    }
}

/// One keep-alive connection with at most one batch in flight.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    template: Template,
    /// Index of the next request in the script.
    next: usize,
    /// Bytes of the running batch that the socket has taken.
    sent: usize,
    /// Bytes of the running batch's answers that have come.
    received: usize,
    sent_at: Instant,
}

impl Connection {
    /// Connects, and learns the answer from one request that is checked in full.
    pub fn open(address: SocketAddr, script: &Script) -> io::Result<Self> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
        let mut writer = socket.try_clone()?;
        let first = &script.bytes[..script.request_len];
        // A large echo comes back while the request is still being written.
        let template = std::thread::scope(|scope| {
            let written = scope.spawn(move || writer.write_all(first));
            let template = learn(&mut socket, script)?;
            written.join().map_err(|_| io::Error::other("the writing thread"))??;
            io::Result::Ok(template)
        })?;
        socket.set_nonblocking(true)?;
        let batch = script.depth * script.request_len;
        Ok(Self { socket, template, next: 0, sent: batch, received: 0, sent_at: Instant::now() })
    }

    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends the first batch; connections start at different places of the script.
    pub fn start(&mut self, script: &Script, index: usize) -> Result<(), String> {
        self.next = index % script.count;
        self.send(script)
    }

    pub fn send(&mut self, script: &Script) -> Result<(), String> {
        self.received = 0;
        self.sent = 0;
        self.sent_at = Instant::now();
        self.send_rest(script)?;
        if script.is_small() && self.has_unsent(script) {
            return Err(format!("a batch was cut at {}", self.sent));
        }
        Ok(())
    }

    pub fn has_unsent(&self, script: &Script) -> bool {
        self.sent < script.depth * script.request_len
    }

    /// Writes what the socket takes now.
    pub fn send_rest(&mut self, script: &Script) -> Result<(), String> {
        let batch = script.batch(self.next);
        match self.socket.write(&batch[self.sent..]) {
            Ok(len) => self.sent += len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("send: {error}")),
        }
        if !self.has_unsent(script) {
            self.next = (self.next + script.depth) % script.count;
        }
        Ok(())
    }

    /// Takes what has come; says when the batch was sent, once all of its answers are there.
    pub fn receive(
        &mut self,
        script: &Script,
        input: &mut [u8],
    ) -> Result<Option<Instant>, String> {
        let len = match self.socket.read(input) {
            Ok(0) => return Err("the server closed a connection".to_owned()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(format!("receive: {error}")),
        };
        let wanted = self.template.len() * script.depth;
        let right = self.template.matches(self.received % self.template.len(), &input[..len]);
        self.received += len;
        if !right || self.received > wanted {
            let text = String::from_utf8_lossy(&input[..len]);
            return Err(format!("another answer than the first one: {text}"));
        }
        Ok((self.received == wanted).then_some(self.sent_at))
    }
}

fn learn(socket: &mut TcpStream, script: &Script) -> io::Result<Template> {
    let (mut input, mut len) = (vec![0; 64 * 1024 + script.body.len()], 0);
    loop {
        let count = socket.read(&mut input[len..])?;
        len += count;
        let learnt = Template::learn(&input[..len], script.status, &script.body);
        match learnt.map_err(io::Error::other)? {
            Some(template) if template.len() == len => return Ok(template),
            Some(_) => return Err(io::Error::other("bytes after the answer")),
            None if count == 0 => return Err(io::Error::other("closed before the answer")),
            None => {}
        }
    }
}
