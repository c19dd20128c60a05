//! The parent's session, procwire sections 2.3 to 2.7, 5 and 9.2.

use core::time::Duration;

use forebay_core_frame::Loan;
use forebay_core_procwire::control::{InitError, PING_LINE, SHUTDOWN_LINE};
use forebay_core_procwire::parent::{
    Action, Config, Event, Expect, Failure, Heartbeat, Line, NewCall, ParentSession, PendingEntry,
    Source, Storage, Timing,
};
use forebay_core_procwire::{
    Body, HeaderError, MethodId, PeerError, RequestId, ResponseKind, SendError,
};
use forebay_core_time::Instant;
use proptest::prelude::*;

use crate::parent_model;
use crate::vectors::bytes;

type Session = ParentSession<Vec<PendingEntry>, Vec<Loan>>;

const INIT: &[u8] = br#"{"method":"$init","params":{"pipe":"/p","schema":{"methods":{"a":{"id":1,"response":"result"}},"events":{}}}}"#;
const PONG: &[u8] = br#"{"method":"$pong"}"#;

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn started(heartbeat: Option<Heartbeat>) -> (Session, Vec<u8>) {
    let timing = Timing { heartbeat, ..Timing::default() };
    let storage =
        Storage { pending: vec![PendingEntry::default(); 4], loans: vec![Loan::default(); 8] };
    let session = ParentSession::new(at(0), Config { timing, ..Config::default() }, storage);
    let slots = vec![0; session.slots_len()];
    (session, slots)
}

fn ready(heartbeat: Option<Heartbeat>) -> (Session, Vec<u8>) {
    let (mut session, mut slots) = started(heartbeat);
    assert!(matches!(session.handle_line(at(0), INIT), Ok(Line::Init(_))));
    assert_eq!(session.handle_connected(at(0), None, &mut slots), Ok(None));
    (session, slots)
}

fn send(session: &mut Session, slots: &mut [u8], expect: Expect, key: u64) -> RequestId {
    let call = NewCall { method: MethodId::new(1).unwrap(), expect, key };
    let (request, sent) = session.send_request(call, Body::span(3), slots).unwrap();
    session.handle_sent(sent.slot).unwrap();
    request
}

fn event<'i>(session: &mut Session, input: &'i [u8]) -> Option<Event<'i>> {
    let step = session.handle_bytes(input).unwrap();
    assert_eq!(step.used, input.len());
    step.event
}

fn actions(session: &mut Session) -> Vec<Action> {
    core::iter::from_fn(|| session.poll_action()).collect()
}

#[test]
fn a_child_is_ready_after_init_and_connection_with_auth_first() {
    let (mut session, mut slots) = started(None);
    let call = NewCall { method: MethodId::new(1).unwrap(), expect: Expect::Result, key: 0 };
    let early = session.send_request(call, Body::EMPTY, &mut slots);
    assert_eq!(early, Err(SendError::NotConnected));
    assert_eq!(session.handle_connected(at(0), None, &mut slots), Err(SendError::NotConnected));
    assert_eq!(session.handle_bytes(&[]), Err(PeerError::Closed));
    let Ok(Line::Init(init)) = session.handle_line(at(10), INIT) else { panic!("no $init") };
    assert_eq!(init.pipe().as_plain(), Some("/p"));
    assert_eq!(session.poll_timeout(), Some(at(10_010)));
    let auth = session.handle_connected(at(20), Some(64), &mut slots).unwrap().unwrap();
    assert_eq!(auth.head(&slots), bytes("fffe000000000000000040"));
    assert_eq!(auth.payload_len, 64);
    assert!(session.is_ready());
    assert_eq!(session.poll_timeout(), None);
    // Only the first counts.
    assert!(matches!(session.handle_line(at(30), INIT), Ok(Line::Ignored)));
    let (request, sent) = session.send_request(call, Body::span(6), &mut slots).unwrap();
    assert_eq!((request, sent.payload_len), (RequestId::FIRST, 6));
    assert_eq!(sent.head(&slots), bytes("0001000000000100000006"));
}

#[test]
fn a_failed_start_is_named_and_killed() {
    let bad = br#"{"method":"$init","params":{}}"#;
    let error = br#"{"method":"$error","params":{"message":"no database"}}"#;
    let (mut session, _) = started(None);
    let failure = Failure::Peer(PeerError::Init(InitError::Format));
    assert_eq!(session.handle_line(at(0), bad).err(), Some(failure));
    assert_eq!(session.failure(), Some(failure));
    assert_eq!(actions(&mut session), [Action::Kill]);

    let (mut session, _) = started(None);
    let Ok(Line::ChildError(Some(message))) = session.handle_line(at(0), error) else {
        panic!("no $error")
    };
    assert_eq!(message.to_string(), "no database");
    assert_eq!(session.failure(), Some(Failure::ChildError));

    let (mut session, _) = started(None);
    assert_eq!(session.poll_timeout(), Some(at(30_000)));
    session.handle_timeout(at(29_999));
    assert_eq!(session.failure(), None);
    session.handle_timeout(at(30_000));
    assert_eq!(session.failure(), Some(Failure::InitTimeout));
    assert_eq!(session.poll_timeout(), None);

    let (mut session, _) = started(None);
    session.handle_line(at(5), INIT).unwrap();
    session.handle_timeout(at(10_005));
    assert_eq!(session.failure(), Some(Failure::ConnectTimeout));

    let (mut session, _) = started(None);
    session.handle_line(at(5), INIT).unwrap();
    session.reject();
    session.handle_connect_failed();
    assert_eq!(session.failure(), Some(Failure::Rejected), "the first failure counts");

    let (mut session, _) = started(None);
    session.handle_exited();
    assert_eq!(session.failure(), Some(Failure::Exited));
    assert_eq!(actions(&mut session), [], "nothing is left to kill");
}

/// Section 2.4: after `$init`, `$error` means nothing.
#[test]
fn a_late_error_is_ignored() {
    let (mut session, _) = ready(None);
    let line = session.handle_line(at(0), br#"{"method":"$error"}"#);
    assert!(matches!(line, Ok(Line::Ignored)));
    assert!(session.is_ready());
}

/// Section 2.5: interval 100, timeout 250, killed at 300; one ping is outstanding at most.
#[test]
fn a_hanging_child_is_found_at_the_first_look_after_the_timeout() {
    let beat =
        Heartbeat { interval: Duration::from_millis(100), timeout: Duration::from_millis(250) };
    let (mut session, mut slots) = ready(Some(beat));
    let request = send(&mut session, &mut slots, Expect::Result, 7);
    assert_eq!(actions(&mut session), [Action::WriteLine(PING_LINE)]);
    for millis in [100, 200] {
        assert_eq!(session.poll_timeout(), Some(at(millis)));
        session.handle_timeout(at(millis));
        assert_eq!(actions(&mut session), [], "a ping is outstanding");
        assert!(session.is_ready());
    }
    session.handle_timeout(at(300));
    assert_eq!(session.failure(), Some(Failure::HeartbeatTimeout));
    assert_eq!(actions(&mut session), [Action::CloseData, Action::Kill]);
    assert_eq!(session.poll_lost(), Some((request, 7)));
    assert_eq!(session.poll_lost(), None);
}

/// Section 2.5: an age equal to the timeout is death.
#[test]
fn a_ping_as_old_as_the_timeout_is_too_old() {
    let beat =
        Heartbeat { interval: Duration::from_millis(100), timeout: Duration::from_millis(200) };
    let (mut session, _) = ready(Some(beat));
    session.handle_timeout(at(100));
    session.handle_timeout(at(199));
    assert!(session.is_ready());
    session.handle_timeout(at(200));
    assert_eq!(session.failure(), Some(Failure::HeartbeatTimeout));
}

#[test]
fn a_child_that_answers_is_asked_again() {
    let beat =
        Heartbeat { interval: Duration::from_millis(100), timeout: Duration::from_millis(250) };
    let (mut session, _) = ready(Some(beat));
    for millis in (0..1000).step_by(100) {
        assert_eq!(actions(&mut session), [Action::WriteLine(PING_LINE)]);
        assert!(matches!(session.handle_line(at(millis + 50), PONG), Ok(Line::Pong)));
        session.handle_timeout(at(millis + 60));
        assert_eq!(actions(&mut session), [], "early calls are harmless");
        session.handle_timeout(at(millis + 100));
    }
    assert!(session.is_ready());
}

/// Section 2.6: line, then the connection, then at most 5 s.
#[test]
fn shutdown_goes_step_by_step() {
    let (mut session, mut slots) = ready(None);
    send(&mut session, &mut slots, Expect::Result, 1);
    session.shut_down(at(1000));
    session.shut_down(at(2000));
    assert_eq!(actions(&mut session), [Action::WriteLine(SHUTDOWN_LINE), Action::CloseData]);
    assert_eq!(session.poll_lost().map(|(_, key)| key), Some(1));
    session.handle_eof();
    assert_eq!(session.failure(), None, "the end of the connection was asked for");
    assert_eq!(session.poll_timeout(), Some(at(6000)));
    session.handle_timeout(at(6000));
    assert_eq!(actions(&mut session), [Action::Kill]);
    assert_eq!(session.poll_timeout(), None);
    session.handle_exited();
    assert_eq!(session.failure(), None);

    let (mut session, _) = started(None);
    session.shut_down(at(0));
    assert_eq!(actions(&mut session), [Action::WriteLine(SHUTDOWN_LINE)]);
}

/// Section 2.7.
#[test]
fn losing_the_connection_is_a_crash() {
    let (mut session, _) = ready(None);
    session.handle_eof();
    assert_eq!(session.failure(), Some(Failure::DataClosed));
    assert_eq!(actions(&mut session), [Action::CloseData, Action::Kill]);
    let (mut session, _) = ready(None);
    session.handle_bytes(&[0]).unwrap();
    session.handle_eof();
    assert_eq!(session.failure(), Some(Failure::Peer(PeerError::CutFrame)));
    let (mut session, _) = ready(None);
    let bad = Err(PeerError::Header(HeaderError::ZeroId));
    assert_eq!(session.handle_bytes(&[0; 11]), bad);
    assert_eq!(session.handle_bytes(&bytes("0001030000000100000000")), bad);
    assert_eq!(actions(&mut session), [Action::CloseData, Action::Kill]);
}

#[test]
fn answers_reach_the_key_of_their_request() {
    let (mut session, mut slots) = ready(None);
    let first = send(&mut session, &mut slots, Expect::Result, 10);
    let second = send(&mut session, &mut slots, Expect::Stream, 20);
    let response = |request, key, kind| Source::Response { request, key, kind };
    let input = bytes("00030b0000000200000001 07");
    let source = response(second, 20, ResponseKind::Chunk);
    assert_eq!(event(&mut session, &input), Some(Event::Frame { source, payload: &[7] }));
    let input = bytes("0001030000000100000000");
    let source = response(first, 10, ResponseKind::Result);
    assert_eq!(event(&mut session, &input), Some(Event::Frame { source, payload: &[] }));
    assert_eq!(event(&mut session, &input), None, "a duplicate is dropped");
    // A payload on an end is skipped.
    let input = bytes("00031b0000000200000003 0102");
    let source = response(second, 20, ResponseKind::End);
    let step = session.handle_bytes(&input).unwrap();
    assert_eq!(step.event, Some(Event::Frame { source, payload: &[] }));
    assert_eq!(event(&mut session, &input[step.used..]), None);
    assert_eq!(session.pending_count(), 0);
    assert_eq!(event(&mut session, &bytes("03 0001030000000900000000")), None);
    assert_eq!((session.counters().late, session.counters().ignored), (2, 0));
}

/// Sections 5.4 to 5.7: which answer settles which request.
#[test]
fn requests_take_their_own_answers_only() {
    let answers = [
        ("result", 0x03_u8),
        ("ack", 0x23),
        ("chunk", 0x0B),
        ("end", 0x1B),
        ("error", 0x07),
        ("stream error", 0x0F),
    ];
    for (expect, takes) in [
        (Expect::Result, [true, false, false, false, true, false]),
        (Expect::Ack, [true, true, false, false, true, false]),
        (Expect::Stream, [false, false, true, true, true, true]),
        (Expect::StreamOrResult, [true, false, true, true, true, true]),
    ] {
        for ((name, flags), takes) in answers.iter().zip(takes) {
            let (mut session, mut slots) = ready(None);
            send(&mut session, &mut slots, expect, 1);
            let frame = bytes(&format!("0001{flags:02x}0000000100000001c0"));
            assert_eq!(event(&mut session, &frame).is_some(), takes, "{name} for {expect:?}");
            let over = takes && *name != "chunk";
            assert_eq!(session.pending_count(), usize::from(!over), "{name} for {expect:?}");
            assert_eq!(session.counters().ignored, u64::from(!takes));
        }
    }
}

#[test]
fn a_request_given_up_is_aborted_and_hears_nothing_more() {
    let (mut session, mut slots) = ready(None);
    let request = send(&mut session, &mut slots, Expect::Stream, 5);
    let other = send(&mut session, &mut slots, Expect::Result, 6);
    let input = bytes("00030b0000000100000004 0102");
    let step = session.handle_bytes(&input).unwrap();
    assert!(matches!(step.event, Some(Event::Start { payload_len: 4, .. })));
    assert_eq!(session.abort(request), Some(5));
    assert_eq!(session.abort(request), None);
    assert_eq!(session.abort(other), Some(6));
    assert_eq!(event(&mut session, &input[step.used..]), None, "parts end with the request");
    assert_eq!(event(&mut session, &bytes("0304 00031b0000000100000000")), None);
    assert_eq!(session.pending_count(), 2, "the ids are taken until their ABORT leaves");
    let sent = session.poll_transmit(&mut slots).unwrap();
    assert_eq!(sent.head(&slots), bytes("ffff000000000100000000"));
    let sent = session.poll_transmit(&mut slots).unwrap();
    assert_eq!(sent.head(&slots), bytes("ffff000000000200000000"));
    assert_eq!(session.poll_transmit(&mut slots), None);
    assert_eq!(session.pending_count(), 0);
}

#[test]
fn an_abort_waits_for_a_slot() {
    let (mut session, mut slots) = ready(None);
    let request = send(&mut session, &mut slots, Expect::Result, 1);
    let method = MethodId::new(1).unwrap();
    let notices: Vec<_> =
        (0..8).map(|_| session.send_notice(method, Body::EMPTY, &mut slots).unwrap()).collect();
    assert_eq!(session.send_notice(method, Body::EMPTY, &mut slots), Err(SendError::NotNow));
    session.abort(request);
    assert_eq!(session.poll_transmit(&mut slots), None);
    session.handle_sent_through(notices[0].slot).unwrap();
    assert!(session.poll_transmit(&mut slots).is_some());
}

#[test]
fn a_full_table_says_so() {
    let (mut session, mut slots) = ready(None);
    for key in 0..4 {
        send(&mut session, &mut slots, Expect::Result, key);
    }
    let call = NewCall { method: MethodId::new(1).unwrap(), expect: Expect::Result, key: 9 };
    let full = session.send_request(call, Body::EMPTY, &mut slots);
    assert_eq!(full, Err(SendError::TableFull));
    assert_eq!(session.free_slot_count(), 8, "no slot was taken for it");
}

#[test]
fn events_are_told_whether_or_not_anybody_knows_them() {
    let (mut session, _) = ready(None);
    let input = bytes("000101000000000000000481a17032");
    let source = Source::Event(forebay_core_procwire::EventId::new(1).unwrap());
    let payload = &input[11..];
    assert_eq!(event(&mut session, &input), Some(Event::Frame { source, payload }));
    let step = session.handle_bytes(&input[..12]).unwrap();
    assert_eq!(step.event, Some(Event::Start { source, payload_len: 4 }));
}

proptest! {
    /// Sections 4.3 and 5 beside the model: ids are unique while pending, answers reach their
    /// key, each ABORT leaves once, each request ends once, whatever the order of events.
    #[test]
    fn any_order_of_events_keeps_the_rules(ops in prop::collection::vec(any::<u8>(), 0..400)) {
        parent_model::run(&ops);
    }
}
