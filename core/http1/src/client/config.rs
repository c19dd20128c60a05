//! The limits of a client's connection.

use crate::config::index;

/// What a client permits a server, and how it uses the connection.
///
/// Times are milliseconds, lengths bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Names and values of a head, or of a trailer section, are less than this in all.
    pub header_len: u32,
    /// The body of a response; `u64::MAX` means "no limit".
    pub body_len: u64,
    /// How long the connection may be idle if the server gives no hint.
    pub keep_alive_ms: u32,
    /// The longest that a hint (`Keep-Alive: timeout=`) can make it.
    pub keep_alive_max_ms: u32,
    /// Taken off a hint, since the server may count from an earlier moment. A hint that is no more
    /// than this ends the connection with the response.
    pub keep_alive_threshold_ms: i64,
    /// Requests on the connection; the last one says `connection: close`. 0: no limit.
    pub request_count: u32,
}

impl Config {
    /// The defaults: 16 KiB of fields, no limit on bodies, 4 s idle, hints up to 10 min less 2 s.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            header_len: 16_384,
            body_len: u64::MAX,
            keep_alive_ms: 4_000,
            keep_alive_max_ms: 600_000,
            keep_alive_threshold_ms: 2_000,
            request_count: 0,
        }
    }

    /// How many bytes an unfinished head or trailer section can make the caller keep: what
    /// surrounds names and values counts here, though not in [`header_len`](Self::header_len).
    #[must_use]
    pub const fn head_len_max(&self) -> usize {
        index(self.header_len.saturating_mul(4).saturating_add(1_024))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
