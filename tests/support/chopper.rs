//! Cuts of a byte string: a parser must answer the same however the bytes arrive.

use core::ops::Range;

use crate::random::Random;

/// Every way to cut `len` bytes in two, both ends included: `(0..0, 0..len)` to `(0..len,
/// len..len)`.
pub fn every_split(len: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    (0..=len).map(move |cut| (0..cut, cut..len))
}

/// `bytes` one at a time.
pub fn single_bytes(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(1)
}

/// Cuts bytes at places that a seed decides.
///
/// Short pieces, long pieces and pieces of one byte all happen, because what breaks at a cut of one
/// byte rarely breaks at another.
#[derive(Debug, Clone)]
pub struct Chopper {
    random: Random,
}

impl Chopper {
    /// A chopper for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed) }
    }

    /// How much of `available` bytes (0 when there are none) arrives next: at least 1.
    pub fn next_len(&mut self, available: usize) -> usize {
        if available == 0 {
            return 0;
        }
        let most = match self.random.below(4) {
            0 => 1,
            1 => available.min(16),
            2 => available.min(1024),
            _ => available,
        };
        1 + self.random.index(most)
    }

    /// `bytes` in pieces, in order, none empty.
    pub fn pieces<'a>(&'a mut self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = bytes;
        core::iter::from_fn(move || {
            let (piece, later) = rest.split_at(self.next_len(rest.len()));
            rest = later;
            (!piece.is_empty()).then_some(piece)
        })
    }
}

/// Feeds `bytes` to a parser as a connection would: pieces arrive, the parser says how much it
/// took, the rest stays in front of the next piece.
///
/// `parse` gets all bytes that arrived and were not taken, and returns how many it took now; it is
/// called again with what is left until it takes none.
///
/// # Panics
/// When `parse` takes more than it was given.
pub fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>, mut parse: impl FnMut(&[u8]) -> usize) {
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            let used = parse(&waiting);
            assert!(used <= waiting.len(), "took {used} of {} bytes", waiting.len());
            waiting.drain(..used);
            if used == 0 || waiting.is_empty() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chopper, every_split, feed, single_bytes};

    #[test]
    fn splits_cover_both_ends() {
        assert_eq!(every_split(2).collect::<Vec<_>>(), [(0..0, 0..2), (0..1, 1..2), (0..2, 2..2)]);
    }

    #[test]
    fn pieces_join_to_the_whole() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for seed in 0..50 {
            let mut chopper = Chopper::new(seed);
            let joined: Vec<u8> = chopper.pieces(&bytes).flatten().copied().collect();
            assert_eq!(joined, bytes, "seed {seed}");
        }
    }

    #[test]
    fn feed_hands_back_what_was_not_taken() {
        // A parser of pairs: an odd byte waits for its partner.
        let mut pairs = Vec::new();
        feed(single_bytes(b"abcde"), |input| match input {
            [first, second, ..] => {
                pairs.push([*first, *second]);
                2
            }
            _ => 0,
        });
        assert_eq!(pairs, [*b"ab", *b"cd"]);
    }
}
