//! A reactor with a deadline on every wait, and plain blocking peers.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Instant;

use forebay_reactor::{
    BackendKind, Completion, Config, Flags, Handle, OpId, Piece, PoolBuf, PoolClass, Reactor,
    ReactorError, net,
};

/// No wait of a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A reactor, and the completions that were not asked for yet.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) reactor: Reactor,
    pub(crate) config: Config,
    seen: Vec<Seen>,
}

/// A completion, with what came with it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) completion: Completion,
    pub(crate) buf: Option<PoolBuf>,
    pub(crate) handle: Option<Handle>,
    pub(crate) sent: usize,
}

impl Bench {
    /// `None` where io_uring does not work, and why.
    pub(crate) fn new(config: &Config) -> Option<Self> {
        match Reactor::new(config) {
            Ok(reactor) => Some(Self { reactor, config: config.clone(), seen: Vec::new() }),
            Err(ReactorError::UringNotAvailable(reason)) => {
                #[expect(clippy::print_stderr, reason = "nothing is skipped in silence")]
                {
                    eprintln!("not run, io_uring is not available: {reason}");
                }
                None
            }
            Err(error) => panic!("reactor: {error}"),
        }
    }

    /// The same backend with other settings.
    pub(crate) fn again(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = self.config.clone();
        change(&mut config);
        Self::new(&config).expect("it worked before")
    }

    /// Everything of one wait.
    pub(crate) fn turn(&mut self, timeout: Duration) -> usize {
        let mut out = [Completion::EMPTY; 64];
        let count = self.reactor.wait(&mut out, Some(timeout)).expect("the loop goes on");
        for completion in &out[..count] {
            let buf = self.reactor.take_buf(completion);
            let handle = self.reactor.take_handle(completion);
            let sent = self.reactor.sent(completion);
            assert_eq!(buf.is_some(), completion.flags.contains(Flags::BUFFER));
            assert_eq!(handle.is_some(), completion.flags.contains(Flags::HANDLE));
            self.seen.push(Seen { completion: *completion, buf, handle, sent });
        }
        count
    }

    /// The next completion that `wanted` picks, in order; others are kept.
    pub(crate) fn next(&mut self, wanted: impl Fn(&Completion) -> bool) -> Seen {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen.iter().position(|seen| wanted(&seen.completion)) {
                return self.seen.remove(at);
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "deadline; seen: {:?}", self.seen);
            self.turn(left);
        }
    }

    /// The next completion of this operation.
    pub(crate) fn of(&mut self, op: OpId) -> Seen {
        self.next(|completion| completion.op == op)
    }

    /// The terminal completion of this operation; others of it are dropped.
    pub(crate) fn end_of(&mut self, op: OpId) -> Seen {
        self.next(|completion| completion.op == op && completion.is_terminal())
    }

    /// Looks at the OS until nothing comes, twice; nothing may be left then.
    pub(crate) fn expect_quiet(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            quiet = if self.turn(Duration::ZERO) == 0 { quiet + 1 } else { 0 };
        }
        assert!(self.seen.is_empty(), "nothing more should come: {:?}", self.seen);
    }

    /// Receives `len` bytes through `op`.
    pub(crate) fn receive(&mut self, op: OpId, len: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let seen = self.of(op);
            assert!(seen.completion.result > 0, "{seen:?} after {} of {len}", bytes.len());
            bytes.extend_from_slice(&seen.buf.expect("bytes come in a buffer"));
        }
        bytes
    }

    pub(crate) fn listener(&mut self) -> (Handle, SocketAddr) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let fd = net::listen_shared(any, 1024).expect("loopback");
        let addr = net::local_addr(&fd).expect("it is bound");
        (self.attach(fd), addr)
    }

    pub(crate) fn attach(&mut self, fd: impl Into<OwnedFd>) -> Handle {
        self.reactor.attach(fd.into()).map_err(|(_, error)| error).expect("it can be watched")
    }

    /// A connection: ours, and the blocking peer's.
    pub(crate) fn pair(&mut self) -> (Handle, TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback");
        let peer = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (ours, _) = listener.accept().expect("connected");
        peer.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        peer.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        peer.set_nodelay(true).expect("tcp");
        (self.attach(ours), peer)
    }

    pub(crate) fn recv(&mut self, handle: Handle, token: u64) -> OpId {
        self.reactor.recv_multi(handle, PoolClass::Small, token).expect("accepted")
    }

    /// Sends what the socket takes at once or not; the operation in the second case.
    pub(crate) fn send(&mut self, handle: Handle, bytes: &[u8], token: u64) -> Option<OpId> {
        let mut pieces = vec![Piece::from(bytes::Bytes::copy_from_slice(bytes))];
        let op = self.reactor.send(handle, &mut pieces, token).expect("accepted");
        assert!(pieces.is_empty());
        op
    }

    /// Waits until `op` has sent all of `len` bytes, unless they were taken at once.
    pub(crate) fn expect_sent(&mut self, op: Option<OpId>, len: usize) {
        if let Some(op) = op {
            let seen = self.of(op).completion;
            assert!(seen.is_terminal());
            assert_eq!(usize::try_from(seen.result), Ok(len));
        }
    }

    pub(crate) fn is_uring(&self) -> bool {
        self.reactor.backend().kind == BackendKind::IoUring
    }
}

/// Exactly `len` bytes of a peer.
pub(crate) fn read_exact(peer: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    peer.read_exact(&mut bytes).expect("they come");
    bytes
}

/// Bytes that differ from their neighbours.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 7 + at / 251) % 256).expect("a byte")).collect()
}

/// Ends a connection by a reset.
pub(crate) fn reset(peer: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("tcp");
    drop(peer);
}
