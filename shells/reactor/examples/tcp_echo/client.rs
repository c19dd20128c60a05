//! A client that never sleeps.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::MESSAGE;

pub(crate) struct Client {
    epoll: OwnedFd,
    sockets: Vec<TcpStream>,
    events: Vec<epoll::Event>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr, count: usize) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut sockets = Vec::new();
        for at in 0..count {
            let socket = TcpStream::connect(addr)?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, EventData::new_u64(at as u64), EventFlags::IN)?;
            sockets.push(socket);
        }
        Ok(Self { epoll, sockets, events: Vec::with_capacity(count) })
    }

    /// One message in flight on each connection for this long; how many came back.
    pub(crate) fn run(&mut self, time: Duration) -> io::Result<u64> {
        let message = [0x5a; MESSAGE];
        for socket in &mut self.sockets {
            socket.write_all(&message)?;
        }
        let end = Instant::now() + time;
        let (mut count, mut open) = (0, self.sockets.len());
        while open > 0 {
            let running = Instant::now() < end;
            self.events.clear();
            let now = rustix::event::Timespec::default();
            epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&now))?;
            for event in &self.events {
                let socket = &mut self.sockets[event.data.u64() as usize];
                let mut bytes = [0; MESSAGE];
                socket.read_exact(&mut bytes)?;
                assert_eq!(bytes, message, "an echo is what was sent");
                count += 1;
                if running {
                    socket.write_all(&message)?;
                } else {
                    open -= 1;
                }
            }
        }
        Ok(count)
    }
}
