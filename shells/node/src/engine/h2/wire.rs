//! The bytes beneath a connection, counted: an error says how many there were.

use core::cell::Cell;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::event::Connected;
use crate::engine::failure::{Failure, Kind, SocketInfo};
use crate::engine::stream::Stream;

/// What is known of a socket.
#[derive(Debug)]
pub(super) struct Wire {
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    read: Cell<u64>,
    written: Cell<u64>,
}

impl Wire {
    pub(super) const fn new(info: &Connected) -> Self {
        let (read, written) = (Cell::new(0), Cell::new(0));
        Self { local: info.local, remote: info.remote, read, written }
    }

    /// A failure, which tells of the socket if its class does.
    pub(super) fn of(&self, mut failure: Failure) -> Failure {
        if failure.kind == Kind::Socket {
            failure.socket = Some(Box::new(SocketInfo {
                local: self.local,
                remote: self.remote,
                bytes_written: self.written.get(),
                bytes_read: self.read.get(),
            }));
        }
        failure
    }
}

/// A stream whose bytes are counted.
pub(super) struct Counted {
    pub(super) stream: Stream,
    pub(super) wire: Rc<Wire>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.wire.read.set(self.wire.read.get() + (buf.filled().len() - before) as u64);
        read
    }
}

impl Counted {
    fn count(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(len)) = written {
            self.wire.written.set(self.wire.written.get() + *len as u64);
        }
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.count(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.count(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
