//! The raw epoll loop of the bound and of the upstream: one thread, level-triggered, one receive
//! and one send per ready connection.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, epoll};
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};

const RECEIVE_LEN: usize = 64 * 1024;
const EVENT_COUNT: usize = 512;

/// What is done with received bytes.
pub trait Handler {
    /// Called once per turn of the loop.
    fn turn(&mut self);
    /// Appends answers to `out`, returns how many bytes of `input` it used.
    fn handle(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize;
}

/// One accepted connection, found by its descriptor; `cut` holds the front of a request whose rest
/// has not come yet.
struct Connection {
    socket: OwnedFd,
    cut: Vec<u8>,
}

/// Serves until an error of the listener or of epoll.
pub fn serve(listener: OwnedFd, handler: &mut impl Handler) -> io::Result<()> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    epoll::add(&poll, &listener, key(listener.as_raw_fd()), epoll::EventFlags::IN)?;
    let mut connections = Vec::new();
    let mut events = Vec::with_capacity(EVENT_COUNT);
    let mut input = vec![0; RECEIVE_LEN];
    let mut out = Vec::with_capacity(RECEIVE_LEN);
    loop {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        handler.turn();
        for event in &events {
            let fd = RawFd::try_from(event.data.u64()).expect("a key is a descriptor");
            if fd == listener.as_raw_fd() {
                accept(&poll, &listener, &mut connections)?;
                continue;
            }
            let place = &mut connections[fd as usize];
            let connection = place.as_mut().expect("registered with its connection");
            if !exchange(connection, handler, &mut input, &mut out) {
                *place = None; // closing the descriptor takes it out of epoll
            }
        }
    }
}

fn key(fd: RawFd) -> epoll::EventData {
    epoll::EventData::new_u64(u64::try_from(fd).expect("descriptors are not negative"))
}

fn accept(
    poll: &OwnedFd,
    listener: &OwnedFd,
    connections: &mut Vec<Option<Connection>>,
) -> io::Result<()> {
    loop {
        match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(socket) => {
                // Not every family has this option.
                let _ = sockopt::set_tcp_nodelay(&socket, true);
                let fd = socket.as_raw_fd();
                epoll::add(poll, &socket, key(fd), epoll::EventFlags::IN)?;
                let len = connections.len().max(fd as usize + 1);
                connections.resize_with(len, || None);
                connections[fd as usize] = Some(Connection { socket, cut: Vec::new() });
            }
            Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One receive, the answers, one send. False when the connection has ended.
fn exchange(
    connection: &mut Connection,
    handler: &mut impl Handler,
    input: &mut [u8],
    out: &mut Vec<u8>,
) -> bool {
    let len = match recv(&connection.socket, &mut *input, RecvFlags::empty()) {
        Ok((0, _)) => return false,
        Ok((_, len)) => len,
        Err(rustix::io::Errno::AGAIN) => return true,
        Err(_) => return false,
    };
    out.clear();
    if connection.cut.is_empty() {
        let used = handler.handle(&input[..len], out);
        connection.cut.extend_from_slice(&input[used..len]);
    } else {
        connection.cut.extend_from_slice(&input[..len]);
        let used = handler.handle(&connection.cut, out);
        connection.cut.drain(..used);
    }
    out.is_empty() || send_all(&connection.socket, out).is_ok()
}

/// Sends everything, waiting where the socket is full: only for large echoes.
fn send_all(socket: &OwnedFd, mut rest: &[u8]) -> rustix::io::Result<()> {
    loop {
        match send(socket, rest, SendFlags::NOSIGNAL) {
            Ok(len) if len == rest.len() => return Ok(()),
            Ok(len) => rest = &rest[len..],
            Err(rustix::io::Errno::AGAIN) => {
                rustix::event::poll(&mut [PollFd::new(socket, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
}
