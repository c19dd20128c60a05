//! Bodies: windows in both directions.

use super::*;

fn uploading(config: WorkerConfig, init: &str) -> (Bench, InstanceId, CallId, RequestId) {
    let mut bench = Bench::new(config);
    let call = bench.call_with(1, Body::Streamed(None)).unwrap();
    let instance = bench.ready(init);
    bench.actions();
    let request = bench.take_call(instance);
    (bench, instance, call, request)
}

fn streaming(init: &str) -> (Bench, InstanceId, CallId, RequestId) {
    let mut bench = Bench::new(WorkerConfig { window: 1000, chunk: 100, ..CONFIG });
    let call = bench.call(1).unwrap();
    let instance = bench.ready(init);
    let request = bench.take_call(instance);
    bench.respond(instance, request, Flags::CHUNK, &map(200, &[], None));
    bench.actions();
    (bench, instance, call, request)
}

/// dispatch 8.1: a window of bytes, of which half is allowed again at a time.
#[test]
fn a_body_flows_as_the_worker_takes_it() {
    let config = WorkerConfig { window: 1000, chunk: 400, ..CONFIG };
    let (mut bench, instance, call, request) = uploading(config, INIT);
    let read = |bytes, parts| Action::ReadBody { origin: 1, call, bytes, parts, chunk: 400 };
    assert_eq!(bench.actions(), [read(1000, 8)]);
    let first = bench.part(call, 400, false);
    // [R, 0, false, bin(400)]
    let prefix = [&[0x94, request.value() as u8, 0, 0xc2, 0xc5, 1, 144][..]].concat();
    assert_eq!((first.id.value(), first.prefix), (2, prefix));
    assert_eq!(first.payload_len, 7 + 400);
    let second = bench.part(call, 400, false);
    bench.respond(instance, first.request.unwrap(), Flags::ACK, b"");
    assert_eq!(bench.actions(), [], "less than half a window");
    bench.respond(instance, second.request.unwrap(), Flags::RESULT, b"\xc0");
    assert_eq!(bench.actions(), [read(800, 2)]);
    let end = bench.part(call, 5, true);
    assert_eq!(end.prefix[1..5], [request.value() as u8, 0xcd, 3, 32]);
    assert_eq!(end.prefix[5], 0xc3);
    assert_eq!(bench.try_part(call, 1, false), None, "nothing behind the end");
}

#[test]
fn small_parts_are_limited_by_their_number() {
    let (mut bench, instance, call, _) = uploading(CONFIG, INIT);
    bench.actions();
    let parts: Vec<_> = (0..8).map(|_| bench.part(call, 1, false).request.unwrap()).collect();
    assert_eq!(bench.try_part(call, 1, false), None, "more than was allowed");
    for part in &parts[..3] {
        bench.respond(instance, *part, Flags::ACK, b"\xc0");
    }
    assert_eq!(bench.actions(), []);
    bench.respond(instance, parts[3], Flags::ACK, b"\xc0");
    let read = Action::ReadBody { origin: 1, call, bytes: 0, parts: 4, chunk: 64 << 10 };
    assert_eq!(bench.actions(), [read]);
}

#[test]
fn the_end_of_a_body_needs_no_credit() {
    let (mut bench, _, call, _) = uploading(CONFIG, INIT);
    for _ in 0..8 {
        bench.part(call, 1, false);
    }
    assert_eq!(bench.part(call, 0, true).prefix[3], 0xc3);
}

#[test]
fn trailers_go_with_an_empty_last_part() {
    let (mut bench, _, call, request) = uploading(CONFIG, INIT);
    let mut slot = [0; SLOT_LEN];
    let part = bench.home.handle_trailers(bench.now, call, 30, &mut slot);
    let Part::Send { transmit, .. } = part else { panic!("{part:?}") };
    let trailers = sent(&slot, transmit);
    assert_eq!(trailers.prefix, [0x95, request.value() as u8, 0, 0xc3, 0xc4, 0]);
    assert_eq!(trailers.payload_len, 6 + 30);
}

/// dispatch 7.3: an error answer to a part.
#[test]
fn a_worker_may_want_no_more_of_a_body() {
    let (mut bench, instance, call, request) = uploading(CONFIG, INIT);
    bench.actions();
    let part = bench.part(call, 10, false);
    bench.respond(instance, part.request.unwrap(), Flags::ERROR, b"\xa2no");
    assert_eq!(bench.actions(), [Action::DiscardBody { origin: 1, call }]);
    assert_eq!(bench.try_part(call, 10, false), None);
    let told = bench.respond(instance, request, Flags::RESULT, &map(403, &[], None));
    assert!(matches!(told[..], [Told::Head { status: 403, last: true, .. }]));
}

#[test]
fn a_response_may_end_before_the_request() {
    let (mut bench, instance, call, request) = uploading(CONFIG, INIT);
    let part = bench.part(call, 10, false);
    bench.respond(instance, request, Flags::RESULT, &map(413, &[], None));
    assert_eq!(bench.home.call_count(), 0);
    assert_eq!(bench.try_part(call, 10, true), None);
    bench.respond(instance, part.request.unwrap(), Flags::ACK, b"\xc0");
    assert_eq!(bench.status().late_frames, 1);
}

/// dispatch 7.1: without `http.body` the body goes inside the call.
#[test]
fn a_worker_without_parts_gets_the_body_inside_the_call() {
    let mut bench = Bench::new(CONFIG);
    let cold = bench.call_with(1, Body::Streamed(Some(10))).unwrap();
    let instance = bench.ready(RESULT_INIT);
    let gather = |origin, call| Action::Gather { origin, call, limit: 64 << 10 };
    assert_eq!(bench.actions(), [gather(1, cold)]);
    assert_eq!(bench.transmit(instance), None);
    let warm = bench.call_with(2, Body::Streamed(None)).unwrap();
    assert_eq!(bench.actions(), [gather(2, warm)]);
    bench.home.handle_gathered(bench.now, cold, 10);
    assert_eq!(bench.actions(), [Action::Write { instance }]);
    let call = bench.transmit(instance).unwrap();
    assert_eq!(call.payload, Payload::Call { call: cold, inline: 10 });
    bench.home.handle_gone(bench.now, warm);
    assert_eq!(bench.home.call_count(), 1);
}

/// dispatch 8.2: a grant each time the client has drained half a window.
#[test]
fn the_worker_is_granted_what_the_client_drained() {
    let (mut bench, instance, call, request) = streaming(INIT);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 900]));
    bench.home.handle_drained(bench.now, call, 499);
    assert_eq!(bench.actions(), []);
    bench.home.handle_drained(bench.now, call, 1);
    assert_eq!(bench.actions(), [Action::Write { instance }]);
    let grant = bench.transmit(instance).unwrap();
    assert_eq!((grant.id.value(), grant.request), (3, None));
    assert_eq!(grant.prefix, [0x92, request.value() as u8, 0xcd, 1, 0xf4]);
}

/// dispatch 8.2: more than the window and one chunk is a violation.
#[test]
fn a_worker_that_floods_breaks_the_protocol() {
    let (mut bench, instance, _, request) = streaming(INIT);
    let told = bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1100]));
    assert_eq!(told.len(), 1);
    let told = bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1]));
    assert_eq!(told, [Told::Broken(1)]);
    assert_eq!(bench.transmit(instance).unwrap().id, WireId::ABORT);
    assert_eq!(bench.status().violations, 1);
}

#[test]
fn a_complete_frame_is_bounded_by_its_own_limit_alone() {
    let mut bench = Bench::new(WorkerConfig { window: 1000, chunk: 100, ..CONFIG });
    let call = bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    let request = bench.take_call(instance);
    let body = [9; 5000];
    let told = bench.respond(instance, request, Flags::RESULT, &map(200, &[], Some(&body)));
    assert!(matches!(&told[..], [Told::Head { length: Some(5000), last: true, .. }]));
    bench.home.handle_drained(bench.now, call, 5000);
}

/// dispatch 8.2: without grants the connection is stopped at a window, and read again at half.
#[test]
fn a_slow_client_stops_a_connection_without_grants() {
    let (mut bench, instance, call, request) = streaming(PLAIN_INIT);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 999]));
    assert_eq!(bench.actions(), []);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1]));
    assert_eq!(bench.actions(), [Action::StopReading { instance }]);
    bench.home.handle_drained(bench.now, call, 499);
    assert_eq!(bench.actions(), []);
    bench.home.handle_drained(bench.now, call, 1);
    assert_eq!(bench.actions(), [Action::ResumeReading { instance }]);
    assert_eq!(bench.transmit(instance), None, "no grant to a worker that knows none");
}

#[test]
fn a_connection_is_read_again_when_the_slow_call_ends() {
    let (mut bench, instance, call, request) = streaming(PLAIN_INIT);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1000]));
    bench.actions();
    bench.home.handle_gone(bench.now, call);
    let actions = bench.actions();
    assert!(actions.contains(&Action::ResumeReading { instance }), "{actions:?}");
}

/// dispatch 8.2: two seconds without a byte drained, while others wait.
#[test]
fn a_client_that_stalls_the_others_is_cut_off() {
    let (mut bench, instance, call, request) = streaming(PLAIN_INIT);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1000]));
    bench.actions();
    bench.pass(10_000);
    assert_eq!(bench.actions(), [], "nobody else waits");
    bench.call(2).unwrap();
    bench.take_call(instance);
    bench.actions();
    bench.pass(1_000);
    bench.home.handle_drained(bench.now, call, 10);
    bench.pass(1_990);
    assert_eq!(bench.actions(), [], "a byte was drained");
    bench.pass(30);
    let actions = bench.actions();
    assert!(actions.contains(&Action::Abort { origin: 1, call }), "{actions:?}");
    assert!(actions.contains(&Action::ResumeReading { instance }), "{actions:?}");
    assert_eq!(bench.status().stalled, 1);
}

#[test]
fn the_stream_deadline_waits_for_a_client_that_is_behind() {
    let (mut bench, instance, call, request) = streaming(INIT);
    bench.respond(instance, request, Flags::CHUNK, &bin(&[7; 1000]));
    bench.pass(200_000);
    assert_eq!(bench.actions(), [], "the worker may not send");
    bench.home.handle_drained(bench.now, call, 1000);
    bench.pass(59_980);
    assert_eq!(bench.actions(), [Action::Write { instance }]);
    bench.pass(40);
    assert!(bench.actions().contains(&Action::Abort { origin: 1, call }));
}
