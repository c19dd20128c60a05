//! What a connection is given.

use forebay_core_time::Instant;

use crate::chunk::Chunk;
use crate::config::{Config, after, index};
use crate::connection::{Body, Connection, Event, Interim, Step};
use crate::error::PeerError;
use crate::fields;
use crate::head::{FieldSlot, HeadFacts};
use crate::parse::{self, Parsed, behind_empty_lines};
use crate::scan::Scan;
use crate::state::{Cause, Read, Write};
use crate::trailers::Trailers;

/// Reading.
impl Connection {
    /// Takes bytes from the client, at most up to one event.
    ///
    /// `input` begins with what earlier calls left. A head and a trailer section must lie in one
    /// piece, so the caller keeps what was not used and appends
    /// ([`Config::head_len_max`](crate::Config::head_len_max) bounds it); of anything else no byte
    /// is left. `fields` is room for the field lines of one head; fewer slots than
    /// [`Config::field_count`](crate::Config::field_count) lower that limit. No byte behind the
    /// running request is taken before its answer is complete. An empty input is allowed.
    ///
    /// # Errors
    ///
    /// The peer broke a rule. The same error is returned from then on, and no byte is taken; see
    /// [`owes_refusal`](Self::owes_refusal).
    ///
    /// # Bound
    ///
    /// Linear in the bytes that are new in `input`, plus twice the length of a head.
    #[inline]
    pub fn handle_bytes<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        fields: &'f mut [FieldSlot],
    ) -> Result<Step<'f, 'i>, PeerError> {
        match self.state.read {
            Read::Idle | Read::Head => self.read_head(now, input, fields),
            Read::Body => self.read_body(now, input),
            Read::Discard => self.drop_body(now, input),
            Read::Linger => Ok(self.drop_lingering(input)),
            Read::Complete if self.end_due => {
                self.end_due = false;
                Ok(Step { used: 0, need: 0, event: Some(Event::RequestEnd) })
            }
            Read::Complete | Read::Stopped | Read::Switched | Read::Closed => match self.error {
                Some(error) => Err(error),
                None => Ok(Step { used: 0, need: 0, event: None }),
            },
        }
    }

    /// Accepts a head that equals one accepted before, if the input begins with it and a request
    /// is expected. Gives the number of bytes used; the event is the one that `facts` came with.
    ///
    /// `last` are the bytes that the earlier call used for that head, on any connection with the
    /// same [`Config`](crate::Config), and `facts` what it found. `None`: nothing happened, call
    /// [`handle_bytes`](Self::handle_bytes).
    #[inline]
    pub fn handle_same_head(
        &mut self,
        now: Instant,
        input: &[u8],
        last: &[u8],
        facts: &HeadFacts,
    ) -> Option<usize> {
        let fits = self.state.read == Read::Idle && !last.is_empty() && input.starts_with(last);
        fits.then(|| {
            self.begin_request(now, facts, input.len() > last.len());
            last.len()
        })
    }

    /// The client has shut down its side, behind all bytes that were or will still be offered.
    /// Then offer what is left of the input ([`handle_bytes`](Self::handle_bytes)), even if that is
    /// nothing: a request that stays incomplete ends the connection there.
    ///
    /// A complete request is still answered, within the grace; so are complete requests whose bytes
    /// the caller still has.
    pub fn handle_eof(&mut self, now: Instant) {
        if !self.eof {
            self.eof = true;
            if self.state.read == Read::Complete {
                self.start_grace(now);
            }
        }
    }

    /// Lets the client send so many more bytes of the body. Nothing of it is taken without.
    pub fn grant_body(&mut self, now: Instant, len: u64) {
        if self.state.read != Read::Body {
            return;
        }
        let started = self.granted == 0 && len > 0;
        self.granted = self.granted.saturating_add(len);
        if started {
            self.deadline = after(now, self.config.body_timeout_ms);
            if self.interim == Interim::Withheld && self.state.write == Write::Owed {
                self.interim = Interim::Due;
            }
        }
    }

    /// The application does not want the rest of the body. A short rest is read and dropped; with
    /// a longer one, one of unknown length or one that waits for a 100 (Continue) the connection
    /// ends after the answer. Call it before the answer's head, so that the head can say so.
    pub fn discard_body(&mut self, now: Instant) {
        self.give_up_body();
        if self.state.read == Read::Discard {
            self.deadline = after(now, self.config.body_timeout_ms);
        }
    }

    fn read_head<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        fields: &'f mut [FieldSlot],
    ) -> Result<Step<'f, 'i>, PeerError> {
        if input.is_empty() && self.scan.is_fresh() {
            return Ok(self.await_head(now, &[]));
        }
        let slot_count = fields.len();
        let (text, end) = if self.scan.is_fresh() {
            (input, None)
        } else {
            match self.find_head_end(input)? {
                Some(end) => (input.get(..end).unwrap_or_default(), Some(end)),
                None => return Ok(self.await_head(now, input)),
            }
        };
        match parse::head(text, &self.config, fields) {
            Parsed::Head(used, head) => {
                let facts = head.facts;
                self.begin_request(now, &facts, input.len() > used);
                Ok(Step { used, need: 0, event: Some(Event::Request(head)) })
            }
            Parsed::Refused(error) => Err(self.fail_head(input, error)),
            Parsed::Unclear => self.explain_head(now, input, end, slot_count),
        }
    }

    /// A head is not complete or not in order; `end` is where it ends, if that is known.
    #[cold]
    fn explain_head<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        end: Option<usize>,
        slot_count: usize,
    ) -> Result<Step<'f, 'i>, PeerError> {
        let end = match end {
            Some(end) => end,
            None => match self.find_head_end(input)? {
                Some(end) => end,
                None => return Ok(self.await_head(now, input)),
            },
        };
        let lines = input.get(self.scan.fields()..end.wrapping_sub(2)).unwrap_or_default();
        Err(self.fail_head(input, parse::diagnose(lines, &self.config, slot_count)))
    }

    fn find_head_end(&mut self, input: &[u8]) -> Result<Option<usize>, PeerError> {
        match self.scan.head(input, &self.config) {
            Ok(end) => Ok(end),
            Err(error) => Err(self.fail_head(input, error)),
        }
    }

    /// A head that is refused may be one of a HEAD request, whose answer has no body.
    #[cold]
    fn fail_head(&mut self, input: &[u8], error: PeerError) -> PeerError {
        let error = self.fail(error);
        self.is_head = asks_for_head(input, &self.config);
        error
    }

    /// The head is not complete: waits for more, or ends with the stream.
    fn await_head<'f, 'i>(&mut self, now: Instant, begun: &[u8]) -> Step<'f, 'i> {
        if self.eof {
            self.apply(Cause::Vanish);
            self.deadline = None;
            return Step { used: 0, need: 0, event: None };
        }
        self.is_head = asks_for_head(begun, &self.config);
        if !begun.is_empty() && self.state.read == Read::Idle {
            self.apply(Cause::HeadByte);
            self.deadline = after(now, self.config.header_timeout_ms);
        }
        Step { used: 0, need: 1, event: None }
    }

    fn read_body<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
    ) -> Result<Step<'f, 'i>, PeerError> {
        if !input.is_empty() {
            self.interim = Interim::Settled;
        }
        match self.body {
            Body::Length(left) => self.read_length(now, input, left),
            Body::Chunked(_) => self.read_chunks(now, input),
        }
    }

    fn read_length<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        left: u64,
    ) -> Result<Step<'f, 'i>, PeerError> {
        let part = prefix(input, left.min(self.granted));
        if part.is_empty() {
            return self.await_body(0, input.is_empty());
        }
        let len = length(part);
        self.body = Body::Length(left.saturating_sub(len));
        self.took_body(now, len);
        if left == len {
            self.end_body(now);
        }
        Ok(Step { used: part.len(), need: 0, event: Some(Event::Body(part)) })
    }

    fn read_chunks<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
    ) -> Result<Step<'f, 'i>, PeerError> {
        let Body::Chunked(ref mut decoder) = self.body else {
            return Ok(Step { used: 0, need: 0, event: None });
        };
        let was_last = decoder.is_last();
        let (used, chunk) = match decoder.decode(input, &self.config) {
            Ok(decoded) => decoded,
            Err(error) => return Err(self.fail(error)),
        };
        let rest = input.get(used..).unwrap_or_default();
        match chunk {
            Chunk::Data(left) => {
                let part = prefix(rest, left.min(self.granted));
                if part.is_empty() {
                    return self.await_body(used, rest.is_empty());
                }
                let len = length(part);
                decoder.take(len);
                self.took_body(now, len);
                let used = used.wrapping_add(part.len());
                Ok(Step { used, need: 0, event: Some(Event::Body(part)) })
            }
            Chunk::Partial => {
                self.restart_pause(now, used);
                self.await_body(used, true)
            }
            Chunk::Last => {
                if !was_last {
                    self.scan = Scan::default();
                }
                self.read_trailers(now, rest, used)
            }
        }
    }

    /// The section behind the last chunk; `used` bytes precede it.
    fn read_trailers<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        used: usize,
    ) -> Result<Step<'f, 'i>, PeerError> {
        let end = match self.scan.trailers(input, &self.config) {
            Ok(Some(end)) => end,
            Ok(None) => {
                self.restart_pause(now, used);
                return self.await_body(used, true);
            }
            Err(error) => return Err(self.fail(error)),
        };
        let lines = input.get(..end.wrapping_sub(2)).unwrap_or_default();
        if let Err(error) = fields::check(lines, usize::from(self.config.trailer_count)) {
            return Err(self.fail(error));
        }
        self.scan = Scan::default();
        self.end_body(now);
        let event = if lines.is_empty() {
            self.end_due = false;
            Event::RequestEnd
        } else {
            Event::Trailers(Trailers { rest: lines })
        };
        Ok(Step { used: used.wrapping_add(end), need: 0, event: Some(event) })
    }

    /// No part of the body can be delivered: for want of bytes (`starved`) or of a grant.
    fn await_body<'f, 'i>(
        &mut self,
        used: usize,
        starved: bool,
    ) -> Result<Step<'f, 'i>, PeerError> {
        if starved && self.eof {
            return Err(self.fail(PeerError::Truncated));
        }
        let need = usize::from(starved && self.wants_body());
        Ok(Step { used, need, event: None })
    }

    /// Bytes of the body went to the application: the pause begins anew, if more are wanted.
    fn took_body(&mut self, now: Instant, len: u64) {
        self.granted = self.granted.saturating_sub(len);
        self.restart_pause(now, 1);
    }

    fn restart_pause(&mut self, now: Instant, used: usize) {
        if !self.wants_body() {
            self.deadline = None;
        } else if used > 0 || self.deadline.is_none() {
            self.deadline = after(now, self.config.body_timeout_ms);
        }
    }

    fn drop_body<'f, 'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
    ) -> Result<Step<'f, 'i>, PeerError> {
        let left = match self.body {
            Body::Length(left) => left,
            Body::Chunked(_) => 0,
        };
        let dropped = prefix(input, left);
        self.body = Body::Length(left.saturating_sub(length(dropped)));
        if length(dropped) == left {
            self.end_body(now);
            let need = usize::from(self.state.read == Read::Idle);
            return Ok(Step { used: dropped.len(), need, event: None });
        }
        if self.eof {
            let running = self.state.write != Write::Complete;
            let error = self.fail(PeerError::Truncated);
            return if running {
                Err(error)
            } else {
                Ok(Step { used: input.len(), need: 0, event: None })
            };
        }
        if !dropped.is_empty() || self.deadline.is_none() {
            self.deadline = after(now, self.config.body_timeout_ms);
        }
        Ok(Step { used: dropped.len(), need: 1, event: None })
    }

    /// Drops what comes behind the last answer, up to a limit.
    fn drop_lingering<'f, 'i>(&mut self, input: &'i [u8]) -> Step<'f, 'i> {
        let left = index(self.linger_left).saturating_sub(input.len());
        self.linger_left = u32::try_from(left).unwrap_or(0);
        if self.eof || left == 0 {
            self.apply(Cause::Vanish);
            self.deadline = None;
        }
        Step { used: input.len(), need: usize::from(!self.is_closed()), event: None }
    }
}

/// Whether a head that begins so, perhaps behind empty lines, is one of a HEAD request.
fn asks_for_head(input: &[u8], config: &Config) -> bool {
    behind_empty_lines(input, config).is_some_and(|head| head.starts_with(b"HEAD "))
}

/// At most `len` bytes from the start of `input`.
fn prefix(input: &[u8], len: u64) -> &[u8] {
    usize::try_from(len).ok().and_then(|len| input.get(..len)).unwrap_or(input)
}

fn length(part: &[u8]) -> u64 {
    u64::try_from(part.len()).unwrap_or(u64::MAX)
}
