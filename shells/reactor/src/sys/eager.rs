//! Sends that are tried before they are queued.
//!
//! Most sockets take a whole answer at once. A call that says so costs less than an operation that
//! waits for its turn and its completion, on io_uring, too: see the example `tcp_echo`.

use std::io;
use std::os::fd::BorrowedFd;

use forebay_core_completion::{Direction, OpId};
use rustix::io::Errno;

use super::socket;
use crate::outgoing::{VECTORS, parts, vectors};
use crate::reactor::State;
use crate::{Handle, Piece};

/// Tries to send `pieces` at once, if nothing is queued before them.
///
/// `Ok` without an operation: all bytes are gone. `Err` says how many are when the rest must wait.
pub(crate) fn send_now(
    state: &mut State,
    handle: Handle,
    pieces: &mut Vec<Piece>,
    len: usize,
    token: u64,
) -> Result<Option<OpId>, usize> {
    let Some(entry) = state.handles.entry(handle) else { return Err(0) };
    if !entry.readiness.may_try(Direction::Write) || entry.write.first().is_some() {
        return Err(0);
    }
    let Some(fd) = state.handles.fd(handle) else { return Err(0) };
    let result = match &pieces[..] {
        [piece] => socket::send(fd, piece.as_slice()),
        many => send_vectors(fd, parts(many, 0)),
    };
    let failure = match result {
        Ok(sent) if sent < len => return Err(sent),
        Ok(_) => None,
        Err(Errno::AGAIN) => {
            if let Some(entry) = state.handles.entry(handle) {
                entry.readiness.handle_would_block(Direction::Write);
            }
            return Err(0);
        }
        Err(errno) => Some(errno),
    };
    pieces.clear();
    Ok(failure.map(|errno| state.pass_failure(token, errno)))
}

/// Sends what fits of as many parts as one call takes.
pub(super) fn send_vectors<'a>(
    fd: BorrowedFd<'_>,
    parts: impl Iterator<Item = &'a [u8]>,
) -> Result<usize, Errno> {
    let mut storage = [io::IoSlice::new(&[]); VECTORS];
    let count = vectors(parts, &mut storage);
    socket::send_vectored(fd, &storage[..count])
}
