//! What a client is given.

use forebay_core_time::Instant;

use crate::chunk::{Chunk, ChunkDecoder};
use crate::client::error::{Fault, ResponseError};
use crate::client::head::{Partial, ResponseFraming, ResponseHead, Section};
use crate::client::state::{Cause, Response};
use crate::client::{Body, Connection, Event, Sent, Step};
use crate::config::after;
use crate::error::PeerError;
use crate::name::Known;

/// The limits of a chunk's size line; sizes themselves are bounded by the window.
const CHUNKS: crate::Config = crate::Config {
    chunk_line_len: 16_384,
    chunk_extensions_len: u16::MAX,
    ..crate::Config::new()
};

/// Reading.
impl<S: AsRef<[Sent]> + AsMut<[Sent]>> Connection<S> {
    /// Takes bytes from the server, at most up to one event.
    ///
    /// `input` begins with what earlier calls left. A head and a trailer section must lie in one
    /// piece, so the caller keeps what was not used and appends
    /// ([`Config::head_len_max`](super::Config::head_len_max) bounds it); of anything else no byte
    /// is left but for want of a window. An empty input is allowed.
    ///
    /// # Errors
    ///
    /// The server broke a rule: the connection is closed, and every request on it has failed. The
    /// same error is returned from then on, and no byte is taken.
    ///
    /// # Bound
    ///
    /// Linear in the bytes that are new in `input`, plus the length of one line of a head.
    #[inline]
    pub fn handle_bytes<'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
    ) -> Result<Step<'i>, ResponseError> {
        match self.state.response {
            Response::Head => self.read_head(now, input),
            Response::Body => self.read_body(now, input),
            Response::Idle => {
                let used = empty_lines(input);
                if used < input.len() {
                    return Err(self.fail(ResponseError::Unsolicited));
                }
                Ok(Step { used, event: None })
            }
            Response::Switched => Ok(Step { used: 0, event: None }),
            Response::Closed => match self.error {
                Some(error) => Err(error),
                None => Ok(Step { used: 0, event: None }),
            },
        }
    }

    /// The server has shut down its side, and all bytes before that were used. Perhaps that is the
    /// end of a response.
    ///
    /// # Errors
    ///
    /// Else the connection is closed, and every request on it has failed.
    pub fn handle_eof(&mut self, now: Instant) -> Result<Option<Event<'static>>, ResponseError> {
        let error = match self.state.response {
            Response::Idle | Response::Head => ResponseError::Closed,
            Response::Body => match self.body {
                Body::UntilClose | Body::Length(0) => {
                    self.keep_alive = false;
                    self.end_response(now);
                    return Ok(Some(Event::End(b"")));
                }
                _ if !self.farewell => ResponseError::Closed,
                Body::Length(_) => ResponseError::ContentLength,
                Body::Chunked(_) | Body::Trailers(_) => ResponseError::Syntax(Fault::Eof),
            },
            Response::Switched => return Ok(None),
            Response::Closed => return self.error.map_or(Ok(None), Err),
        };
        Err(self.fail(error))
    }

    /// How many bytes of the running response's body may be delivered from now on. A new response
    /// begins with 0. While it is 0 the body's timeout stands still.
    pub fn set_window(&mut self, now: Instant, len: u64) {
        let wanted = self.wants_body();
        self.window = len;
        self.paused = false;
        if self.state.response == Response::Body && wanted != self.wants_body() {
            self.restart_pause(now);
        }
    }

    /// Takes nothing of the running response's body, nor its end, until the next
    /// [`set_window`](Self::set_window).
    pub fn pause(&mut self) {
        if self.state.response == Response::Body {
            self.paused = true;
            self.deadline = None;
        }
    }

    fn read_head<'i>(&mut self, now: Instant, input: &'i [u8]) -> Result<Step<'i>, ResponseError> {
        let skipped = if self.partial.is_fresh() { empty_lines(input) } else { 0 };
        let text = input.get(skipped..).unwrap_or_default();
        let len_max = self.config.head_len_max();
        let text = text.get(..len_max).unwrap_or(text);
        match self.partial.read(text, self.config.header_len) {
            Ok(Some(end)) => {
                let event = self.begin_response(now, text, end)?;
                Ok(Step { used: skipped.wrapping_add(end), event: Some(event) })
            }
            Ok(None) if text.len() >= len_max => Err(self.fail(ResponseError::HeaderLength)),
            Ok(None) => Ok(Step { used: skipped, event: None }),
            Err(error) => Err(self.fail(error)),
        }
    }

    /// A head is complete: what it makes of the connection.
    fn begin_response<'i>(
        &mut self,
        now: Instant,
        text: &'i [u8],
        end: usize,
    ) -> Result<Event<'i>, ResponseError> {
        let front = self.front();
        let partial = core::mem::replace(&mut self.partial, Partial::new());
        let head = partial.finish(text, end, front.head);
        match head.status {
            100 => Err(self.fail(ResponseError::Unsolicited)),
            101 if front.upgrade => Ok(self.switch(head)),
            101 => Err(self.fail(ResponseError::UnsolicitedSwitch)),
            ..200 => {
                self.deadline = after(now, front.headers_timeout_ms);
                Ok(Event::Informational(head))
            }
            _ if front.connect => {
                Ok(self.switch(ResponseHead { framing: ResponseFraming::None, ..head }))
            }
            _ => {
                // It says that there is content where there is none: a server that sends it all the
                // same must not have it read as the next response.
                let stray = !front.head && head.framing == ResponseFraming::None;
                self.begin_body(now, &partial, head.framing);
                self.keep_alive &= !(stray && partial.has_content());
                if !self.keep_alive {
                    self.apply(Cause::NoMore);
                }
                Ok(Event::Response(head))
            }
        }
    }

    fn switch<'i>(&mut self, head: ResponseHead<'i>) -> Event<'i> {
        self.apply(Cause::Switch);
        self.deadline = None;
        Event::Switch(head)
    }

    fn begin_body(&mut self, now: Instant, partial: &Partial, framing: ResponseFraming) {
        self.body = match framing {
            ResponseFraming::None => Body::Length(0),
            ResponseFraming::Length(len) => Body::Length(len),
            ResponseFraming::Chunked => Body::Chunked(ChunkDecoder::new()),
            ResponseFraming::UntilClose => Body::UntilClose,
        };
        self.window = 0;
        self.paused = false;
        self.body_left = self.config.body_len;
        self.farewell = !partial.keeps_alive();
        self.keep_alive = !self.farewell && framing != ResponseFraming::UntilClose;
        self.idle_ms = self.config.keep_alive_ms;
        if let Some(seconds) = partial.hint() {
            let hint = i64::from(seconds).saturating_mul(1_000);
            let left = hint.saturating_sub(self.config.keep_alive_threshold_ms);
            let left = left.min(i64::from(self.config.keep_alive_max_ms));
            match u32::try_from(left) {
                Ok(left) if left > 0 => self.idle_ms = left,
                Ok(_) | Err(_) => self.keep_alive = false,
            }
        }
        if self.count == 1 {
            self.blocked = false;
        }
        self.apply(Cause::Head);
        self.restart_pause(now);
    }

    fn read_body<'i>(&mut self, now: Instant, input: &'i [u8]) -> Result<Step<'i>, ResponseError> {
        match self.body {
            Body::Length(0) => {
                self.end_response(now);
                Ok(Step { used: 0, event: Some(Event::End(b"")) })
            }
            Body::Length(left) => {
                let part = self.part(input, left)?;
                self.body = Body::Length(left.saturating_sub(length(part)));
                Ok(self.deliver(now, 0, part))
            }
            Body::UntilClose => {
                let part = self.part(input, u64::MAX)?;
                Ok(self.deliver(now, 0, part))
            }
            Body::Chunked(decoder) => self.read_chunks(now, input, decoder),
            Body::Trailers(section) => self.read_trailers(now, input, section, 0),
        }
    }

    fn read_chunks<'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        mut decoder: ChunkDecoder,
    ) -> Result<Step<'i>, ResponseError> {
        let (used, chunk) = match decoder.decode(input, &CHUNKS) {
            Ok(decoded) => decoded,
            Err(error) => return Err(self.fail(ResponseError::Syntax(chunk_fault(error)))),
        };
        let rest = input.get(used..).unwrap_or_default();
        let part = match chunk {
            Chunk::Data(left) => {
                let part = self.part(rest, left)?;
                if !part.is_empty() {
                    decoder.take(length(part));
                }
                part
            }
            Chunk::Partial => &[],
            Chunk::Last => return self.read_trailers(now, rest, Section::new_at_start(), used),
        };
        self.body = Body::Chunked(decoder);
        Ok(self.deliver(now, used, part))
    }

    /// The section behind the last chunk; `used` bytes precede it.
    fn read_trailers<'i>(
        &mut self,
        now: Instant,
        input: &'i [u8],
        mut section: Section,
        used: usize,
    ) -> Result<Step<'i>, ResponseError> {
        let len_max = self.config.head_len_max();
        let text = input.get(..len_max).unwrap_or(input);
        let end = section.read(text, self.config.header_len, |known, _, _| match known {
            Known::ContentLength => Err(ResponseError::Syntax(Fault::LengthWithCoding)),
            Known::Host
            | Known::TransferEncoding
            | Known::Connection
            | Known::Expect
            | Known::Upgrade
            | Known::Date
            | Known::HopByHop
            | Known::ProxyAuthenticate
            | Known::Other => Ok(()),
        });
        match end {
            Ok(Some(end)) => {
                let lines = text.get(..end.wrapping_sub(2)).unwrap_or_default();
                self.end_response(now);
                Ok(Step { used: used.wrapping_add(end), event: Some(Event::End(lines)) })
            }
            Ok(None) if text.len() >= len_max => Err(self.fail(ResponseError::HeaderLength)),
            Ok(None) => {
                self.body = Body::Trailers(section);
                Ok(self.deliver(now, used, &[]))
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// What of `input`, which is data, can be delivered: at most `left` bytes.
    fn part<'i>(&mut self, input: &'i [u8], left: u64) -> Result<&'i [u8], ResponseError> {
        if self.body_left == 0 && !input.is_empty() {
            return Err(self.fail(ResponseError::BodyLength));
        }
        let len = left.min(self.window).min(self.body_left);
        let part = usize::try_from(len).ok().and_then(|len| input.get(..len)).unwrap_or(input);
        let len = length(part);
        self.window = self.window.saturating_sub(len);
        if self.body_left != u64::MAX {
            self.body_left = self.body_left.saturating_sub(len);
        }
        Ok(part)
    }

    /// Delivers `part` behind `used` bytes of framing: where there was either, the pause begins
    /// anew.
    fn deliver<'i>(&mut self, now: Instant, used: usize, part: &'i [u8]) -> Step<'i> {
        let used = used.wrapping_add(part.len());
        if used > 0 {
            self.restart_pause(now);
        }
        Step { used, event: (!part.is_empty()).then_some(Event::Body(part)) }
    }

    /// The time for the next byte of the body begins, if that byte is wanted.
    fn restart_pause(&mut self, now: Instant) {
        let wanted = self.wants_body();
        self.deadline = wanted.then(|| after(now, self.front().body_timeout_ms)).flatten();
    }

    /// The response is complete: the next one, rest, or the end of the connection.
    fn end_response(&mut self, now: Instant) {
        self.pop();
        let unfinished = self.is_sending() && self.count == 0;
        let last = !self.accepts_requests() && self.count == 0;
        if !self.keep_alive || unfinished || last {
            self.apply(Cause::Stop);
            self.deadline = None;
        } else if self.count > 0 {
            self.apply(Cause::Next);
            self.deadline = after(now, self.front().headers_timeout_ms);
        } else {
            self.apply(Cause::Rest);
            self.deadline = after(now, self.idle_ms);
        }
    }
}

/// The length of the CR and LF at the start of `input`, which may precede a response.
fn empty_lines(input: &[u8]) -> usize {
    let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
    input.iter().position(|byte| !blank(byte)).unwrap_or(input.len())
}

fn length(part: &[u8]) -> u64 {
    u64::try_from(part.len()).unwrap_or(u64::MAX)
}

/// What the decoder, which servers use as well, calls a mistake.
#[cold]
fn chunk_fault(error: PeerError) -> Fault {
    match error {
        PeerError::LineEnd => Fault::ChunkSizeEnd,
        PeerError::ChunkEnd => Fault::ChunkEnd,
        PeerError::ChunkExtension => Fault::ChunkExtension,
        PeerError::BodyLength => Fault::ChunkLength,
        _ => Fault::ChunkSize,
    }
}
