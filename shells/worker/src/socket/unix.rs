//! Socket files: where they lie, who may open them, and that they go away.

use core::task::{Context, Poll, ready};
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixListener;
use tokio::task::coop::poll_proceed;

use crate::socket::lookout::Lookout;

/// Bytes of a path that fit a socket address, without the NUL (procwire section 3).
const PATH_LEN_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Connections that may wait to be looked at.
const BACKLOG: i32 = 16;

/// The data connection.
///
/// tokio's own stream is watched for writing, too, and a Unix socket tells that it is writable each
/// time its peer reads: one wake-up per message for nothing. This one is watched for writing only
/// while it is full.
#[derive(Debug)]
pub(crate) struct Stream {
    /// Watched for reading.
    socket: AsyncFd<UnixStream>,
    /// A second descriptor of it, as each is watched once; `None` while it is watched for writing.
    /// Made in advance, so that a lack of descriptors does not end a connection that works.
    twin: Option<UnixStream>,
    full: Option<AsyncFd<UnixStream>>,
    lookout: Lookout,
}

/// Where the parent connects.
#[derive(Debug)]
pub(crate) struct Listener(UnixListener);

impl Listener {
    /// The next connection.
    ///
    /// # Errors
    /// The listener's.
    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        let (stream, _) = self.0.accept().await?;
        Stream::new(stream.into_std()?)
    }
}

impl Stream {
    pub(crate) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let twin = Some(socket.try_clone()?);
        let socket = watch(socket, Interest::READABLE)?;
        Ok(Self { socket, twin, full: None, lookout: Lookout::default() })
    }

    /// The peer was told all that it waited for, so it may go on at once.
    pub(crate) fn expect_more(&mut self) {
        self.lookout.expect();
    }

    /// Appends at most `limit` bytes to `buf`, which has room for some, or as many as fit if that
    /// is less. 0 is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.min(buf.capacity() - buf.len());
        loop {
            let Poll::Ready(guard) = self.socket.poll_read_ready(cx) else {
                return self.lookout.look(|| append_now(self.socket.get_ref(), buf, room));
            };
            let mut guard = guard?;
            match guard.try_io(|socket| append(socket.get_ref(), buf, room)) {
                Ok(Ok(len)) => {
                    // A short read has drained it: the next arrival tells, and so did an end.
                    if 0 < len && len < room {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(len));
                }
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Writes what fits of `slices`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let result = if let Some(full) = &self.full {
                let mut guard = ready!(full.poll_write_ready(cx))?;
                match guard.try_io(|socket| socket.get_ref().write_vectored(slices)) {
                    Ok(result) => result,
                    Err(_would_block) => continue,
                }
            } else {
                // Part of the task's budget, as with tokio's streams: a peer that reads as fast as
                // others produce would keep the task running for ever.
                let budget = ready!(poll_proceed(cx));
                let result = self.socket.get_ref().write_vectored(slices);
                if result.is_ok() {
                    budget.made_progress();
                }
                result
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.watch_writes()?,
                result => {
                    self.twin = self.full.take().map(AsyncFd::into_inner).or(self.twin.take());
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Watches writing; the first look tells if it is possible again already.
    fn watch_writes(&mut self) -> io::Result<()> {
        let twin = self.twin.take().expect("it is here while nothing is watched");
        self.full = Some(watch(twin, Interest::WRITABLE)?);
        Ok(())
    }
}

#[expect(deprecated, reason = "its successor is unsafe for types that change their descriptor")]
fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

/// Reads at most `room` bytes to the end of `buf`, which has that much room.
fn append(socket: &UnixStream, buf: &mut Vec<u8>, room: usize) -> io::Result<usize> {
    let start = buf.len();
    if buf.capacity() - start == room {
        return Ok(rustix::io::read(socket, spare_capacity(buf))?);
    }
    // There is more room than the caller means, which the other way does not know of.
    buf.resize(start + room, 0);
    let result = rustix::io::read(socket, &mut buf[start..]);
    buf.truncate(start + result.unwrap_or(0));
    Ok(result?)
}

/// As [`append`], whatever is known of the socket.
fn append_now(socket: &UnixStream, buf: &mut Vec<u8>, room: usize) -> Poll<io::Result<usize>> {
    match append(socket, buf, room) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Poll::Pending
        }
        result => Poll::Ready(result),
    }
}

/// A file that is removed with the value.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    /// Where the socket lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens on a fresh path in the first directory that takes it, mode 0600 before the first
/// connection can be made.
///
/// # Errors
/// The last directory's error.
pub(crate) fn listen() -> io::Result<(Listener, SocketFile)> {
    let name = format!("{}.sock", super::name()?);
    let mut failure = io::Error::from(ErrorKind::NotFound);
    for base in directories() {
        let path = base.join(&name);
        if path.as_os_str().len() > PATH_LEN_MAX {
            failure = io::Error::new(ErrorKind::InvalidInput, "socket path too long");
            continue;
        }
        match bind(path) {
            Ok(bound) => return Ok(bound),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn bind(path: PathBuf) -> io::Result<(Listener, SocketFile)> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    let file = SocketFile { path };
    // Until `listen`, a connection is refused: nobody can come in while the mode is wider.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(socket.into())?;
    Ok((Listener(listener), file))
}

/// `XDG_RUNTIME_DIR`, `TMPDIR`, `/tmp`; an empty variable counts as unset.
fn directories() -> impl Iterator<Item = PathBuf> {
    let named = ["XDG_RUNTIME_DIR", "TMPDIR"].into_iter().filter_map(std::env::var_os);
    named
        .filter(|value: &OsString| !value.is_empty())
        .chain([OsString::from("/tmp")])
        .map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use std::io::Read as _;

    use super::*;

    /// Writes until it is full; how many bytes it took.
    async fn fill(stream: &mut Stream, bytes: &[u8]) -> usize {
        let mut written = 0;
        poll_fn(|cx| {
            while let Poll::Ready(len) = stream.poll_write(cx, &[IoSlice::new(bytes)]) {
                written += len.unwrap();
            }
            // Otherwise it is the task's budget that is spent, and the task is woken at once.
            if stream.full.is_some() { Poll::Ready(written) } else { Poll::Pending }
        })
        .await
    }

    /// One that never finds the stream full gives way to others all the same.
    #[tokio::test]
    async fn a_writer_spends_the_budget_of_its_task() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let mut ours = Stream::new(ours).unwrap();
        let mut gave_way = false;
        for _ in 0..1000 {
            let write = poll_fn(|cx| match ours.poll_write(cx, &[IoSlice::new(b"x")]) {
                Poll::Ready(len) => Poll::Ready(Some(len.unwrap())),
                Poll::Pending => Poll::Ready(None),
            });
            gave_way |= write.await.is_none();
            if gave_way {
                break;
            }
            peer.read_exact(&mut [0; 1]).unwrap();
        }
        assert!(gave_way && ours.full.is_none());
    }

    /// Nobody watches for room while there is some, and whoever waits for it is told, each time.
    #[tokio::test]
    async fn a_full_stream_is_written_to_again() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let mut ours = Stream::new(ours).unwrap();
        for _ in 0..3 {
            let written = fill(&mut ours, &[1; 4096]).await;
            assert!(ours.full.is_some() && ours.twin.is_none());
            let reader = {
                let mut peer = peer.try_clone().unwrap();
                std::thread::spawn(move || peer.read_exact(&mut vec![0; written]).unwrap())
            };
            let more = poll_fn(|cx| ours.poll_write(cx, &[IoSlice::new(b"more")]));
            assert_eq!(more.await.unwrap(), 4);
            assert!(ours.full.is_none() && ours.twin.is_some());
            reader.join().unwrap();
            peer.read_exact(&mut [0; 4]).unwrap();
        }
    }

    /// However much room the memory has, a read takes no byte beyond its limit; nothing that came
    /// before the end is lost, and the end comes after it.
    #[tokio::test]
    async fn a_read_keeps_to_its_limit_and_to_the_memory() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let mut ours = Stream::new(ours).unwrap();
        peer.write_all(b"one-two-three").unwrap();
        drop(peer);
        let mut bytes = Vec::with_capacity(8);
        let mut seen = Vec::new();
        for limit in [4, 1, usize::MAX, 3, usize::MAX, usize::MAX] {
            bytes.clear();
            let len = poll_fn(|cx| ours.poll_read(cx, &mut bytes, limit)).await.unwrap();
            assert!(len == bytes.len() && len <= limit.min(8));
            seen.extend_from_slice(&bytes);
        }
        assert!(bytes.is_empty());
        assert_eq!(seen, b"one-two-three");
    }

    /// Only the owner may connect, and nothing is left behind.
    #[tokio::test]
    async fn a_socket_is_private_and_goes_away() {
        let (_listener, file) = listen().unwrap();
        let path = file.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }
}
