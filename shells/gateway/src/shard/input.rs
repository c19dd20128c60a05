//! Bytes that came from a client and are not done with.

use std::collections::VecDeque;

use forebay_reactor::PoolBuf;

/// Received bytes, in order. They stay in the buffers they came in; only a head that arrives in
/// pieces is gathered.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// The start of a head that did not end with its buffer.
    gathered: Vec<u8>,
    first: Option<PoolBuf>,
    more: VecDeque<PoolBuf>,
}

/// The bytes at the front, out of their place for as long as they are looked at.
#[derive(Debug)]
pub(super) enum Chunk {
    Lent(PoolBuf),
    Gathered(Vec<u8>),
}

impl Chunk {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Lent(buf) => buf,
            Self::Gathered(bytes) => bytes,
        }
    }
}

impl Input {
    pub(super) fn push(&mut self, buf: PoolBuf) {
        if self.first.is_none() {
            self.first = Some(buf);
        } else {
            self.more.push_back(buf);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.first.is_none()
    }

    /// Takes the bytes at the front; none at all are an empty chunk. Give them back with
    /// [`put_back`](Self::put_back).
    pub(super) fn take(&mut self) -> Chunk {
        if self.gathered.is_empty() {
            return match self.next() {
                Some(buf) => Chunk::Lent(buf),
                None => Chunk::Gathered(Vec::new()),
            };
        }
        let mut gathered = core::mem::take(&mut self.gathered);
        if let Some(buf) = self.next() {
            gathered.extend_from_slice(&buf);
        }
        Chunk::Gathered(gathered)
    }

    /// Returns what is left of a chunk behind its first `used` bytes.
    pub(super) fn put_back(&mut self, chunk: Chunk, used: usize) {
        match chunk {
            Chunk::Lent(buf) if used < buf.len() => {
                if let Some(second) = self.first.replace(buf.slice(used..buf.len())) {
                    self.more.push_front(second);
                }
            }
            Chunk::Lent(_) => {}
            Chunk::Gathered(mut bytes) => {
                bytes.drain(..used);
                if !bytes.is_empty() {
                    self.gathered = bytes;
                }
            }
        }
    }

    /// What is at the front is too short: gathers it, to have more behind it. True if there is
    /// more.
    pub(super) fn gather(&mut self) -> bool {
        if self.gathered.is_empty()
            && let Some(buf) = self.next()
        {
            self.gathered.extend_from_slice(&buf);
        }
        self.first.is_some()
    }

    fn next(&mut self) -> Option<PoolBuf> {
        let next = self.first.take();
        self.first = self.more.pop_front();
        next
    }
}
