//! What the targets share: bytes cut where the fuzzer chooses.

pub mod home;
pub mod node;
pub mod worker;

/// Takes a list of cuts off the front of `data`: the pieces of the rest arrive one after another.
///
/// The first byte says how many cuts there are (modulo 8), the next ones how long each piece is;
/// what is left over is the last piece. So the fuzzer moves a cut by changing one byte.
#[must_use]
pub fn cut(data: &[u8]) -> (&[u8], Vec<&[u8]>) {
    let Some((&count, rest)) = data.split_first() else { return (data, Vec::new()) };
    let (lens, bytes) = rest.split_at(rest.len().min(usize::from(count % 8)));
    let mut left = bytes;
    let mut pieces = Vec::with_capacity(lens.len() + 1);
    for &len in lens {
        let (piece, later) = left.split_at(left.len().min(usize::from(len)));
        pieces.push(piece);
        left = later;
    }
    pieces.push(left);
    (bytes, pieces)
}

/// Hands the pieces to `parse` as a connection would: it sees all bytes that arrived and were not
/// taken, and returns how many it takes; it is called again until it takes none.
pub fn feed(pieces: &[&[u8]], mut parse: impl FnMut(&[u8]) -> usize) {
    let mut waiting = Vec::new();
    for piece in pieces {
        waiting.extend_from_slice(piece);
        while !waiting.is_empty() {
            let used = parse(&waiting);
            assert!(used <= waiting.len(), "took {used} of {} bytes", waiting.len());
            if used == 0 {
                break;
            }
            waiting.drain(..used);
        }
    }
}
