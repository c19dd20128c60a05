//! Requests that are written, and answers that are read, on the thread that submits.
//!
//! The engine's thread costs two wake-ups per request. While requests come one at a time and
//! everything that is waited for comes within microseconds, a connection that rests is left to who
//! submits: a request is written right there, and its answer is looked for until it has come or is
//! late. What is not one plain, complete answer is the engine's to deal with, which takes the
//! connection back as it was before the first byte of that answer.

use core::cell::RefCell;
use core::time::Duration;
use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time;

use forebay_core_http1::client::{self as http1, Connection, Sent};
use forebay_core_time::Instant;

use super::EventSink;
use super::command::{Body, ClientId, Command, Request};
use super::event::Event;
use super::h1::{compose, describe, framing, told};
use super::outbox::Outbox;

/// A place for the connection that is lent; there is one at a time.
#[derive(Debug)]
pub(super) struct Lane {
    /// When the engine's time began.
    started: time::Instant,
    lent: Mutex<Option<Lent>>,
}

/// A connection that is lent, and what was done with it.
#[derive(Debug)]
pub(super) struct Lent {
    pub(super) client: ClientId,
    pub(super) machine: Connection<Box<[Sent]>>,
    pub(super) stream: TcpStream,
    pub(super) outbox: Outbox,
    pub(super) bytes_read: u64,
    /// What was sent and has no answer yet.
    pub(super) request: Option<Box<Request>>,
    /// What was read and is not a whole answer.
    pub(super) kept: Vec<u8>,
    pub(super) read_error: Option<io::Error>,
    /// When it was last used.
    used: time::Instant,
}

/// What looking for an answer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The sink was told.
    Answered,
    /// Look again.
    Waiting,
    /// The engine's thread will tell its sink.
    Left,
}

/// An answer that is later than this is waited for by the engine's thread, asleep.
const PATIENCE: Duration = Duration::from_micros(50);
/// A connection that was not used for so long goes back.
const UNUSED: Duration = Duration::from_millis(5);
/// Longer bodies are not written here.
const BODY_LEN: usize = 16 * 1024;
/// Longer answers are not read here.
const READ_LEN: usize = 64 * 1024;

impl Lent {
    pub(super) fn new(
        client: ClientId,
        machine: Connection<Box<[Sent]>>,
        stream: TcpStream,
        outbox: Outbox,
        bytes_read: u64,
    ) -> Self {
        let (request, kept, read_error) = (None, Vec::new(), None);
        let used = time::Instant::now();
        Self { client, machine, stream, outbox, bytes_read, request, kept, read_error, used }
    }

    /// Whether `request` can be written here, now.
    fn takes(&self, request: &Request) -> bool {
        let plain = match &request.body {
            Body::None | Body::Empty => true,
            Body::Whole(bytes) => bytes.len() <= BODY_LEN,
            Body::Stream { .. } => false,
        };
        let flags = request.flags;
        let ordinary = flags.started
            && !flags.connect
            && !flags.reset
            && request.head.upgrade().is_empty()
            && request.type_of_service.is_none();
        request.client == self.client
            && plain
            && ordinary
            && self.machine.can_send(&describe(request, framing(&request.body)))
            // A server that has left is noticed before a request is lost on it.
            && self.stream.peek(&mut [0]).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }

    /// Writes `request`: whether all of it is out.
    fn send(&mut self, now: Instant, request: Box<Request>) -> bool {
        let composed = compose(&mut self.machine, &mut self.outbox, now, &request);
        self.request = Some(request);
        composed.is_ok() && self.outbox.write_now(&mut self.stream).is_ok()
    }

    /// Reads what is there; tells `sink` if that is the whole answer.
    fn receive(&mut self, now: Instant, buffer: &mut [u8], sink: &mut dyn EventSink) -> Look {
        match self.stream.read(buffer) {
            Ok(len) => {
                self.bytes_read += len as u64;
                let before = self.machine.clone();
                if self.tell(now, &buffer[..len], sink).is_some() {
                    self.request = None;
                    return Look::Answered;
                }
                self.machine = before;
                self.kept = buffer[..len].to_vec();
                Look::Left
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.used.elapsed() < PATIENCE { Look::Waiting } else { Look::Left }
            }
            Err(error) => {
                self.read_error = Some(error);
                Look::Left
            }
        }
    }

    /// Tells `sink` of the answer that `data` is, unless it is none, something follows, or it is
    /// the connection's last.
    fn tell(&mut self, now: Instant, data: &[u8], sink: &mut dyn EventSink) -> Option<()> {
        let request = self.request.as_ref()?;
        let mut used = 0;
        let mut head = None;
        let mut body: &[u8] = &[];
        loop {
            self.machine.set_window(now, u64::from(request.credit) - body.len() as u64);
            let step = self.machine.handle_bytes(now, data.get(used..)?).ok()?;
            used += step.used;
            match step.event? {
                http1::Event::Response(told) if head.is_none() => head = Some(told),
                http1::Event::Body(part) if body.is_empty() => body = part,
                http1::Event::End(trailers) if used == data.len() && !self.machine.is_closed() => {
                    let id = request.id;
                    if let Body::Whole(_) = request.body {
                        sink.emit(Event::BodySent { id });
                    }
                    sink.emit(Event::Response { id, head: told(&head?), body, trailers });
                    return Some(());
                }
                _ => return None,
            }
        }
    }
}

impl Lane {
    pub(super) fn new(started: time::Instant) -> Self {
        Self { started, lent: Mutex::new(None) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lent>> {
        // Nothing that is left half done here does harm.
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    /// Whether a connection can be lent.
    pub(super) fn is_free(&self) -> bool {
        self.lock().is_none()
    }

    pub(super) fn lend(&self, lent: Lent) {
        *self.lock() = Some(lent);
    }

    /// What is lent, if it is used no more; all the same if `anyway`.
    pub(super) fn take_back(&self, anyway: bool) -> Option<Lent> {
        let mut lent = self.lock();
        let unused = lent.as_ref().is_some_and(|lent| lent.used.elapsed() >= UNUSED);
        if anyway || unused { lent.take() } else { None }
    }

    /// Sends what `commands` ask for, or says what is left to submit.
    pub(super) fn offer(&self, mut commands: Vec<Command>) -> Result<(), Vec<Command>> {
        let mut place = self.lock();
        let Some(lent) = &mut *place else {
            return Err(commands);
        };
        let free = lent.request.is_none();
        match &commands[..] {
            [Command::Dispatch(request)] if free && lent.takes(request) => {}
            _ if free => return Err(commands),
            _ => {
                commands.insert(0, Command::TakeBack);
                return Err(commands);
            }
        }
        lent.used = time::Instant::now();
        let now = self.now();
        let sent = match commands.pop() {
            Some(Command::Dispatch(request)) => lent.send(now, request),
            _ => true,
        };
        if sent { Ok(()) } else { Err(vec![Command::TakeBack]) }
    }

    /// Looks for the answer to what [`offer`](Self::offer) has sent.
    pub(super) fn look(&self, sink: &mut dyn EventSink) -> Look {
        std::thread_local! {
            static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let mut place = self.lock();
        let now = self.now();
        match &mut *place {
            Some(lent) if lent.request.is_some() => BUFFER.with_borrow_mut(|buffer| {
                buffer.resize(READ_LEN, 0);
                lent.receive(now, buffer, sink)
            }),
            _ => Look::Left,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;
    use crate::engine::command::{RequestFlags, RequestHead, RequestId};

    const ANSWER: &[u8] = b"HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nhi";

    /// Writes down the names of events.
    #[derive(Default)]
    struct Names(Vec<&'static str>);

    impl EventSink for Names {
        fn emit(&mut self, event: Event<'_>) {
            self.0.push(match event {
                Event::BodySent { .. } => "body sent",
                Event::Response { body, .. } if body == b"hi" => "response",
                _ => "another",
            });
        }

        fn flush(&mut self) -> bool {
            false
        }

        fn is_full(&self) -> bool {
            false
        }
    }

    /// A lane with a connection, and the server's end of that.
    fn lane() -> (Lane, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("bound")).expect("a peer");
        stream.set_nonblocking(true).expect("a socket");
        let (server, _) = listener.accept().expect("the client");
        server.set_nodelay(true).expect("a socket");
        let lane = Lane::new(time::Instant::now());
        let sent: Box<[Sent]> = Box::new([Sent::default(); 1]);
        let machine = Connection::new(Instant::ZERO, http1::Config::new(), sent);
        lane.lend(Lent::new(ClientId(7), machine, stream, Outbox::default(), 0));
        (lane, server)
    }

    fn dispatch(client: u32, body: Body) -> Vec<Command> {
        let head = RequestHead::new(b"POST/a".as_slice().into(), [4, 5, 6, 6]).expect("in order");
        vec![Command::Dispatch(Box::new(Request {
            id: RequestId { slot: 0, generation: 0 },
            client: ClientId(client),
            head,
            body,
            flags: RequestFlags { started: true, ..RequestFlags::default() },
            headers_timeout_ms: 0,
            body_timeout_ms: 0,
            credit: 1 << 20,
            type_of_service: None,
            servername: None,
        }))]
    }

    /// Waits until the client's end has `len` bytes to read; none: the end of the stream.
    fn arrived(lane: &Lane, len: usize) {
        let deadline = time::Instant::now() + Duration::from_secs(5);
        let mut buffer = [0; 256];
        loop {
            let there = lane.lock().as_ref().expect("lent").stream.peek(&mut buffer);
            if there.is_ok_and(|there| there == len) {
                return;
            }
            assert!(time::Instant::now() < deadline, "{len} bytes did not arrive");
        }
    }

    fn look_for(lane: &Lane, names: &mut Names) -> Look {
        lane.lock().as_mut().expect("lent").used = time::Instant::now();
        loop {
            match lane.look(names) {
                Look::Waiting => {}
                found => return found,
            }
        }
    }

    fn read(server: &mut TcpStream, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        server.read_exact(&mut bytes).expect("a request");
        bytes
    }

    #[test]
    fn a_request_goes_out_and_its_answer_comes_in() {
        let (lane, mut server) = lane();
        for _ in 0..3 {
            let body = Body::Whole(b"xyz".as_slice().into());
            assert!(lane.offer(dispatch(7, body)).is_ok());
            let request = b"POST / HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\n\
                content-length: 3\r\n\r\nxyz";
            assert_eq!(read(&mut server, request.len()), request);
            server.write_all(ANSWER).expect("the client");
            arrived(&lane, ANSWER.len());
            let mut names = Names::default();
            assert_eq!(look_for(&lane, &mut names), Look::Answered);
            assert_eq!(names.0, ["body sent", "response"]);
        }
    }

    #[test]
    fn what_is_not_a_whole_plain_answer_goes_back_untouched() {
        let closing = b"HTTP/1.1 200 Fine\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi";
        let early = b"HTTP/1.1 103 E\r\n\r\nHTTP/1.1 204 N\r\n\r\n";
        let two = [ANSWER, ANSWER].concat();
        let cases: [&[u8]; 6] =
            [&ANSWER[..9], &ANSWER[..41], closing, early, &two, b"nonsense\r\n"];
        for bytes in cases {
            let (lane, mut server) = lane();
            assert!(lane.offer(dispatch(7, Body::None)).is_ok());
            server.write_all(bytes).expect("the client");
            arrived(&lane, bytes.len());
            let mut names = Names::default();
            assert_eq!(look_for(&lane, &mut names), Look::Left);
            let lent = lane.take_back(true).expect("lent");
            assert_eq!(lent.kept, bytes);
            assert!(lent.request.is_some());
            assert!(!lent.machine.is_closed());
            assert!(!lent.machine.is_in_body());
            assert!(names.0.is_empty(), "{:?}", names.0);
        }
    }

    #[test]
    fn a_server_that_is_late_or_has_left_is_the_engines() {
        let (late, _server) = lane();
        assert!(late.offer(dispatch(7, Body::None)).is_ok());
        assert_eq!(look_for(&late, &mut Names::default()), Look::Left);
        drop(late.take_back(true));
        assert_eq!(late.look(&mut Names::default()), Look::Left, "nothing is lent");
        let (left, server) = lane();
        drop(server);
        arrived(&left, 0);
        assert!(left.offer(dispatch(7, Body::None)).is_err_and(|commands| commands.len() == 1));
        assert!(left.take_back(true).expect("lent").request.is_none());
    }

    #[test]
    fn what_cannot_go_by_itself_is_left_to_submit() {
        let (lane, _server) = lane();
        let long = Body::Whole(vec![0; BODY_LEN + 1].into());
        let mut unstarted = dispatch(7, Body::None);
        if let Command::Dispatch(request) = &mut unstarted[0] {
            request.flags.started = false;
        }
        for left in [
            unstarted,
            dispatch(8, Body::None),
            dispatch(7, Body::Stream { length: None }),
            dispatch(7, long),
            [dispatch(7, Body::None), dispatch(7, Body::None)].into_iter().flatten().collect(),
        ] {
            let len = left.len();
            assert!(lane.offer(left).is_err_and(|left| left.len() == len));
        }
        assert!(lane.offer(dispatch(7, Body::None)).is_ok());
        let second = lane.offer(dispatch(7, Body::None)).expect_err("one at a time");
        assert!(matches!(second[..], [Command::TakeBack, Command::Dispatch(_)]));
    }

    #[test]
    fn a_connection_that_is_not_used_can_be_taken_back() {
        let (lane, _server) = lane();
        assert!(lane.take_back(false).is_none());
        lane.lock().as_mut().expect("lent").used -= UNUSED;
        assert!(lane.take_back(false).is_some());
        assert!(lane.is_free());
    }
}
