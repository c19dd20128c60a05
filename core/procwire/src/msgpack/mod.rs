//! MessagePack over slices, as the JavaScript peers write and read it (procwire section 7).
//!
//! Nothing is allocated, no declared length is believed before the bytes are there, and nothing
//! recurses.

mod check;
mod number;
mod reader;
mod time;
mod writer;

pub use check::{DEPTH_MAX, check};
pub use number::Int;
pub use reader::{ReadError, Reader, Token};
pub use time::Timestamp;
pub use writer::{Full, Writer};

/// Extension type of a JavaScript `Buffer` (procwire section 7.1).
pub const EXT_BUFFER: i8 = 1;
/// Extension type of a date that older peers send: milliseconds as a float. Accepted only.
pub const EXT_DATE: i8 = 2;
/// Extension type of a MessagePack timestamp.
pub const EXT_TIMESTAMP: i8 = -1;
