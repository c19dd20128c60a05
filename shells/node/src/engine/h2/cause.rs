//! What went wrong in HTTP/2, in the terms of undici and Node.js.

use std::io;

use h2::{Error, Reason};

use crate::engine::causes;
use crate::engine::failure::{Failure, Kind};

/// The server has ended the connection.
pub(super) fn closed() -> Failure {
    Failure::new(Kind::Socket).with_message("other side closed")
}

/// The end of a connection.
pub(super) fn of_connection(error: &Error) -> Failure {
    if let Some(io) = error.get_io() {
        return match io.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => closed(),
            _ => causes::system(io, "read"),
        };
    }
    let reason = error.reason().unwrap_or(Reason::INTERNAL_ERROR);
    if error.is_go_away() && error.is_remote() {
        let code = u32::from(reason);
        let message = format!("HTTP/2: \"GOAWAY\" frame received with code {code}");
        let kind = if reason == Reason::NO_ERROR { Kind::Informational } else { Kind::Socket };
        return Failure::new(kind).with_message(message);
    }
    let message = format!("Session closed with error code {}", name(reason));
    Failure::new(Kind::Http2).with_code("ERR_HTTP2_SESSION_ERROR").with_message(message)
}

/// The end of a stream.
pub(super) fn of_stream(error: &Error) -> Failure {
    match error.reason() {
        Some(reason) if !error.is_go_away() => of_reset(reason),
        Some(_) | None => of_connection(error),
    }
}

/// A stream that was reset.
pub(super) fn of_reset(reason: Reason) -> Failure {
    let message = format!("Stream closed with error code {}", name(reason));
    let errno = u32::from(reason).cast_signed();
    let failure = Failure { errno, ..Failure::new(Kind::Http2) };
    failure.with_code("ERR_HTTP2_STREAM_ERROR").with_message(message)
}

/// How a server says that it did nothing for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Stream = 1,
    Connection = 2,
}

pub(super) fn refusal(error: &Error) -> Option<Refusal> {
    if !error.is_remote() {
        return None;
    }
    // To a stream the library tells of a farewell only if it came after the last one served.
    if error.is_go_away() {
        return Some(Refusal::Connection);
    }
    let refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    refused.then_some(Refusal::Stream)
}

/// Whether the server leaves because of an error: it will do nothing more on the connection.
pub(super) fn is_fatal(error: &Error) -> bool {
    error.is_remote() && error.is_go_away() && error.reason() != Some(Reason::NO_ERROR)
}

/// The name that Node.js has for it.
fn name(reason: Reason) -> String {
    let name = match reason {
        Reason::NO_ERROR => "NO_ERROR",
        Reason::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        Reason::INTERNAL_ERROR => "INTERNAL_ERROR",
        Reason::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        Reason::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        Reason::STREAM_CLOSED => "STREAM_CLOSED",
        Reason::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        Reason::REFUSED_STREAM => "REFUSED_STREAM",
        Reason::CANCEL => "CANCEL",
        Reason::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        Reason::CONNECT_ERROR => "CONNECT_ERROR",
        Reason::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        Reason::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        Reason::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        other => return format!("{}", u32::from(other)),
    };
    format!("NGHTTP2_{name}")
}
