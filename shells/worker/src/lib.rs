#![doc = include_str!("../README.md")]

mod answer;
mod builder;
mod client;
mod codec;
mod connection;
mod context;
mod control;
mod error;
#[cfg(all(fuzzing, unix))]
#[doc(hidden)]
pub mod fuzzing;
mod handler;
mod http;
mod payload;
mod socket;
mod start;

/// The crates that [`Table`] is made of, in the versions that it is made of.
#[cfg(feature = "arrow")]
pub use {arrow_array, arrow_schema};

pub use answer::{Accepted, Chunks, IntoAnswer, Reply};
pub use builder::{Builder, DEFAULT_MAX_CONCURRENCY, DEFAULT_MAX_PAYLOAD_SIZE};
pub use bytes::Bytes;
pub use client::{Client, Shutdown};
#[cfg(feature = "arrow")]
pub use codec::Table;
pub use codec::{Timestamp, Value};
pub use context::{Ack, CancellationToken, RequestContext, ResponseKind, Silent, Single, Streamed};
pub use error::{Error, Failure, StartError};
pub use http::{
    Body, BodyError, BodyWriter, HttpContext, HttpHead, HttpRequest, HttpResponse, IntoHttpAnswer,
    Trailers,
};
pub use payload::{FromPayload, IntoPayload, Raw, RawChunks};
