//! What every connection and operation of a loop touches: timers and the operation table.

use core::time::Duration;

use forebay_core_completion::{OpSlot, OpTable};
use forebay_core_time::{Instant, TimerSlot, Wheel};
use forebay_tests::allocator::{Counts, count};

#[test]
fn timers_do_not_allocate() {
    let mut now = Instant::from_millis(1_000);
    let mut wheel = Wheel::new(vec![TimerSlot::default(); 1000]);
    let mut expired = 0;
    let ((), counts) = count(|| {
        for round in 0..100_u32 {
            for id in 0..1000 {
                let delay = Duration::from_millis(u64::from(id * round % 5_000));
                wheel.schedule(id, now.saturating_add(delay)).expect("an id in range");
            }
            wheel.cancel(round);
            now = now.saturating_add(Duration::from_millis(1_000));
            while wheel.poll_expired(now).is_some() {
                expired += 1;
            }
        }
    });
    assert!(expired > 1000);
    assert_eq!(counts, Counts::default());
}

#[test]
fn operations_do_not_allocate() {
    let mut table: OpTable<u64, _> =
        OpTable::new((0..64).map(|_| OpSlot::default()).collect::<Vec<_>>());
    let ((), counts) = count(|| {
        for round in 0..1000_u64 {
            let id = table.insert(round).expect("room");
            assert!(table.handle_submitted(id));
            table.handle_completion(id, false);
            assert_eq!(table.release(id), Some(round));
        }
    });
    assert_eq!(table.count(), 0);
    assert_eq!(counts, Counts::default());
}
