//! A child's session driven by bytes, beside a plain model of what it must do. The fuzz target
//! drives the same model.

use std::collections::HashMap;

use forebay_core_frame::Loan;
use forebay_core_procwire::child::{
    Call, CallEntry, ChildSession, Config, Event, Method, Refusal, Reply, Storage,
};
use forebay_core_procwire::{
    Body, Flags, Header, MaxPayload, MethodId, PeerError, RequestId, ResponseType, SendError,
    Transmit, WireId,
};

const METHODS: [Method; 5] = [
    Method { response: ResponseType::Result, counted: true },
    Method { response: ResponseType::Stream, counted: true },
    Method { response: ResponseType::Ack, counted: true },
    Method { response: ResponseType::None, counted: true },
    Method { response: ResponseType::Ack, counted: false },
];
const MAX_CONCURRENCY: u32 = 3;
const TABLE: usize = 5;

type Session = ChildSession<&'static [Method], [CallEntry; TABLE], [Loan; 4]>;

/// What the model knows of a call that the session told about.
#[derive(Debug)]
struct Known {
    call: Call,
    method: u16,
    request: Option<RequestId>,
    aborted: bool,
    /// Payload bytes received, and how many there will be.
    received: u32,
    payload_len: u32,
}

struct Driver {
    session: Session,
    slots: Vec<u8>,
    out: Vec<Transmit>,
    known: Vec<Known>,
    /// Bytes on their way to the session.
    wire: Vec<u8>,
    /// Requests put on the wire whole and not reported yet, oldest first.
    expected: std::collections::VecDeque<(u16, u32, u32)>,
    broken: bool,
    /// Final frames still owed for refused requests: how many by (id, request).
    owed: HashMap<(u16, u32), u32>,
}

/// Reads operations from `ops` until they end, then ends the connection.
pub(crate) fn run(ops: &[u8]) {
    let config = Config {
        max_payload: MaxPayload::new(400),
        max_concurrency: MAX_CONCURRENCY,
        event_count: 2,
    };
    let storage = Storage {
        methods: &METHODS[..],
        calls: [CallEntry::default(); TABLE],
        loans: [Loan::default(); 4],
    };
    let session = ChildSession::new(config, storage);
    let mut driver = Driver {
        slots: vec![0; session.slots_len()],
        session,
        out: Vec::new(),
        known: Vec::new(),
        wire: Vec::new(),
        expected: std::collections::VecDeque::new(),
        broken: false,
        owed: HashMap::new(),
    };
    let mut ops = ops.iter().copied();
    while let Some(op) = ops.next() {
        let mut arg = || ops.next().unwrap_or(0);
        match op % 10 {
            0 | 1 => driver.request(u16::from(arg() % 7) + 1, u32::from(arg() % 5), arg()),
            2 => driver.frame(WireId::ABORT, u32::from(arg() % 5), &[]),
            3 => driver.frame(WireId::AUTH, u32::from(arg() % 2), &[1; 5]),
            4 | 5 => driver.feed(usize::from(arg())),
            6 => driver.reply(arg(), arg(), arg()),
            7 => driver.close(arg()),
            8 => driver.sent(arg()),
            _ if arg() == 255 => {
                driver.wire.push(arg());
                driver.broken = true;
            }
            _ => driver.emit(arg()),
        }
        driver.drain();
    }
    driver.finish();
}

impl Driver {
    fn request(&mut self, method: u16, request: u32, len: u8) {
        if self.wire.len() > 4096 {
            return;
        }
        let payload: Vec<u8> = (0..len).collect();
        if !self.broken {
            self.expected.push_back((method, request, u32::from(len)));
        }
        self.frame(WireId::new(method).unwrap(), request, &payload);
    }

    fn frame(&mut self, id: WireId, request: u32, payload: &[u8]) {
        let header = Header {
            id,
            flags: Flags::REQUEST,
            request: RequestId::new(request),
            payload_len: payload.len() as u32,
        };
        self.wire.extend_from_slice(&header.emit());
        self.wire.extend_from_slice(payload);
    }

    fn feed(&mut self, len: usize) {
        let input: Vec<u8> = self.wire[..len.min(self.wire.len())].to_vec();
        let mut used = 0;
        loop {
            match self.session.handle_bytes(&input[used..]) {
                Err(PeerError::Header(error)) => {
                    assert!(self.broken, "{error} on good frames");
                    let again = self.session.handle_bytes(&input[used..]);
                    assert_eq!(again, Err(PeerError::Header(error)));
                    break;
                }
                Err(error) => panic!("{error}"),
                Ok(step) => {
                    assert!(step.used <= input.len() - used);
                    used += step.used;
                    let Some(event) = step.event else {
                        let all = used == input.len();
                        assert!(all || !self.session.wants_read(), "bytes left over");
                        break;
                    };
                    self.event(event);
                    self.drain();
                }
            }
        }
        self.wire.drain(..used);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Request { call, method, payload } => {
                let len = payload.len() as u32;
                self.start(call, method, len);
                self.part(call, 0, payload);
                assert!(self.known.last().unwrap().received == len);
            }
            Event::Start { call, method, payload_len } => self.start(call, method, payload_len),
            Event::Part { call, offset, bytes, last } => {
                assert!(!bytes.is_empty());
                self.part(call, offset, bytes);
                let known = self.known.iter().find(|known| known.call == call).unwrap();
                assert_eq!(last, known.received == known.payload_len);
            }
            Event::Abort { call } => {
                let known = self.known.iter_mut().find(|known| known.call == call);
                let known = known.expect("only calls in flight are aborted");
                assert!(!known.aborted && known.request.is_some());
                known.aborted = true;
                assert!(self.session.is_aborted(call));
            }
            Event::Refused { method, reason } => {
                if self.broken {
                    return;
                }
                let (id, request, _) =
                    self.expected.pop_front().expect("a request was on the wire");
                assert_eq!(id, method.value());
                let known = usize::from(id) <= METHODS.len();
                assert_eq!(reason == Refusal::UnknownMethod, !known);
                if request != 0 {
                    *self.owed.entry((id, request)).or_default() += 1;
                }
            }
        }
    }

    fn start(&mut self, call: Call, method: MethodId, payload_len: u32) {
        let request = self.session.request(call);
        if !self.broken {
            let expected = self.expected.pop_front().expect("a request was on the wire");
            let found = (method.value(), request.map_or(0, RequestId::value), payload_len);
            assert_eq!(found, expected);
        }
        assert!(self.known.iter().all(|known| known.call != call));
        let method = method.value();
        let silent = METHODS[usize::from(method) - 1].response == ResponseType::None;
        let aborted = request.is_none() && !silent;
        self.known.push(Known { call, method, request, aborted, received: 0, payload_len });
        let counted = |known: &&Known| METHODS[usize::from(known.method) - 1].counted;
        let counted = self.known.iter().filter(counted).count();
        assert!(counted <= MAX_CONCURRENCY as usize, "over the limit");
    }

    fn part(&mut self, call: Call, offset: u32, bytes: &[u8]) {
        let known = self.known.iter_mut().find(|known| known.call == call);
        let known = known.expect("parts belong to calls in flight");
        assert_eq!(offset, known.received);
        if !self.broken {
            let expected: Vec<u8> = (offset..).take(bytes.len()).map(|byte| byte as u8).collect();
            assert_eq!(bytes, expected);
        }
        known.received += bytes.len() as u32;
    }

    fn reply(&mut self, which: u8, reply: u8, len: u8) {
        let Some(index) = usize::from(which).checked_rem(self.known.len()) else { return };
        let reply = [Reply::Result, Reply::Ack, Reply::Chunk, Reply::End, Reply::Error]
            [usize::from(reply % 5)];
        let known = &self.known[index];
        let (call, aborted) = (known.call, known.aborted);
        let flags = allowed(METHODS[usize::from(known.method) - 1].response, reply);
        let body = Body { prefix: &[0xC0; 60][..usize::from(len % 60)], payload_len: len.into() };
        let free = self.session.free_slot_count();
        let ends = reply != Reply::Chunk;
        match self.session.send(call, reply, body, &mut self.slots) {
            Ok(sent) => {
                assert!(!aborted);
                let head = sent.head(&self.slots);
                let header = Header::parse(*head.first_chunk().unwrap(), MaxPayload::CEILING);
                let header = header.unwrap();
                assert_eq!(Some(header.flags), flags);
                assert_eq!(header.request, known.request);
                assert_eq!(header.id.value(), known.method);
                let total = head.len() as u32 - 11 + sent.payload_len;
                assert_eq!(header.payload_len, total);
                assert!(reply != Reply::End || total == 0);
                self.lend(sent);
                if ends {
                    self.known.remove(index);
                    let again = self.session.send(call, reply, body, &mut self.slots);
                    assert_eq!(again, Err(SendError::Ended), "one final frame");
                    assert_eq!(self.session.close(call, &mut self.slots), Err(SendError::Ended));
                }
            }
            Err(SendError::NotNow) => assert_eq!(free, 0),
            Err(SendError::WrongReply) => assert_eq!(flags, None),
            Err(SendError::TooLong) => assert!(body.prefix.len() > Body::PREFIX_LEN_MAX),
            Err(SendError::Aborted) => {
                assert!(aborted);
                if ends {
                    self.known.remove(index);
                }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn close(&mut self, which: u8) {
        let Some(index) = usize::from(which).checked_rem(self.known.len()) else { return };
        let known = &self.known[index];
        let silent = known.aborted
            || known.request.is_none()
            || METHODS[usize::from(known.method) - 1].response == ResponseType::None;
        match self.session.close(known.call, &mut self.slots) {
            Ok(sent) => {
                assert_eq!(sent.is_none(), silent);
                self.known.remove(index);
                if let Some(sent) = sent {
                    self.lend(sent);
                }
            }
            Err(error) => {
                assert_eq!(error, SendError::NotNow);
                assert_eq!(self.session.free_slot_count(), 0);
            }
        }
    }

    fn emit(&mut self, id: u8) {
        let Some(event) = forebay_core_procwire::EventId::new(u16::from(id % 4)) else { return };
        match self.session.emit(event, Body::span(3), &mut self.slots) {
            Ok(sent) => self.lend(sent),
            Err(SendError::Unknown) => assert!(event.value() > 2),
            Err(error) => assert_eq!(error, SendError::NotNow),
        }
    }

    fn sent(&mut self, which: u8) {
        let Some(index) = usize::from(which).checked_rem(self.out.len()) else { return };
        if which.is_multiple_of(2) {
            let sent = self.out.remove(index);
            assert_eq!(self.session.handle_sent(sent.slot), Ok(()));
            assert!(self.session.handle_sent(sent.slot).is_err());
        } else {
            let sent = self.out[index];
            assert_eq!(self.session.handle_sent_through(sent.slot), Ok(()));
            self.out.drain(..=index);
        }
    }

    fn lend(&mut self, sent: Transmit) {
        assert!(self.out.iter().all(|out| out.head_range().start != sent.head_range().start));
        self.out.push(sent);
        assert!(self.out.len() <= 4);
    }

    /// What the session itself sends: refusals, each owed once.
    fn drain(&mut self) {
        while let Some(sent) = self.session.poll_transmit(&mut self.slots) {
            let head = sent.head(&self.slots).to_vec();
            let header = Header::parse(*head.first_chunk().unwrap(), MaxPayload::CEILING).unwrap();
            assert_eq!(header.payload_len as usize, head.len() - 11);
            assert!(forebay_core_procwire::msgpack::check(&head[11..]).is_ok());
            self.lend(sent);
            if !self.broken {
                let key = (header.id.value(), header.request.unwrap().value());
                let owed = self.owed.get_mut(&key).expect("nothing else is sent");
                *owed = owed.checked_sub(1).expect("one answer for each");
            }
        }
        assert_eq!(self.session.in_flight_count(), self.known.len());
    }

    /// Everything arrives, everything is sent; then the connection ends with the rest in flight.
    fn finish(&mut self) {
        for _ in 0..200 {
            while !self.out.is_empty() {
                self.sent(0);
            }
            self.drain();
            if self.out.is_empty() && (self.wire.is_empty() || self.broken) {
                break;
            }
            self.feed(usize::MAX);
        }
        if !self.broken {
            assert!(self.owed.values().all(|owed| *owed == 0), "a refusal without its answer");
            assert!(self.expected.is_empty(), "a request was swallowed");
            assert_eq!(self.session.handle_eof(), Ok(()));
        } else {
            let _ = self.session.handle_eof();
        }
        assert_eq!(self.session.handle_bytes(&[0]), Err(PeerError::Closed));
        while let Some(call) = self.session.poll_lost() {
            let index = self.known.iter().position(|known| known.call == call);
            self.known.remove(index.expect("lost once"));
        }
        assert!(self.known.is_empty());
        assert_eq!(self.session.in_flight_count(), 0);
    }
}

/// Section 5.1: the flags of each answer that a method may give.
fn allowed(response: ResponseType, reply: Reply) -> Option<Flags> {
    let bits = match (response, reply) {
        (ResponseType::Result, Reply::Result) => 0x03,
        (ResponseType::Ack, Reply::Ack) => 0x23,
        (ResponseType::Stream, Reply::Chunk) => 0x0B,
        (ResponseType::Stream, Reply::End) => 0x1B,
        (ResponseType::Stream, Reply::Error) => 0x0F,
        (ResponseType::Result | ResponseType::Ack, Reply::Error) => 0x07,
        _ => return None,
    };
    Flags::new(bits)
}
