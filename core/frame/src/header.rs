use core::error::Error;
use core::fmt::Debug;

/// Longest header, in bytes, that a [`Decoder`](crate::Decoder) can hold while it is cut.
pub const HEADER_LEN_MAX: usize = 16;

/// A frame header of fixed size that tells how many payload bytes follow it.
///
/// An implementation is a plain value: parsing the same bytes gives the same value, and `emit`
/// after `parse` gives the same bytes.
pub trait Header: Copy + Debug {
    /// Size of the encoded header in bytes, 1 to [`HEADER_LEN_MAX`].
    const LEN: usize;

    /// What a header is checked against, for example the longest payload allowed.
    type Limits: Copy + Debug;

    /// Why a header was refused. The connection cannot be used after that: frames carry no mark
    /// to find the next one by.
    type Error: Error + Copy;

    /// Reads the header at the front of `input` and checks all of it, the length field included.
    ///
    /// Returns `None` when `input` is shorter than [`LEN`](Self::LEN); bytes behind the header
    /// are not looked at.
    ///
    /// # Errors
    /// The header breaks the protocol or the limits.
    fn parse(input: &[u8], limits: &Self::Limits) -> Result<Option<Self>, Self::Error>;

    /// Bytes of payload that follow the header.
    fn payload_len(&self) -> usize;

    /// Writes the header to the front of `out` and returns [`LEN`](Self::LEN), or `None` when
    /// `out` is too short.
    fn emit(&self, out: &mut [u8]) -> Option<usize>;
}
