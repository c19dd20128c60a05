use std::io;

use crate::PostError;

/// Why the reactor refused a call. Failures of an accepted operation come as completions.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReactorError {
    /// io_uring was asked for and does not work here; the text says why.
    UringNotAvailable(String),
    /// The OS refused a part of the set-up.
    CreationFailed(io::Error),
    /// The submission queue stayed full after a submit.
    SubmissionQueueFull,
    /// The configuration names something out of range.
    InvalidConfig(&'static str),
    /// Every operation slot is in use; try again after completions.
    OpTableFull,
    /// The handle was closed.
    StaleHandle,
    /// The operation has ended.
    StaleOp,
    /// The list of pieces is empty, or adds up to more than `i32::MAX` bytes.
    BadPieces,
    /// The backend cannot do this.
    Unsupported(&'static str),
}

impl core::fmt::Display for ReactorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UringNotAvailable(reason) => write!(f, "io_uring is not available: {reason}"),
            Self::CreationFailed(error) => write!(f, "reactor could not be created: {error}"),
            Self::SubmissionQueueFull => f.write_str("submission queue is full"),
            Self::InvalidConfig(text) => write!(f, "invalid configuration: {text}"),
            Self::OpTableFull => f.write_str("operation table is full"),
            Self::StaleHandle => f.write_str("handle was closed"),
            Self::StaleOp => f.write_str("operation has ended"),
            Self::BadPieces => f.write_str("pieces are empty or too long"),
            Self::Unsupported(what) => write!(f, "not supported by the backend: {what}"),
        }
    }
}

impl core::error::Error for ReactorError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::CreationFailed(error) => Some(error),
            Self::UringNotAvailable(_)
            | Self::SubmissionQueueFull
            | Self::InvalidConfig(_)
            | Self::OpTableFull
            | Self::StaleHandle
            | Self::StaleOp
            | Self::BadPieces
            | Self::Unsupported(_) => None,
        }
    }
}

impl From<ReactorError> for io::Error {
    fn from(error: ReactorError) -> Self {
        match error {
            ReactorError::CreationFailed(error) => error,
            other => Self::other(other),
        }
    }
}

impl core::fmt::Display for PostError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Full => f.write_str("inbox of the core is full"),
            Self::Closed => f.write_str("reactor of the core is gone"),
        }
    }
}

impl core::error::Error for PostError {}
