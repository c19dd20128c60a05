//! Frames on their way out: small ones side by side in blocks, large payloads as they are.

use core::cell::Cell;
use core::mem;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;
use forebay_core_procwire::{HEADER_LEN, Header};

use crate::error::Error;
use crate::payload::IntoPayload;

/// Bytes from which on a payload is sent from its own memory instead of being copied into a block.
const SPAN_LEN_MIN: usize = 8 * 1024;

/// Bytes in a block before the next one is begun.
const BLOCK_LEN: usize = 32 * 1024;

/// Scratches that a thread keeps, the first of them longer than the others.
const SCRATCHES_MAX: usize = 64;

/// Longest memory of a scratch that is kept beside another.
const SCRATCH_LEN_MAX: usize = 4 * 1024;

/// Blocks whose memory is kept for the next ones.
const SPARE_MAX: usize = 4;

/// Buffers that one vectored write names at most.
pub(crate) const SLICES_MAX: usize = 64;

/// A payload that is being encoded: bytes written one after the other, and large pieces kept in
/// the memory in which they came.
#[expect(unnameable_types, reason = "seals a public trait")]
#[derive(Debug)]
pub struct Outgoing<'a> {
    scratch: &'a mut Scratch,
}

/// What an [`Outgoing`] was written to.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    inline: Vec<u8>,
    /// Each with the number of inline bytes that stand before it.
    spans: Vec<(usize, Bytes)>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(scratch: &'a mut Scratch) -> Self {
        Self { scratch }
    }

    /// Where encoded bytes are appended.
    pub(crate) fn inline(&mut self) -> &mut Vec<u8> {
        &mut self.scratch.inline
    }

    /// Appends bytes, without a copy if there are many.
    pub(crate) fn attach(&mut self, bytes: &Bytes) {
        if bytes.len() < SPAN_LEN_MIN {
            self.scratch.inline.extend_from_slice(bytes);
        } else {
            self.scratch.spans.push((self.scratch.inline.len(), bytes.clone()));
        }
    }
}

impl Scratch {
    /// The payload in one piece.
    #[cfg(all(test, feature = "arrow"))]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let (mut bytes, mut done) = (Vec::new(), 0);
        for (at, span) in &self.spans {
            bytes.extend_from_slice(&self.inline[done..*at]);
            bytes.extend_from_slice(span);
            done = *at;
        }
        bytes.extend_from_slice(&self.inline[done..]);
        bytes
    }

    /// Bytes of the whole payload.
    pub(crate) fn len(&self) -> usize {
        self.inline.len() + self.spans.iter().map(|(_, span)| span.len()).sum::<usize>()
    }
}

/// A frame's payload on its way to the queue.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Encoded(&'a mut Scratch),
    Whole(&'a Bytes),
}

impl Payload<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Encoded(scratch) => scratch.len(),
            Self::Whole(bytes) => bytes.len(),
        }
    }
}

/// A payload that waits to be sent.
#[derive(Debug)]
pub(crate) enum Owned {
    Encoded(Box<Scratch>),
    Whole(Bytes),
}

impl Owned {
    /// The payload that a value is.
    pub(crate) fn of<T: IntoPayload>(value: T) -> Result<Self, Error> {
        let value = match value.into_bytes() {
            Ok(bytes) => return Ok(Self::Whole(bytes)),
            Err(value) => value,
        };
        let mut scratch = Scratch::take();
        value.encode(&mut Outgoing::new(&mut scratch))?;
        Ok(Self::Encoded(scratch))
    }

    /// What `encode` writes.
    pub(crate) fn encode(encode: impl FnOnce(&mut Outgoing<'_>)) -> Self {
        let mut scratch = Scratch::take();
        encode(&mut Outgoing::new(&mut scratch));
        Self::Encoded(scratch)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Encoded(scratch) => scratch.len(),
            Self::Whole(bytes) => bytes.len(),
        }
    }

    pub(crate) fn as_payload(&mut self) -> Payload<'_> {
        match self {
            Self::Encoded(scratch) => Payload::Encoded(scratch),
            Self::Whole(bytes) => Payload::Whole(bytes),
        }
    }

    /// It was sent; its memory can be used again.
    pub(crate) fn give_back(self) {
        match self {
            Self::Encoded(scratch) => scratch.give_back(),
            Self::Whole(_) => {}
        }
    }
}

type Scratches = Vec<Box<Scratch>>;

thread_local! {
    /// Memory for payloads that are encoded on this thread.
    static SPARE: Cell<Scratches> = const { Cell::new(Vec::new()) };
}

impl Scratch {
    /// An empty one.
    fn take() -> Box<Self> {
        let mut spare = SPARE.take();
        let scratch = spare.pop().unwrap_or_default();
        SPARE.set(spare);
        scratch
    }

    fn give_back(mut self: Box<Self>) {
        let mut spare = SPARE.take();
        let len_max = if spare.is_empty() { 2 * BLOCK_LEN } else { SCRATCH_LEN_MAX };
        if self.inline.capacity() <= len_max && spare.len() < SCRATCHES_MAX {
            self.inline.clear();
            self.spans.clear();
            spare.push(self);
        }
        SPARE.set(spare);
    }
}

/// Lends a scratch of this thread to `f`.
pub(crate) fn with_scratch<T>(f: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = Scratch::take();
    let result = f(&mut scratch);
    scratch.give_back();
    result
}

/// Encoded frames in the order in which they were handed out.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are written.
    written: usize,
    /// Memory for the next blocks.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Piece {
    /// Takes more frames while it is the last one.
    Block(Vec<u8>),
    /// A large payload.
    Span(Bytes),
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Appends a frame: its header, then the payload, of which the prefix is a part.
    pub(crate) fn push(&mut self, header: &Header, prefix: &[u8], payload: Payload<'_>) {
        let block = self.block();
        let end = block.len() + HEADER_LEN;
        block.extend_from_slice(&header.emit_wide());
        block.truncate(end);
        block.extend_from_slice(prefix);
        match payload {
            Payload::Whole(bytes) if bytes.len() < SPAN_LEN_MIN => block.extend_from_slice(bytes),
            Payload::Whole(bytes) => self.pieces.push_back(Piece::Span(bytes.clone())),
            Payload::Encoded(scratch) => self.push_encoded(scratch),
        }
    }

    fn push_encoded(&mut self, payload: &mut Scratch) {
        let mut done = 0;
        for (at, span) in payload.spans.drain(..) {
            self.extend(&payload.inline[done..at]);
            done = at;
            self.pieces.push_back(Piece::Span(span));
        }
        if payload.inline.len() - done < SPAN_LEN_MIN {
            self.extend(&payload.inline[done..]);
        } else {
            let inline = Bytes::from(mem::take(&mut payload.inline));
            self.pieces.push_back(Piece::Span(inline.slice(done..)));
        }
    }

    /// What to write next, as many buffers as `slices` holds; returns how many were named.
    pub(crate) fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES_MAX]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.bytes()[skip..]);
            skip = 0;
            count += 1;
        }
        count
    }

    /// Drops `len` bytes at the front; they were written.
    pub(crate) fn discard(&mut self, mut len: usize) {
        while let Some(piece) = self.pieces.front() {
            let left = piece.bytes().len() - self.written;
            if len < left {
                self.written += len;
                return;
            }
            len -= left;
            self.written = 0;
            if let Some(Piece::Block(mut block)) = self.pieces.pop_front()
                && block.capacity() <= 2 * BLOCK_LEN
                && self.spare.len() < SPARE_MAX
            {
                block.clear();
                self.spare.push(block);
            }
        }
    }

    /// Takes all of `other`, which must be asked only when nothing is left here. The memory of
    /// what was written before goes to `other` for its next frames.
    pub(crate) fn refill(&mut self, other: &mut Self) {
        debug_assert!(self.is_empty());
        mem::swap(self, other);
        other.spare.append(&mut self.spare);
        other.spare.truncate(SPARE_MAX);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.block().extend_from_slice(bytes);
        }
    }

    /// The block that takes the next bytes.
    fn block(&mut self) -> &mut Vec<u8> {
        let open = |piece: &Piece| matches!(piece, Piece::Block(block) if block.len() < BLOCK_LEN);
        if !self.pieces.back().is_some_and(open) {
            let block = self.spare.pop().unwrap_or_default();
            self.pieces.push_back(Piece::Block(block));
        }
        match self.pieces.back_mut() {
            Some(Piece::Block(block)) => block,
            Some(Piece::Span(_)) | None => unreachable!("a block was put there"),
        }
    }
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Block(block) => block,
            Self::Span(span) => span,
        }
    }
}

#[cfg(test)]
mod tests {
    use forebay_core_procwire::{EventId, Flags};

    use super::*;

    fn payload(inline: &[u8], spans: &[(usize, usize)]) -> Scratch {
        let spans = spans.iter().map(|(at, len)| (*at, Bytes::from(vec![b's'; *len]))).collect();
        Scratch { inline: inline.to_vec(), spans }
    }

    /// Writes everything, `step` bytes at a time.
    fn drain(queue: &mut Queue, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while !queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = queue.fill(&mut slices);
            let taken: Vec<u8> =
                slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(step).collect();
            out.extend_from_slice(&taken);
            queue.discard(taken.len());
            if taken.is_empty() {
                assert!(queue.is_empty(), "nothing to write, yet not empty");
            }
        }
        out
    }

    /// However a write is cut, the bytes are those of the frames in their order.
    #[test]
    fn bytes_come_out_as_they_went_in() {
        let event = EventId::new(1).unwrap().into();
        let header = Header { id: event, flags: Flags::EVENT, request: None, payload_len: 7 };
        for step in [1, 7, 4096, usize::MAX] {
            let mut queue = Queue::default();
            let mut expected = Vec::new();
            let mut push = |prefix: &[u8], payload: Payload<'_>, bytes: &[&[u8]]| {
                queue.push(&header, prefix, payload);
                expected.extend([&header.emit(), prefix].concat());
                expected.extend(bytes.concat());
            };
            let [span, raw, inline] = [b's', b'r', b'i'].map(|byte| vec![byte; SPAN_LEN_MIN]);
            let cut = &mut payload(b"abcd", &[(2, SPAN_LEN_MIN)]);
            push(b"head", Payload::Encoded(cut), &[b"ab", &span, b"cd"]);
            push(b"tail", Payload::Encoded(&mut Scratch::default()), &[]);
            push(b"", Payload::Whole(&Bytes::from_static(b"raw")), &[b"raw"]);
            push(b"", Payload::Whole(&Bytes::from(raw.clone())), &[&raw]);
            push(b"big", Payload::Encoded(&mut payload(&inline, &[])), &[&inline]);
            assert_eq!(drain(&mut queue, step), expected);
        }
    }
}
