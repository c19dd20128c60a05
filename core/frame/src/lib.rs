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

mod buf;
mod decoder;
mod header;
mod ring;

pub use buf::{FrameBuf, TooLong, Whole};
pub use decoder::{Decoder, Event, Step};
pub use header::{HEADER_LEN_MAX, Header};
pub use ring::{HeaderRing, Loan, NotLent, Slot};
