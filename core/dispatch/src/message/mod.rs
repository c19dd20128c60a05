//! The messages between the gateway and a worker: an HTTP request as a Procwire call, and its
//! response.
//!
//! Everything is MessagePack with members in a fixed order, so that a frame is one short prefix and
//! one span of data: nothing here copies a body.

mod call;
mod fields;
mod frame;
mod response;
mod scan;

pub use call::{CallMessage, encode_trailers};
pub use fields::{Fields, FieldsIter};
pub(crate) use frame::{CallFrame, PartFrame, Written, write_abort, write_auth, write_grant};
pub(crate) use response::{error_text, head, trailers};
pub(crate) use scan::{Invalid, Parts, Scan};

/// Bytes of the slot that a frame's own bytes are written to.
pub const SLOT_LEN: usize = 64;

/// Bytes of the buffer that every instance's connection needs for cut heads.
pub const GATHER_LEN: usize = 32 << 10;

/// Status and fields of a response.
#[derive(Debug, Clone, Copy)]
pub struct Head<'i> {
    /// 200 to 599, or 103.
    pub status: u16,
    /// Checked: names are tokens, values have no controls, at most 96 fields in 32 KiB.
    pub fields: Fields<'i>,
}

#[cfg(test)]
mod tests;
