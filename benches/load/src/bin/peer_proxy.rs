//! Bound: a raw epoll loop between TCP clients and a Unix-socket upstream, one receive and one send
//! for each direction of a request. It answers the 404 itself, as the gateway does.

use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use load::answer::Answer;
use load::bound;
use rustix::event::epoll;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

const RECEIVE_LEN: usize = 64 * 1024;
const EVENT_COUNT: usize = 512;

/// One end of a connection, found by its descriptor.
struct End {
    socket: OwnedFd,
    /// The other end's descriptor: each client has an upstream connection of its own.
    other: RawFd,
    is_client: bool,
}

struct Proxy {
    poll: OwnedFd,
    path: String,
    answer: Answer,
    ends: Vec<Option<End>>,
    input: Vec<u8>,
    out: Vec<u8>,
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (address, path) =
        arguments.next().zip(arguments.next()).expect("usage: peer_proxy ADDRESS SOCKET");
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, key(listener.as_raw_fd()), epoll::EventFlags::IN)?;
    let mut proxy = Proxy {
        poll,
        path,
        answer: Answer::new(),
        ends: Vec::new(),
        input: vec![0; RECEIVE_LEN],
        out: Vec::with_capacity(RECEIVE_LEN),
    };
    let mut events = Vec::with_capacity(EVENT_COUNT);
    loop {
        events.clear();
        epoll::wait(&proxy.poll, rustix::buffer::spare_capacity(&mut events), None)?;
        proxy.answer.refresh();
        for event in &events {
            let fd = RawFd::try_from(event.data.u64()).expect("a key is a descriptor");
            if fd == listener.as_raw_fd() {
                proxy.accept(&listener)?;
            } else if !proxy.pass_on(fd) {
                proxy.close(fd);
            }
        }
    }
}

fn key(fd: RawFd) -> epoll::EventData {
    epoll::EventData::new_u64(u64::try_from(fd).expect("descriptors are not negative"))
}

impl Proxy {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Ok(client) = accept_with(listener, SocketFlags::NONBLOCK) {
            sockopt::set_tcp_nodelay(&client, true)?;
            let upstream = OwnedFd::from(UnixStream::connect(&self.path)?);
            let (client_fd, upstream_fd) = (client.as_raw_fd(), upstream.as_raw_fd());
            self.keep(End { socket: client, other: upstream_fd, is_client: true })?;
            self.keep(End { socket: upstream, other: client_fd, is_client: false })?;
        }
        Ok(())
    }

    fn keep(&mut self, end: End) -> io::Result<()> {
        let fd = end.socket.as_raw_fd();
        epoll::add(&self.poll, &end.socket, key(fd), epoll::EventFlags::IN)?;
        let len = self.ends.len().max(fd as usize + 1);
        self.ends.resize_with(len, || None);
        self.ends[fd as usize] = Some(end);
        Ok(())
    }

    /// Moves what came to where it belongs; false when the connection has ended.
    fn pass_on(&mut self, fd: RawFd) -> bool {
        let Some(end) = &self.ends[fd as usize] else { return true };
        let Ok((_, len @ 1..)) = recv(&end.socket, &mut *self.input, RecvFlags::empty()) else {
            return false;
        };
        let bytes = &self.input[..len];
        let (to, bytes) = if !end.is_client {
            assert!(is_response(bytes), "the upstream is ours");
            (end.other, bytes)
        } else if is_echo(bytes) {
            (end.other, bytes)
        } else {
            self.out.clear();
            bound::answer_all(bytes, &self.answer, &mut self.out);
            (fd, &self.out[..])
        };
        let to = self.ends[to as usize].as_ref();
        // The bench sends little: a socket takes it whole.
        to.is_some_and(|to| send(&to.socket, bytes, SendFlags::NOSIGNAL) == Ok(bytes.len()))
    }

    /// Both ends go; closing a descriptor takes it out of epoll.
    fn close(&mut self, fd: RawFd) {
        if let Some(end) = self.ends[fd as usize].take() {
            self.ends[end.other as usize] = None;
        }
    }
}

/// Whether the request goes to the upstream.
fn is_echo(bytes: &[u8]) -> bool {
    let mut fields = [const { MaybeUninit::uninit() }; 16];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(bytes, &mut fields);
    parsed.is_ok_and(|status| status.is_complete()) && head.path == Some("/echo")
}

fn is_response(bytes: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let parsed = httparse::Response::new(&mut fields).parse(bytes);
    parsed.is_ok_and(|status| status.is_complete())
}
