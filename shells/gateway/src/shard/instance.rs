//! One instance of a worker: its process, its pipes, its connection.

use std::collections::VecDeque;
use std::io;
use std::time::Instant as Clock;

use forebay_core_dispatch::home::{Line, Payload, Transmit};
use forebay_core_dispatch::message::{GATHER_LEN, SLOT_LEN};
use forebay_core_dispatch::{Exit, InstanceId};
use forebay_core_procwire::control::{LineSplitter, PING_LINE, SHUTDOWN_LINE};
use forebay_reactor::{
    Completion, Flags, Handle, Interest, OpId, Piece, PoolClass, Reactor, ReactorError,
};

use super::outbox::{Flush, Outbox, slice};
use super::token::{Kind, Owner};
use crate::process::{LineLimit, Pipes, Process, StderrTail};

/// A control line of a worker, whose schema may be long.
const LINE_LEN: usize = 64 * 1024;
/// Beyond so many bytes on their way to a worker no further frame is made for it.
const OUTBOX_MAX: usize = 1024 * 1024;
/// What is read of a worker at once where the pool has no buffer.
const HEAP_READ_LEN: usize = 16 * 1024;
/// What is read of a pipe at once.
const READ_LEN: usize = 4096;

/// A process and everything that leads to it.
pub(super) struct Instance {
    pub(super) id: InstanceId,
    owner: Owner,
    /// The worker, by the position of its service.
    pub(super) service: u16,
    process: Option<Process>,
    stdin: Option<Handle>,
    stdout: Option<Handle>,
    stderr: Option<Handle>,
    exit: Option<Handle>,
    lines: LineSplitter<Vec<u8>>,
    log: StderrTail,
    limit: LineLimit,
    /// Control lines that the pipe did not take yet.
    orders: Vec<u8>,
    connecting: Option<OpId>,
    connection: Option<Handle>,
    reading: Reading,
    /// The home wants nothing of this connection for now.
    pub(super) held: bool,
    pub(super) outbox: Outbox,
    /// Where frames end that are on their way, counted from the start of what is sent now.
    ends: Vec<usize>,
    ends_waiting: Vec<usize>,
    pub(super) gather: Vec<u8>,
    /// Received bytes that the home has not seen.
    pub(super) unread: VecDeque<Piece>,
    /// The home has frames for this instance.
    pub(super) has_frames: bool,
    token: Option<String>,
}

/// The receive operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Stopped,
    Running(OpId),
    Stopping,
    Starved,
}

/// What became of a receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Received {
    /// The connection stands.
    Alive,
    /// It ended.
    Ended,
}

impl Instance {
    pub(super) fn new(id: InstanceId, service: u16, token: Option<String>) -> Self {
        Self {
            id,
            owner: owner(id),
            service,
            process: None,
            stdin: None,
            stdout: None,
            stderr: None,
            exit: None,
            lines: LineSplitter::new(vec![0; LINE_LEN]),
            log: StderrTail::default(),
            limit: LineLimit::new(Clock::now()),
            orders: Vec::new(),
            connecting: None,
            connection: None,
            reading: Reading::Stopped,
            held: false,
            outbox: Outbox::default(),
            ends: Vec::new(),
            ends_waiting: Vec::new(),
            gather: Vec::new(),
            unread: VecDeque::new(),
            has_frames: false,
            token,
        }
    }

    /// The process runs: its pipes are watched.
    pub(super) fn attach(
        &mut self,
        reactor: &mut Reactor,
        (process, pipes): (Process, Pipes),
    ) -> io::Result<()> {
        self.process = Some(process);
        let Pipes { exit, stdin, stdout, stderr } = pipes;
        let mut attach = |fd| reactor.attach(fd).map_err(|(_, error)| error);
        self.exit = Some(attach(exit)?);
        self.stdin = Some(attach(stdin)?);
        self.stdout = Some(attach(stdout)?);
        self.stderr = Some(attach(stderr)?);
        for (handle, kind) in
            [(self.exit, Kind::Exit), (self.stdout, Kind::Stdout), (self.stderr, Kind::Stderr)]
        {
            self.watch(reactor, handle, Interest::READABLE, kind);
        }
        Ok(())
    }

    /// The process id; 0 before there is one.
    pub(super) fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// Sends a signal to the process and its group.
    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// How the process ended, if it did.
    pub(super) fn try_wait(&mut self, reactor: &mut Reactor) -> Option<Exit> {
        use std::os::unix::process::ExitStatusExt;
        let Ok(status) = self.process.as_mut()?.try_wait() else {
            // Nobody else reaps; whatever is wrong, there is no process to wait for.
            return Some(Exit::Code(-1));
        };
        let Some(status) = status else {
            self.watch(reactor, self.exit, Interest::READABLE, Kind::Exit);
            return None;
        };
        Some(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(signal.unwrap_or(0)),
        })
    }

    /// Reads control lines and gives each to `line`; `None` is a line that is too long.
    pub(super) fn read_lines(
        &mut self,
        reactor: &mut Reactor,
        mut line: impl FnMut(Option<&[u8]>),
    ) {
        let Some(stdout) = self.stdout else { return };
        let mut buf = [0; READ_LEN];
        let ended = loop {
            match reactor.read(stdout, &mut buf) {
                Ok(0) => break true,
                Ok(len) => {
                    let mut input = &buf[..len];
                    while !input.is_empty() {
                        match self.lines.handle_bytes(input) {
                            Ok(step) => {
                                if let Some(text) = step.line {
                                    line(Some(text));
                                }
                                input = &input[step.used..];
                            }
                            Err(_) => {
                                line(None);
                                break;
                            }
                        }
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        if ended {
            close(reactor, &mut self.stdout);
        } else {
            self.watch(reactor, self.stdout, Interest::READABLE, Kind::Stdout);
        }
    }

    /// Reads the log of the process and passes its lines on.
    pub(super) fn read_log(&mut self, reactor: &mut Reactor, service: &str) {
        let Some(stderr) = self.stderr else { return };
        let mut buf = [0; READ_LEN];
        let pid = self.pid();
        // A process that never stops writing must not keep the loop from its other work.
        let mut reads = 16;
        let ended = loop {
            reads -= 1;
            match reactor.read(stderr, &mut buf) {
                Ok(0) => break true,
                Ok(len) => {
                    let Self { log, limit, .. } = self;
                    let now = Clock::now();
                    log.push(&buf[..len], |line| {
                        let Some(dropped) = limit.admit(now) else { return };
                        let text = String::from_utf8_lossy(line);
                        tracing::info!(target: "worker", service, pid, dropped, "{text}");
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
            if reads == 0 {
                break false;
            }
        };
        if ended {
            close(reactor, &mut self.stderr);
        } else {
            self.watch(reactor, self.stderr, Interest::READABLE, Kind::Stderr);
        }
    }

    /// The last lines of the log.
    pub(super) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// Writes a control line, now or as soon as the pipe takes it.
    pub(super) fn order(&mut self, reactor: &mut Reactor, line: Line) {
        self.orders.extend_from_slice(match line {
            Line::Ping => PING_LINE,
            Line::Shutdown => SHUTDOWN_LINE,
        });
        self.write_orders(reactor);
    }

    /// Writes what the pipe takes.
    pub(super) fn write_orders(&mut self, reactor: &mut Reactor) {
        let Some(stdin) = self.stdin else { return };
        while !self.orders.is_empty() {
            match reactor.write(stdin, &self.orders) {
                Ok(len) => drop(self.orders.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.watch(reactor, self.stdin, Interest::WRITABLE, Kind::Stdin);
                }
                // The process is gone or has closed it; its end is told elsewhere.
                Err(_) => return self.orders.clear(),
            }
        }
    }

    /// Connects to the process's socket.
    pub(super) fn connect(
        &mut self,
        reactor: &mut Reactor,
        path: &std::path::Path,
    ) -> io::Result<()> {
        let op = reactor.connect_unix(path, self.owner.token(Kind::Connect))?;
        self.connecting = Some(op);
        Ok(())
    }

    /// The attempt to connect has ended: with a connection, or with the error number of the system.
    pub(super) fn handle_connected(
        &mut self,
        reactor: &mut Reactor,
        completion: &Completion,
    ) -> Option<Result<(), i32>> {
        self.connecting.take()?;
        let Some(handle) = reactor.take_handle(completion) else {
            return Some(Err(-completion.result));
        };
        self.connection = Some(handle);
        self.gather = vec![0; GATHER_LEN];
        Some(Ok(()))
    }

    /// Gives up the connection, or the attempt to make it.
    pub(super) fn disconnect(&mut self, reactor: &mut Reactor) {
        if let Some(connecting) = self.connecting.take() {
            reactor.cancel(connecting);
        }
        close(reactor, &mut self.connection);
        self.outbox = Outbox::default();
        self.unread.clear();
        self.ends.clear();
        self.ends_waiting.clear();
        self.reading = Reading::Stopped;
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Whether one more frame may be made.
    pub(super) fn has_room(&self) -> bool {
        self.connection.is_some() && self.outbox.len() < OUTBOX_MAX
    }

    /// Bytes came, or the receive ended.
    pub(super) fn handle_received(
        &mut self,
        reactor: &mut Reactor,
        completion: &Completion,
    ) -> Received {
        if self.connection.is_none() {
            return Received::Alive;
        }
        let buf = reactor.take_buf(completion);
        let has_bytes = buf.is_some();
        self.unread.extend(buf.map(Piece::Pool));
        if !completion.is_terminal() {
            return Received::Alive;
        }
        self.reading = Reading::Stopped;
        if has_bytes || completion.flags.contains(Flags::CANCELLED) {
            return Received::Alive;
        }
        if completion.result == -rustix::io::Errno::NOBUFS.raw_os_error() {
            // Clients hold all buffers, perhaps until this worker has answered: it is read in any
            // case.
            self.reading = Reading::Starved;
            self.watch(reactor, self.connection, Interest::READABLE, Kind::InstanceBuffer);
            return Received::Alive;
        }
        Received::Ended
    }

    /// Bytes can be read for which there was no buffer.
    pub(super) fn handle_starved(&mut self, reactor: &mut Reactor) -> Received {
        let Some(connection) = self.connection.filter(|_| self.reading == Reading::Starved) else {
            return Received::Alive;
        };
        self.reading = Reading::Stopped;
        let mut bytes = vec![0; HEAP_READ_LEN];
        match reactor.read(connection, &mut bytes) {
            Ok(0) => Received::Ended,
            Ok(len) => {
                bytes.truncate(len);
                self.unread.push_back(Piece::Heap(bytes.into()));
                Received::Alive
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Received::Alive,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Received::Alive,
            Err(_) => Received::Ended,
        }
    }

    /// Reads or stops reading.
    pub(super) fn steer(&mut self, reactor: &mut Reactor) {
        let Some(connection) = self.connection else { return };
        let wants = !self.held && self.unread.is_empty();
        match self.reading {
            Reading::Stopped if wants => {
                let token = self.owner.token(Kind::InstanceRecv);
                if let Ok(op) = reactor.recv(connection, PoolClass::Bulk, token) {
                    self.reading = Reading::Running(op);
                }
            }
            Reading::Running(op) if !wants => {
                reactor.cancel(op);
                self.reading = Reading::Stopping;
            }
            Reading::Stopped | Reading::Running(_) | Reading::Stopping | Reading::Starved => {}
        }
    }

    /// Appends a frame: the parts of `slot` and the payload that belongs between and behind them.
    pub(super) fn push_frame(
        &mut self,
        reactor: &mut Reactor,
        (slot, transmit): (&[u8; SLOT_LEN], Transmit),
        (message, payload): (Option<&Piece>, Option<Piece>),
    ) {
        let (head, len) = (usize::from(transmit.head), usize::from(transmit.len));
        self.outbox.push_copy(reactor, &slot[..head]);
        if let Some(message) = message {
            self.outbox.push_payload(reactor, slice(message, 0..message.len()));
        }
        self.outbox.push_copy(reactor, &slot[head..len]);
        if transmit.payload == Payload::Token {
            let token = self.token.take().unwrap_or_default();
            self.outbox.push_copy(reactor, token.as_bytes());
        }
        if let Some(payload) = payload {
            self.outbox.push_payload(reactor, payload);
        }
        self.ends_waiting.push(self.outbox.waiting());
    }

    /// Gives what waits to the kernel; how many frames it has now, or that it failed for good.
    pub(super) fn flush(&mut self, reactor: &mut Reactor) -> Result<u32, ReactorError> {
        let Some(connection) = self.connection else { return Ok(0) };
        match self.outbox.flush(reactor, connection, self.owner.token(Kind::InstanceSend))? {
            Flush::Nothing => Ok(0),
            Flush::Started => {
                core::mem::swap(&mut self.ends, &mut self.ends_waiting);
                self.ends_waiting.clear();
                Ok(0)
            }
            Flush::Sent(_) => {
                let frames = self.ends_waiting.len();
                self.ends_waiting.clear();
                Ok(u32::try_from(frames).unwrap_or(u32::MAX))
            }
        }
    }

    /// A send has ended: how many frames the kernel took at least the first byte of, and whether it
    /// took all.
    pub(super) fn handle_sent(
        &mut self,
        reactor: &mut Reactor,
        completion: &Completion,
    ) -> (u32, bool) {
        let all = self.outbox.handle_sent(completion.result).is_some();
        let frames = if all {
            self.ends.len()
        } else {
            let sent = reactor.sent(completion);
            let starts = [0].into_iter().chain(self.ends.iter().copied()).take(self.ends.len());
            starts.filter(|start| *start < sent).count()
        };
        self.ends.clear();
        (u32::try_from(frames).unwrap_or(u32::MAX), all)
    }

    /// Everything that leads to the process is closed; what is left of its log is read first.
    pub(super) fn close(&mut self, reactor: &mut Reactor, service: &str) {
        self.read_log(reactor, service);
        self.disconnect(reactor);
        for handle in [&mut self.stdin, &mut self.stdout, &mut self.stderr, &mut self.exit] {
            close(reactor, handle);
        }
    }

    fn watch(&self, reactor: &mut Reactor, handle: Option<Handle>, interest: Interest, kind: Kind) {
        let Some(handle) = handle else { return };
        if let Err(error) = reactor.poll(handle, interest, self.owner.token(kind)) {
            tracing::error!(pid = self.pid(), %error, "a process cannot be watched");
        }
    }
}

/// The owner in the tokens of an instance's operations.
pub(super) fn owner(id: InstanceId) -> Owner {
    let generation = u32::try_from(id.to_bits() >> 32).unwrap_or(0);
    Owner::new(id.index(), generation)
}

fn close(reactor: &mut Reactor, handle: &mut Option<Handle>) {
    if let Some(handle) = handle.take() {
        // A stale handle is closed already.
        let _stale = reactor.close(handle);
    }
}
