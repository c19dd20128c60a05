//! What can go wrong, apart for starting, for sending and for a handler's own answer.

use core::fmt;
use std::io;

use bytes::Bytes;
use serde::Serialize;

use crate::codec;

/// Why something could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The request has had its final frame: a result, an ack, the end of its stream or an error.
    ResponseAlreadySent,
    /// The parent gave the request up; nothing that is sent for it reaches anybody.
    Aborted,
    /// No parent has been adopted yet.
    NotConnected,
    /// The connection is gone.
    Closed,
    /// No event of this name was announced with [`Builder::event`](crate::Builder::event).
    UnknownEvent,
    /// The payload is longer than a frame may be (2^31 - 1 bytes).
    TooLong,
    /// The value cannot be written in its codec; the text says why.
    Encode(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResponseAlreadySent => f.write_str("the response was already sent"),
            Self::Aborted => f.write_str("the request was aborted by the parent"),
            Self::NotConnected => f.write_str("no parent is connected"),
            Self::Closed => f.write_str("the connection to the parent is closed"),
            Self::UnknownEvent => f.write_str("unknown event"),
            Self::TooLong => f.write_str("the payload is longer than a frame may be"),
            Self::Encode(why) => write!(f, "the value cannot be encoded: {why}"),
        }
    }
}

impl core::error::Error for Error {}

/// Why a worker could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A process is one worker: its stdin and stdout were taken by an earlier start.
    AlreadyStarted,
    /// `PROCWIRE_TOKEN` is set but empty, so no parent could ever prove itself.
    EmptyToken,
    /// More methods or more events than there are ids (65,533).
    TooManyNames,
    /// No directory would take the socket; the error is the last one's.
    Bind(io::Error),
    /// The announcement could not be written to stdout.
    Announce(io::Error),
    /// The control thread or the socket could not be set up.
    Io(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyStarted => f.write_str("a worker was already started in this process"),
            Self::EmptyToken => f.write_str("PROCWIRE_TOKEN is set but empty"),
            Self::TooManyNames => f.write_str("more than 65533 methods or events"),
            Self::Bind(error) => write!(f, "the socket could not be bound: {error}"),
            Self::Announce(error) => write!(f, "$init could not be written: {error}"),
            Self::Io(error) => write!(f, "the worker could not be set up: {error}"),
        }
    }
}

impl core::error::Error for StartError {}

/// A handler's error answer: what the parent's call is rejected with.
///
/// Every `std` error turns into one with `?`, its text becomes the message. `Failure` itself is
/// no `std` error, so that this stays possible.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// MessagePack whatever the method's codec is; never empty.
    payload: Bytes,
}

impl Failure {
    /// A message and nothing else; a Node.js parent has it as `error.message`.
    pub fn text(message: impl AsRef<str>) -> Self {
        Self { payload: codec::encode_text(message.as_ref()) }
    }

    /// Any value; a Node.js parent has it as `error.data` and takes `message` from its member of
    /// that name.
    ///
    /// # Errors
    /// [`Error::Encode`] when MessagePack as JavaScript reads it has no form for the value.
    pub fn structured<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        Ok(Self { payload: codec::to_bytes(value)? })
    }

    pub(crate) fn payload(&self) -> &Bytes {
        &self.payload
    }

    pub(crate) fn into_payload(self) -> Bytes {
        self.payload
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failure").field(&self.payload).finish()
    }
}

impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::text(error.to_string())
    }
}
