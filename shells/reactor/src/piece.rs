use bytes::Bytes;

use crate::PoolBuf;

/// One owned part of a vectored send. The reactor holds it until the send has ended.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes of a pool buffer: what was received, or what was written into a taken buffer.
    Pool(PoolBuf),
    /// Bytes on the heap.
    Heap(Bytes),
    /// Bytes that live for ever.
    Static(&'static [u8]),
}

impl Piece {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Pool(buf) => buf,
            Self::Heap(bytes) => bytes,
            Self::Static(bytes) => bytes,
        }
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many bytes `pieces` add up to.
#[must_use]
pub fn byte_len(pieces: &[Piece]) -> usize {
    pieces.iter().map(Piece::len).sum()
}

impl From<PoolBuf> for Piece {
    fn from(buf: PoolBuf) -> Self {
        Self::Pool(buf)
    }
}

impl From<Bytes> for Piece {
    fn from(bytes: Bytes) -> Self {
        Self::Heap(bytes)
    }
}

impl From<&'static [u8]> for Piece {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Static(bytes)
    }
}
