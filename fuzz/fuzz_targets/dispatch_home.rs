//! Any order of events at a home: every call ends once at most, and nothing is left after a stop.
#![no_main]

use core::time::Duration;
use std::collections::BTreeMap;

use forebay_core_dispatch::home::{Action, Body, Event, Home, LineOutcome, Part};
use forebay_core_dispatch::message::{GATHER_LEN, SLOT_LEN};
use forebay_core_dispatch::{CallId, Exit, InstanceId};
use forebay_core_time::Instant;
use forebay_fuzz::home::{Arrays, INIT, PLAIN_INIT, call, home};

#[derive(Default)]
struct Seen {
    calls: BTreeMap<u64, CallId>,
    instances: Vec<InstanceId>,
}

fn drain(home: &mut Home<Arrays>, now: Instant, seen: &mut Seen) {
    while let Some(action) = home.poll_action(now) {
        match action {
            Action::Spawn { instance, .. } => seen.instances.push(instance),
            Action::Write { instance } => {
                while home.poll_transmit(now, instance, &mut [0; SLOT_LEN]).is_some() {
                    home.handle_sent(instance, 1);
                }
            }
            Action::Release { instance, .. } => seen.instances.retain(|one| *one != instance),
            Action::Answer { origin, .. } | Action::Abort { origin, .. } => {
                assert!(seen.calls.remove(&origin).is_some(), "call {origin} ended twice");
            }
            Action::WriteLine { .. }
            | Action::Kill { .. }
            | Action::Disconnect { .. }
            | Action::StopReading { .. }
            | Action::ResumeReading { .. }
            | Action::ReadBody { .. }
            | Action::Gather { .. }
            | Action::DiscardBody { .. } => {}
        }
    }
}

fn receive(
    home: &mut Home<Arrays>,
    now: Instant,
    instance: InstanceId,
    bytes: &[u8],
    seen: &mut Seen,
) {
    let mut gather = vec![0; GATHER_LEN];
    let mut rest = bytes;
    while !rest.is_empty() {
        let step = home.handle_bytes(now, instance, rest, &mut gather);
        rest = &rest[step.used..];
        if let Some(
            Event::Head { origin, last: true, .. }
            | Event::Body { origin, last: true, .. }
            | Event::Refused { origin, .. }
            | Event::Broken { origin },
        ) = step.event
        {
            assert!(seen.calls.remove(&origin).is_some(), "call {origin} ended twice");
        }
    }
}

libfuzzer_sys::fuzz_target!(|steps: Vec<(u8, u8)>| {
    let (mut home, worker) = home();
    let (mut now, mut seen) = (Instant::ZERO, Seen::default());
    for (number, (step, at)) in steps.into_iter().enumerate() {
        let origin = number as u64;
        let one = seen.calls.iter().nth(usize::from(at % 4)).map(|(origin, id)| (*origin, *id));
        let instance = seen.instances.get(usize::from(at % 3)).copied();
        match (step % 12, one, instance) {
            (0 | 1, ..) => {
                let body = [Body::None, Body::Inline(9), Body::Streamed(None)][usize::from(at % 3)];
                seen.calls
                    .extend(call(&mut home, now, worker, origin, body).map(|id| (origin, id)));
            }
            (2, Some((origin, id)), _) => {
                home.handle_gone(now, id);
                seen.calls.remove(&origin);
            }
            (3, Some((_, id)), _) => home.handle_drained(now, id, u64::from(at)),
            // Without credit: a part too many must not do more harm than a lost call.
            (4, Some((_, id)), _) if at % 8 == 0 => home.handle_gathered(now, id, 5),
            (5, _, Some(instance)) => home.handle_spawned(now, instance, at.into()),
            (6, _, Some(instance)) => {
                let init = if at % 2 == 0 { INIT } else { PLAIN_INIT };
                if home.handle_line(now, instance, init, &mut [0; 108]) != LineOutcome::Nothing {
                    home.handle_connected(now, instance);
                }
            }
            (7, _, Some(instance)) => {
                let flags = [0x03, 0x0b, 0x1b, 0x0f, 0x23][usize::from(at % 5)];
                let answer = [0, 1, flags, 0, 0, 0, at >> 4, 0, 0, 0, 8];
                let answer = [&answer[..], b"\x82\xa1s\xcc\xc8\xa1h\x90"].concat();
                receive(&mut home, now, instance, &answer, &mut seen);
            }
            (8, _, Some(instance)) => home.handle_disconnected(now, instance),
            (9, _, Some(instance)) => home.handle_exited(now, instance, Exit::Code(at.into())),
            (10, ..) => {
                now = now.saturating_add(Duration::from_millis(u64::from(at) * 40));
                home.handle_timeout(now);
            }
            (11, Some((_, id)), _) => {
                let part = home.handle_body(now, id, 0, true, &mut [0; SLOT_LEN]);
                assert!(matches!(part, Part::Send { .. } | Part::Discard));
            }
            _ => {}
        }
        drain(&mut home, now, &mut seen);
    }
    home.stop(now);
    for _ in 0..50 {
        drain(&mut home, now, &mut seen);
        for instance in seen.instances.clone() {
            home.handle_exited(now, instance, Exit::Code(0));
        }
        now = now.saturating_add(Duration::from_secs(5));
        home.handle_timeout(now);
    }
    drain(&mut home, now, &mut seen);
    assert!(home.is_stopped() && seen.calls.is_empty(), "{home:?} {:?}", seen.calls);
});
