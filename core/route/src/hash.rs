//! The hash of a name, one word at a time, so that it can be taken while the name is checked.
//!
//! No two names of the same length up to eight bytes have the same hash: each step is one to one.
//! So where hash and length fit, only longer names have to be compared.

use crate::word;

/// A hash that is being taken: whole words of a name, then its end.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameHash {
    state: u64,
}

impl NameHash {
    /// Adds eight bytes.
    pub(crate) const fn add(&mut self, word: u64) {
        // An odd constant with an even spread of bits (the golden ratio): a product moves every
        // input bit up, the shift brings the upper half back down.
        let product = (self.state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.state = product ^ (product >> 32);
    }

    /// Adds the last bytes, none to seven, with zeros behind them, and ends.
    pub(crate) const fn finish(mut self, word: u64) -> u64 {
        self.add(word);
        self.state
    }
}

/// The hash of a whole name.
pub(crate) fn of(name: &[u8]) -> u64 {
    let (mut hash, mut start) = (NameHash::default(), 0_usize);
    while let Some((word, count)) = word::at(name, start) {
        if count < 8 {
            return hash.finish(word);
        }
        hash.add(word);
        start = start.wrapping_add(8);
    }
    hash.finish(0)
}

/// The length and the hash of what stands before the first slash, or of everything.
pub(crate) fn of_segment(bytes: &[u8]) -> (usize, u64) {
    let (mut hash, mut start) = (NameHash::default(), 0_usize);
    while let Some((word, count)) = word::at(bytes, start) {
        let end = word::first_of(word::eq(word, b'/')).min(count);
        if end < 8 {
            let len = start.wrapping_add(usize::try_from(end).unwrap_or(0));
            return (len, hash.finish(word & word::first_bytes(end)));
        }
        hash.add(word);
        start = start.wrapping_add(8);
    }
    (start, hash.finish(0))
}

/// Names up to this length are the same if their lengths and hashes are.
pub(crate) const EXACT_LEN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_segment_has_the_hash_of_its_name(
            name in "[a-z\u{af}]{0,20}", rest in "(/[a-z/]{0,9})?",
        ) {
            let path = std::format!("{name}{rest}");
            prop_assert_eq!(of_segment(path.as_bytes()), (name.len(), of(name.as_bytes())));
        }

        #[test]
        fn short_names_of_one_length_differ(
            len in 1..=EXACT_LEN_MAX, first in any::<[u8; 8]>(), second in any::<[u8; 8]>(),
        ) {
            prop_assert_eq!(of(&first[..len]) == of(&second[..len]), first[..len] == second[..len]);
        }
    }
}
