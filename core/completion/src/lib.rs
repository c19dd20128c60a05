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

mod completion;
mod interest;
mod readiness;
mod table;

pub use completion::{Completion, Flags};
pub use interest::Interest;
pub use readiness::{Budget, Direction, Queue, Readiness};
pub use table::{CancelOutcome, Cancelled, OpId, OpSlot, OpState, OpTable, Settled};
