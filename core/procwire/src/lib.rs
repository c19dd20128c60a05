#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::unwrap_used,
        clippy::panic
    )
)]

mod calls;
pub mod child;
mod class;
pub mod control;
mod error;
mod flags;
mod header;
mod id;
pub mod msgpack;
mod outgoing;
pub mod parent;
mod token;

pub use class::{ResponseKind, ToChild, ToParent};
pub use error::PeerError;
pub use flags::Flags;
pub use header::{HEADER_LEN, HEADER_WIDE_LEN, Header, HeaderError, MaxPayload};
pub use id::{EventId, MethodId, RequestId, ResponseType, WireId};
pub use outgoing::{Body, SLOT_LEN, SendError, Transmit};
pub use token::{AuthGate, AuthStep, token_matches};
