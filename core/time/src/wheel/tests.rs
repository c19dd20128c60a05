//! The wheel against a plain list of (id, instant), polled at random times.

use core::time::Duration;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 40;

fn wheel() -> Wheel<Vec<TimerSlot>> {
    Wheel::new(vec![TimerSlot::EMPTY; CAPACITY])
}

fn drain(wheel: &mut Wheel<Vec<TimerSlot>>, now: Instant) -> Vec<u32> {
    let mut ids = Vec::new();
    // A poll may stop at its bound before everything due has come.
    while wheel.poll_timeout().is_some_and(|at| at <= now) {
        ids.extend(wheel.poll_expired(now));
    }
    assert_eq!(wheel.poll_expired(now), None);
    ids.sort_unstable();
    ids
}

#[test]
fn a_timer_fires_at_its_tick_and_not_before() {
    let mut wheel = wheel();
    wheel.schedule(3, Instant::from_nanos(20_000_001)).expect("id in range");
    assert_eq!(wheel.poll_expired(Instant::from_nanos(29_999_999)), None);
    assert_eq!(wheel.poll_timeout(), Some(Instant::from_millis(30)));
    assert_eq!(wheel.poll_expired(Instant::from_millis(30)), Some(3));
    assert_eq!(wheel.poll_expired(Instant::MAX), None);
    assert_eq!(wheel.poll_timeout(), None);
}

#[test]
fn an_instant_in_the_past_fires_on_the_next_poll() {
    let mut wheel = wheel();
    assert_eq!(wheel.poll_expired(Instant::from_millis(1000)), None);
    wheel.schedule(0, Instant::ZERO).expect("id in range");
    assert!(wheel.poll_timeout().is_some_and(|at| at <= Instant::from_millis(1000)));
    assert_eq!(wheel.poll_expired(Instant::from_millis(1000)), Some(0));
}

#[test]
fn cancel_and_schedule_again_leave_one_timer() {
    let mut wheel = wheel();
    wheel.schedule(1, Instant::from_millis(50)).expect("id in range");
    wheel.schedule(1, Instant::from_millis(500)).expect("id in range");
    assert_eq!(wheel.count(), 1);
    assert_eq!(wheel.poll_expired(Instant::from_millis(100)), None);
    assert!(wheel.cancel(1));
    assert!(!wheel.cancel(1));
    assert_eq!(wheel.poll_expired(Instant::MAX), None);
}

#[test]
fn an_id_without_a_slot_is_refused_until_the_storage_grows() {
    let mut wheel = wheel();
    let id = u32::try_from(CAPACITY).expect("small");
    assert_eq!(wheel.schedule(id, Instant::ZERO), Err(IdOutOfRange));
    assert!(!wheel.cancel(id));
    wheel.schedule(0, Instant::from_millis(70)).expect("id in range");
    wheel.grow(1);
    wheel.schedule(id, Instant::from_millis(80)).expect("id in range");
    assert_eq!(drain(&mut wheel, Instant::from_millis(80)), [0, id]);
}

#[test]
fn the_last_instant_is_not_beyond_the_wheel() {
    let mut wheel = wheel();
    wheel.schedule(0, Instant::MAX).expect("id in range");
    assert_eq!(drain(&mut wheel, Instant::from_nanos(u64::MAX - TICK)), []);
    // The tick of `MAX` is rounded up past the clock's range: "never" never comes.
    assert_eq!(drain(&mut wheel, Instant::MAX), []);
    assert!(wheel.is_armed(0));
}

#[test]
fn one_poll_moves_a_bounded_number_of_timers() {
    let mut wheel = Wheel::new(vec![TimerSlot::EMPTY; 1000]);
    for id in 0..1000 {
        wheel.schedule(id, Instant::from_millis(10_000)).expect("id in range");
    }
    let now = Instant::from_millis(10_000);
    let mut polls = 0;
    let mut fired = 0;
    while fired < 1000 {
        fired += u32::from(wheel.poll_expired(now).is_some());
        polls += 1;
        assert!(polls < 3000);
    }
    assert!(polls > 1000, "the moves were spread over several polls");
}

#[derive(Debug, Clone)]
enum Step {
    Schedule(u32, u64),
    Cancel(u32),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..u32::try_from(CAPACITY).expect("small");
    // Delays of every level, from nanoseconds to years.
    let span = (0u32..61).prop_flat_map(|bits| 0..=(1u64 << bits));
    prop_oneof![
        3 => (id.clone(), span.clone()).prop_map(|(id, span)| Step::Schedule(id, span)),
        1 => id.prop_map(Step::Cancel),
        2 => span.prop_map(Step::Advance),
    ]
}

proptest! {
    /// Every timer fires once, at the first poll at or after its tick; `poll_timeout` never
    /// sleeps past one.
    #[test]
    fn agrees_with_a_plain_list(steps in prop::collection::vec(step(), 1..200)) {
        let mut wheel = wheel();
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        let mut now = Instant::ZERO;
        for step in steps {
            match step {
                Step::Schedule(id, span) => {
                    let at = now.saturating_add(Duration::from_nanos(span));
                    prop_assert_eq!(wheel.schedule(id, at), Ok(()));
                    model.insert(id, at.as_nanos().div_ceil(TICK));
                }
                Step::Cancel(id) => {
                    prop_assert_eq!(wheel.cancel(id), model.remove(&id).is_some());
                }
                Step::Advance(span) => {
                    now = now.saturating_add(Duration::from_nanos(span));
                    let tick = now.as_nanos().div_euclid(TICK);
                    let due: Vec<u32> =
                        model.iter().filter(|(_, at)| **at <= tick).map(|(id, _)| *id).collect();
                    prop_assert_eq!(drain(&mut wheel, now), due);
                    model.retain(|_, at| *at > tick);
                }
            }
            prop_assert_eq!(wheel.count(), model.len());
            let next = model.values().min().and_then(|tick| tick.checked_mul(TICK));
            let next = next.map(Instant::from_nanos);
            if let Some(next) = next {
                prop_assert!(wheel.poll_timeout().is_some_and(|wake| wake <= next));
            }
            prop_assert!(!model.is_empty() || wheel.poll_timeout().is_none());
        }
    }
}
