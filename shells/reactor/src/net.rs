//! Set-up of sockets: what is done once per listener or connection, outside of the loop.

use core::net::SocketAddr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, ipproto, sockopt};

/// Binds and listens on `addr`, sharing the port with other cores' listeners (SO_REUSEPORT).
///
/// Close-on-exec, non-blocking; connections accepted from it have TCP_NODELAY set.
///
/// # Errors
///
/// What the OS says. Another program's listener on the port is no error when it shares it too:
/// see [`check_unserved`].
pub fn listen_shared(addr: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let fd = tcp_socket(addr)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    // Inherited by what it accepts, which saves a call for each connection.
    sockopt::set_tcp_nodelay(&fd, true)?;
    rustix::net::bind(&fd, &addr)?;
    rustix::net::listen(&fd, backlog)?;
    Ok(fd)
}

/// Fails if somebody listens on `addr` already, which SO_REUSEPORT would hide.
///
/// Call it once, before the first [`listen_shared`]. The answer is of that moment: a listener
/// that comes later and shares the port is not kept out. Port 0 is never served.
///
/// # Errors
///
/// `AddrInUse` when the port is served, or what else the OS says.
pub fn check_unserved(addr: SocketAddr) -> io::Result<()> {
    let fd = tcp_socket(addr)?;
    rustix::net::bind(&fd, &addr)?;
    Ok(())
}

/// The address that a listener got, with the port that the OS chose for port 0.
///
/// # Errors
///
/// What the OS says; `InvalidInput` if it is not an IP socket.
pub fn local_addr(listener: impl AsFd) -> io::Result<SocketAddr> {
    let addr = rustix::net::getsockname(listener)?;
    SocketAddr::try_from(addr).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Sends small writes at once (TCP_NODELAY).
///
/// # Errors
///
/// What the OS says.
pub fn set_nodelay(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::set_tcp_nodelay(socket, true)?)
}

/// Binds and listens on the Unix socket `path`, which must not exist. Close-on-exec, non-blocking.
///
/// # Errors
///
/// What the OS says.
pub fn listen_unix(path: &Path, backlog: i32) -> io::Result<OwnedFd> {
    let fd = unix_socket()?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&fd, backlog)?;
    Ok(fd)
}

/// Connects to the Unix socket `path` without waiting. Close-on-exec, non-blocking.
///
/// # Errors
///
/// EAGAIN when the listener's backlog is full, or what else the OS says.
pub fn connect_unix(path: &Path) -> io::Result<OwnedFd> {
    let fd = unix_socket()?;
    rustix::net::connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

fn tcp_socket(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = match addr {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    // A port of a server that was just stopped can be bound again.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    Ok(fd)
}

fn unix_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_served_port_is_noticed_although_it_is_shared() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        check_unserved(any).expect("port 0 is never served");
        let listener = listen_shared(any, 8).expect("loopback");
        let addr = local_addr(&listener).expect("it is bound");
        let error = check_unserved(addr).expect_err("it is served");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        listen_shared(addr, 8).expect("a second core shares it");
        drop(listener);
        check_unserved(addr).expect("nobody serves it any more");
    }

    #[test]
    fn a_unix_listener_is_reached_by_its_path() {
        let dir = std::env::temp_dir().join(format!("forebay-net-{}", std::process::id()));
        std::fs::create_dir(&dir).expect("a new directory");
        let path = dir.join("s");
        let missing = connect_unix(&path).expect_err("nobody listens");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let _listener = listen_unix(&path, 8).expect("a new socket");
        connect_unix(&path).expect("it listens");
        std::fs::remove_dir_all(&dir).expect("it is ours");
    }
}
