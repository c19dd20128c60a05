//! Doubly linked lists through the values of a table, so that queues need no memory of their own.

use crate::table::{Slot, Table};

/// No neighbour.
const NIL: u32 = u32::MAX;

/// A value's place in one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    prev: u32,
    next: u32,
    linked: bool,
}

/// The ends of a list. A value is in at most one list for each of its links.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
    len: u32,
}

/// Which link of a value a list goes through.
pub(crate) type Through<T> = fn(&mut T) -> &mut Link;

impl Link {
    pub(crate) const NONE: Self = Self { prev: NIL, next: NIL, linked: false };

    pub(crate) const fn is_linked(self) -> bool {
        self.linked
    }

    /// The value behind this one.
    pub(crate) fn next(self) -> Option<u32> {
        (self.next != NIL).then_some(self.next)
    }
}

impl List {
    pub(crate) const EMPTY: Self = Self { head: NIL, tail: NIL, len: 0 };

    pub(crate) const fn len(self) -> u32 {
        self.len
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.len == 0
    }

    pub(crate) fn first(self) -> Option<u32> {
        (self.head != NIL).then_some(self.head)
    }

    pub(crate) fn last(self) -> Option<u32> {
        (self.tail != NIL).then_some(self.tail)
    }

    /// Appends a value, unless it is linked already.
    #[inline]
    pub(crate) fn push_back<T, S: AsRef<[Slot<T>]> + AsMut<[Slot<T>]>>(
        &mut self,
        table: &mut Table<T, S>,
        index: u32,
        through: Through<T>,
    ) {
        let tail = self.tail;
        let Some(link) = table.at_mut(index).map(through).filter(|link| !link.linked) else {
            return;
        };
        *link = Link { prev: tail, next: NIL, linked: true };
        match table.at_mut(tail) {
            Some(last) => through(last).next = index,
            None => self.head = index,
        }
        self.tail = index;
        self.len = self.len.saturating_add(1);
    }

    /// Puts a value in front of all others, unless it is linked already.
    pub(crate) fn push_front<T, S: AsRef<[Slot<T>]> + AsMut<[Slot<T>]>>(
        &mut self,
        table: &mut Table<T, S>,
        index: u32,
        through: Through<T>,
    ) {
        let head = self.head;
        let Some(link) = table.at_mut(index).map(through).filter(|link| !link.linked) else {
            return;
        };
        *link = Link { prev: NIL, next: head, linked: true };
        match table.at_mut(head) {
            Some(first) => through(first).prev = index,
            None => self.tail = index,
        }
        self.head = index;
        self.len = self.len.saturating_add(1);
    }

    /// Takes a value out, wherever it is; nothing happens if it is in no list.
    #[inline]
    pub(crate) fn remove<T, S: AsRef<[Slot<T>]> + AsMut<[Slot<T>]>>(
        &mut self,
        table: &mut Table<T, S>,
        index: u32,
        through: Through<T>,
    ) {
        let Some(link) = table.at_mut(index).map(through).filter(|link| link.linked) else {
            return;
        };
        let Link { prev, next, .. } = core::mem::replace(link, Link::NONE);
        match table.at_mut(prev) {
            Some(before) => through(before).next = next,
            None => self.head = next,
        }
        match table.at_mut(next) {
            Some(after) => through(after).prev = prev,
            None => self.tail = prev,
        }
        self.len = self.len.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn link(value: &mut Link) -> &mut Link {
        value
    }

    proptest! {
        /// A list is a deque from which any element can be taken.
        #[test]
        fn behaves_like_a_deque(ops in prop::collection::vec((0u8..3, 0u32..8), 0..100)) {
            let slots: [Slot<Link>; 8] = core::array::from_fn(|_| Slot::default());
            let mut table = Table::new(slots);
            for _ in 0..8 {
                table.insert(Link::NONE).unwrap();
            }
            let (mut list, mut model) = (List::EMPTY, VecDeque::new());
            for (op, index) in ops {
                let known = model.contains(&index);
                match op {
                    0 => {
                        list.push_back(&mut table, index, link);
                        if !known {
                            model.push_back(index);
                        }
                    }
                    1 => {
                        list.push_front(&mut table, index, link);
                        if !known {
                            model.push_front(index);
                        }
                    }
                    _ => {
                        list.remove(&mut table, index, link);
                        model.retain(|other| *other != index);
                    }
                }
                let mut seen = Vec::new();
                let mut at = list.first();
                while let Some(index) = at {
                    seen.push(index);
                    at = table.at(index).and_then(|link| link.next());
                }
                prop_assert_eq!(&seen, &model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(list.len() as usize, model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
        }
    }
}
