//! A server in memory: a connection, the buffer a shell would keep, and an application that answers
//! every request with 200 and the request's body.

use forebay_core_http1::{
    After, Config, Connection, Event, FieldSlot, Framing, PeerError, ResponseHead,
};
use forebay_core_time::Instant;

pub(crate) const DATE: &[u8; 29] = b"Sat, 21 Nov 2026 04:00:00 GMT";

pub(crate) struct Echo {
    pub(crate) connection: Connection,
    /// Everything that was written.
    pub(crate) output: Vec<u8>,
    /// The bytes of the client that the connection has not used.
    pending: Vec<u8>,
    body: Vec<u8>,
    now: Instant,
    closed: bool,
}

impl Echo {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            connection: Connection::new(Instant::ZERO, config),
            output: Vec::new(),
            pending: Vec::new(),
            body: Vec::new(),
            now: Instant::ZERO,
            closed: false,
        }
    }

    /// Whether the server has closed, or only waits for the client to do so.
    pub(crate) fn is_over(&self) -> bool {
        self.closed
    }

    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.drive();
    }

    pub(crate) fn finish(&mut self) {
        self.connection.handle_eof(self.now);
        self.drive();
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn sleep(&mut self, ms: u64) {
        let end = self.now.saturating_add(core::time::Duration::from_millis(ms));
        while let Some(deadline) = self.connection.poll_timeout().filter(|at| *at <= end) {
            self.now = deadline.max(self.now);
            let before = self.connection.poll_timeout();
            let result = self.connection.handle_timeout(self.now);
            assert_ne!(self.connection.poll_timeout(), before, "a deadline that stays");
            self.after(result.map(|()| true));
            self.drive();
        }
        self.now = end;
    }

    fn drive(&mut self) {
        while !self.closed {
            let result = self.step();
            if !self.after(result) {
                break;
            }
        }
    }

    /// One step: whether anything happened.
    fn step(&mut self) -> Result<bool, PeerError> {
        let mut pending = core::mem::take(&mut self.pending);
        let mut slots = [const { FieldSlot::uninit() }; 128];
        let step = self.connection.handle_bytes(self.now, &pending, &mut slots)?;
        let used = step.used;
        let mut happened = used > 0;
        let mut ended = false;
        if let Some(event) = step.event {
            happened = true;
            match event {
                Event::Request(head) => {
                    self.body.clear();
                    ended = !head.facts().has_body();
                    if head.facts().framing() != Framing::None {
                        self.connection.grant_body(self.now, u64::MAX);
                    }
                }
                Event::Body(part) => {
                    assert!(!part.is_empty());
                    assert_eq!(part, &pending[used - part.len()..used], "the last bytes");
                    self.body.extend_from_slice(part);
                }
                Event::Trailers(_) => {}
                Event::RequestEnd => ended = true,
            }
        }
        pending.drain(..used);
        self.pending = pending;
        let mut interim = [0; 25];
        let len = self.connection.write_continue(&mut interim).expect("there is room");
        self.output.extend_from_slice(&interim[..len]);
        if ended {
            self.answer();
        }
        Ok(happened)
    }

    fn answer(&mut self) {
        let mut out = [0; 512];
        let length = Some(self.body.len() as u64);
        let head = ResponseHead { status: 200, length, date: DATE, fields: [].into_iter() };
        let len = self.connection.write_head(&head, &mut out).expect("a head is owed");
        self.output.extend_from_slice(&out[..len]);
        let part = self.connection.write_part(self.body.len() as u64, &mut out).expect("a part");
        self.output.extend_from_slice(&out[..part.slot_len]);
        self.output.extend_from_slice(&self.body[..part.take as usize]);
        let len = self.connection.write_end([].into_iter(), &mut out).expect("an end");
        self.output.extend_from_slice(&out[..len]);
        self.written();
    }

    fn after(&mut self, result: Result<bool, PeerError>) -> bool {
        if result.is_err() && self.connection.owes_refusal() {
            let mut out = [0; Connection::REFUSAL_LEN_MAX];
            let len = self.connection.write_refusal(DATE, &mut out).expect("there is room");
            self.output.extend_from_slice(&out[..len]);
            self.written();
        }
        if self.connection.is_closed() {
            self.closed = true;
        }
        result == Ok(true)
    }

    fn written(&mut self) {
        match self.connection.handle_written(self.now) {
            After::Open => {}
            After::Linger => self.connection.handle_shutdown(self.now),
            After::Close => self.closed = true,
            After::Switched => unreachable!("nobody switches"),
        }
    }
}
