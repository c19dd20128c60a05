//! What went wrong, in the terms of Node.js.

use core::net::SocketAddr;
use std::io;

use forebay_core_http1::UsageError;
use forebay_core_http1::client::ResponseError;

use super::failure::{Failure, Kind, SocketInfo};

/// A server that broke a rule, or let us wait; `data` begins where that was noticed.
pub(super) fn response(
    error: ResponseError,
    data: &[u8],
    info: impl FnOnce() -> SocketInfo,
) -> Failure {
    let socket = |message: &'static str| Failure {
        socket: Some(Box::new(info())),
        ..Failure::new(Kind::Socket).with_message(message)
    };
    match error {
        ResponseError::Syntax(fault) => Failure {
            detail: offending(data).into(),
            ..Failure::new(Kind::Parser).with_message(fault.reason())
        },
        ResponseError::HeaderLength => Failure::new(Kind::HeadersOverflow),
        ResponseError::ContentLength => Failure::new(Kind::ResponseLength),
        ResponseError::BodyLength => Failure::new(Kind::ResponseSize),
        ResponseError::Unsolicited => socket("bad response"),
        ResponseError::UnsolicitedSwitch => socket("bad upgrade"),
        ResponseError::HeadTimeout => Failure::new(Kind::HeadersTimeout),
        ResponseError::BodyTimeout => Failure::new(Kind::BodyTimeout),
        ResponseError::IdleTimeout => {
            Failure::new(Kind::Informational).with_message("socket idle timeout")
        }
        // `Closed`, and what the machine may learn to tell apart.
        _ => socket("other side closed"),
    }
}

/// The beginning of what does not belong there, as latin1.
fn offending(data: &[u8]) -> String {
    const LEN: usize = 1024;
    data.iter().take(LEN).copied().map(char::from).collect()
}

/// A request that cannot be written. What JavaScript lets through can be.
pub(super) fn usage(error: UsageError) -> Failure {
    match error {
        UsageError::ContentLength => Failure::new(Kind::RequestLength),
        _ => Failure::new(Kind::InvalidArgument).with_message(error.to_string()),
    }
}

/// An error of the system.
pub(super) fn system(error: &io::Error, syscall: &'static str) -> Failure {
    let (code, errno) = code(error);
    Failure { errno, syscall, ..Failure::new(Kind::System).with_code(code) }
}

/// An error of the system about an address.
pub(super) fn system_at(error: &io::Error, syscall: &'static str, at: SocketAddr) -> Failure {
    Failure { address: at.ip().to_string().into(), port: at.port(), ..system(error, syscall) }
}

/// The name of an error, and its number as libuv gives it.
fn code(error: &io::Error) -> (&'static str, i32) {
    let (code, windows) = named(error);
    (code, number(error, code, windows))
}

/// libuv's number.
#[cfg(unix)]
fn number(error: &io::Error, code: &str, _: i32) -> i32 {
    use rustix::io::Errno;
    error.raw_os_error().map_or_else(
        || {
            // The standard library has noticed it by itself.
            -match code {
                "EPIPE" => Errno::PIPE,
                "ENOTCONN" => Errno::NOTCONN,
                "EINVAL" => Errno::INVAL,
                _ => Errno::IO,
            }
            .raw_os_error()
        },
        |raw| -raw,
    )
}

#[cfg(not(unix))]
const fn number(_: &io::Error, _: &str, windows: i32) -> i32 {
    windows
}

/// The name, and libuv's number where the system's is another.
fn named(error: &io::Error) -> (&'static str, i32) {
    #[cfg(unix)]
    if let Some(found) = by_number(error) {
        return (found, 0);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ("ECONNREFUSED", -4078),
        io::ErrorKind::ConnectionReset => ("ECONNRESET", -4077),
        io::ErrorKind::ConnectionAborted => ("ECONNABORTED", -4079),
        io::ErrorKind::BrokenPipe | io::ErrorKind::WriteZero => ("EPIPE", -4047),
        io::ErrorKind::TimedOut => ("ETIMEDOUT", -4039),
        io::ErrorKind::HostUnreachable => ("EHOSTUNREACH", -4063),
        io::ErrorKind::NetworkUnreachable => ("ENETUNREACH", -4062),
        io::ErrorKind::NetworkDown => ("ENETDOWN", -4060),
        io::ErrorKind::AddrNotAvailable => ("EADDRNOTAVAIL", -4090),
        io::ErrorKind::AddrInUse => ("EADDRINUSE", -4091),
        io::ErrorKind::PermissionDenied => ("EACCES", -4092),
        io::ErrorKind::NotFound => ("ENOENT", -4058),
        io::ErrorKind::NotConnected => ("ENOTCONN", -4053),
        io::ErrorKind::InvalidInput => ("EINVAL", -4071),
        io::ErrorKind::OutOfMemory => ("ENOMEM", -4057),
        _ => ("EIO", -4070),
    }
}

/// What `ErrorKind` does not tell apart.
#[cfg(unix)]
fn by_number(error: &io::Error) -> Option<&'static str> {
    use rustix::io::Errno;
    let found = match Errno::from_io_error(error)? {
        Errno::PERM => "EPERM",
        Errno::MFILE => "EMFILE",
        Errno::NFILE => "ENFILE",
        Errno::NOBUFS => "ENOBUFS",
        Errno::AFNOSUPPORT => "EAFNOSUPPORT",
        Errno::HOSTDOWN => "EHOSTDOWN",
        Errno::NOTSOCK => "ENOTSOCK",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::NOTDIR => "ENOTDIR",
        Errno::PROTO => "EPROTO",
        Errno::PROTOTYPE => "EPROTOTYPE",
        _ => return None,
    };
    Some(found)
}
