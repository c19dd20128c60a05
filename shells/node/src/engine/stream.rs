//! A byte stream to a peer, whatever it runs over.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connected stream.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
    #[cfg(windows)]
    Pipe(tokio::net::windows::named_pipe::NamedPipeClient),
    /// Over any of them, itself included: a proxy may speak TLS too.
    Tls(Box<TlsStream<Self>>),
    /// Somebody else has it.
    Lent,
}

impl Stream {
    /// Ours and the peer's address, as far as there are such.
    pub(super) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match self {
            Self::Tcp(stream) => (stream.local_addr().ok(), stream.peer_addr().ok()),
            #[cfg(unix)]
            Self::Unix(_) => (None, None),
            #[cfg(windows)]
            Self::Pipe(_) => (None, None),
            Self::Lent => (None, None),
            Self::Tls(stream) => stream.get_ref().0.addresses(),
        }
    }

    /// Marks the packets that are sent from now on with a type of service, as far as the system
    /// permits.
    pub(super) fn mark(&self, value: u8) {
        match self {
            // To be marked is a wish: a request is not lost over it.
            Self::Tcp(stream) => drop(mark(stream, value)),
            Self::Tls(stream) => stream.get_ref().0.mark(value),
            _ => {}
        }
    }
}

/// Marks packets; without success where the system does not let us.
fn mark(stream: &TcpStream, value: u8) -> io::Result<()> {
    if stream.local_addr()?.is_ipv4() {
        return SockRef::from(stream).set_tos_v4(u32::from(value));
    }
    #[cfg(unix)]
    rustix::net::sockopt::set_ipv6_tclass(stream, u32::from(value))?;
    Ok(())
}

/// Does the same to whatever it is.
macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($stream) => $call,
            #[cfg(unix)]
            Stream::Unix($stream) => $call,
            #[cfg(windows)]
            Stream::Pipe($stream) => $call,
            Stream::Tls($stream) => $call,
            Stream::Lent => Poll::Pending,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        delegate!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;
    use tokio::net::TcpListener;

    use super::*;

    /// The marks of a connection to this address, before and after.
    async fn marks(address: &str) -> Option<(u32, u32)> {
        let listener = TcpListener::bind(address).await.ok()?;
        let stream = TcpStream::connect(listener.local_addr().ok()?).await.ok()?;
        let read = |stream: &TcpStream| match stream.local_addr() {
            Ok(local) if local.is_ipv4() => SockRef::from(stream).tos_v4().ok(),
            #[cfg(unix)]
            Ok(_) => rustix::net::sockopt::ipv6_tclass(stream).ok(),
            _ => None,
        };
        let before = read(&stream)?;
        let stream = Stream::Tcp(stream);
        stream.mark(0x48);
        let Stream::Tcp(stream) = &stream else { return None };
        Some((before, read(stream)?))
    }

    #[test]
    fn packets_are_marked() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        assert_eq!(runtime.block_on(marks("127.0.0.1:0")), Some((0, 0x48)));
        // A machine may have no IPv6.
        assert!(runtime.block_on(marks("[::1]:0")).is_none_or(|marks| marks == (0, 0x48)));
    }
}
