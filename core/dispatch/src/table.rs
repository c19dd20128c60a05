//! A table with a fixed number of places, in the caller's storage.
//!
//! Calls, instances and workers live in tables. A key names a place and the generation of what
//! lies there, so a key that outlived its value finds nothing.

use core::fmt;
use core::iter::repeat_with;

/// End of the list of free places.
const NIL: u32 = u32::MAX;

/// One place of a table. `Slot::default()` is a free one.
#[derive(Debug, Clone)]
pub struct Slot<T> {
    generation: u32,
    next_free: u32,
    value: Option<T>,
}

/// Names a value in a table: a place and a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Every place is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Values of one kind, at most as many as the storage has places.
#[derive(Debug)]
pub(crate) struct Table<T, S> {
    slots: S,
    free: u32,
    len: u32,
    values: core::marker::PhantomData<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { generation: 0, next_free: NIL, value: None }
    }
}

impl<T, S: AsRef<[Slot<T>]> + AsMut<[Slot<T>]>> Table<T, S> {
    /// An empty table; what the storage held is dropped.
    ///
    /// # Bound
    /// One step per place, once.
    pub(crate) fn new(mut slots: S) -> Self {
        let mut next = NIL;
        for (index, slot) in slots.as_mut().iter_mut().enumerate().rev() {
            *slot = Slot { generation: slot.generation, next_free: next, value: None };
            next = u32::try_from(index).unwrap_or(NIL);
        }
        Self { slots, free: next, len: 0, values: core::marker::PhantomData }
    }

    /// Adds `additional` places to storage that can grow; values and their keys stay.
    pub(crate) fn grow(&mut self, additional: usize)
    where
        S: Extend<Slot<T>>,
    {
        let first = self.capacity();
        self.slots.extend(repeat_with(Slot::default).take(additional));
        for (index, slot) in self.slots.as_mut().iter_mut().enumerate().skip(first).rev() {
            slot.next_free = self.free;
            self.free = u32::try_from(index).unwrap_or(NIL);
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.slots.as_ref().len()
    }

    pub(crate) const fn len(&self) -> u32 {
        self.len
    }

    /// Puts a value into a free place, or gives it back.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        let index = self.free;
        let Some(slot) = self.place_mut(index) else { return Err(value) };
        slot.value = Some(value);
        let (next, generation) = (slot.next_free, slot.generation);
        self.free = next;
        self.len = self.len.saturating_add(1);
        Ok(Key { index, generation })
    }

    /// Takes a value out. Its place counts as another generation from now on.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self.place_mut(key.index).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next_free = free;
        self.free = key.index;
        self.len = self.len.saturating_sub(1);
        Some(value)
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.as_ref().get(usize::try_from(key.index).ok()?)?;
        slot.value.as_ref().filter(|_| slot.generation == key.generation)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.place_mut(key.index)?;
        let generation = slot.generation;
        slot.value.as_mut().filter(|_| generation == key.generation)
    }

    /// The value at a place, whatever its generation: for links inside the table, which never
    /// outlive what they point to.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.as_ref().get(usize::try_from(index).ok()?)?.value.as_ref()
    }

    #[inline]
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.place_mut(index)?.value.as_mut()
    }

    /// The key of what lies at a place now.
    #[inline]
    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let slot = self.slots.as_ref().get(usize::try_from(index).ok()?)?;
        slot.value.as_ref().map(|_| Key { index, generation: slot.generation })
    }

    fn place_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.slots.as_mut().get_mut(usize::try_from(index).ok()?)
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the table is full")
    }
}

impl core::error::Error for Full {}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<u8, [Slot<u8>; 2]> {
        Table::new([Slot::default(), Slot::default()])
    }

    #[test]
    fn a_full_table_gives_the_value_back() {
        let mut table = table();
        let first = table.insert(1).unwrap();
        table.insert(2).unwrap();
        assert_eq!(table.insert(3), Err(3));
        assert_eq!(table.remove(first), Some(1));
        assert!(table.insert(3).is_ok());
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_table_that_grows_keeps_its_values() {
        let mut table = Table::new(std::vec![Slot::default()]);
        let first = table.insert(1).unwrap();
        assert_eq!(table.insert(2), Err(2));
        table.grow(2);
        assert_eq!(table.capacity(), 3);
        let second = table.insert(2).unwrap();
        let third = table.insert(3).unwrap();
        assert_eq!((second.index, third.index), (1, 2), "new places are taken in order");
        assert_eq!(table.insert(4), Err(4));
        let values = [first, second, third].map(|key| table.get(key).copied());
        assert_eq!(values, [Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn free_places_are_used_before_and_after_growth() {
        let mut table = table_of(2);
        table.grow(1);
        let keys: std::vec::Vec<_> = (0..3).map(|value| table.insert(value).unwrap()).collect();
        assert_eq!(table.insert(3), Err(3));
        let mut indices: std::vec::Vec<_> = keys.iter().map(|key| key.index).collect();
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    }

    fn table_of(places: usize) -> Table<u8, std::vec::Vec<Slot<u8>>> {
        Table::new(std::vec![Slot::default(); places])
    }

    #[test]
    fn a_key_dies_with_its_value() {
        let mut table = table();
        let old = table.insert(1).unwrap();
        table.remove(old).unwrap();
        let new = table.insert(2).unwrap();
        assert_eq!(old.index, new.index);
        assert_eq!(table.get(old), None);
        assert_eq!(table.remove(old), None);
        assert_eq!(table.get(new), Some(&2));
        assert_eq!(table.key_at(new.index), Some(new));
    }
}
