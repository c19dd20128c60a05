//! Procwire, both ends: a request to a worker and its answer back, as frames in memory.

use forebay_core_frame::Loan;
use forebay_core_procwire::child::{self, CallEntry, ChildSession, Method, Reply};
use forebay_core_procwire::msgpack::{Reader, Writer};
use forebay_core_procwire::parent::{self, Expect, NewCall, ParentSession, PendingEntry};
use forebay_core_procwire::{Body, MaxPayload, MethodId, ResponseType, Transmit};
use forebay_core_time::Instant;
use forebay_tests::allocator::{Counts, count};

type Parent = ParentSession<Vec<PendingEntry>, Vec<Loan>>;
type Child = ChildSession<Vec<Method>, Vec<CallEntry>, Vec<Loan>>;

const INIT: &[u8] = br#"{"jsonrpc":"2.0","method":"$init","params":{"pipe":"/run/a.sock","schema":{"methods":{"http":{"id":1,"response":"result"}},"events":{}},"version":"1.0.0"}}"#;

fn parent(now: Instant) -> Parent {
    let storage = parent::Storage {
        pending: vec![PendingEntry::default(); 8],
        loans: vec![Loan::default(); 8],
    };
    let mut parent = ParentSession::new(now, parent::Config::default(), storage);
    parent.handle_line(now, INIT).expect("a well-formed line");
    parent.handle_connected(now, None, &mut []).expect("it waits for a connection");
    parent
}

fn child() -> Child {
    let config =
        child::Config { max_payload: MaxPayload::default(), max_concurrency: 8, event_count: 0 };
    let storage = child::Storage {
        methods: vec![Method { response: ResponseType::Result, counted: true }],
        calls: vec![CallEntry::default(); 8],
        loans: vec![Loan::default(); 8],
    };
    ChildSession::new(config, storage)
}

/// Puts a frame on the wire as a shell would: its slot, then the payload.
fn write(transmit: Transmit, slots: &[u8], payload: &[u8], wire: &mut Vec<u8>) {
    wire.extend_from_slice(transmit.head(slots));
    wire.extend_from_slice(payload);
}

#[test]
fn a_request_and_its_answer_travel_without_allocating() {
    let now = Instant::from_millis(1);
    let (mut parent, mut child) = (parent(now), child());
    let (mut to_slots, mut from_slots) = (vec![0; parent.slots_len()], vec![0; child.slots_len()]);
    let mut wire = Vec::with_capacity(4096);
    let method = MethodId::new(1).expect("1 is an id");
    let mut message = [0; 256];
    let mut answered = 0;
    let ((), counts) = count(|| {
        for key in 0..1000 {
            let mut writer = Writer::new(&mut message);
            writer.map(1).expect("room");
            writer.str("m").expect("room");
            writer.str("GET").expect("room");
            let payload = writer.into_written();
            let body = Body { prefix: &[], payload_len: payload.len() as u32 };
            let call = NewCall { method, expect: Expect::Result, key };
            let sent = parent.send_request(call, body, &mut to_slots).expect("room");
            write(sent.1, &to_slots, payload, &mut wire);
            parent.handle_sent(sent.1.slot).expect("on loan");

            let step = child.handle_bytes(&wire).expect("a well-formed frame");
            let Some(child::Event::Request { call, payload, .. }) = step.event else {
                panic!("no request: {:?}", step.event);
            };
            Reader::new(payload).skip().expect("a value");
            wire.clear();
            let body = Body { prefix: &[0xc3], payload_len: 0 };
            let sent = child.send(call, Reply::Result, body, &mut from_slots).expect("room");
            write(sent, &from_slots, &[], &mut wire);
            child.handle_sent(sent.slot).expect("on loan");

            let step = parent.handle_bytes(&wire).expect("a well-formed frame");
            let Some(parent::Event::Frame { source, payload: b"\xc3" }) = step.event else {
                panic!("no answer: {:?}", step.event);
            };
            let parent::Source::Response { key: answered_key, .. } = source else {
                panic!("not an answer: {source:?}");
            };
            assert_eq!(answered_key, key);
            answered += 1;
            wire.clear();
        }
    });
    assert_eq!((answered, parent.pending_count(), child.in_flight_count()), (1000, 0, 0));
    assert_eq!(counts, Counts::default());
}
