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

pub mod front;
pub mod home;
mod id;
mod list;
pub mod message;
mod refusal;
mod table;

pub use id::{CallId, InstanceId, WorkerId};
pub use refusal::{Detail, Exit, Refusal, StartFailure, Text};
pub use table::{Full, Slot};
