//! The loop of one thread.

mod spin;
mod state;

use core::marker::PhantomData;
use core::time::Duration;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use forebay_core_completion::{Cancelled, Flags};
use rustix::fs::FileType;
use rustix::io::Errno;

use self::spin::Spin;
pub(crate) use self::state::{Kind, Parcel, Poll, Receive, State};
use crate::sys::epoll::Epoll;
use crate::sys::uring::Uring;
use crate::sys::{Driver, Wait, send_now};
use crate::{
    Backend, CancelOutcome, Completion, Config, Handle, Interest, OpId, Piece, PoolBuf, PoolBufMut,
    PoolClass, ReactorError, Remote, Tier, byte_len, net,
};

/// A completion loop of one thread: operations are started, [`wait`](Self::wait) tells how they
/// end.
///
/// - An operation owns its buffers until its terminal completion. Exactly one comes for each
///   operation that was accepted (that returned an [`OpId`]), also when it fails at once, is
///   cancelled, or its handle is closed; it never comes before the next `wait`.
/// - What came with a completion (a buffer, a handle) is taken with `take_buf` or `take_handle`
///   before the next `wait`, which returns buffers to their pool and closes handles not taken.
/// - On one handle, receives and accepts run one after the other in the order they were started,
///   and so do sends. Polls run beside them.
/// - [`io::Error`]s of the loop itself are fatal; everything else is a completion.
#[derive(Debug)]
pub struct Reactor {
    /// Dropped before the state, which has the memory that the OS uses.
    driver: Driver,
    state: State,
    info: BackendInfo,
    spin: Spin,
    /// The last wait gave out what was ready and did not look for more.
    skipped: bool,
    _not_send: PhantomData<*const ()>,
}

/// Which backend runs, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInfo {
    /// The backend.
    pub kind: BackendKind,
    /// What of io_uring is used; `None` on other backends.
    pub tier: Option<Tier>,
    /// Why [`Backend::Auto`](crate::Backend::Auto) chose it, in words for a person.
    pub reason: String,
}

/// A backend that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendKind {
    /// Linux io_uring.
    IoUring,
    /// Linux epoll.
    Epoll,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Calls that submitted to or waited on the OS.
    pub enters: u64,
    /// Completions given to the caller.
    pub completions: u64,
    /// OS completions of operations that had ended.
    pub stale: u64,
    /// Receives that ended since their pool was empty.
    pub starved: u64,
}

impl Reactor {
    /// A reactor for this thread.
    ///
    /// # Errors
    ///
    /// [`ReactorError::InvalidConfig`]; [`ReactorError::UringNotAvailable`] if io_uring was asked
    /// for by name; [`ReactorError::CreationFailed`].
    pub fn new(config: &Config) -> Result<Self, ReactorError> {
        config.check()?;
        let remote = Remote::new().map_err(ReactorError::CreationFailed)?;
        let state = State::new(config, remote);
        let (driver, info) = choose(&state, config)?;
        Ok(Self {
            driver,
            state,
            info,
            spin: Spin::new(config.spin),
            skipped: false,
            _not_send: PhantomData,
        })
    }

    /// Which backend runs, and why.
    #[must_use]
    pub const fn backend(&self) -> &BackendInfo {
        &self.info
    }

    /// Counters since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { stale: self.state.stats.stale + self.state.ops.stale(), ..self.state.stats }
    }

    /// The way to this reactor from other threads.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.state.remote.clone()
    }

    /// Operations that have not ended.
    #[must_use]
    pub fn op_count(&self) -> usize {
        self.state.ops.count()
    }

    /// Submits what was started, waits for completions, and fills `out` with them.
    ///
    /// Waits until there is at least one, until `timeout` has passed (`None`: without end), or
    /// until it is woken. Returns how many there are; 0 also when the OS woke it for nothing.
    ///
    /// # Errors
    ///
    /// The OS refused the loop's own call: the reactor is of no use any more.
    pub fn wait(&mut self, out: &mut [Completion], timeout: Option<Duration>) -> io::Result<usize> {
        self.state.end_batch();
        if !self.state.has_batch(out.len()) {
            self.state.take_messages(out.len());
        }
        // What is ready goes out without a call. The next wait then looks at the OS in any case,
        // unless there is more than the caller can take for a while.
        let is_full = self.state.has_batch(out.len().saturating_mul(4).max(1024));
        self.skipped = is_full || (self.state.has_ready() && !self.skipped);
        if !self.skipped {
            self.turn(timeout)?;
        }
        if !self.state.has_ready() {
            self.state.take_messages(out.len());
        }
        self.driver.start_turns(&mut self.state);
        Ok(self.state.give_out(out))
    }

    /// The bytes that came with a completion of the last `wait`; `None` if none, or taken.
    #[must_use]
    pub fn take_buf(&mut self, completion: &Completion) -> Option<PoolBuf> {
        match self.state.parcel(completion)? {
            Parcel::None | Parcel::Handle(_) | Parcel::Sent(_) => None,
            parcel @ Parcel::Buf(_) => match core::mem::replace(parcel, Parcel::None) {
                Parcel::Buf(buf) => Some(buf),
                Parcel::None | Parcel::Handle(_) | Parcel::Sent(_) => None,
            },
        }
    }

    /// The handle that came with a completion of the last `wait`; `None` if none, or taken.
    #[must_use]
    pub fn take_handle(&mut self, completion: &Completion) -> Option<Handle> {
        let parcel = self.state.parcel(completion)?;
        let Parcel::Handle(handle) = *parcel else { return None };
        *parcel = Parcel::None;
        Some(handle)
    }

    /// How many bytes the OS had taken when the send of this terminal completion failed.
    #[must_use]
    pub fn sent(&mut self, completion: &Completion) -> usize {
        match self.state.parcel(completion) {
            Some(Parcel::Sent(sent)) => *sent,
            Some(Parcel::None | Parcel::Buf(_) | Parcel::Handle(_)) | None => 0,
        }
    }

    /// A buffer to write into, for pieces; `None` when the pool is empty.
    #[must_use]
    pub fn alloc(&mut self, class: PoolClass) -> Option<PoolBufMut> {
        self.state.alloc(class)
    }
}

/// Handles.
impl Reactor {
    /// Gives a socket, pipe, pidfd or the like to the reactor. It is made non-blocking.
    ///
    /// # Errors
    ///
    /// The descriptor comes back with what the OS said.
    pub fn attach(&mut self, fd: OwnedFd) -> Result<Handle, (OwnedFd, io::Error)> {
        let socket = rustix::fs::fstat(&fd)
            .map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
        let socket =
            match socket.and_then(|socket| rustix::io::ioctl_fionbio(&fd, true).map(|()| socket)) {
                Ok(socket) => socket,
                Err(errno) => return Err((fd, errno.into())),
            };
        let handle = self.state.handles.insert(fd, socket);
        match self.driver.attach(&mut self.state, handle) {
            Ok(()) => Ok(handle),
            Err(errno) => {
                let fd = self.state.handles.remove(handle).expect("it was just inserted");
                Err((fd, errno.into()))
            }
        }
    }

    /// The descriptor of a handle, for calls that the reactor does not know; `None` when closed.
    #[must_use]
    pub fn fd(&self, handle: Handle) -> Option<BorrowedFd<'_>> {
        self.state.handles.fd(handle)
    }

    /// Cancels what runs on the handle and closes it when that has ended. Bytes of sends that had
    /// not been written are lost.
    ///
    /// The handle names nothing from now on. Each operation still has its terminal completion.
    ///
    /// # Errors
    ///
    /// [`ReactorError::StaleHandle`].
    pub fn close(&mut self, handle: Handle) -> Result<(), ReactorError> {
        let entry = self.state.handles.open(handle).ok_or(ReactorError::StaleHandle)?;
        if entry.running == 0 {
            drop(self.state.handles.remove(handle));
            return Ok(());
        }
        entry.closing = true;
        for id in self.state.ops_of(handle) {
            self.cancel(id);
        }
        Ok(())
    }

    /// Takes a handle back from the reactor, if nothing runs on it.
    ///
    /// # Errors
    ///
    /// [`ReactorError::StaleHandle`], also when operations are running.
    pub fn detach(&mut self, handle: Handle) -> Result<OwnedFd, ReactorError> {
        let entry = self.state.handles.open(handle).ok_or(ReactorError::StaleHandle)?;
        if entry.running > 0 {
            return Err(ReactorError::StaleHandle);
        }
        self.driver.detach(&mut self.state, handle);
        self.state.handles.remove(handle).ok_or(ReactorError::StaleHandle)
    }

    /// Ends this direction of a socket: the peer reads the end of the stream.
    ///
    /// Takes effect at once, so only after the last send has completed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] for a stale handle, or what the OS says.
    pub fn shutdown_write(&mut self, handle: Handle) -> io::Result<()> {
        let fd = self.state.handles.fd(handle).ok_or(io::ErrorKind::NotFound)?;
        Ok(rustix::net::shutdown(fd, rustix::net::Shutdown::Write)?)
    }

    /// Reads what is there, at once, from a pipe or the like; see [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing is there, or what else the OS says.
    pub fn read(&mut self, handle: Handle, buf: &mut [u8]) -> io::Result<usize> {
        let fd = self.state.handles.fd(handle).ok_or(io::ErrorKind::NotFound)?;
        Ok(rustix::io::retry_on_intr(|| rustix::io::read(fd, &mut *buf))?)
    }

    /// Writes what fits, at once, to a pipe or the like; see [`poll`](Self::poll).
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when nothing fits, or what else the OS says.
    pub fn write(&mut self, handle: Handle, bytes: &[u8]) -> io::Result<usize> {
        let fd = self.state.handles.fd(handle).ok_or(io::ErrorKind::NotFound)?;
        Ok(rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))?)
    }
}

/// Operations.
impl Reactor {
    /// Accepts connections until cancelled: each completion brings a handle
    /// ([`take_handle`](Self::take_handle)), already non-blocking and close-on-exec.
    ///
    /// Ends by itself with an error that the OS does not get over alone (EMFILE, ENFILE, ENOMEM):
    /// start it again later.
    ///
    /// # Errors
    ///
    /// [`ReactorError::StaleHandle`], [`ReactorError::OpTableFull`],
    /// [`ReactorError::SubmissionQueueFull`].
    pub fn accept_multi(&mut self, listener: Handle, token: u64) -> Result<OpId, ReactorError> {
        self.push(listener, token, Kind::Accept)
    }

    /// Connects a stream to the Unix socket at `path`; its completion brings the handle.
    ///
    /// EAGAIN means that the listener's backlog is full: try again later.
    ///
    /// # Errors
    ///
    /// [`ReactorError::OpTableFull`].
    pub fn connect_unix(&mut self, path: &Path, token: u64) -> Result<OpId, ReactorError> {
        self.state.has_room()?;
        let (id, _) = self.state.accept(Handle::NONE, token, Kind::Connect);
        let connected =
            net::connect_unix(path).and_then(|fd| self.attach(fd).map_err(|(_, error)| error));
        self.state.ops.handle_submitted(id);
        match connected {
            Ok(handle) => self.state.finish(id, 0, Flags::EMULATED, Parcel::Handle(handle)),
            Err(error) => {
                let errno = error.raw_os_error().map_or(Errno::INVAL, Errno::from_raw_os_error);
                self.state.fail(id, errno);
            }
        }
        Ok(id)
    }

    /// Receives into buffers of a pool until the stream ends or it is cancelled.
    ///
    /// Each completion with [`Flags::BUFFER`](crate::Flags::BUFFER) brings bytes
    /// ([`take_buf`](Self::take_buf)). The terminal one has result 0 at the end of the stream,
    /// -ENOBUFS when the pool is empty (see [`await_buffers`](Self::await_buffers)), or an error.
    /// Cancelling it is how to stop reading: bytes may still come before the terminal completion,
    /// none is lost, and a receive started meanwhile continues after it.
    ///
    /// # Errors
    ///
    /// As [`accept_multi`](Self::accept_multi).
    pub fn recv_multi(
        &mut self,
        handle: Handle,
        class: PoolClass,
        token: u64,
    ) -> Result<OpId, ReactorError> {
        self.push(handle, token, Kind::Recv(Receive { class, once: false, buf: None }))
    }

    /// Receives once: the first bytes come with the terminal completion.
    ///
    /// For bulk traffic, where the time to start the next receive is nothing beside the bytes: a
    /// connection then holds no more buffers than the caller asked for. Otherwise like
    /// [`recv_multi`](Self::recv_multi).
    ///
    /// # Errors
    ///
    /// As [`accept_multi`](Self::accept_multi).
    pub fn recv(
        &mut self,
        handle: Handle,
        class: PoolClass,
        token: u64,
    ) -> Result<OpId, ReactorError> {
        self.push(handle, token, Kind::Recv(Receive { class, once: true, buf: None }))
    }

    /// Completes with result 0 as soon as receives of `class` find a buffer again.
    ///
    /// # Errors
    ///
    /// [`ReactorError::OpTableFull`].
    pub fn await_buffers(&mut self, class: PoolClass, token: u64) -> Result<OpId, ReactorError> {
        self.state.has_room()?;
        let (id, _) = self.state.accept(Handle::NONE, token, Kind::Buffers(class));
        Ok(id)
    }

    /// Sends all of `pieces` to a socket, in order.
    ///
    /// `None`: the OS has every byte already, as most sockets take a whole answer at once; no
    /// completion follows. Otherwise the operation completes when the OS has every byte or refuses;
    /// its result is the count of bytes or the error, see [`sent`](Self::sent). When it is
    /// accepted, `pieces` is left empty, with the capacity of an earlier list: nothing is
    /// allocated in steady state. The loans end with the send.
    ///
    /// # Errors
    ///
    /// As [`accept_multi`](Self::accept_multi), [`ReactorError::BadPieces`], and
    /// [`ReactorError::Unsupported`] for what is not a socket; `pieces` is untouched then.
    pub fn send(
        &mut self,
        socket: Handle,
        pieces: &mut Vec<Piece>,
        token: u64,
    ) -> Result<Option<OpId>, ReactorError> {
        let len = byte_len(pieces);
        if len == 0 || i32::try_from(len).is_err() {
            return Err(ReactorError::BadPieces);
        }
        let entry = self.state.handles.open(socket).ok_or(ReactorError::StaleHandle)?;
        if !entry.socket {
            return Err(ReactorError::Unsupported("send to what is not a socket"));
        }
        self.state.has_room()?;
        let sent = match send_now(&mut self.state, socket, pieces, len, token) {
            Ok(failed) => return Ok(failed),
            Err(sent) => sent,
        };
        let mut outgoing = self.state.idle_send();
        outgoing.load(pieces, sent);
        let (id, is_turn) = self.state.accept(socket, token, Kind::Send(outgoing));
        if is_turn && !self.driver.start(&mut self.state, id) {
            if let Some(Kind::Send(mut outgoing)) = self.state.revoke(id) {
                outgoing.unload(pieces);
                self.state.keep_send(outgoing);
            }
            return Err(ReactorError::SubmissionQueueFull);
        }
        Ok(Some(id))
    }

    /// Completes once, with what of `interest` is found; HUP and ERROR are always watched.
    ///
    /// HUP is a connection gone in both directions or reset, also while nothing is being received;
    /// [`Interest::READ_CLOSED`] is the peer's half-close.
    ///
    /// # Errors
    ///
    /// As [`accept_multi`](Self::accept_multi).
    pub fn poll(
        &mut self,
        handle: Handle,
        interest: Interest,
        token: u64,
    ) -> Result<OpId, ReactorError> {
        let poll = Poll { interest, found: Flags::NONE, persistent: false };
        self.push(handle, token, Kind::Poll(poll))
    }

    /// Completes with result 0 when `after` has passed. The resolution is 10 ms.
    ///
    /// # Errors
    ///
    /// [`ReactorError::OpTableFull`].
    pub fn timeout(&mut self, after: Duration, token: u64) -> Result<OpId, ReactorError> {
        self.state.has_room()?;
        let (id, _) = self.state.accept(Handle::NONE, token, Kind::Timeout);
        self.state.schedule(id, after);
        Ok(id)
    }

    /// Cancels `op` if it has not ended when `after` has passed. The resolution is 10 ms.
    ///
    /// # Errors
    ///
    /// [`ReactorError::StaleOp`] if it has ended.
    pub fn set_deadline(&mut self, op: OpId, after: Duration) -> Result<(), ReactorError> {
        if self.state.ops.state(op).is_none() {
            return Err(ReactorError::StaleOp);
        }
        self.state.schedule(op, after);
        Ok(())
    }

    /// Asks for the end of an operation. Its terminal completion tells what came of it.
    ///
    /// For [`CancelOutcome::NotFound`] the terminal completion is queued, or was given already.
    pub fn cancel(&mut self, op: OpId) -> CancelOutcome {
        match self.state.cancel(op) {
            Cancelled::NotFound => return CancelOutcome::NotFound,
            Cancelled::Asked | Cancelled::Complete => {}
            Cancelled::Ask => self.driver.cancel(&mut self.state, op),
        }
        CancelOutcome::Requested
    }
}

impl Reactor {
    /// Accepts an operation on a handle, and starts it when it is its turn.
    fn push(&mut self, handle: Handle, token: u64, kind: Kind) -> Result<OpId, ReactorError> {
        self.state.handles.open(handle).ok_or(ReactorError::StaleHandle)?;
        self.state.has_room()?;
        let (id, is_turn) = self.state.accept(handle, token, kind);
        if is_turn && !self.driver.start(&mut self.state, id) {
            self.state.revoke(id);
            return Err(ReactorError::SubmissionQueueFull);
        }
        Ok(id)
    }

    /// One look at the OS.
    fn turn(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.driver.start_turns(&mut self.state);
        self.feed();
        let wait = match (timeout, self.state.until_timer()) {
            (Some(a), Some(b)) => Wait::For(a.min(b)),
            (Some(one), None) | (None, Some(one)) => Wait::For(one),
            (None, None) => Wait::Forever,
        };
        let idle = !self.state.has_ready() && !self.driver.has_work() && !wait.is_never();
        if idle && !self.spin_for_work()? && self.state.remote.prepare_sleep() {
            self.driver.turn(&mut self.state, wait)?;
            self.state.remote.end_sleep();
        } else if !self.state.has_ready() || !idle {
            self.driver.turn(&mut self.state, Wait::Never)?;
        }
        self.state.remote.take_woken();
        while let Some(id) = self.state.next_expired() {
            self.expire(id);
        }
        Ok(())
    }

    /// Looks for completions for a while before sleeping; true if there is something to do.
    fn spin_for_work(&mut self) -> io::Result<bool> {
        let mut spin = self.spin.start();
        while spin.goes_on() {
            self.driver.turn(&mut self.state, Wait::Never)?;
            if self.state.has_ready() || self.state.remote.is_pending() {
                self.spin.end(true);
                return Ok(true);
            }
        }
        self.spin.end(false);
        Ok(false)
    }

    /// Ends the operations that wait for buffers, if there are some.
    fn feed(&mut self) {
        for class in PoolClass::ALL {
            if !self.state.is_awaiting(class) {
                continue;
            }
            // First the wish, then the look: a buffer that comes between causes a wake-up.
            self.state.remote.set_starved();
            let available = self.driver.has_buffers(&mut self.state, class);
            self.state.feed(class, available);
        }
    }

    fn expire(&mut self, id: OpId) {
        if self.state.is_timeout(id) {
            self.state.ops.handle_submitted(id);
            self.state.finish(id, 0, Flags::NONE, Parcel::None);
        } else {
            self.cancel(id);
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.state.remote.close();
        if !self.driver.shutdown(&mut self.state) {
            self.state.leak_ops();
        }
    }
}

/// The backend of the configuration, and why it is that one.
fn choose(state: &State, config: &Config) -> Result<(Driver, BackendInfo), ReactorError> {
    let refused = match config.backend {
        Backend::Epoll => None,
        Backend::Auto | Backend::IoUring => match Uring::new(state, config) {
            Ok(uring) => {
                let info = BackendInfo {
                    kind: BackendKind::IoUring,
                    tier: Some(uring.tier()),
                    reason: "io_uring works here".into(),
                };
                return Ok((Driver::Uring(Box::new(uring)), info));
            }
            Err(error) if config.backend == Backend::IoUring => return Err(error),
            Err(error) => Some(error),
        },
    };
    let epoll = Epoll::new(state, config.entries).map_err(ReactorError::CreationFailed)?;
    let reason = refused.map_or_else(|| "epoll was asked for".into(), |error| error.to_string());
    Ok((Driver::Epoll(epoll), BackendInfo { kind: BackendKind::Epoll, tier: None, reason }))
}
