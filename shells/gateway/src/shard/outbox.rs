//! Bytes on their way to one socket: what this side writes lies in pool buffers, large payloads
//! stay where they were received and are lent.

use bytes::Bytes;
use forebay_reactor::{Handle, Piece, PoolBufMut, PoolClass, Reactor, ReactorError};

/// A payload up to this size is copied beside its frame: cheaper than one more piece for the
/// kernel, and it frees the buffer that it came in.
const COPY_MAX: usize = 1024;

/// What waits for a socket, and what the kernel has.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    open: Option<Open>,
    pieces: Vec<Piece>,
    /// Bytes that wait.
    waiting: usize,
    /// Bytes of payload among them.
    payload: u64,
    in_flight: Option<Batch>,
    failed: bool,
}

/// The buffer that is being written.
#[derive(Debug)]
struct Open {
    bytes: Memory,
    used: usize,
}

#[derive(Debug)]
enum Memory {
    Pool(PoolBufMut),
    /// When the pool is empty, or for what is larger than its buffers.
    Heap(Vec<u8>),
}

/// What one send carries.
#[derive(Debug, Clone, Copy)]
struct Batch {
    len: usize,
    payload: u64,
}

/// What became of a flush.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Nothing waits, or the batch before is still on its way.
    Nothing,
    /// A send was started; its completion will come.
    Started,
    /// The kernel has everything, so many bytes of payload among it.
    Sent(u64),
}

impl Outbox {
    /// Room for at least `min` bytes, to be followed by [`commit`](Self::commit).
    pub(super) fn room(&mut self, reactor: &mut Reactor, min: usize) -> &mut [u8] {
        if self.open.as_ref().is_none_or(|open| open.bytes.as_slice().len() - open.used < min) {
            self.seal();
            self.open = Some(Open { bytes: Memory::new(reactor, min), used: 0 });
        }
        match &mut self.open {
            Some(open) => &mut open.bytes.as_mut_slice()[open.used..],
            None => &mut [],
        }
    }

    /// The first `len` bytes of the room are to be sent.
    pub(super) fn commit(&mut self, len: usize) {
        if let Some(open) = &mut self.open {
            open.used += len;
            self.waiting += len;
        }
    }

    /// Appends a copy of `bytes`.
    pub(super) fn push_copy(&mut self, reactor: &mut Reactor, bytes: &[u8]) {
        self.room(reactor, bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// Appends a payload: lent, or copied if it is small.
    pub(super) fn push_payload(&mut self, reactor: &mut Reactor, payload: Piece) {
        let len = payload.len();
        self.payload += len as u64;
        if len <= COPY_MAX {
            self.push_copy(reactor, payload.as_slice());
        } else {
            self.seal();
            self.waiting += len;
            self.push(payload);
        }
    }

    /// Bytes that wait for the next send.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes that wait or that the kernel has not taken yet.
    pub(super) fn len(&self) -> usize {
        self.waiting + self.in_flight.map_or(0, |batch| batch.len)
    }

    /// Whether everything was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives everything that waits to the kernel, unless it still has the batch before.
    ///
    /// # Errors
    /// The reactor refused; the bytes still wait. A full table passes, everything else does not.
    pub(super) fn flush(
        &mut self,
        reactor: &mut Reactor,
        socket: Handle,
        token: u64,
    ) -> Result<Flush, ReactorError> {
        if self.in_flight.is_some() || self.waiting == 0 || self.failed {
            return Ok(Flush::Nothing);
        }
        self.seal();
        let op = reactor.send(socket, &mut self.pieces, token)?;
        let batch = Batch { len: self.waiting, payload: self.payload };
        self.waiting = 0;
        self.payload = 0;
        if op.is_none() {
            return Ok(Flush::Sent(batch.payload));
        }
        self.in_flight = Some(batch);
        Ok(Flush::Started)
    }

    /// The send has ended: how many bytes of payload the kernel took, or `None` if it failed.
    /// Nothing is sent after a failure.
    pub(super) fn handle_sent(&mut self, result: i32) -> Option<u64> {
        let batch = self.in_flight.take()?;
        if usize::try_from(result).is_ok_and(|sent| sent == batch.len) {
            return Some(batch.payload);
        }
        self.failed = true;
        self.waiting = 0;
        self.open = None;
        self.pieces.clear();
        None
    }

    /// Gives back a buffer that nothing was written to.
    pub(super) fn release(&mut self) {
        self.open.take_if(|open| open.used == 0);
    }

    /// What is on its way is of no interest to a worker any more.
    pub(super) fn forget_payload(&mut self) {
        self.payload = 0;
        if let Some(batch) = &mut self.in_flight {
            batch.payload = 0;
        }
    }

    /// What was written so far becomes a piece.
    fn seal(&mut self) {
        let Some(Open { bytes, used }) = self.open.take() else { return };
        if used > 0 {
            self.push(bytes.freeze(used));
        }
    }

    fn push(&mut self, piece: Piece) {
        if self.pieces.capacity() == 0 {
            // Most answers are one piece, and an idle connection keeps its list.
            self.pieces.reserve_exact(1);
        }
        self.pieces.push(piece);
    }
}

impl Memory {
    fn new(reactor: &mut Reactor, min: usize) -> Self {
        let class =
            [PoolClass::Small, PoolClass::Bulk].into_iter().find(|class| min <= class.buffer_len());
        match class.and_then(|class| reactor.alloc(class)) {
            Some(buf) => Self::Pool(buf),
            None => Self::Heap(vec![0; min.max(PoolClass::Small.buffer_len())]),
        }
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Pool(buf) => buf,
            Self::Heap(bytes) => bytes,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Pool(buf) => buf,
            Self::Heap(bytes) => bytes,
        }
    }

    fn freeze(self, len: usize) -> Piece {
        match self {
            Self::Pool(buf) => Piece::Pool(buf.freeze(len)),
            Self::Heap(mut bytes) => {
                bytes.truncate(len);
                Piece::Heap(Bytes::from(bytes))
            }
        }
    }
}

/// Copies bytes into a pool buffer of their own, or to the heap.
pub(super) fn copied(reactor: &mut Reactor, bytes: &[u8]) -> Piece {
    let mut memory = Memory::new(reactor, bytes.len());
    memory.as_mut_slice()[..bytes.len()].copy_from_slice(bytes);
    memory.freeze(bytes.len())
}

/// A part of a piece.
pub(super) fn slice(piece: &Piece, range: core::ops::Range<usize>) -> Piece {
    match piece {
        Piece::Pool(buf) => Piece::Pool(buf.slice(range)),
        Piece::Heap(bytes) => Piece::Heap(bytes.slice(range)),
        Piece::Static(bytes) => Piece::Static(&bytes[range]),
    }
}
