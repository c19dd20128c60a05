//! The table against a plain model (reactor.md 1.4.3 and 1.4.7): any order of events.

use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const CAPACITY: usize = 6;

fn table(capacity: usize) -> OpTable<u32, Vec<OpSlot<u32>>> {
    let mut slots = Vec::new();
    slots.resize_with(capacity, OpSlot::default);
    OpTable::new(slots)
}

#[test]
fn an_id_survives_its_journey_through_the_os() {
    let mut table = table(2);
    let id = table.insert(1).expect("room");
    assert_eq!((id.index(), id.generation()), (0, 1));
    assert_eq!(id.to_u64(), 1 << 32);
    assert_eq!(OpId::from_u64(id.to_u64()), Some(id));
    assert_eq!(OpId::from_u64(0), None);
    assert_eq!(OpId::from_u64(u64::MAX), None);
    assert_eq!(OpId::NONE.to_u64(), u64::MAX);
}

#[test]
fn a_generation_that_wraps_skips_zero() {
    let mut table = table(1);
    table.slots[0].generation = NonZeroU32::MAX;
    let last = table.insert(1).expect("room");
    table.handle_completion(last, false);
    assert_eq!(table.release(last), Some(1));
    let first = table.insert(2).expect("room");
    assert_eq!(first.generation(), 1);
}

#[test]
fn storage_that_is_larger_than_needed_is_not_touched() {
    let mut table = table(100);
    for _ in 0..1000 {
        let id = table.insert(1).expect("room");
        assert_eq!(id.index(), 0);
        table.handle_completion(id, false);
        table.release(id);
    }
    assert_eq!(table.fresh, 1);
}

#[test]
fn a_full_table_gives_the_item_back_until_it_grows() {
    let mut table = table(0);
    assert_eq!(table.insert(7), Err(7));
    table.grow(1);
    let id = table.insert(7).expect("room");
    assert_eq!(table.insert(8), Err(8));
    assert_eq!(table.item(id), Some(&7));
}

#[test]
fn cancel_says_what_is_left_to_do() {
    let mut table = table(2);
    let queued = table.insert(1).expect("room");
    assert_eq!(table.cancel(queued), Cancelled::Complete);
    assert_eq!(table.cancel(queued), Cancelled::Asked);
    assert!(table.is_cancel_sent(queued));
    let running = table.insert(2).expect("room");
    assert!(table.handle_submitted(running) && !table.handle_submitted(running));
    assert_eq!(table.handle_completion(running, true), Settled::More);
    assert_eq!(table.cancel(running), Cancelled::Ask);
    assert_eq!(table.handle_completion(running, false), Settled::Last);
    assert_eq!(table.cancel(running), Cancelled::NotFound);
    assert!(table.orphan(running) && table.is_orphaned(running));
    assert_eq!(table.release(running), Some(2));
    assert_eq!(table.cancel(running), Cancelled::NotFound);
    assert!(!table.orphan(running));
}

/// What the model knows of one operation that was ever accepted.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    id: OpId,
    item: u32,
    state: Option<OpState>,
    cancelled: bool,
    terminals: u32,
}

impl Model {
    fn new(id: OpId, item: u32, state: Option<OpState>) -> Self {
        Self { id, item, state, cancelled: false, terminals: 0 }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Insert,
    Pass,
    Submit(usize),
    Complete(usize, bool),
    Cancel(usize),
    Release(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let which = 0usize..20;
    prop_oneof![
        3 => Just(Step::Insert),
        1 => Just(Step::Pass),
        2 => which.clone().prop_map(Step::Submit),
        3 => (which.clone(), any::<bool>()).prop_map(|(at, more)| Step::Complete(at, more)),
        1 => which.clone().prop_map(Step::Cancel),
        3 => which.prop_map(Step::Release),
    ]
}

/// The newest operations of the model, ended ones among them.
fn pick(models: &mut [Model], at: usize) -> Option<&mut Model> {
    let index = models.len().checked_sub(at)?.checked_sub(1)?;
    models.get_mut(index)
}

fn complete(model: &mut Model, more: bool) -> Settled {
    match model.state {
        None | Some(OpState::Done) => Settled::Stale,
        Some(OpState::Queued | OpState::InFlight | OpState::MoreExpected) if more => {
            model.state = Some(OpState::MoreExpected);
            Settled::More
        }
        Some(OpState::Queued | OpState::InFlight | OpState::MoreExpected) => {
            model.state = Some(OpState::Done);
            model.terminals += 1;
            Settled::Last
        }
    }
}

fn cancel(model: &mut Model) -> Cancelled {
    let asked = model.cancelled;
    model.cancelled |= !matches!(model.state, None | Some(OpState::Done));
    match model.state {
        None | Some(OpState::Done) => Cancelled::NotFound,
        Some(_) if asked => Cancelled::Asked,
        Some(OpState::Queued) => Cancelled::Complete,
        Some(OpState::InFlight | OpState::MoreExpected) => Cancelled::Ask,
    }
}

proptest! {
    /// reactor.md D1 and D3: one terminal completion for each accepted operation, its item back
    /// once, and nothing of an ended operation reaches the next one in its slot.
    #[test]
    fn agrees_with_a_plain_model(steps in prop::collection::vec(step(), 1..300)) {
        let mut table = table(CAPACITY);
        let mut models: Vec<Model> = Vec::new();
        let mut stale = 0;
        for (number, step) in (0u32..).zip(steps) {
            match step {
                Step::Insert => {
                    let live = models.iter().filter(|model| model.state.is_some()).count();
                    match table.insert(number) {
                        Ok(id) => {
                            prop_assert!(live < CAPACITY);
                            prop_assert!(models.iter().all(|model| model.id != id));
                            let state = Some(OpState::Queued);
                            models.push(Model::new(id, number, state));
                        }
                        Err(item) => prop_assert_eq!((item, live), (number, CAPACITY)),
                    }
                }
                Step::Pass => {
                    let live = models.iter().filter(|model| model.state.is_some()).count();
                    let id = table.pass();
                    prop_assert_eq!(id.is_some(), live < CAPACITY);
                    if let Some(id) = id {
                        prop_assert!(models.iter().all(|model| model.id != id));
                        models.push(Model { terminals: 1, ..Model::new(id, number, None) });
                    }
                }
                Step::Submit(at) => if let Some(model) = pick(&mut models, at) {
                    let queued = model.state == Some(OpState::Queued);
                    prop_assert_eq!(table.handle_submitted(model.id), queued);
                    if queued {
                        model.state = Some(OpState::InFlight);
                    }
                },
                Step::Complete(at, more) => if let Some(model) = pick(&mut models, at) {
                    let settled = complete(model, more);
                    stale += u64::from(settled == Settled::Stale);
                    prop_assert_eq!(table.handle_completion(model.id, more), settled);
                },
                Step::Cancel(at) => if let Some(model) = pick(&mut models, at) {
                    prop_assert_eq!(table.cancel(model.id), cancel(model));
                },
                Step::Release(at) => if let Some(model) = pick(&mut models, at) {
                    let done = model.state == Some(OpState::Done);
                    prop_assert_eq!(table.release(model.id), done.then_some(model.item));
                    if done {
                        model.state = None;
                    }
                },
            }
            for model in &models {
                prop_assert_eq!(table.state(model.id), model.state);
                prop_assert!(model.terminals <= 1);
                prop_assert!(model.state.is_some() || model.terminals == 1);
            }
            prop_assert_eq!(table.count(), models.iter().filter(|m| m.state.is_some()).count());
            prop_assert_eq!(table.stale(), stale);
        }
    }

    /// A queue keeps its order, whatever is taken out of it.
    #[test]
    fn queues_agree_with_a_deque(
        steps in prop::collection::vec((any::<bool>(), 0usize..8), 1..100),
    ) {
        let mut table = table(CAPACITY);
        let mut queue = Queue::EMPTY;
        let mut model: VecDeque<OpId> = VecDeque::new();
        for (push, at) in steps {
            if push {
                if let Ok(id) = table.insert(0) {
                    table.push_back(&mut queue, id);
                    model.push_back(id);
                }
            } else if let Some(id) = model.get(at).copied() {
                prop_assert!(table.remove(&mut queue, id));
                prop_assert!(!table.remove(&mut queue, id));
                model.remove(at);
                table.handle_completion(id, false);
                table.release(id);
            }
            let mut seen = vec![];
            let mut next = queue.first();
            while let Some(id) = next {
                seen.push(id);
                next = table.next(id);
            }
            prop_assert_eq!(&seen, &model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(queue.last, model.back().copied());
        }
    }
}
