use core::iter::repeat_n;
use core::marker::PhantomData;
use core::mem;

/// What is in flight, in the caller's storage: found by handle or by request id, both in constant
/// time.
///
/// Free entries form a list; live ones hang in chains by the hash of their id. The heads of the
/// chains lie in the entries themselves, so one storage serves both. Entries are first used in
/// index order.
#[derive(Debug, Clone)]
pub(crate) struct Calls<S, V> {
    entries: S,
    /// Entries from here on were never used.
    fresh: usize,
    free: Link,
    count: usize,
    value: PhantomData<V>,
}

/// A place for one call in flight, an element of the caller's storage. `Entry::default()` is a
/// free place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<V> {
    id: u32,
    /// Odd while the entry is live, so a handle of an earlier use never fits.
    generation: u32,
    /// Next of the chain while live, next of the free list otherwise.
    next: Link,
    /// First of the chain whose hash is this entry's index.
    chain: Link,
    value: V,
}

/// Index of an entry plus one; 0 is the end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Link(u32);

/// Names one use of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Handle {
    index: u32,
    generation: u32,
}

impl<S: AsRef<[Entry<V>]> + AsMut<[Entry<V>]>, V: Copy + Default> Calls<S, V> {
    pub(crate) fn new(mut entries: S) -> Self {
        entries.as_mut().fill(Entry::default());
        Self { entries, fresh: 0, free: Link::END, count: 0, value: PhantomData }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Adds `additional` free entries to storage that can grow; calls and their handles stay.
    pub(crate) fn grow(&mut self, additional: usize)
    where
        S: Extend<Entry<V>>,
    {
        let old = self.capacity();
        self.entries.extend(repeat_n(Entry::default(), additional));
        let entries = self.entries.as_mut();
        // A chain moves to its own index or behind it. Backwards, what lies there has moved.
        for index in (0..old).rev() {
            let chain = entries.get_mut(index).map(|entry| mem::take(&mut entry.chain));
            let mut link = reverse(entries, chain.unwrap_or(Link::END));
            while let Some(entry) = link.index().and_then(|index| entries.get(index)) {
                let (id, next) = (entry.id, entry.next);
                push(entries, id, link);
                link = next;
            }
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.entries.as_ref().len()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.count < self.capacity()
    }

    /// Adds a call. An `id` of 0 cannot be looked up. `None`: the table is full.
    pub(crate) fn insert(&mut self, id: u32, value: V) -> Option<Handle> {
        let index = self.take_free()?;
        let link = Link::to(index)?;
        let entries = self.entries.as_mut();
        let entry = entries.get_mut(index)?;
        entry.id = id;
        entry.generation = entry.generation.wrapping_add(1);
        entry.value = value;
        let generation = entry.generation;
        if id != 0 {
            push(entries, id, link);
        }
        self.count = self.count.saturating_add(1);
        Some(Handle { index: u32::try_from(index).ok()?, generation })
    }

    /// The newest live call with this id.
    pub(crate) fn find(&self, id: u32) -> Option<Handle> {
        let entries = self.entries.as_ref();
        let mut link = entries.get(bucket(id, entries.len()))?.chain;
        // A chain is never longer than the table; the count ends the walk even if it were.
        for _ in 0..self.count {
            let index = link.index()?;
            let entry = entries.get(index)?;
            if entry.id == id {
                let index = u32::try_from(index).ok()?;
                return Some(Handle { index, generation: entry.generation });
            }
            link = entry.next;
        }
        None
    }

    pub(crate) fn get(&self, handle: Handle) -> Option<&V> {
        let entry = self.entries.as_ref().get(handle.index())?;
        (entry.generation == handle.generation).then_some(&entry.value)
    }

    pub(crate) fn get_mut(&mut self, handle: Handle) -> Option<&mut V> {
        let entry = self.entries.as_mut().get_mut(handle.index())?;
        (entry.generation == handle.generation).then_some(&mut entry.value)
    }

    /// The id that a live call was inserted with.
    pub(crate) fn id(&self, handle: Handle) -> Option<u32> {
        let entry = self.entries.as_ref().get(handle.index())?;
        (entry.generation == handle.generation).then_some(entry.id)
    }

    pub(crate) fn remove(&mut self, handle: Handle) -> Option<V> {
        let value = *self.get(handle)?;
        self.unchain(handle);
        let free = self.free;
        let entry = self.entries.as_mut().get_mut(handle.index())?;
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = free;
        self.free = Link::to(handle.index())?;
        self.count = self.count.saturating_sub(1);
        Some(value)
    }

    /// The first live call at or behind `index`, and where to go on from.
    pub(crate) fn next_live(&self, index: usize) -> Option<(usize, Handle)> {
        let used = self.entries.as_ref().get(index..self.fresh)?;
        let ahead = used.iter().position(Entry::is_live)?;
        let index = index.checked_add(ahead)?;
        let generation = self.entries.as_ref().get(index)?.generation;
        Some((index.checked_add(1)?, Handle { index: u32::try_from(index).ok()?, generation }))
    }

    fn take_free(&mut self) -> Option<usize> {
        if let Some(index) = self.free.index() {
            self.free = self.entries.as_ref().get(index)?.next;
            return Some(index);
        }
        let index = self.fresh;
        self.entries.as_ref().get(index)?;
        self.fresh = index.saturating_add(1);
        Some(index)
    }

    fn unchain(&mut self, handle: Handle) {
        let entries = self.entries.as_mut();
        let Some(gone) = entries.get(handle.index()) else { return };
        let (id, after) = (gone.id, gone.next);
        if id == 0 {
            return;
        }
        let target = Link::to(handle.index());
        let Some(head) = entries.get_mut(bucket(id, entries.len())) else { return };
        if Some(head.chain) == target {
            head.chain = after;
            return;
        }
        let mut link = head.chain;
        for _ in 0..self.count {
            let Some(entry) = link.index().and_then(|index| entries.get_mut(index)) else { return };
            if Some(entry.next) == target {
                entry.next = after;
                return;
            }
            link = entry.next;
        }
    }
}

impl<V> Entry<V> {
    const fn is_live(&self) -> bool {
        self.generation % 2 == 1
    }
}

impl Handle {
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.index).unwrap_or(usize::MAX)
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        let [g0, g1, g2, g3, i0, i1, i2, i3] = bits.to_be_bytes();
        Self {
            index: u32::from_be_bytes([i0, i1, i2, i3]),
            generation: u32::from_be_bytes([g0, g1, g2, g3]),
        }
    }
}

impl Link {
    const END: Self = Self(0);

    fn to(index: usize) -> Option<Self> {
        u32::try_from(index).ok()?.checked_add(1).map(Self)
    }

    fn index(self) -> Option<usize> {
        usize::try_from(self.0.checked_sub(1)?).ok()
    }
}

/// Puts an entry at the head of the chain of its id.
fn push<V>(entries: &mut [Entry<V>], id: u32, entry: Link) {
    let Some(bucket) = entries.get_mut(bucket(id, entries.len())) else { return };
    let next = mem::replace(&mut bucket.chain, entry);
    if let Some(entry) = entry.index().and_then(|index| entries.get_mut(index)) {
        entry.next = next;
    }
}

/// Turns a chain around, and returns its new head.
fn reverse<V>(entries: &mut [Entry<V>], chain: Link) -> Link {
    let (mut head, mut link) = (Link::END, chain);
    while let Some(entry) = link.index().and_then(|index| entries.get_mut(index)) {
        let next = mem::replace(&mut entry.next, head);
        (head, link) = (link, next);
    }
    head
}

/// Spreads ids over `count` chains: a multiplicative hash, scaled instead of divided.
fn bucket(id: u32, count: usize) -> usize {
    let hash = u64::from(id.wrapping_mul(0x9E37_79B9));
    let count = u64::from(u32::try_from(count).unwrap_or(u32::MAX));
    usize::try_from(hash.wrapping_mul(count) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashMap;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_table_says_so_and_a_freed_place_is_used_again() {
        let mut calls = Calls::new([Entry::<u64>::default(); 2]);
        let first = calls.insert(7, 70).unwrap();
        assert!(calls.insert(8, 80).is_some());
        assert!(!calls.has_room());
        assert_eq!(calls.insert(9, 90), None);
        assert_eq!(calls.remove(first), Some(70));
        assert_eq!(calls.remove(first), None);
        let third = calls.insert(9, 90).unwrap();
        assert_eq!(third.index(), first.index());
        assert_eq!((calls.get(first), calls.get(third)), (None, Some(&90)));
    }

    #[test]
    fn a_table_without_places_is_full() {
        let none: [Entry<u64>; 0] = [];
        let mut calls = Calls::new(none);
        assert_eq!((calls.find(1), calls.insert(1, 1), calls.next_live(0)), (None, None, None));
    }

    #[test]
    fn a_table_that_grows_keeps_its_calls() {
        let mut calls = Calls::new(Vec::new());
        assert_eq!(calls.insert(7, 70), None);
        calls.grow(1);
        let first = calls.insert(7, 70).unwrap();
        assert!(!calls.has_room());
        calls.grow(3);
        let second = calls.insert(7, 71).unwrap();
        assert_eq!((calls.capacity(), calls.count()), (4, 2));
        assert_eq!((calls.get(first), calls.find(7)), (Some(&70), Some(second)));
        assert_eq!(calls.remove(second), Some(71));
        assert_eq!(calls.find(7), Some(first));
    }

    proptest! {
        /// Beside a map: every live call is found by handle and by id, the newest of an id first,
        /// and nothing else is, however the table has grown.
        #[test]
        fn agrees_with_a_map(
            ops in prop::collection::vec((0_u8..16, 0_u32..9, 0_usize..8), 0..200),
        ) {
            let mut calls = Calls::new(std::vec![Entry::<u64>::default(); 2]);
            let mut room = 2;
            let mut live: Vec<(u32, Handle, u64)> = Vec::new();
            for (step, (op, id, which)) in ops.into_iter().enumerate() {
                if op == 15 && room < 24 {
                    calls.grow(which);
                    room += which;
                } else if op < 10 {
                    let value = step as u64;
                    match calls.insert(id, value) {
                        Some(handle) => live.push((id, handle, value)),
                        None => prop_assert_eq!(live.len(), room),
                    }
                } else if which < live.len() {
                    let (_, handle, value) = live.remove(which);
                    prop_assert_eq!(calls.remove(handle), Some(value));
                    prop_assert_eq!(calls.get(handle), None);
                }
                prop_assert_eq!(calls.count(), live.len());
                let newest = live.iter().map(|(id, handle, _)| (*id, *handle));
                let newest: HashMap<_, _> = newest.collect();
                for id in 1..9 {
                    prop_assert_eq!(calls.find(id), newest.get(&id).copied());
                }
                for (id, handle, value) in &live {
                    prop_assert_eq!(calls.get(*handle), Some(value));
                    prop_assert_eq!(calls.id(*handle), Some(*id));
                }
                let mut from = 0;
                let mut seen = 0;
                while let Some((next, handle)) = calls.next_live(from) {
                    prop_assert!(live.iter().any(|(_, known, _)| *known == handle));
                    (from, seen) = (next, seen + 1);
                }
                prop_assert_eq!(seen, live.len());
            }
        }
    }
}
