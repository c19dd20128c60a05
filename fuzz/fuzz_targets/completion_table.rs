//! Any order of events on operations, late and doubled ones among them: one end for each.
#![no_main]

use forebay_core_completion::{Cancelled, OpSlot, OpState, OpTable, Queue, Settled};

libfuzzer_sys::fuzz_target!(|steps: Vec<(u8, u8)>| {
    let mut table = OpTable::new([const { OpSlot::EMPTY }; 4]);
    let mut queue = Queue::EMPTY;
    let mut ops = Vec::new();
    let mut open = 0;
    for (number, (step, at)) in steps.into_iter().enumerate() {
        let Some(&(id, item)) = ops.iter().rev().nth(usize::from(at % 8)) else {
            if let Ok(id) = table.insert(number) {
                ops.push((id, number));
                open += 1;
            }
            continue;
        };
        match step % 8 {
            0 | 1 => match table.insert(number) {
                Ok(id) => {
                    table.push_back(&mut queue, id);
                    ops.push((id, number));
                    open += 1;
                }
                Err(item) => assert_eq!((item, table.count()), (number, 4)),
            },
            2 => assert!(!table.handle_submitted(id) || table.state(id) == Some(OpState::InFlight)),
            3 => assert_ne!(table.handle_completion(id, true), Settled::Last),
            4 => {
                let running = table.state(id).is_some_and(|state| state != OpState::Done);
                assert_eq!(table.handle_completion(id, false) == Settled::Last, running);
            }
            5 => assert!(table.cancel(id) == Cancelled::NotFound || table.is_cancel_sent(id)),
            6 => assert!(table.orphan(id) == table.is_orphaned(id)),
            _ => {
                if table.state(id) == Some(OpState::Done) {
                    table.remove(&mut queue, id);
                    assert_eq!(table.release(id), Some(item));
                    open -= 1;
                }
                assert!(table.state(id).is_none() || table.release(id).is_none());
            }
        }
        assert_eq!(table.count(), open);
    }
});
