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

mod instant;
mod wheel;

pub use instant::{Instant, earliest};
pub use wheel::{IdOutOfRange, TimerSlot, Wheel};
