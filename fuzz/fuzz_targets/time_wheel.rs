//! Timers of any span, cancelled and scheduled again: none fires early, none is slept past.
#![no_main]

use core::time::Duration;

use forebay_core_time::{Instant, TimerSlot, Wheel};

const TICK: u64 = 10_000_000;

libfuzzer_sys::fuzz_target!(|steps: Vec<(u8, u8, u64)>| {
    let mut wheel = Wheel::new([TimerSlot::EMPTY; 8]);
    let mut model = [None::<Instant>; 8];
    let mut now = Instant::ZERO;
    for (step, shift, span) in steps {
        let id = step >> 2 & 7;
        let span = Duration::from_nanos(span >> (shift % 64));
        match step & 3 {
            0 => {
                let at = now.saturating_add(span);
                wheel.schedule(id.into(), at).expect("id has a slot");
                model[usize::from(id)] = Some(at);
            }
            1 => assert_eq!(wheel.cancel(id.into()), model[usize::from(id)].take().is_some()),
            _ => {
                now = now.saturating_add(span);
                while wheel.poll_timeout().is_some_and(|at| at <= now) {
                    let Some(id) = wheel.poll_expired(now) else { continue };
                    let at = model[id as usize].take().expect("it fires once");
                    assert!(at <= now, "early");
                }
                let left = model.iter().flatten().min();
                assert!(left.is_none_or(|at| at.as_nanos().div_ceil(TICK) > now.as_nanos() / TICK));
            }
        }
    }
});
