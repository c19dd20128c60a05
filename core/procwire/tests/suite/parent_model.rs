//! A parent's session driven by bytes, beside a plain model of what it must do. The fuzz target
//! drives the same model.

use core::time::Duration;
use std::collections::HashMap;

use forebay_core_frame::Loan;
use forebay_core_procwire::parent::{
    Action, Config, Event, Expect, Heartbeat, Line, NewCall, ParentSession, PendingEntry, Source,
    Storage, Timing,
};
use forebay_core_procwire::{
    Body, Flags, Header, MaxPayload, MethodId, PeerError, RequestId, SendError, Transmit, WireId,
};
use forebay_core_time::Instant;

const TABLE: usize = 6;
const INIT: &[u8] = br#"{"method":"$init","params":{"pipe":"/p","schema":{"methods":{"a":{"id":1,"response":"result"}},"events":{}}}}"#;

type Session = ParentSession<[PendingEntry; TABLE], [Loan; 3]>;

struct Driver {
    session: Session,
    now: Instant,
    slots: Vec<u8>,
    out: Vec<Transmit>,
    /// Requests that wait, by id: what they take and their key.
    pending: HashMap<u32, (Expect, u64)>,
    /// Requests given up whose ABORT has not left.
    aborting: Vec<u32>,
    wire: Vec<u8>,
    broken: bool,
    next_key: u64,
    /// The frame that arrives in parts: its source, bytes so far, and all of them.
    receiving: Option<(Source, u32, u32)>,
}

/// Reads operations from `ops` until they end, then ends the child.
pub(crate) fn run(ops: &[u8]) {
    let mut driver = Driver::ready();
    let mut ops = ops.iter().copied();
    while let Some(op) = ops.next() {
        let mut arg = || ops.next().unwrap_or(0);
        match op % 10 {
            0 | 1 => driver.request(arg()),
            2 | 3 => driver.answer(arg(), arg(), arg()),
            4 | 5 => driver.feed(usize::from(arg())),
            6 => driver.abort(arg()),
            7 => driver.sent(arg()),
            8 => driver.pass(arg()),
            _ if arg() == 255 => {
                driver.wire.push(arg());
                driver.broken = true;
            }
            _ => driver.notice(),
        }
        driver.drain();
        if !driver.session.is_ready() {
            break;
        }
    }
    driver.finish();
}

impl Driver {
    fn ready() -> Self {
        let heartbeat =
            Heartbeat { interval: Duration::from_millis(100), timeout: Duration::from_millis(250) };
        let timing = Timing { heartbeat: Some(heartbeat), ..Timing::default() };
        let config = Config { max_payload: MaxPayload::new(400), timing };
        let storage =
            Storage { pending: [PendingEntry::default(); TABLE], loans: [Loan::default(); 3] };
        let mut session = ParentSession::new(Instant::ZERO, config, storage);
        let mut slots = vec![0; session.slots_len()];
        assert!(matches!(session.handle_line(Instant::ZERO, INIT), Ok(Line::Init(_))));
        let auth = session.handle_connected(Instant::ZERO, Some(64), &mut slots).unwrap().unwrap();
        Self {
            session,
            now: Instant::ZERO,
            slots,
            out: vec![auth],
            pending: HashMap::new(),
            aborting: Vec::new(),
            wire: Vec::new(),
            broken: false,
            next_key: 0,
            receiving: None,
        }
    }

    fn request(&mut self, which: u8) {
        let expect = [Expect::Result, Expect::Ack, Expect::Stream, Expect::StreamOrResult]
            [usize::from(which % 4)];
        self.next_key += 1;
        let call = NewCall { method: MethodId::new(1).unwrap(), expect, key: self.next_key };
        let free = self.session.free_slot_count();
        match self.session.send_request(call, Body::span(5), &mut self.slots) {
            Ok((request, sent)) => {
                assert!(!self.aborting.contains(&request.value()), "its ABORT has not left");
                let before = self.pending.insert(request.value(), (expect, self.next_key));
                assert_eq!(before, None, "an id that is pending");
                let head = sent.head(&self.slots);
                let header = Header::parse(*head.first_chunk().unwrap(), MaxPayload::CEILING);
                assert_eq!(header.unwrap().request, Some(request));
                self.lend(sent);
            }
            Err(SendError::TableFull) => {
                assert_eq!(self.pending.len() + self.aborting.len(), TABLE);
            }
            Err(error) => assert_eq!((error, free), (SendError::NotNow, 0)),
        }
    }

    fn notice(&mut self) {
        let method = MethodId::new(1).unwrap();
        match self.session.send_notice(method, Body::EMPTY, &mut self.slots) {
            Ok(sent) => {
                assert_eq!(sent.head(&self.slots)[3..7], [0; 4]);
                self.lend(sent);
            }
            Err(error) => assert_eq!(error, SendError::NotNow),
        }
    }

    /// The child sends some frame for some request.
    fn answer(&mut self, which: u8, flags: u8, len: u8) {
        if self.wire.len() > 4096 {
            return;
        }
        let usual = [0x03, 0x07, 0x0B, 0x0F, 0x1B, 0x23, 0x01, flags & 0x3F];
        let header = Header {
            id: WireId::new(u16::from(which % 3) + 1).unwrap(),
            flags: Flags::new(usual[usize::from(flags >> 5)]).unwrap(),
            request: RequestId::new(u32::from(which % 12)),
            payload_len: u32::from(len),
        };
        self.wire.extend_from_slice(&header.emit());
        self.wire.extend(0..len);
    }

    fn feed(&mut self, len: usize) {
        let input: Vec<u8> = self.wire[..len.min(self.wire.len())].to_vec();
        let mut used = 0;
        loop {
            match self.session.handle_bytes(&input[used..]) {
                Err(PeerError::Header(error)) => {
                    assert!(self.broken, "{error} on good frames");
                    assert!(self.session.failure().is_some());
                    break;
                }
                Err(error) => panic!("{error}"),
                Ok(step) => {
                    used += step.used;
                    let Some(event) = step.event else {
                        assert_eq!(used, input.len());
                        break;
                    };
                    self.event(event);
                }
            }
        }
        self.wire.drain(..used);
    }

    fn event(&mut self, event: Event<'_>) {
        let (source, ends) = match event {
            Event::Frame { source, payload } => {
                let expected: Vec<u8> = (0..).take(payload.len()).collect();
                assert!(self.broken || payload == expected);
                (source, true)
            }
            Event::Start { source, payload_len } => {
                self.receiving = Some((source, 0, payload_len));
                (source, false)
            }
            Event::Part { source, offset, bytes, last } => {
                let (started, received, payload_len) = self.receiving.take().expect("a start");
                assert_eq!((source, offset), (started, received));
                let received = received + bytes.len() as u32;
                assert_eq!(last, received == payload_len);
                self.receiving = Some((source, received, payload_len));
                (source, last)
            }
        };
        if let Source::Response { request, key, kind } = source {
            let (expect, expected_key) = self.pending[&request.value()];
            assert_eq!(key, expected_key);
            assert!(expect.takes(kind));
            if ends && kind.is_final() {
                self.pending.remove(&request.value());
            }
        }
    }

    fn abort(&mut self, which: u8) {
        let request = u32::from(which % 12) + 1;
        let expected = self.pending.remove(&request).map(|(_, key)| key);
        assert_eq!(self.session.abort(RequestId::new(request).unwrap()), expected);
        if expected.is_some() {
            self.aborting.push(request);
        }
        assert_eq!(self.session.abort(RequestId::new(request).unwrap()), None);
    }

    fn sent(&mut self, which: u8) {
        let Some(index) = usize::from(which).checked_rem(self.out.len()) else { return };
        let sent = self.out.remove(index);
        assert_eq!(self.session.handle_sent(sent.slot), Ok(()));
    }

    /// Time passes; the child answers pings but when the argument is odd.
    fn pass(&mut self, millis: u8) {
        self.now = self.now.saturating_add(Duration::from_millis(millis.into()));
        self.session.handle_timeout(self.now);
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::WriteLine(_) if millis.is_multiple_of(2) => {
                    let pong = self.session.handle_line(self.now, br#"{"method":"$pong"}"#);
                    assert!(matches!(pong, Ok(Line::Pong)));
                }
                Action::WriteLine(_) => {}
                Action::CloseData | Action::Kill => assert!(!self.session.is_ready()),
            }
        }
    }

    fn lend(&mut self, sent: Transmit) {
        assert!(self.out.iter().all(|out| out.head_range().start != sent.head_range().start));
        self.out.push(sent);
    }

    /// What the session itself sends: one ABORT for each request given up, in their order.
    fn drain(&mut self) {
        while let Some(sent) = self.session.poll_transmit(&mut self.slots) {
            let head = sent.head(&self.slots);
            let header = Header::parse(*head.first_chunk().unwrap(), MaxPayload::CEILING).unwrap();
            assert_eq!((header.id, sent.payload_len), (WireId::ABORT, 0));
            assert_eq!(header.request.unwrap().value(), self.aborting.remove(0));
            self.lend(sent);
        }
        if self.session.is_ready() {
            assert_eq!(self.session.pending_count(), self.pending.len() + self.aborting.len());
        }
    }

    fn finish(&mut self) {
        if self.session.is_ready() {
            assert_eq!(self.session.poll_lost(), None, "nothing is lost while it lives");
        }
        self.session.shut_down(self.now);
        self.session.handle_exited();
        assert!(self.session.poll_transmit(&mut self.slots).is_none());
        while let Some((request, key)) = self.session.poll_lost() {
            let known = self.pending.remove(&request.value());
            assert_eq!(known.map(|(_, key)| key), Some(key), "lost once");
        }
        assert!(self.pending.is_empty());
        assert_eq!(self.session.poll_timeout(), None);
        assert!(self.session.handle_bytes(&[]).is_err());
    }
}
