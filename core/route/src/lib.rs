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

pub mod authority;
mod body;
mod decision;
mod hash;
mod json;
pub mod name;
pub mod path;
mod table;
mod word;

pub use authority::{Authority, AuthorityError, Host, HostBuf};
pub use body::{ErrorBody, Failure, Overload};
pub use decision::Decision;
pub use path::{NormalPath, PathError};
pub use table::{BuildError, MultiLevel, Names, PathServices, ServiceId, Slot, Table};

/// The buffer is too small for what has to be written into it. Nothing useful was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TooSmall {
    /// How many bytes it takes.
    pub need: usize,
}

impl core::fmt::Display for TooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the buffer is too small, {} bytes are needed", self.need)
    }
}

impl core::error::Error for TooSmall {}
