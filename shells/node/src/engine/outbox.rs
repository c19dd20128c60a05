//! What waits to be written to a stream.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// Bytes in their order: small ones gathered in one buffer, large ones as they were given.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Goes first.
    near: Vec<u8>,
    /// How much of `near` was written.
    near_at: usize,
    far: VecDeque<Bytes>,
    len: usize,
    written: u64,
    /// The stream may hold back what was written.
    unflushed: bool,
}

/// Smaller pieces are gathered: copying them is cheaper than one more entry for the kernel.
const GATHER_LEN: usize = 16 * 1024;
/// What is gathered before pieces are kept apart.
const NEAR_LEN: usize = 64 * 1024;
/// Pieces in one call.
const SLICES: usize = 16;

/// A buffer to use again, or none where keeping it for each of many connections would cost much.
pub(super) fn emptied(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() > GATHER_LEN {
        return Vec::new();
    }
    buffer.clear();
    buffer
}

impl Outbox {
    /// Bytes that wait.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes that were taken over by the system, ever.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Lets `write` put at most `len_max` bytes at the end: it says how many.
    pub(super) fn put<E>(
        &mut self,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        if self.far.is_empty() {
            let start = self.near.len();
            self.near.resize(start + len_max, 0);
            let result = write(&mut self.near[start..]);
            let len = *result.as_ref().unwrap_or(&0);
            self.near.truncate(start + len);
            self.len += len;
            return result.map(drop);
        }
        let mut bytes = vec![0; len_max];
        let len = write(&mut bytes)?;
        bytes.truncate(len);
        self.len += len;
        self.far.push_back(bytes.into());
        Ok(())
    }

    /// Puts bytes at the end.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        let gather = bytes.len() <= GATHER_LEN && self.near.len() <= NEAR_LEN;
        if self.far.is_empty() && gather {
            self.near.extend_from_slice(&bytes);
        } else if !bytes.is_empty() {
            self.far.push_back(bytes);
        }
    }

    /// Writes all that waits, then flushes.
    pub(super) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.len > 0 {
            let written = ready!(self.poll_write_some(cx, stream))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(stream).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all that waits, as long as the stream takes it at once.
    pub(super) fn write_now(&mut self, stream: &mut impl Write) -> io::Result<()> {
        while self.len > 0 {
            let first = match &self.near[self.near_at..] {
                [] => self.far.front().map(|bytes| &bytes[..]).unwrap_or_default(),
                near => near,
            };
            let written = stream.write(first)?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        Ok(())
    }

    fn poll_write_some<W: AsyncWrite + Unpin>(
        &self,
        cx: &mut Context<'_>,
        stream: &mut W,
    ) -> Poll<io::Result<usize>> {
        let near = &self.near[self.near_at..];
        if self.far.is_empty() {
            return Pin::new(stream).poll_write(cx, near);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        slices[0] = IoSlice::new(near);
        for (slice, bytes) in slices[1..].iter_mut().zip(&self.far) {
            *slice = IoSlice::new(bytes);
        }
        let start = usize::from(near.is_empty());
        let end = SLICES.min(1 + self.far.len());
        Pin::new(stream).poll_write_vectored(cx, &slices[start..end])
    }

    fn advance(&mut self, written: usize) {
        self.len -= written;
        self.written += written as u64;
        let near = written.min(self.near.len() - self.near_at);
        self.near_at += near;
        if self.near_at == self.near.len() {
            self.near = emptied(core::mem::take(&mut self.near));
            self.near_at = 0;
        }
        let mut rest = written - near;
        while rest > 0 {
            let Some(front) = self.far.front_mut() else {
                return;
            };
            let part = rest.min(front.len());
            front.advance(part);
            rest -= part;
            if front.is_empty() {
                self.far.pop_front();
            }
        }
    }
}
