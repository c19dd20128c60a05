//! What a connection writes.

use crate::connection::{Connection, Interim, Outgoing};
use crate::error::UsageError;
use crate::head::Version;
use crate::response::{self, Part, ResponseHead};
use crate::state::{Cause, Read, Write};
use crate::template::Template;
use crate::write::Output;

/// What ends a head, with the field that says how the connection goes on.
const CLOSE: &[u8] = b"Connection: close\r\n\r\n";
const KEEP_ALIVE: &[u8] = b"Connection: keep-alive\r\n\r\n";
const PLAIN: &[u8] = b"\r\n";

/// Writing: each call puts bytes into the caller's memory and says how many.
impl Connection {
    /// Whether the client waits for a 100 (Continue) and the application has asked for the body.
    #[must_use]
    pub const fn continue_is_due(&self) -> bool {
        matches!(self.interim, Interim::Due)
            && matches!(self.state.write, Write::Owed)
            && matches!(self.state.read, Read::Body)
    }

    /// Writes 100 (Continue), if it is due; at most 25 bytes.
    ///
    /// # Errors
    ///
    /// [`UsageError::NoRoom`]
    pub fn write_continue(&mut self, out: &mut [u8]) -> Result<usize, UsageError> {
        if !self.continue_is_due() {
            return Ok(0);
        }
        let mut output = Output::new(out);
        output.put(b"HTTP/1.1 100 Continue\r\n\r\n");
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.interim = Interim::Settled;
        Ok(len)
    }

    /// Writes an informational answer: 103 (RFC 8297). HTTP/1.0 gets nothing.
    ///
    /// # Errors
    ///
    /// As [`write_head`](Self::write_head); only 103 is permitted.
    pub fn write_informational<'a, F>(
        &mut self,
        status: u16,
        fields: F,
        out: &mut [u8],
    ) -> Result<usize, UsageError>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        if self.state.write != Write::Owed {
            return Err(UsageError::OutOfOrder);
        }
        if status != 103 {
            return Err(UsageError::Status);
        }
        let scanned = response::scan_fields(fields.clone(), &self.config)?;
        if self.version == Version::Http10 {
            return Ok(0);
        }
        let mut output = Output::new(out);
        response::put_status_line(&mut output, status);
        response::put_fields(&mut output, fields, &scanned, false);
        output.put(PLAIN);
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.end_grace();
        Ok(len)
    }

    /// Writes the head of the answer: chooses the framing, adds `Date`, `Connection` and the field
    /// of the framing as needed.
    ///
    /// # Errors
    ///
    /// Nothing is written, and the answer is owed as before, if the call is out of order, `out` has
    /// no room, or status or fields may not be sent.
    pub fn write_head<'a, F>(
        &mut self,
        head: &ResponseHead<'a, F>,
        out: &mut [u8],
    ) -> Result<usize, UsageError>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        if self.state.write != Write::Owed {
            return Err(UsageError::OutOfOrder);
        }
        if !(200..=599).contains(&head.status) {
            return Err(UsageError::Status);
        }
        let scanned = response::scan_fields(head.fields.clone(), &self.config)?;
        self.settle_interim();
        let announced = scanned.content_length.or(head.length);
        let outgoing = self.choose_framing(head.status, announced);
        let mut output = Output::new(out);
        response::put_status_line(&mut output, head.status);
        if !scanned.has_date {
            output.put_field(b"Date", head.date);
        }
        response::put_fields(&mut output, head.fields.clone(), &scanned, head.status != 204);
        match outgoing {
            Outgoing::Length(len) if scanned.content_length.is_none() => {
                output.put(b"Content-Length: ");
                output.put_decimal(len);
                output.put(b"\r\n");
            }
            Outgoing::Chunked(_) => output.put_field(b"Transfer-Encoding", b"chunked"),
            Outgoing::Length(_) | Outgoing::Nothing | Outgoing::UntilClose => {}
        }
        let until_close = matches!(outgoing, Outgoing::UntilClose);
        output.put(self.head_end(self.keep_alive && !until_close));
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.keep_alive = self.keep_alive && !until_close;
        self.outgoing = outgoing;
        self.end_grace();
        self.apply(Cause::ResponseHead);
        Ok(len)
    }

    /// Writes what precedes `len` bytes of the body, at most [`Part::SLOT_LEN`] bytes. They follow
    /// as a span of the caller's memory, as many as [`Part::take`] says.
    ///
    /// # Errors
    ///
    /// [`UsageError::OutOfOrder`], [`UsageError::NoRoom`]
    #[inline]
    pub fn write_part(&mut self, len: u64, out: &mut [u8]) -> Result<Part, UsageError> {
        if self.state.write != Write::Body {
            return Err(UsageError::OutOfOrder);
        }
        match self.outgoing {
            Outgoing::Nothing => Ok(Part { slot_len: 0, take: 0 }),
            Outgoing::UntilClose => Ok(Part { slot_len: 0, take: len }),
            Outgoing::Length(left) => {
                let take = len.min(left);
                if take < len {
                    // More than was announced: the rest is cut and the connection not used again.
                    self.keep_alive = false;
                }
                self.outgoing = Outgoing::Length(left.saturating_sub(take));
                Ok(Part { slot_len: 0, take })
            }
            Outgoing::Chunked(_) if len == 0 => Ok(Part { slot_len: 0, take: 0 }),
            Outgoing::Chunked(begun) => {
                let mut output = Output::new(out);
                output.put_chunk(begun, len);
                let slot_len = output.finish().ok_or(UsageError::NoRoom)?;
                self.outgoing = Outgoing::Chunked(true);
                Ok(Part { slot_len, take: len })
            }
        }
    }

    /// Writes the end of the answer, with trailers if the framing has a place for them.
    ///
    /// A body shorter than its announced length cannot be ended: the connection breaks, and
    /// [`handle_written`](Self::handle_written) says so.
    ///
    /// # Errors
    ///
    /// As [`write_head`](Self::write_head).
    pub fn write_end<'a, F>(&mut self, trailers: F, out: &mut [u8]) -> Result<usize, UsageError>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        if self.state.write != Write::Body {
            return Err(UsageError::OutOfOrder);
        }
        response::scan_fields(trailers.clone(), &self.config)?;
        match self.outgoing {
            Outgoing::Length(left) if left > 0 => {
                self.abort_response();
                Ok(0)
            }
            Outgoing::Nothing | Outgoing::UntilClose | Outgoing::Length(_) => {
                self.end_response();
                Ok(0)
            }
            Outgoing::Chunked(begun) => {
                let mut output = Output::new(out);
                output.put(if begun { b"\r\n0\r\n" } else { b"0\r\n" });
                response::put_trailers(&mut output, trailers);
                output.put(b"\r\n");
                let len = output.finish().ok_or(UsageError::NoRoom)?;
                self.end_response();
                Ok(len)
            }
        }
    }

    /// Writes a whole answer from a prepared head and a body (which HEAD does not get). The body of
    /// the request is not wanted any more ([`discard_body`](Self::discard_body)).
    ///
    /// # Errors
    ///
    /// [`UsageError::OutOfOrder`], [`UsageError::NoRoom`]
    pub fn write_answer(
        &mut self,
        template: &Template,
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, UsageError> {
        if self.state.write != Write::Owed {
            return Err(UsageError::OutOfOrder);
        }
        self.give_up_body();
        let mut output = Output::new(out);
        output.put(template.head());
        output.put_decimal(u64::try_from(body.len()).unwrap_or(u64::MAX));
        output.put(b"\r\n");
        output.put(self.head_end(self.keep_alive));
        if !self.is_head {
            output.put(body);
        }
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.end_grace();
        self.end_response();
        Ok(len)
    }

    /// Writes the error answer that [`owes_refusal`](Self::owes_refusal) speaks of: a complete
    /// message with the JSON body `{"error":"<reason phrase>","message":"<rule>"}` and
    /// `Connection: close`. At most [`REFUSAL_LEN_MAX`](Self::REFUSAL_LEN_MAX) bytes. For a HEAD
    /// request the body is left out.
    ///
    /// # Errors
    ///
    /// [`UsageError::OutOfOrder`] if none is owed, [`UsageError::NoRoom`]
    pub fn write_refusal(&mut self, date: &[u8; 29], out: &mut [u8]) -> Result<usize, UsageError> {
        let refused = if self.owes_refusal() { self.error } else { None };
        let Some((status, rule)) = refused.and_then(|error| Some((error.status()?, error.rule())))
        else {
            return Err(UsageError::OutOfOrder);
        };
        let reason = response::reason(status);
        let punctuation = br#"{"error":"","message":""}"#.len();
        let body_len = punctuation.saturating_add(reason.len()).saturating_add(rule.len());
        let mut output = Output::new(out);
        response::put_status_line(&mut output, status);
        output.put_field(b"Content-Type", b"application/json");
        output.put_field(b"Date", date);
        output.put(b"Content-Length: ");
        output.put_decimal(u64::try_from(body_len).unwrap_or(0));
        output.put(b"\r\n");
        output.put(CLOSE);
        if !self.is_head {
            for piece in [r#"{"error":""#, reason, r#"","message":""#, rule, r#""}"#] {
                output.put(piece.as_bytes());
            }
        }
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.apply(Cause::RefusalEnd);
        Ok(len)
    }

    /// The longest error answer, in bytes.
    pub const REFUSAL_LEN_MAX: usize = 320;

    /// Writes 101 (Switching Protocols) and hands the connection over: from then on the machine
    /// takes no bytes, and all that the caller has or receives belongs to `protocol`
    /// (RFC 9110 section 7.8). `fields` are sent beside `Upgrade` and `Connection`.
    ///
    /// # Errors
    ///
    /// As [`write_head`](Self::write_head); [`UsageError::Upgrade`] if the request offered none.
    pub fn write_switch<'a, F>(
        &mut self,
        protocol: &[u8],
        fields: F,
        out: &mut [u8],
    ) -> Result<usize, UsageError>
    where
        F: Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    {
        if self.state.write != Write::Owed {
            return Err(UsageError::OutOfOrder);
        }
        if !self.upgrade {
            return Err(UsageError::Upgrade);
        }
        let upgrade = [(b"Upgrade".as_slice(), protocol)];
        response::scan_fields(upgrade.into_iter(), &self.config)?;
        let scanned = response::scan_fields(fields.clone(), &self.config)?;
        let mut output = Output::new(out);
        response::put_status_line(&mut output, 101);
        output.put_field(b"Connection", b"Upgrade");
        output.put_field(b"Upgrade", protocol);
        response::put_fields(&mut output, fields, &scanned, false);
        output.put(PLAIN);
        let len = output.finish().ok_or(UsageError::NoRoom)?;
        self.end_grace();
        self.apply(Cause::Switch);
        Ok(len)
    }

    /// Gives up the answer that is owed or has begun: the connection must be closed
    /// ([`After::Close`](crate::After::Close)), so that the client sees that it is incomplete.
    pub fn abort_response(&mut self) {
        if self.apply(Cause::Break) {
            self.deadline = None;
            self.keep_alive = false;
        }
    }

    /// A final answer before the 100 (Continue): the body may never come, so it is not waited for
    /// (RFC 9110 section 10.1.1).
    fn settle_interim(&mut self) {
        if self.interim != Interim::Settled {
            self.give_up_body();
        }
    }

    /// A response byte settles that the client still listens, as far as one can know.
    fn end_grace(&mut self) {
        if self.state.read == Read::Complete {
            self.deadline = None;
        }
    }

    fn choose_framing(&self, status: u16, announced: Option<u64>) -> Outgoing {
        match announced {
            _ if self.is_head || matches!(status, 204 | 304) => Outgoing::Nothing,
            Some(len) => Outgoing::Length(len),
            None if self.version == Version::Http10 => Outgoing::UntilClose,
            None => Outgoing::Chunked(false),
        }
    }

    /// What ends a head: HTTP/1.1 persists and HTTP/1.0 does not, unless a field says otherwise
    /// (RFC 9112 section 9.3).
    const fn head_end(&self, keep_alive: bool) -> &'static [u8] {
        match self.version {
            _ if !keep_alive => CLOSE,
            Version::Http10 => KEEP_ALIVE,
            Version::Http11 => PLAIN,
        }
    }
}

const _: () = assert!(size_of::<Connection>() <= 160, "ten thousand idle ones matter");
