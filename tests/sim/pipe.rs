//! One direction of a connection: bytes that are cut anywhere, a limit on what is underway, an end.

use std::collections::VecDeque;

use forebay_tests::random::Random;

/// Bytes on their way from a writer to a reader.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    limit: usize,
    /// The writer has said that nothing follows.
    ended: bool,
    /// One side is gone: nothing is taken, nothing arrives.
    broken: bool,
}

impl Pipe {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes some of `bytes`, as a socket whose buffer is limited does.
    pub(crate) fn write(&mut self, bytes: &[u8], random: &mut Random) -> usize {
        assert!(!self.ended, "bytes behind the end");
        if self.broken {
            return bytes.len();
        }
        let room = bytes.len().min(self.limit.saturating_sub(self.bytes.len()));
        let taken = cut(room, random);
        self.bytes.extend(&bytes[..taken]);
        taken
    }

    /// Some of what has arrived, none if there is nothing.
    pub(crate) fn read(&mut self, random: &mut Random) -> Vec<u8> {
        let taken = cut(self.bytes.len(), random);
        self.bytes.drain(..taken).collect()
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn break_off(&mut self) {
        self.broken = true;
        self.bytes.clear();
    }

    /// Whether everything was read and nothing follows.
    pub(crate) fn is_at_end(&self) -> bool {
        self.broken || (self.ended && self.bytes.is_empty())
    }

    pub(crate) const fn is_broken(&self) -> bool {
        self.broken
    }
}

/// At least one of `available`: often all, sometimes a single one.
pub(crate) fn cut(available: usize, random: &mut Random) -> usize {
    match (available, random.below(4)) {
        (0, _) => 0,
        (_, 0) => 1,
        (_, 1) => 1 + random.index(available),
        _ => available,
    }
}

/// Byte `at` of the body with this name: both ends know what must arrive.
pub(crate) const fn pattern(name: u64, at: u64) -> u8 {
    let mixed = (name.wrapping_mul(31).wrapping_add(at)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// Bytes `from..to` of the body with this name.
pub(crate) fn body(name: u64, from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|at| pattern(name, at)).collect()
}
