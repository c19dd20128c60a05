//! The child's session, procwire sections 5, 6 and 9.1.

use forebay_core_frame::Loan;
use forebay_core_procwire::child::{
    Call, CallEntry, ChildSession, Config, Event, Method, Refusal, Reply, Step, Storage,
};
use forebay_core_procwire::{
    Body, EventId, HeaderError, MethodId, PeerError, ResponseType, SendError,
};
use proptest::prelude::*;

use crate::child_model;
use crate::vectors::bytes;

type Session = ChildSession<Vec<Method>, Vec<CallEntry>, Vec<Loan>>;

fn method(response: ResponseType) -> Method {
    Method { response, counted: true }
}

/// Methods 1 to 4 are result, stream, ack and none; 5 is an ack that does not count.
fn session(max_concurrency: u32, slots: usize) -> (Session, Vec<u8>) {
    let methods = vec![
        method(ResponseType::Result),
        method(ResponseType::Stream),
        method(ResponseType::Ack),
        method(ResponseType::None),
        Method { response: ResponseType::Ack, counted: false },
    ];
    let storage = Storage {
        methods,
        calls: vec![CallEntry::default(); 8],
        loans: vec![Loan::default(); slots],
    };
    let config = Config { max_concurrency, event_count: 1, ..Config::default() };
    let session = ChildSession::new(config, storage);
    let slots = vec![0; session.slots_len()];
    (session, slots)
}

fn request(session: &mut Session, hex: &str) -> Call {
    let input = bytes(hex);
    let step = session.handle_bytes(&input).unwrap();
    assert_eq!((step.used, step.need), (input.len(), 0));
    match step.event {
        Some(Event::Request { call, .. }) => call,
        other => panic!("{hex} gives {other:?}"),
    }
}

/// A request without a payload.
fn frame(method: u16, request: u32) -> String {
    format!("{method:04x}00{request:08x}00000000")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The answers of section 8.2, from the requests that they answer there.
#[test]
fn answers_have_the_bytes_of_the_vectors() {
    let (mut session, mut slots) = session(8, 16);
    let mut answer = |frame: &str, reply, payload: &str| {
        let call = request(&mut session, frame);
        let payload = bytes(payload);
        let sent = session.send(call, reply, Body::inline(&payload), &mut slots).unwrap();
        hex(sent.head(&slots))
    };
    assert_eq!(
        answer("0001000000000100000006a568656c6c6f", Reply::Result, "a568656c6c6f"),
        "0001030000000100000006a568656c6c6f"
    );
    assert_eq!(
        answer("0001000000000200000001c0", Reply::Error, "a4626f6f6d"),
        "0001070000000200000005a4626f6f6d"
    );
    assert_eq!(
        answer("0002000000000400000001c0", Reply::Error, "a36d6964"),
        "00020f0000000400000004a36d6964"
    );
    assert_eq!(answer("0003000000000200000001c0", Reply::Ack, "c0"), "0003230000000200000001c0");
    assert_eq!(answer("0002000000000300000001c0", Reply::End, "c0"), "00021b0000000300000000");
    let event = EventId::new(1).unwrap();
    let sent = session.emit(event, Body::inline(&bytes("81a17032")), &mut slots).unwrap();
    assert_eq!(hex(sent.head(&slots)), "000101000000000000000481a17032");
}

#[test]
fn an_unknown_method_is_answered_as_the_published_child_does() {
    let (mut session, mut slots) = session(8, 16);
    let input = bytes("0063000000000b00000001c0");
    let step = session.handle_bytes(&input).unwrap();
    let method = MethodId::new(99).unwrap();
    let reason = Refusal::UnknownMethod;
    assert_eq!(step.event, Some(Event::Refused { method, reason }));
    let sent = session.poll_transmit(&mut slots).unwrap();
    assert_eq!(
        hex(sent.head(&slots)),
        "0063070000000b00000016b5556e6b6e6f776e206d6574686f642049443a203939"
    );
    assert_eq!(session.poll_transmit(&mut slots), None);
    session.handle_bytes(&bytes("fffd000000000c00000000")).unwrap();
    let sent = session.poll_transmit(&mut slots).unwrap();
    assert!(sent.head(&slots).ends_with(b"\xb8Unknown method ID: 65533"));
}

/// Section 6: a request over the limit is answered, its payload skipped, and reading goes on, so
/// that an ABORT behind it is seen.
#[test]
fn over_the_limit_reading_goes_on() {
    let (mut session, mut slots) = session(1, 16);
    let first = request(&mut session, "00010000000001 00000001c0");
    let input = bytes("00020000000002 00000003 c0c0");
    let step = session.handle_bytes(&input).unwrap();
    let refused = Event::Refused { method: MethodId::new(2).unwrap(), reason: Refusal::Overload };
    assert_eq!(step, Step { used: 11, need: 3, event: Some(refused) });
    let sent = session.poll_transmit(&mut slots).unwrap();
    assert!(sent.head(&slots).starts_with(&bytes("00020f00000002")), "a stream's error flag");
    let step = session.handle_bytes(&input[11..]).unwrap();
    assert_eq!(step, Step { used: 2, need: 1, event: None });
    let input = bytes("c0 ffff0000000001 00000000");
    let step = session.handle_bytes(&input).unwrap();
    assert_eq!(step.event, Some(Event::Abort { call: first }));
    // A method that does not count is taken all the same.
    request(&mut session, "00050000000003 00000001c0");
    // The place is free again once the call has ended.
    assert_eq!(session.close(first, &mut slots), Ok(None));
    request(&mut session, "00010000000004 00000001c0");
}

/// What was in flight before is answered and given up as if there had always been room.
#[test]
fn a_session_that_grows_takes_more_calls() {
    let (mut session, mut slots) = session(100, 16);
    let calls: Vec<_> = (1..=8).map(|id| request(&mut session, &frame(1, id))).collect();
    let input = bytes(&frame(1, 9));
    let refused = session.handle_bytes(&input).unwrap().event;
    assert!(matches!(refused, Some(Event::Refused { reason: Refusal::Overload, .. })));
    session.grow(8);
    assert_eq!((session.call_capacity(), session.in_flight_count()), (16, 8));
    request(&mut session, &frame(1, 10));
    let input = bytes("ffff000000000300000000");
    let abort = session.handle_bytes(&input).unwrap().event;
    assert_eq!(abort, Some(Event::Abort { call: calls[2] }));
    assert!(session.send(calls[0], Reply::Result, Body::inline(b"\xc0"), &mut slots).is_ok());
    assert_eq!(session.in_flight_count(), 8);
}

/// Section 6: reading stops only when no further refusal would fit, and goes on after a send.
#[test]
fn reading_stops_when_refusals_pile_up() {
    let (mut session, mut slots) = session(8, 1);
    let unknown = bytes("00630000000001 00000000");
    let input = unknown.repeat(100);
    let (mut used, mut answered) = (0, 0);
    while answered < 100 {
        while session.wants_read() && used < input.len() {
            used += session.handle_bytes(&input[used..]).unwrap().used;
        }
        if used < input.len() {
            let blocked = Step { used: 0, need: 0, event: None };
            assert_eq!(session.handle_bytes(&input[used..]), Ok(blocked));
            assert!(used >= 32 * unknown.len(), "stopped early");
        }
        let sent = session.poll_transmit(&mut slots).expect("an answer is due");
        assert_eq!(session.poll_transmit(&mut slots), None, "the only slot is out");
        session.handle_sent(sent.slot).unwrap();
        answered += 1;
    }
    assert_eq!(used, input.len());
    assert_eq!(session.poll_transmit(&mut slots), None);
}

#[test]
fn a_final_frame_ends_a_call_and_only_once() {
    let (mut session, mut slots) = session(8, 16);
    let call = request(&mut session, "00020000000001 00000001c0");
    assert_eq!(
        session.send(call, Reply::Result, Body::EMPTY, &mut slots),
        Err(SendError::WrongReply)
    );
    session.send(call, Reply::Chunk, Body::span(1 << 20), &mut slots).unwrap();
    session.send(call, Reply::End, Body::EMPTY, &mut slots).unwrap();
    for reply in [Reply::Chunk, Reply::End, Reply::Error] {
        assert_eq!(session.send(call, reply, Body::EMPTY, &mut slots), Err(SendError::Ended));
    }
    assert_eq!(session.close(call, &mut slots), Err(SendError::Ended));
    assert!(session.is_aborted(call));
}

#[test]
fn a_handler_that_never_answers_is_answered_for() {
    let (mut session, mut slots) = session(8, 16);
    let call = request(&mut session, "00010000000009 00000001c0");
    let sent = session.close(call, &mut slots).unwrap().unwrap();
    let head = sent.head(&slots);
    assert!(head.starts_with(&bytes("00010700000009")));
    assert!(forebay_core_procwire::msgpack::check(&head[11..]).is_ok());
    // Nothing is sent for a request without an id, and several of them run at once.
    let first = request(&mut session, "00040000000000 00000001c0");
    let second = request(&mut session, "00040000000000 00000001c0");
    assert_ne!(first, second);
    assert_eq!(
        session.send(first, Reply::Error, Body::EMPTY, &mut slots),
        Err(SendError::WrongReply)
    );
    assert_eq!(session.close(first, &mut slots), Ok(None));
    assert_eq!(session.close(second, &mut slots), Ok(None));
    // Nor when the method is one that answers.
    let nobody = request(&mut session, "00010000000000 00000001c0");
    let sent = session.send(nobody, Reply::Result, Body::EMPTY, &mut slots);
    assert_eq!(sent, Err(SendError::Aborted));
    assert_eq!(session.in_flight_count(), 0);
}

/// Section 5.3: unknown and finished ids are ignored, ABORT is told once, and what is sent later
/// need not leave.
#[test]
fn abort_concerns_calls_in_flight_only() {
    let (mut session, mut slots) = session(8, 16);
    let abort = bytes("ffff0000000005 00000000");
    assert_eq!(session.handle_bytes(&abort).unwrap().event, None);
    let call = request(&mut session, "00020000000005 00000000");
    assert_eq!(session.handle_bytes(&abort).unwrap().event, Some(Event::Abort { call }));
    assert_eq!(session.handle_bytes(&abort).unwrap().event, None);
    assert_eq!(session.send(call, Reply::Chunk, Body::EMPTY, &mut slots), Err(SendError::Aborted));
    assert_eq!(session.send(call, Reply::End, Body::EMPTY, &mut slots), Err(SendError::Aborted));
    assert_eq!(session.send(call, Reply::End, Body::EMPTY, &mut slots), Err(SendError::Ended));
    assert_eq!(session.handle_bytes(&abort).unwrap().event, None);
    assert_eq!(session.free_slot_count(), 16);
}

#[test]
fn a_full_ring_changes_nothing() {
    let (mut session, mut slots) = session(8, 1);
    let call = request(&mut session, "00010000000001 00000000");
    let event = EventId::new(1).unwrap();
    let sent = session.emit(event, Body::EMPTY, &mut slots).unwrap();
    assert_eq!(session.send(call, Reply::Result, Body::EMPTY, &mut slots), Err(SendError::NotNow));
    assert_eq!(session.close(call, &mut slots), Err(SendError::NotNow));
    session.handle_sent(sent.slot).unwrap();
    assert!(session.send(call, Reply::Result, Body::EMPTY, &mut slots).is_ok());
}

#[test]
fn misuse_is_named() {
    let (mut session, mut slots) = session(8, 4);
    let call = request(&mut session, "00010000000001 00000000");
    let long = [0; Body::PREFIX_LEN_MAX + 1];
    let mut send = |body, slots: &mut [u8]| session.send(call, Reply::Result, body, slots);
    assert_eq!(send(Body::inline(&long), &mut slots), Err(SendError::TooLong));
    assert_eq!(send(Body::span(1 << 31), &mut slots), Err(SendError::TooLong));
    assert_eq!(send(Body::EMPTY, &mut []), Err(SendError::SlotMemory));
    let event = EventId::new(2).unwrap();
    assert_eq!(session.emit(event, Body::EMPTY, &mut slots), Err(SendError::Unknown));
    session.handle_eof().unwrap();
    assert_eq!(
        session.send(call, Reply::Result, Body::EMPTY, &mut slots),
        Err(SendError::NotConnected)
    );
}

/// Section 4.4: a refused header ends the connection for good.
#[test]
fn a_refused_header_stays_refused() {
    let (mut session, _) = session(8, 4);
    let bad = Err(PeerError::Header(HeaderError::ReservedFlags));
    assert_eq!(session.handle_bytes(&bytes("0001800000000100000000")), bad);
    assert_eq!(session.handle_bytes(&bytes("0001000000000100000000")), bad);
    assert_eq!(session.handle_bytes(&[]), bad);
}

#[test]
fn losing_the_connection_loses_every_call_once() {
    let (mut session, _) = session(8, 4);
    let first = request(&mut session, "00010000000001 00000000");
    let second = request(&mut session, "00040000000000 00000000");
    assert_eq!(session.poll_lost(), None);
    session.handle_bytes(&bytes("0001")).unwrap();
    assert_eq!(session.handle_eof(), Err(PeerError::CutFrame));
    assert_eq!(session.handle_eof(), Ok(()));
    assert_eq!([session.poll_lost(), session.poll_lost()], [Some(first), Some(second)]);
    assert_eq!(session.poll_lost(), None);
}

#[test]
fn an_upload_that_was_answered_early_is_skipped() {
    let (mut session, mut slots) = session(8, 4);
    let input = bytes("00010000000001 00000005 0001");
    let step = session.handle_bytes(&input).unwrap();
    let Some(Event::Start { call, payload_len: 5, .. }) = step.event else { panic!("{step:?}") };
    let step = session.handle_bytes(&input[11..]).unwrap();
    assert_eq!(step.event, Some(Event::Part { call, offset: 0, bytes: &[0, 1], last: false }));
    session.send(call, Reply::Error, Body::inline(&[0xC0]), &mut slots).unwrap();
    let rest = bytes("020304 00010000000002 00000000");
    let step = session.handle_bytes(&rest).unwrap();
    assert_eq!(step.used, rest.len());
    assert!(matches!(step.event, Some(Event::Request { .. })), "{step:?}");
}

proptest! {
    /// Sections 5 and 6 beside the model: one final frame for each call, no call over the limit,
    /// no answer lost, no slot lent twice, whatever the order of events.
    #[test]
    fn any_order_of_events_keeps_the_rules(ops in prop::collection::vec(any::<u8>(), 0..400)) {
        child_model::run(&ops);
    }
}
