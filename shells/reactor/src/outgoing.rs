use std::io::IoSlice;

use crate::Piece;

/// Pieces on their way, and how far they are.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    pieces: Vec<Piece>,
    /// The first piece with bytes left, and how many of its bytes are gone.
    at: usize,
    offset: usize,
    sent: usize,
    /// Where a backend that needs them keeps its vectors while the kernel reads them.
    pub(crate) message: crate::sys::uring::Message,
}

/// Pieces that one system call takes at most.
pub(crate) const VECTORS: usize = 64;

impl Outgoing {
    /// Takes the caller's pieces, of which `sent` bytes are gone, and leaves it the list of an
    /// earlier send.
    pub(crate) fn load(&mut self, pieces: &mut Vec<Piece>, sent: usize) {
        debug_assert!(self.pieces.is_empty());
        core::mem::swap(&mut self.pieces, pieces);
        (self.at, self.offset, self.sent) = (0, 0, 0);
        self.advance(sent);
    }

    /// Gives the pieces of a refused send back.
    pub(crate) fn unload(&mut self, pieces: &mut Vec<Piece>) {
        core::mem::swap(&mut self.pieces, pieces);
    }

    /// Drops the pieces.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
    }

    /// Bytes gone so far.
    pub(crate) const fn sent(&self) -> usize {
        self.sent
    }

    /// Whether every byte is gone.
    pub(crate) fn is_done(&self) -> bool {
        self.at == self.pieces.len()
    }

    /// `len` further bytes are gone.
    pub(crate) fn advance(&mut self, len: usize) {
        self.sent += len;
        self.offset += len;
        while let Some(piece) = self.pieces.get(self.at).filter(|piece| piece.len() <= self.offset)
        {
            self.offset -= piece.len();
            self.at += 1;
        }
    }

    /// The parts with bytes left.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        parts(&self.pieces[self.at..], self.offset)
    }

    /// How many parts are left.
    pub(crate) fn count(&self) -> usize {
        self.pieces.len() - self.at
    }
}

/// The bytes of `pieces`, without the first `offset` of the first.
pub(crate) fn parts(pieces: &[Piece], offset: usize) -> impl Iterator<Item = &[u8]> {
    let mut skip = offset;
    pieces.iter().map(move |piece| &piece.as_slice()[core::mem::take(&mut skip)..])
}

/// The first of `parts` as vectors for one call.
pub(crate) fn vectors<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    storage: &mut [IoSlice<'a>; VECTORS],
) -> usize {
    let mut count = 0;
    for (slot, part) in storage.iter_mut().zip(parts) {
        *slot = IoSlice::new(part);
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest(outgoing: &Outgoing) -> Vec<u8> {
        outgoing.parts().flatten().copied().collect()
    }

    #[test]
    fn every_cut_leaves_the_rest_of_the_bytes() {
        let whole = b"one-two-three";
        for cut in 0..=whole.len() {
            let mut pieces: Vec<Piece> =
                [&b"one-"[..], b"", b"two-", b"three"].map(Piece::from).into();
            let mut outgoing = Outgoing::default();
            outgoing.load(&mut pieces, 0);
            assert!(pieces.is_empty());
            outgoing.advance(cut);
            assert_eq!(rest(&outgoing), &whole[cut..]);
            assert_eq!(outgoing.is_done(), cut == whole.len());
            outgoing.advance(whole.len() - cut);
            assert!(outgoing.is_done());
            assert_eq!(outgoing.sent(), whole.len());
        }
    }
}
