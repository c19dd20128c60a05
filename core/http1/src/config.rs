//! The limits of a connection.

use core::time::Duration;

use forebay_core_time::Instant;

/// Limits on what one connection may send and how long it may take.
///
/// Times are milliseconds; 0 means "no limit", and for
/// [`half_close_grace_ms`](Self::half_close_grace_ms) "no grace". Lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// The request line with its CRLF. Beyond: 414.
    pub request_line_len: u32,
    /// All field lines of a head, without the request line and the empty line. Beyond: 431.
    pub fields_len: u32,
    /// Field lines of a head, at most 128. Beyond: 431. (More than 128 fields that `Connection`
    /// names: 431 as well.)
    pub field_count: u8,
    /// The method. Beyond: 501.
    pub method_len: u8,
    /// Empty lines before a request. Beyond: 400.
    pub empty_line_count: u8,
    /// Field lines of a trailer section. Beyond: 431.
    pub trailer_count: u8,
    /// A trailer section. Beyond: 431.
    pub trailers_len: u32,
    /// A body. Beyond: 413. `u64::MAX` means "no limit".
    pub body_len: u64,
    /// A chunk size line with extensions, without its CRLF. Beyond: 400.
    pub chunk_line_len: u16,
    /// All chunk extensions of one message. Beyond: 400.
    pub chunk_extensions_len: u16,
    /// What is read and dropped of a body that nobody wants, and while lingering.
    pub discard_len: u32,
    /// The fields of a response head.
    pub response_fields_len: u32,
    /// From the first byte of a head to its end.
    pub header_timeout_ms: u32,
    /// Between two bytes of a body that the application is ready to take.
    pub body_timeout_ms: u32,
    /// From the end of an answer, or the start, to the first byte of a request.
    pub idle_timeout_ms: u32,
    /// From the end of the stream to the first byte of the response; `u32::MAX`: for ever.
    pub half_close_grace_ms: u32,
    /// For how long a connection lingers.
    pub linger_ms: u32,
}

impl Config {
    /// The defaults: those of the project's rules for HTTP/1.1 (section 2), no limit on bodies,
    /// 10 s for a head, 30 s for a pause, 60 s idle, 250 ms of grace, 1 s of lingering.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            request_line_len: 8_192,
            fields_len: 16_384,
            field_count: 96,
            method_len: 32,
            empty_line_count: 2,
            trailer_count: 32,
            trailers_len: 4_096,
            body_len: u64::MAX,
            chunk_line_len: 300,
            chunk_extensions_len: 4_096,
            discard_len: 65_536,
            response_fields_len: 32_768,
            header_timeout_ms: 10_000,
            body_timeout_ms: 30_000,
            idle_timeout_ms: 60_000,
            half_close_grace_ms: 250,
            linger_ms: 1_000,
        }
    }

    /// How many bytes an unfinished head can make the caller keep: empty lines, request line,
    /// field lines, the empty line. A trailer section and a chunk size line need no more.
    #[must_use]
    pub const fn head_len_max(&self) -> usize {
        let lines = 2u32.saturating_mul(widen(self.empty_line_count)).saturating_add(2);
        let head = self.request_line_len.saturating_add(self.fields_len).saturating_add(lines);
        let trailers = self.trailers_len.saturating_add(2);
        index(if head > trailers { head } else { trailers })
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// `now + ms`, or never for 0.
pub(crate) fn after(now: Instant, ms: u32) -> Option<Instant> {
    (ms != 0).then(|| now.saturating_add(Duration::from_millis(u64::from(ms))))
}

#[expect(clippy::as_conversions, reason = "widens, in a const fn")]
const fn widen(count: u8) -> u32 {
    count as u32
}

/// A limit as a length in memory. No target that this crate builds for has less than 32 bits.
#[expect(clippy::as_conversions, reason = "widens or keeps the width, see the assertion")]
pub(crate) const fn index(len: u32) -> usize {
    const { assert!(size_of::<usize>() >= size_of::<u32>()) };
    len as usize
}

/// A position that a limit of 32 bits bounds.
#[inline]
pub(crate) fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// A position that is known to fit.
#[inline(always)]
#[expect(clippy::as_conversions, reason = "see the assertion")]
pub(crate) fn truncate(position: usize) -> u32 {
    debug_assert!(u32::try_from(position).is_ok());
    position as u32
}
