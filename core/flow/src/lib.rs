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

mod credit;
mod exchange;
mod gate;
mod watermark;

pub use credit::{Credit, CreditError, CreditWindow};
pub use exchange::{End, Exchange, ExchangeError};
pub use gate::{Gate, GateState};
pub use watermark::{Crossing, Watermark};
