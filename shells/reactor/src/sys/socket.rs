//! System calls on one descriptor, without waiting.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags};

use forebay_core_completion::{Flags, Interest};

type Result<T> = core::result::Result<T, Errno>;

/// Receives what is there; 0 is the end of the stream.
#[inline]
pub(crate) fn recv(fd: BorrowedFd<'_>, socket: bool, buf: &mut [u8]) -> Result<usize> {
    retry(|| {
        if socket {
            rustix::net::recv(fd, &mut *buf, RecvFlags::empty()).map(|(len, _)| len)
        } else {
            rustix::io::read(fd, &mut *buf)
        }
    })
}

/// Sends what fits.
#[inline]
pub(crate) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    retry(|| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL))
}

/// Sends what fits of several parts.
pub(crate) fn send_vectored(fd: BorrowedFd<'_>, parts: &[IoSlice<'_>]) -> Result<usize> {
    let mut control = SendAncillaryBuffer::default();
    retry(|| rustix::net::sendmsg(fd, parts, &mut control, SendFlags::NOSIGNAL))
}

/// Takes one connection.
pub(crate) fn accept(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    retry(|| rustix::net::accept_with(fd, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC))
}

/// What of `interest`, and of what is always watched, is there now.
pub(crate) fn poll_now(fd: BorrowedFd<'_>, interest: Interest) -> Result<Flags> {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::IN, interest.contains(Interest::READABLE));
    wanted.set(PollFlags::OUT, interest.contains(Interest::WRITABLE));
    wanted.set(PollFlags::RDHUP, interest.contains(Interest::READ_CLOSED));
    let mut fds = [PollFd::from_borrowed_fd(fd, wanted)];
    retry(|| rustix::event::poll(&mut fds, Some(&rustix::time::Timespec::default())))?;
    // The same bits as epoll's, in 16 bits whose sign differs between systems.
    let bits = u16::from_ne_bytes(fds[0].revents().bits().to_ne_bytes());
    Ok(found(EventFlags::from_bits_truncate(bits.into())))
}

/// The OS's bits of an interest, as epoll and io_uring take them.
pub(crate) fn poll_flags(interest: Interest) -> EventFlags {
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.contains(Interest::READABLE));
    flags.set(EventFlags::OUT, interest.contains(Interest::WRITABLE));
    flags.set(EventFlags::RDHUP, interest.contains(Interest::READ_CLOSED));
    flags
}

/// The OS's bits of an interest and of what is always watched.
pub(crate) fn wanted(interest: Interest) -> EventFlags {
    poll_flags(interest) | EventFlags::ERR | EventFlags::HUP
}

/// Completion flags of the OS's bits.
pub(crate) fn found(bits: EventFlags) -> Flags {
    let table = [
        (EventFlags::IN, Flags::READABLE),
        (EventFlags::OUT, Flags::WRITABLE),
        (EventFlags::ERR, Flags::ERROR),
        (EventFlags::HUP, Flags::HUP),
        (EventFlags::RDHUP, Flags::READ_CLOSED),
    ];
    let set = table.into_iter().filter(|(bit, _)| bits.contains(*bit));
    set.fold(Flags::NONE, |flags, (_, flag)| flags | flag)
}

/// Whether the next try may succeed without anything changing on this handle.
pub(crate) fn is_transient_accept(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::NETDOWN | Errno::HOSTDOWN
    )
}

#[inline]
fn retry<T>(mut call: impl FnMut() -> Result<T>) -> Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
