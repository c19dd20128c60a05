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

#[cfg(test)]
extern crate std;

#[macro_use]
mod table;

mod chunk;
mod class;
pub mod client;
mod config;
mod connection;
mod error;
mod fields;
mod head;
mod host;
mod lines;
mod name;
mod parse;
mod request_line;
mod response;
mod scan;
mod state;
mod target;
mod template;
mod trailers;
mod word;
mod write;

pub use config::Config;
pub use connection::{Connection, Event, Step};
pub use error::{PeerError, UsageError};
pub use head::{FieldSlot, Fields, ForwardedFields, Framing, Head, HeadFacts, Version};
pub use response::{After, Part, ResponseHead};
pub use state::{TRANSITIONS, Transition};
pub use target::{Form, Target};
pub use template::Template;
pub use trailers::Trailers;
