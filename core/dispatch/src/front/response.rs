//! Responses of workers, written to the client.

use forebay_core_http1::{Part, ResponseHead, UsageError};
use forebay_core_time::Instant;

use super::{CallState, Front};
use crate::message::{Fields, Head};

/// What has to be sent for a part of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes written to `out`.
    pub len: usize,
    /// How much of the payload follows them.
    pub take: usize,
    /// The response can take no more: tell the home that the client is gone, and end it.
    pub full: bool,
}

impl Front {
    /// Lets the client send so many more bytes of the running request's body.
    pub fn grant_body(&mut self, now: Instant, len: u64) {
        self.http.grant_body(now, len);
    }

    /// Nobody wants the rest of the request's body.
    pub fn discard_body(&mut self, now: Instant) {
        self.http.discard_body(now);
    }

    /// Whether [`write_continue`](Self::write_continue) has something to write.
    #[must_use]
    pub const fn continue_is_due(&self) -> bool {
        self.http.continue_is_due()
    }

    /// Writes 100 (Continue), at most 25 bytes.
    ///
    /// # Errors
    /// [`UsageError::NoRoom`]
    pub fn write_continue(&mut self, out: &mut [u8]) -> Result<usize, UsageError> {
        self.http.write_continue(out)
    }

    /// Writes an informational answer, 103.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was written.
    pub fn write_informational(
        &mut self,
        head: &Head<'_>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        self.http.write_informational(head.status, head.fields.iter(), out)
    }

    /// Writes the head of the response; `length` is that of the whole body where it is known.
    ///
    /// # Errors
    /// [`UsageError`]: nothing was written, and the worker's response is invalid unless it is
    /// [`UsageError::NoRoom`].
    pub fn write_head(
        &mut self,
        head: &Head<'_>,
        length: Option<u64>,
        date: &[u8; 29],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        let fields = head.fields.iter();
        let head = ResponseHead { status: head.status, length, date, fields };
        let len = self.http.write_head(&head, out)?;
        self.call = CallState::Responding;
        Ok(len)
    }

    /// Writes what precedes `len` bytes of the response's body.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was written.
    pub fn write_part(&mut self, len: usize, out: &mut [u8]) -> Result<Written, UsageError> {
        let offered = u64::try_from(len).unwrap_or(u64::MAX);
        let Part { slot_len, take, .. } = self.http.write_part(offered, out)?;
        let take = usize::try_from(take).unwrap_or(len);
        Ok(Written { len: slot_len, take, full: take < len })
    }

    /// Writes the end of the response.
    ///
    /// # Errors
    /// [`UsageError`]; nothing was written.
    pub fn write_end(
        &mut self,
        trailers: Option<Fields<'_>>,
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        let trailers = trailers.unwrap_or(Fields::from_bytes(&[]));
        let len = self.http.write_end(trailers.iter(), out)?;
        self.call = CallState::None;
        Ok(len)
    }

    /// The response cannot be completed: once what was written has been sent, the connection is
    /// closed, so that the client sees it.
    pub fn break_response(&mut self) {
        self.call = CallState::None;
        self.http.abort_response();
    }
}
