//! The life of instances: starts, failures, replacement, retry, stop.

use super::*;
use crate::{Exit, StartFailure};

fn spawned(actions: &[Action]) -> Option<InstanceId> {
    actions.iter().find_map(|action| match action {
        Action::Spawn { instance, .. } => Some(*instance),
        _ => None,
    })
}

fn kill(instance: InstanceId) -> Action {
    Action::Kill { instance, signal: Signal::Kill }
}

/// An instance with one call whose frame was written.
fn busy(config: WorkerConfig) -> (Bench, InstanceId, CallId) {
    let mut bench = Bench::new(config);
    let call = bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    bench.take_call(instance);
    bench.home.handle_sent(instance, 1);
    bench.actions();
    (bench, instance, call)
}

/// The process is gone and everything of it was let go.
fn bury(bench: &mut Bench, instance: InstanceId) {
    bench.home.handle_exited(bench.now, instance, Exit::Signal(9));
    bench.home.handle_disconnected(bench.now, instance);
    let worker = bench.worker;
    assert!(bench.actions().contains(&Action::Release { instance, worker }));
}

#[test]
fn the_first_call_starts_an_instance_and_only_one() {
    let mut bench = Bench::new(WorkerConfig { max_instances: 4, ..CONFIG });
    assert_eq!(bench.actions(), [], "on demand");
    bench.call(1).unwrap();
    let instance = spawned(&bench.actions()).unwrap();
    bench.call(2).unwrap();
    assert_eq!(bench.actions(), [], "one start at a time");
    bench.bring_up(instance, INIT);
    assert_eq!(bench.status().ready, 1);
}

/// dispatch 9.2: one more when every ready instance is full and calls wait.
#[test]
fn more_instances_start_when_all_are_full() {
    let mut bench = Bench::new(WorkerConfig { max_instances: 2, max_concurrency: 1, ..CONFIG });
    bench.call(1).unwrap();
    bench.ready(INIT);
    assert_eq!(spawned(&bench.actions()), None);
    bench.call(2).unwrap();
    let second = spawned(&bench.actions()).unwrap();
    bench.bring_up(second, INIT);
    bench.call(3).unwrap();
    assert_eq!(spawned(&bench.actions()), None, "two at most");
    assert_eq!((bench.status().in_flight, bench.status().queued), (2, 1));
}

#[test]
fn min_instances_are_started_one_after_another() {
    let mut bench = Bench::new(WorkerConfig { min_instances: 2, max_instances: 2, ..CONFIG });
    let first = bench.spawn();
    assert_eq!(bench.actions(), []);
    bench.bring_up(first, INIT);
    bench.ready(INIT);
    assert_eq!(bench.status().ready, 2);
}

type Fail = fn(&mut Bench, InstanceId);

fn line(bench: &mut Bench, instance: InstanceId, line: &str) {
    bench.home.handle_spawned(bench.now, instance, 0);
    let outcome = bench.home.handle_line(bench.now, instance, line.as_bytes(), &mut [0; 108]);
    assert_eq!(outcome, LineOutcome::Nothing);
}

/// Ways to fail before Ready, and the reason that is told.
fn failing_starts() -> [(Fail, &'static str); 10] {
    [
        (|b, i| b.home.handle_spawn_failed(b.now, i, 2, 0), "exec failed (error 2)"),
        (|b, i| line(b, i, r#"{"method":"$init"}"#), "invalid $init format"),
        (|b, i| line(b, i, &INIT.replace("\"http\"", "\"htp\"")), "no http method"),
        (
            |b, i| line(b, i, &RESULT_INIT.replace("result", "ack")),
            "http is neither a stream nor a result",
        ),
        (|b, i| line(b, i, r#"{"method":"$error","params":{"message":"no \"db\""}}"#), "$error"),
        (|b, i| b.home.handle_line_too_long(b.now, i), "control line too long"),
        (
            |b, i| {
                b.home.handle_spawned(b.now, i, 0);
                b.home.handle_exited(b.now, i, Exit::Code(3));
            },
            "exited with status 3",
        ),
        (
            |b, i| {
                b.home.handle_spawned(b.now, i, 0);
                b.home.handle_exited(b.now, i, Exit::Signal(11));
            },
            "killed by signal 11",
        ),
        (
            |b, i| {
                b.home.handle_spawned(b.now, i, 0);
                b.home.handle_line(b.now, i, INIT.as_bytes(), &mut [0; 108]);
                b.home.handle_connect_failed(b.now, i, StartFailure::Connect(111));
            },
            "connect failed (error 111)",
        ),
        (
            |b, i| {
                b.home.handle_spawned(b.now, i, 0);
                b.pass(30_010);
            },
            "no $init in time",
        ),
    ]
}

/// Each way to fail before Ready: killed, counted, and the calls that waited are answered.
#[test]
fn a_start_that_fails_answers_the_calls_that_waited() {
    for (fail, reason) in failing_starts() {
        let mut bench = Bench::new(CONFIG);
        bench.call(1).unwrap();
        bench.call(2).unwrap();
        let instance = bench.spawn();
        fail(&mut bench, instance);
        let actions = bench.actions();
        let refusal = Refusal::FailedToStart;
        assert_eq!(answered(&actions), [(1, refusal), (2, refusal)], "{reason}");
        let (failure, text) = bench.home.start_failure(bench.worker).unwrap();
        assert_eq!(std::format!("{failure}"), reason);
        assert_eq!(text, if reason == "$error" { "no \"db\"" } else { "" });
        let status = bench.status();
        assert_eq!((status.starting, status.ready, status.failures), (0, 0, 1), "{reason}");
        // Killed, unless it has ended by itself.
        let gone = reason.starts_with("ex") || reason.starts_with("killed");
        let unborn = reason == "control line too long";
        assert_eq!(actions.contains(&kill(instance)), !gone && !unborn, "{reason}");
        if unborn {
            bench.home.handle_spawned(bench.now, instance, 0);
            assert!(bench.actions().contains(&kill(instance)));
        }
        if !gone {
            bench.home.handle_exited(bench.now, instance, Exit::Signal(9));
            let worker = bench.worker;
            assert_eq!(bench.actions(), [Action::Release { instance, worker }], "{reason}");
        }
        assert_eq!((bench.home.instance_count(), bench.home.call_count()), (0, 0), "{reason}");
    }
}

/// dispatch 9.4: delays grow, then the circuit opens, then one attempt.
#[test]
fn a_worker_that_keeps_failing_is_left_alone_for_a_while() {
    let mut bench = Bench::new(WorkerConfig { min_instances: 1, ..CONFIG });
    let mut delay = 200;
    let mut next = bench.spawn();
    for _ in 0..5 {
        bench.home.handle_spawn_failed(bench.now, next, 2, 0);
        assert_eq!(spawned(&bench.actions()), None);
        bench.pass(delay - 10);
        assert_eq!(spawned(&bench.actions()), None, "backoff");
        bench.pass(20);
        next = bench.spawn();
        delay *= 2;
    }
    bench.home.handle_spawn_failed(bench.now, next, 2, 0);
    bench.actions();
    assert!(bench.status().open);
    assert_eq!(bench.call(1), Err(Refusal::CircuitOpen { retry_after_s: 30 }));
    bench.pass(28_500);
    assert_eq!(bench.call(1), Err(Refusal::CircuitOpen { retry_after_s: 2 }));
    bench.pass(1_520);
    let attempt = bench.spawn();
    bench.home.handle_spawn_failed(bench.now, attempt, 2, 0);
    bench.actions();
    assert_eq!(bench.call(1), Err(Refusal::CircuitOpen { retry_after_s: 30 }));
    bench.pass(30_010);
    bench.ready(INIT);
    bench.call(1).unwrap();
    assert!(!bench.status().open);
}

/// dispatch 10: in backoff a call waits up to `queue_timeout`.
#[test]
fn calls_wait_through_a_backoff_up_to_their_time() {
    let (mut bench, instance, _) = busy(CONFIG);
    bench.home.handle_disconnected(bench.now, instance);
    let actions = bench.actions();
    assert_eq!(answered(&actions), [(1, Refusal::Exited)]);
    assert!(actions.contains(&kill(instance)));
    bench.call(2).unwrap();
    bench.pass(190);
    assert_eq!(spawned(&bench.actions()), None);
    bench.pass(20);
    assert!(spawned(&bench.actions()).is_some());
    let restart = Restart { base: Duration::from_secs(5), ..CONFIG.restart };
    let (mut bench, instance, _) = busy(WorkerConfig { restart, ..CONFIG });
    bench.home.handle_disconnected(bench.now, instance);
    bench.actions();
    bench.call(2).unwrap();
    bench.pass(990);
    assert_eq!(answers(&mut bench), []);
    bench.pass(20);
    assert_eq!(answers(&mut bench), [(2, Refusal::QueueTimeout)]);
}

/// dispatch 8.4, `unsent`: only a call of which no byte was written goes to another instance.
#[test]
fn only_an_unsent_call_is_sent_again() {
    let (mut bench, instance, first) = busy(CONFIG);
    let second = bench.call(2).unwrap();
    let third = bench.call(3).unwrap();
    bench.take_call(instance);
    assert!(!bench.home.may_retry(first));
    assert!(bench.home.may_retry(second) && bench.home.may_retry(third));
    bench.home.handle_disconnected(bench.now, instance);
    assert_eq!(answers(&mut bench), [(1, Refusal::Exited)]);
    assert_eq!(bench.status().queued, 2);
    bench.pass(210);
    let next = bench.ready(INIT);
    let order = [bench.transmit(next).unwrap(), bench.transmit(next).unwrap()];
    let payloads = order.map(|sent| sent.payload);
    assert_eq!(payloads, [second, third].map(|call| Payload::Call { call, inline: 0 }));
    assert!(!bench.home.may_retry(second), "at most once");
    bench.home.handle_disconnected(bench.now, next);
    assert_eq!(answers(&mut bench).len(), 2);
}

#[test]
fn idempotent_calls_are_sent_again_unless_an_answer_began() {
    let config = WorkerConfig { retry: Retry::Idempotent, max_instances: 2, ..CONFIG };
    let (mut bench, instance, _) = busy(config);
    bench.call_with(2, Body::Inline(5)).unwrap();
    bench.call_with(3, Body::Streamed(None)).unwrap();
    let answered_call = bench.call(4).unwrap();
    let post = NewCall {
        origin: 5,
        worker: bench.worker,
        message_len: 9,
        body: Body::None,
        idempotent: false,
    };
    bench.home.handle_call(bench.now, post).unwrap();
    let requests: Vec<_> = (0..4).map(|_| bench.take_call(instance)).collect();
    bench.home.handle_sent(instance, 4);
    bench.respond(instance, requests[2], Flags::CHUNK, &map(103, &[], None));
    assert!(!bench.home.may_retry(answered_call));
    bench.home.handle_disconnected(bench.now, instance);
    let mut refused = answers(&mut bench);
    refused.sort_by_key(|(origin, _)| *origin);
    assert_eq!(refused, [3, 4, 5].map(|origin| (origin, Refusal::Exited)));
    assert_eq!(bench.status().queued, 2);
}

#[test]
fn nothing_is_sent_again_where_that_is_configured() {
    let mut bench = Bench::new(WorkerConfig { retry: Retry::Never, ..CONFIG });
    bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    bench.home.handle_disconnected(bench.now, instance);
    assert_eq!(answers(&mut bench), [(1, Refusal::Exited)]);
}

#[test]
fn a_lost_connection_breaks_responses_off() {
    let (mut bench, instance, call) = busy(CONFIG);
    let request = RequestId::new(1).unwrap();
    bench.respond(instance, request, Flags::CHUNK, &map(200, &[], None));
    bench.home.handle_disconnected(bench.now, instance);
    assert!(bench.actions().contains(&Action::Abort { origin: 1, call }));
}

/// What a process wrote before it ended still counts.
#[test]
fn the_connection_of_a_process_that_ended_is_read_out() {
    let (mut bench, instance, _) = busy(CONFIG);
    bench.home.handle_exited(bench.now, instance, Exit::Code(0));
    assert_eq!(answers(&mut bench), []);
    let request = RequestId::new(1).unwrap();
    let told = bench.respond(instance, request, Flags::RESULT, &map(200, &[], None));
    assert_eq!(told.len(), 1);
    bench.home.handle_disconnected(bench.now, instance);
    let worker = bench.worker;
    assert_eq!(bench.actions(), [Action::Release { instance, worker }]);
    assert_eq!(bench.status().failures, 1);
}

#[test]
fn a_connection_that_outlives_its_process_is_closed() {
    let (mut bench, instance, _) = busy(CONFIG);
    bench.home.handle_exited(bench.now, instance, Exit::Code(0));
    bench.pass(1_020);
    let actions = bench.actions();
    assert!(actions.contains(&Action::Disconnect { instance }));
    assert_eq!(answered(&actions), [(1, Refusal::Exited)]);
    assert!(actions.contains(&Action::Release { instance, worker: bench.worker }));
}

/// dispatch 9.1: the heartbeat.
#[test]
fn an_instance_that_does_not_answer_pings_is_given_up() {
    let config =
        WorkerConfig { ping_interval: Duration::from_secs(5), idle_stop: Duration::ZERO, ..CONFIG };
    let (mut bench, instance, _) = busy(config);
    let ping = Action::WriteLine { instance, line: Line::Ping };
    let pong = |bench: &mut Bench| {
        bench.home.handle_line(bench.now, instance, br#"{"method":"$pong"}"#, &mut []);
    };
    pong(&mut bench);
    bench.pass(5_010);
    assert_eq!(bench.actions(), [ping]);
    bench.pass(9_000);
    pong(&mut bench);
    bench.pass(1_020);
    assert_eq!(bench.actions(), [ping]);
    bench.pass(9_900);
    assert_eq!(bench.actions(), []);
    bench.pass(200);
    let actions = bench.actions();
    assert!(actions.contains(&Action::Disconnect { instance }));
    assert_eq!(answered(&actions), [(1, Refusal::Exited)]);
    assert!(!actions.contains(&kill(instance)), "it has its grace");
    bench.call(2).unwrap();
    assert_eq!(bench.transmit(instance), None);
    bench.pass(5_010);
    assert!(bench.actions().contains(&kill(instance)));
    bury_without_connection(&mut bench, instance);
}

fn bury_without_connection(bench: &mut Bench, instance: InstanceId) {
    bench.home.handle_exited(bench.now, instance, Exit::Signal(9));
    let worker = bench.worker;
    assert!(bench.actions().contains(&Action::Release { instance, worker }));
}

#[test]
fn the_first_ping_follows_readiness_at_once() {
    let config = WorkerConfig { ping_interval: Duration::from_secs(5), ..CONFIG };
    let mut bench = Bench::new(config);
    bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    assert!(bench.actions().contains(&Action::WriteLine { instance, line: Line::Ping }));
}

/// dispatch 9.1: idle instances above the minimum end, gently and then less so.
#[test]
fn an_idle_instance_is_asked_told_and_made_to_end() {
    let (mut bench, instance, _) = busy(CONFIG);
    bench.respond(instance, RequestId::new(1).unwrap(), Flags::RESULT, &map(200, &[], None));
    bench.pass(59_980);
    assert_eq!(bench.actions(), []);
    bench.pass(40);
    assert_eq!(bench.actions(), [Action::WriteLine { instance, line: Line::Shutdown }]);
    assert_eq!(bench.status().ready, 0);
    bench.pass(5_010);
    let term = Action::Kill { instance, signal: Signal::Terminate };
    assert_eq!(bench.actions(), [term]);
    bench.pass(2_010);
    assert_eq!(bench.actions(), [kill(instance)]);
    bury(&mut bench, instance);
    assert_eq!(bench.status().failures, 0, "it was told to");
    bench.call(2).unwrap();
    bench.spawn();
}

#[test]
fn an_idle_instance_of_the_minimum_stays() {
    let mut bench = Bench::new(WorkerConfig { min_instances: 1, ..CONFIG });
    bench.ready(INIT);
    bench.actions();
    bench.pass(200_000);
    assert_eq!(bench.actions(), []);
}

/// dispatch 9.1: a replacement first, then Draining.
#[test]
fn a_worn_out_instance_is_replaced_first() {
    let (mut bench, old, _) = busy(WorkerConfig { max_calls: 2, ..CONFIG });
    bench.call(2).unwrap();
    bench.take_call(old);
    let new = spawned(&bench.actions()).expect("a replacement");
    bench.call(3).unwrap();
    bench.take_call(old);
    bench.bring_up(new, INIT);
    bench.actions();
    assert_eq!((bench.status().ready, bench.status().ending), (1, 1));
    bench.call(4).unwrap();
    bench.take_call(new);
    assert_eq!(bench.transmit(old), None, "it drains");
    bench.actions();
    for request in 1..=3 {
        let request = RequestId::new(request).unwrap();
        assert_eq!(bench.actions(), []);
        bench.respond(old, request, Flags::RESULT, &map(200, &[], None));
    }
    let shutdown = Action::WriteLine { instance: old, line: Line::Shutdown };
    assert_eq!(bench.actions(), [shutdown], "not before the last call has ended");
    bury(&mut bench, old);
}

#[test]
fn an_instance_that_drains_gets_no_call_even_if_it_alone_has_room() {
    let config = WorkerConfig { max_calls: 2, max_concurrency: 2, ..CONFIG };
    let (mut bench, old, _) = busy(config);
    bench.call(2).unwrap();
    bench.take_call(old);
    let new = spawned(&bench.actions()).expect("a replacement");
    bench.bring_up(new, INIT);
    bench.respond(old, RequestId::new(1).unwrap(), Flags::RESULT, &map(200, &[], None));
    for origin in 3..6 {
        bench.call(origin).unwrap();
    }
    bench.take_call(new);
    bench.take_call(new);
    assert_eq!((bench.transmit(old), bench.status().queued), (None, 1));
}

#[test]
fn a_drain_has_its_time() {
    let (mut bench, old, _) = busy(WorkerConfig { max_calls: 2, ..CONFIG });
    bench.call(2).unwrap();
    bench.take_call(old);
    let new = spawned(&bench.actions()).expect("a replacement");
    bench.bring_up(new, INIT);
    bench.actions();
    let request = RequestId::new(2).unwrap();
    bench.respond(old, request, Flags::CHUNK, &map(200, &[], None));
    bench.pass(20_000);
    bench.respond(old, request, Flags::CHUNK, &bin(b"alive"));
    bench.pass(10_010);
    let actions = bench.actions();
    assert!(actions.iter().any(|action| matches!(action, Action::Abort { origin: 2, .. })));
    assert!(actions.contains(&Action::WriteLine { instance: old, line: Line::Shutdown }));
    let frame = bench.transmit(old);
    assert_eq!(frame.map(|frame| frame.id), Some(WireId::ABORT), "the worker hears of it");
}

/// dispatch 12.4.
#[test]
fn a_stop_serves_what_is_there_and_then_ends_everything() {
    let (mut bench, instance, _) = busy(WorkerConfig { max_concurrency: 1, ..CONFIG });
    bench.call(2).unwrap();
    bench.home.stop(bench.now);
    assert_eq!(bench.call(3), Err(Refusal::Stopping));
    assert_eq!(bench.actions(), []);
    bench.respond(instance, RequestId::new(1).unwrap(), Flags::RESULT, &map(200, &[], None));
    let second = bench.take_call(instance);
    bench.actions();
    assert!(!bench.home.is_stopped());
    bench.respond(instance, second, Flags::RESULT, &map(200, &[], None));
    assert_eq!(bench.actions(), [Action::WriteLine { instance, line: Line::Shutdown }]);
    bury(&mut bench, instance);
    assert!(bench.home.is_stopped());
}

#[test]
fn a_stop_has_its_time() {
    let (mut bench, instance, _) = busy(WorkerConfig {
        max_concurrency: 1,
        queue_timeout: Duration::from_secs(300),
        request_timeout: Duration::ZERO,
        ..CONFIG
    });
    bench.call(2).unwrap();
    bench.home.stop(bench.now);
    bench.pass(30_020);
    let mut refused = answers(&mut bench);
    refused.sort_by_key(|(origin, _)| *origin);
    assert_eq!(refused, [(1, Refusal::Exited), (2, Refusal::Stopping)]);
    while bench.transmit(instance).is_some() {}
    bury(&mut bench, instance);
    assert!(bench.home.is_stopped());
}

#[test]
fn a_stop_gives_up_a_start_that_nobody_waits_for() {
    let mut bench = Bench::new(WorkerConfig { min_instances: 1, ..CONFIG });
    let instance = bench.spawn();
    bench.home.stop(bench.now);
    assert_eq!(bench.actions(), []);
    bench.home.handle_spawned(bench.now, instance, 0);
    assert_eq!(bench.actions(), [kill(instance)]);
    bury_without_connection(&mut bench, instance);
    assert!(bench.home.is_stopped());
}

#[test]
fn a_removed_worker_is_not_deployed_any_more() {
    let (mut bench, instance, _) = busy(CONFIG);
    bench.home.remove(bench.now, bench.worker);
    assert_eq!(bench.call(2), Err(Refusal::NotDeployed));
    bench.respond(instance, RequestId::new(1).unwrap(), Flags::RESULT, &map(200, &[], None));
    bury(&mut bench, instance);
    assert_eq!(bench.home.status(bench.now, bench.worker), None);
    for _ in 0..WORKERS {
        bench.home.deploy(bench.now, CONFIG).unwrap();
    }
    assert_eq!(bench.home.deploy(bench.now, CONFIG), Err(Full));
}

#[test]
fn a_token_is_the_first_frame() {
    let mut bench = Bench::new(WorkerConfig { auth: true, ..CONFIG });
    bench.call(1).unwrap();
    let instance = bench.ready(INIT);
    assert!(bench.actions().contains(&Action::Write { instance }));
    let auth = bench.transmit(instance).unwrap();
    assert_eq!((auth.id, auth.request, auth.payload_len), (WireId::AUTH, None, 64));
    assert_eq!(auth.payload, Payload::Token);
    bench.take_call(instance);
}

#[test]
fn names_that_outlived_their_instance_do_nothing() {
    let (mut bench, instance, call) = busy(CONFIG);
    bench.home.handle_disconnected(bench.now, instance);
    bench.actions();
    bury_without_connection(&mut bench, instance);
    bench.home.handle_gone(bench.now, call);
    bench.home.handle_exited(bench.now, instance, Exit::Code(0));
    bench.home.handle_disconnected(bench.now, instance);
    bench.home.handle_spawned(bench.now, instance, 0);
    bench.home.handle_connected(bench.now, instance);
    assert_eq!(bench.receive(instance, b"anything"), []);
    assert_eq!(bench.actions(), []);
}
