use core::error::Error;
use core::fmt;

use crate::HeaderError;
use crate::control::InitError;

/// The peer broke the protocol. The connection, and for a parent the child, is to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// A frame's header was refused (procwire section 4.4).
    Header(HeaderError),
    /// A control line that begins with `{` is longer than the buffer for it (section 2.1).
    LineTooLong,
    /// `$init` cannot be used (section 2.3).
    Init(InitError),
    /// The stream ended inside a frame.
    CutFrame,
    /// Bytes arrived after the connection was closed or given up.
    Closed,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::LineTooLong => f.write_str("control line too long"),
            Self::Init(error) => error.fmt(f),
            Self::CutFrame => f.write_str("the connection ended inside a frame"),
            Self::Closed => f.write_str("the connection is closed"),
        }
    }
}

impl Error for PeerError {}

impl From<HeaderError> for PeerError {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<InitError> for PeerError {
    fn from(error: InitError) -> Self {
        Self::Init(error)
    }
}
