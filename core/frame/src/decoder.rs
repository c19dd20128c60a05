use crate::{HEADER_LEN_MAX, Header};

/// Splits a byte stream into frames, however the transport cut it.
///
/// The caller owns the input. Each call looks at the front of `input`, takes at most one event
/// from it and says in [`Step::used`] how many bytes are done with. The decoder keeps at most one
/// cut header, never payload bytes.
///
/// ```text
///            whole frame                       last byte of the payload
///          +-------------+                  +--------------------------+
///          v             |                  v                          |
///        Boundary -------+---- cut ---> Payload(offset) <--------------+-- Part
///          |    ^                           ^
///          |    +-- empty or whole payload -+-- Start
///          +--> Partial(bytes of a header) -+
///        any: a refused header ---> Failed(error), for ever
/// ```
#[derive(Debug, Clone)]
pub struct Decoder<H: Header> {
    limits: H::Limits,
    state: State<H>,
}

/// What one call to [`Decoder::decode`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'i, H> {
    /// Bytes at the front of the input that the caller may discard once it has used the event.
    /// Payload bytes of the event are always the last bytes of `input[..used]`.
    pub used: usize,
    /// Bytes at least that must still arrive before the frame underway is complete. 0 after an
    /// event that completed a frame.
    pub need: usize,
    /// What was found; `None` when the input holds no more than the front part of a header.
    pub event: Option<Event<'i, H>>,
}

/// A frame, or a stretch of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a frame is whole or cut; there is no third form")]
pub enum Event<'i, H> {
    /// A frame whose payload lies wholly inside the input.
    Frame {
        /// The checked header.
        header: H,
        /// The whole payload, borrowed from the input.
        payload: &'i [u8],
    },
    /// The header of a frame whose payload is cut by the end of the input. Parts follow until one
    /// says `last`, before any other event.
    Start {
        /// The checked header.
        header: H,
    },
    /// The next bytes of a cut payload, at least one.
    Part {
        /// The header that came with `Start`.
        header: H,
        /// Bytes of this payload before this part.
        offset: usize,
        /// Payload bytes, borrowed from the input.
        bytes: &'i [u8],
        /// Whether the payload ends here.
        last: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum State<H: Header> {
    Boundary,
    Partial { bytes: [u8; HEADER_LEN_MAX], len: usize },
    Payload { header: H, offset: usize },
    Failed(H::Error),
}

impl<H: Header> Decoder<H> {
    const LEN_FITS: () = assert!(H::LEN > 0 && H::LEN <= HEADER_LEN_MAX);

    /// A decoder at the start of a stream.
    #[must_use]
    pub const fn new(limits: H::Limits) -> Self {
        let () = Self::LEN_FITS;
        Self { limits, state: State::Boundary }
    }

    /// Whether the bytes taken so far end exactly at the end of a frame, so that an end of the
    /// stream here loses nothing.
    #[must_use]
    pub const fn is_boundary(&self) -> bool {
        matches!(self.state, State::Boundary)
    }

    /// Takes one event from the front of `input`.
    ///
    /// Call again with the rest (`input[used..]`) until the event is `None`, then with more
    /// bytes. An empty input is harmless.
    ///
    /// # Errors
    /// A header was refused. It is checked before anything of its payload is looked at, and the
    /// same error comes back on every later call.
    ///
    /// # Bound
    /// Constant work, whatever the payload's length.
    #[inline]
    pub fn decode<'i>(&mut self, input: &'i [u8]) -> Result<Step<'i, H>, H::Error> {
        if let State::Boundary = self.state
            && let Ok(Some(header)) = H::parse(input, &self.limits)
            && let Some(frame) = input.get(..H::LEN.saturating_add(header.payload_len()))
            && let Some(payload) = frame.get(H::LEN..)
        {
            let event = Some(Event::Frame { header, payload });
            return Ok(Step { used: frame.len(), need: 0, event });
        }
        self.decode_cut(input)
    }

    #[inline(never)]
    fn decode_cut<'i>(&mut self, input: &'i [u8]) -> Result<Step<'i, H>, H::Error> {
        match self.state {
            State::Boundary => self.decode_header([0; HEADER_LEN_MAX], 0, input),
            State::Partial { bytes, len } => self.decode_header(bytes, len, input),
            State::Payload { header, offset } => Ok(self.decode_part(header, offset, input)),
            State::Failed(error) => Err(error),
        }
    }

    fn decode_header<'i>(
        &mut self,
        mut bytes: [u8; HEADER_LEN_MAX],
        len: usize,
        input: &'i [u8],
    ) -> Result<Step<'i, H>, H::Error> {
        let taken = input.len().min(H::LEN.saturating_sub(len));
        let have = len.saturating_add(taken);
        if let (Some(to), Some(from)) = (bytes.get_mut(len..have), input.get(..taken)) {
            to.copy_from_slice(from);
        }
        match H::parse(bytes.get(..have).unwrap_or(&[]), &self.limits) {
            Err(error) => {
                self.state = State::Failed(error);
                Err(error)
            }
            Ok(None) => {
                if have > 0 {
                    self.state = State::Partial { bytes, len: have };
                }
                Ok(Step { used: taken, need: H::LEN.saturating_sub(have), event: None })
            }
            Ok(Some(header)) => Ok(self.decode_payload(header, taken, input)),
        }
    }

    /// The header is complete; `taken` bytes of the input belong to it.
    fn decode_payload<'i>(&mut self, header: H, taken: usize, input: &'i [u8]) -> Step<'i, H> {
        let payload_len = header.payload_len();
        let rest = input.get(taken..).unwrap_or(&[]);
        if let Some(payload) = rest.get(..payload_len) {
            self.state = State::Boundary;
            let event = Some(Event::Frame { header, payload });
            return Step { used: taken.saturating_add(payload_len), need: 0, event };
        }
        self.state = State::Payload { header, offset: 0 };
        Step { used: taken, need: payload_len, event: Some(Event::Start { header }) }
    }

    fn decode_part<'i>(&mut self, header: H, offset: usize, input: &'i [u8]) -> Step<'i, H> {
        let left = header.payload_len().saturating_sub(offset);
        let used = left.min(input.len());
        let need = left.saturating_sub(used);
        if used == 0 {
            return Step { used, need, event: None };
        }
        let last = need == 0;
        self.state = if last {
            State::Boundary
        } else {
            State::Payload { header, offset: offset.saturating_add(used) }
        };
        let bytes = input.get(..used).unwrap_or(&[]);
        Step { used, need, event: Some(Event::Part { header, offset, bytes, last }) }
    }
}
