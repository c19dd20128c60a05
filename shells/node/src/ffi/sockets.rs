//! Local sockets, of which JavaScript has one end and the engine gets the other.

#[cfg(unix)]
use std::collections::HashMap;
use std::io;
#[cfg(unix)]
use std::os::fd::IntoRawFd as _;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

/// The engine's ends that it was not given yet, by the numbers of JavaScript's.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    #[cfg(unix)]
    waiting: HashMap<i32, UnixStream>,
}

#[cfg(unix)]
impl Sockets {
    /// A new pair: the descriptor of JavaScript's end, which it has to close.
    pub(super) fn pair(&mut self) -> io::Result<i32> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let number = theirs.into_raw_fd();
        self.waiting.insert(number, ours);
        Ok(number)
    }

    pub(super) fn take(&mut self, number: i32) -> Option<UnixStream> {
        self.waiting.remove(&number)
    }
}

#[cfg(not(unix))]
impl Sockets {
    pub(super) fn pair(&mut self) -> io::Result<i32> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
