//! Calls: choice, queue, limits and deadlines.

use super::*;

#[test]
fn one_get_goes_to_a_worker_and_comes_back() {
    let mut bench = Bench::new(CONFIG);
    let call = bench.call(7).unwrap();
    let instance = bench.ready(INIT);
    assert_eq!(bench.actions(), [Action::Write { instance }]);
    let sent = bench.transmit(instance).unwrap();
    assert_eq!(sent.payload, Payload::Call { call, inline: 0 });
    assert_eq!(sent.id.value(), 1);
    // d: 30000, w: 262144, b: nil
    assert_eq!(sent.prefix, b"\xa1d\xcd\x75\x30\xa1w\xce\x00\x04\x00\x00\xa1b\xc0");
    assert_eq!(sent.payload_len as usize, 100 + sent.prefix.len());
    assert_eq!(bench.transmit(instance), None);
    bench.home.handle_sent(instance, 1);

    let answer = map(200, &[("content-type", "text/plain")], Some(b"ok"));
    let told = bench.respond(instance, sent.request.unwrap(), Flags::RESULT, &answer);
    let head = Told::Head {
        origin: 7,
        status: 200,
        fields: " content-type=text/plain".into(),
        length: Some(2),
        body: b"ok".to_vec(),
        last: true,
    };
    assert_eq!(told, [head]);
    assert_eq!(bench.home.call_count(), 0);
    assert_eq!(bench.status().in_flight, 0);
    assert_eq!(bench.actions(), []);
}

#[test]
fn the_forms_of_a_body_are_those_of_the_message() {
    let mut bench = Bench::new(CONFIG);
    bench.call_with(1, Body::Inline(300)).unwrap();
    bench.call_with(2, Body::Streamed(Some(70_000))).unwrap();
    bench.call_with(3, Body::Streamed(None)).unwrap();
    let instance = bench.ready(INIT);
    let tail = |sent: &Sent| sent.prefix[12..].to_vec();
    let inline = bench.transmit(instance).unwrap();
    assert_eq!(tail(&inline), b"\xa1b\xc5\x01\x2c");
    assert_eq!(inline.payload_len as usize, 100 + inline.prefix.len() + 300);
    assert_eq!(tail(&bench.transmit(instance).unwrap()), b"\xa1b\x81\xa1l\xce\x00\x01\x11\x70");
    assert_eq!(tail(&bench.transmit(instance).unwrap()), b"\xa1b\x81\xa1l\xc0");
}

#[test]
fn a_worker_without_grants_gets_no_window() {
    let mut bench = Bench::new(CONFIG);
    bench.call(1).unwrap();
    let instance = bench.ready(PLAIN_INIT);
    assert_eq!(bench.transmit(instance).unwrap().prefix, b"\xa1d\xcd\x75\x30\xa1w\x00\xa1b\xc0");
}

/// dispatch 9.3: fewest calls in flight, ties in turn.
#[test]
fn the_least_loaded_instance_gets_the_call_and_equals_take_turns() {
    let config = WorkerConfig { min_instances: 3, max_instances: 3, ..CONFIG };
    let mut bench = Bench::new(config);
    let instances = [bench.ready(INIT), bench.ready(INIT), bench.ready(INIT)];
    bench.actions();
    let mut chosen = Vec::new();
    let mut requests = Vec::new();
    for origin in 0..6 {
        bench.call(origin).unwrap();
        let instance = instances.into_iter().position(|one| {
            bench.transmit(one).is_some_and(|sent| {
                requests.push(sent.request.unwrap());
                true
            })
        });
        chosen.push(instance.unwrap());
    }
    assert_eq!(chosen, [0, 1, 2, 0, 1, 2]);
    bench.respond(instances[1], requests[1], Flags::RESULT, &map(200, &[], None));
    bench.call(9).unwrap();
    assert!(bench.transmit(instances[1]).is_some());
}

/// dispatch 10: the limit on calls of one instance holds, further ones wait in order.
#[test]
fn calls_beyond_the_limit_wait_in_order() {
    let mut bench = Bench::new(WorkerConfig { max_concurrency: 2, ..CONFIG });
    for origin in 0..5 {
        bench.call(origin).unwrap();
    }
    let instance = bench.ready(INIT);
    let first = bench.take_call(instance);
    bench.take_call(instance);
    assert_eq!(bench.transmit(instance), None);
    assert_eq!((bench.status().in_flight, bench.status().queued), (2, 3));
    bench.respond(instance, first, Flags::RESULT, &map(204, &[], None));
    let third = bench.take_call(instance);
    let told = bench.respond(instance, third, Flags::RESULT, &map(204, &[], None));
    assert!(matches!(told[..], [Told::Head { origin: 2, .. }]));
}

#[test]
fn a_full_queue_and_a_full_table_refuse_at_once() {
    let mut bench = Bench::new(WorkerConfig { queue_len: 2, ..CONFIG });
    bench.call(1).unwrap();
    bench.call(2).unwrap();
    assert_eq!(bench.call(3), Err(Refusal::QueueFull));
    let mut bench = Bench::new(CONFIG);
    for origin in 0..CALLS as u64 {
        bench.call(origin).unwrap();
    }
    assert_eq!(bench.call(99), Err(Refusal::Capacity));
}

/// dispatch 10: with an empty queue before it, a call waits for the whole time; a queue that
/// stands longer than 100 ms sheds after a quarter.
#[test]
fn a_standing_queue_sheds_after_a_quarter_of_the_time() {
    let mut bench = Bench::new(WorkerConfig { max_concurrency: 1, ..CONFIG });
    bench.call(0).unwrap();
    let instance = bench.ready(INIT);
    bench.take_call(instance);
    bench.actions();
    bench.call(1).unwrap();
    bench.pass(200);
    bench.call(2).unwrap();
    bench.pass(49);
    assert_eq!(answers(&mut bench), []);
    bench.pass(11);
    assert_eq!(answers(&mut bench), [(1, Refusal::QueueTimeout)]);
    bench.pass(180);
    assert_eq!(answers(&mut bench), []);
    bench.pass(20);
    assert_eq!(answers(&mut bench), [(2, Refusal::QueueTimeout)]);
    assert_eq!(bench.status().queued, 0);
}

#[test]
fn a_short_wait_is_judged_by_the_queue_not_by_the_quarter() {
    let config =
        WorkerConfig { max_concurrency: 1, queue_timeout: Duration::from_millis(80), ..CONFIG };
    let mut bench = Bench::new(config);
    bench.call(0).unwrap();
    let instance = bench.ready(INIT);
    bench.take_call(instance);
    bench.actions();
    bench.call(1).unwrap();
    bench.pass(79);
    assert_eq!(answers(&mut bench), []);
    bench.pass(11);
    assert_eq!(answers(&mut bench), [(1, Refusal::QueueTimeout)]);
}

/// dispatch 10: a cold start is not overload.
#[test]
fn nothing_is_shed_while_the_first_instance_starts() {
    let mut bench = Bench::new(CONFIG);
    bench.call(1).unwrap();
    let instance = bench.spawn();
    bench.pass(29_000);
    assert_eq!(answers(&mut bench), []);
    bench.bring_up(instance, INIT);
    bench.pass(0);
    assert_eq!(answers(&mut bench), []);
    bench.take_call(instance);
}

/// dispatch 8.5: the deadline of the head, and ABORT to the worker.
#[test]
fn a_worker_that_does_not_answer_is_aborted() {
    let mut bench = Bench::new(CONFIG);
    bench.call(4).unwrap();
    let instance = bench.ready(INIT);
    let request = bench.take_call(instance);
    bench.actions();
    bench.pass(29_990);
    assert_eq!(answers(&mut bench), []);
    bench.pass(20);
    assert_eq!(answers(&mut bench), [(4, Refusal::Timeout)]);
    let abort = bench.transmit(instance).unwrap();
    assert_eq!((abort.id, abort.request, abort.payload_len), (WireId::ABORT, Some(request), 0));
    assert_eq!(bench.home.call_count(), 0);
    let late = bench.respond(instance, request, Flags::RESULT, &map(200, &[], None));
    assert_eq!(late, []);
    assert_eq!(bench.status().late_frames, 1);
}

#[test]
fn a_response_that_pauses_is_broken_off() {
    let config = WorkerConfig { stream_timeout: Duration::from_secs(5), ..CONFIG };
    let mut bench = Bench::new(config);
    let call = bench.call(4).unwrap();
    let instance = bench.ready(INIT);
    let request = bench.take_call(instance);
    bench.actions();
    bench.respond(instance, request, Flags::CHUNK, &map(200, &[], None));
    bench.pass(4_990);
    bench.respond(instance, request, Flags::CHUNK, &bin(b"more"));
    bench.pass(4_990);
    assert_eq!(bench.actions(), []);
    bench.pass(20);
    let abort = Action::Abort { origin: 4, call };
    assert_eq!(bench.actions(), [Action::Write { instance }, abort]);
}

#[test]
fn the_deadline_waits_for_the_rest_of_the_request() {
    let mut bench = Bench::new(CONFIG);
    let call = bench.call_with(4, Body::Streamed(None)).unwrap();
    let instance = bench.ready(INIT);
    bench.take_call(instance);
    bench.actions();
    // The client is slow: not the worker's fault.
    bench.pass(100_000);
    assert_eq!(bench.actions(), []);
    let part = bench.part(call, 5, false);
    bench.pass(29_000);
    bench.respond(instance, part.request.unwrap(), Flags::ACK, b"\xc0");
    bench.part(call, 0, true);
    bench.pass(29_990);
    assert_eq!(answers(&mut bench), []);
    bench.pass(20);
    assert_eq!(answers(&mut bench), [(4, Refusal::Timeout)]);
}

#[test]
fn a_client_that_leaves_the_queue_never_reaches_a_worker() {
    let mut bench = Bench::new(CONFIG);
    let call = bench.call(1).unwrap();
    bench.home.handle_gone(bench.now, call);
    assert_eq!(bench.home.call_count(), 0);
    let instance = bench.ready(INIT);
    assert_eq!(bench.transmit(instance), None);
}

#[test]
fn a_client_that_leaves_before_its_frame_was_taken_needs_no_abort() {
    let mut bench = Bench::new(CONFIG);
    let call = bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    bench.home.handle_gone(bench.now, call);
    assert_eq!(bench.transmit(instance), None);
    assert_eq!(bench.home.call_count(), 0);
}

#[test]
fn a_client_that_leaves_later_is_an_abort_and_a_free_place() {
    let mut bench = Bench::new(WorkerConfig { max_concurrency: 1, ..CONFIG });
    let call = bench.call(1).unwrap();
    bench.call(2).unwrap();
    let instance = bench.ready(INIT);
    let request = bench.take_call(instance);
    bench.actions();
    bench.respond(instance, request, Flags::CHUNK, &map(200, &[], Some(b"part")));
    bench.home.handle_gone(bench.now, call);
    assert_eq!(bench.actions(), [Action::Write { instance }]);
    let frames = [bench.transmit(instance).unwrap(), bench.transmit(instance).unwrap()];
    assert_eq!((frames[0].id, frames[0].request), (WireId::ABORT, Some(request)));
    assert!(matches!(frames[1].payload, Payload::Call { .. }));
    assert_eq!(bench.respond(instance, request, Flags::END, b""), []);
    assert_eq!(bench.home.call_count(), 1);
}

#[test]
fn a_client_that_leaves_after_the_verdict_hears_nothing() {
    let mut bench = Bench::new(CONFIG);
    let call = bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    bench.take_call(instance);
    bench.actions();
    bench.pass(31_000);
    bench.home.handle_gone(bench.now, call);
    assert_eq!(answers(&mut bench), []);
    assert!(bench.transmit(instance).is_some(), "the worker hears of it all the same");
    assert_eq!(bench.home.call_count(), 0);
}

#[test]
fn an_unknown_worker_is_not_deployed() {
    let mut bench = Bench::new(CONFIG);
    bench.worker = WorkerId::from_bits(2);
    assert_eq!(bench.call(1), Err(Refusal::NotDeployed));
}
