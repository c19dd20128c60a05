//! Named pipes.

#[expect(unsafe_code, reason = "std and tokio have no safe way to say who may open a pipe")]
mod access;

use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

use access::Access;

/// Connections at a time: those that are about to prove the token, and the next one.
const INSTANCES_MAX: usize = 32;

/// The data connection.
#[derive(Debug)]
pub(crate) struct Stream(NamedPipeServer);

/// Where the parent connects.
#[derive(Debug)]
pub(crate) struct Listener {
    path: PathBuf,
    access: Access,
    /// The instance that the next connection gets.
    next: NamedPipeServer,
}

impl Listener {
    /// The next connection.
    ///
    /// # Errors
    /// The pipe's.
    pub(crate) async fn accept(&mut self) -> io::Result<Stream> {
        self.next.connect().await?;
        let next = self.access.create(&options(false), &self.path)?;
        Ok(Stream(core::mem::replace(&mut self.next, next)))
    }
}

impl Stream {
    /// Nothing is done about it: what a pipe has is known only to the runtime.
    pub(crate) fn expect_more(&mut self) {}

    /// Appends at most `limit` bytes to `buf`, which has room for some, or as many as fit if that
    /// is less. 0 is the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut Vec<u8>,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let room = limit.min(buf.capacity() - buf.len());
        let mut buf = buf.limit(room);
        pin!(self.0.read_buf(&mut buf)).poll(cx)
    }

    /// Writes what fits of `slices`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }
}

/// The pipe's name. There is no file to be removed.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
}

impl SocketFile {
    /// Where the pipe is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Creates the pipe under a fresh name: nobody else had it before, nobody reaches it from another
/// machine, or as another user.
///
/// # Errors
/// The system's.
pub(crate) fn listen() -> io::Result<(Listener, SocketFile)> {
    let path = PathBuf::from(format!(r"\\.\pipe\{}", super::name()?));
    let access = Access::of_this_user()?;
    let next = access.create(&options(true), &path)?;
    Ok((Listener { path: path.clone(), access, next }, SocketFile { path }))
}

fn options(first: bool) -> ServerOptions {
    let mut options = ServerOptions::new();
    options.first_pipe_instance(first).reject_remote_clients(true).max_instances(INSTANCES_MAX);
    options
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;
    use std::fs::OpenOptions;
    use std::io::{Read as _, Write as _};

    use super::*;

    /// The user's own programs come in, one after another.
    #[tokio::test]
    async fn a_pipe_is_opened_by_its_user() {
        let (mut listener, file) = listen().unwrap();
        for _ in 0..2 {
            let path = file.path().to_owned();
            let client = std::thread::spawn(move || {
                let mut pipe = OpenOptions::new().read(true).write(true).open(path).unwrap();
                pipe.write_all(b"in").unwrap();
                let mut answer = [0; 3];
                pipe.read_exact(&mut answer).unwrap();
                answer
            });
            let mut stream = listener.accept().await.unwrap();
            let mut bytes = Vec::with_capacity(16);
            while bytes.len() < 2 {
                let read = poll_fn(|cx| stream.poll_read(cx, &mut bytes, usize::MAX)).await;
                assert_ne!(read.unwrap(), 0);
            }
            assert_eq!(bytes, b"in");
            let written = poll_fn(|cx| stream.poll_write(cx, &[IoSlice::new(b"out")])).await;
            assert_eq!(written.unwrap(), 3);
            assert_eq!(client.join().unwrap(), *b"out");
        }
    }
}
