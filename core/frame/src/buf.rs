use core::error::Error;
use core::fmt;

use crate::{Event, Header};

/// Gathers cut frames, one at a time, in the caller's storage; whole frames pass through
/// untouched.
///
/// For frames that must be seen in one piece and are known to be small. A frame longer than the
/// storage is refused when it starts and its parts are then dropped, so the stream stays usable.
#[derive(Debug, Clone)]
pub struct FrameBuf<S> {
    storage: S,
    len: usize,
    dropping: bool,
}

/// A frame in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole<'a, H> {
    /// The checked header.
    pub header: H,
    /// The whole payload, in the input or in the storage.
    pub payload: &'a [u8],
}

/// A cut frame does not fit the storage that should gather it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Bytes of the payload.
    pub len: usize,
    /// Bytes of the storage.
    pub limit: usize,
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> FrameBuf<S> {
    /// A buffer over `storage`, whose length is the limit for a cut payload.
    #[must_use]
    pub const fn new(storage: S) -> Self {
        Self { storage, len: 0, dropping: false }
    }

    /// Takes the next event of a decoder and returns the frame once it is complete.
    ///
    /// # Errors
    /// A cut frame is longer than the storage. Its parts give `Ok(None)`.
    ///
    /// # Bound
    /// One copy of the part's bytes.
    pub fn handle_event<'a, H: Header>(
        &'a mut self,
        event: Event<'a, H>,
    ) -> Result<Option<Whole<'a, H>>, TooLong> {
        match event {
            Event::Frame { header, payload } => Ok(Some(Whole { header, payload })),
            Event::Start { header } => self.start(header.payload_len()).map(|()| None),
            Event::Part { header, bytes, last, .. } => {
                self.push(bytes);
                let done = last && !self.dropping;
                Ok(done.then(|| Whole { header, payload: self.gathered() }))
            }
        }
    }

    /// The bytes gathered so far of the frame underway.
    #[must_use]
    pub fn gathered(&self) -> &[u8] {
        self.storage.as_ref().get(..self.len).unwrap_or(&[])
    }

    /// Gives the storage back.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    fn start(&mut self, len: usize) -> Result<(), TooLong> {
        let limit = self.storage.as_ref().len();
        self.len = 0;
        self.dropping = len > limit;
        if self.dropping { Err(TooLong { len, limit }) } else { Ok(()) }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        match self.storage.as_mut().get_mut(self.len..end) {
            Some(to) if !self.dropping => {
                to.copy_from_slice(bytes);
                self.len = end;
            }
            // Parts of a frame that did not start here, or too many of them.
            Some(_) | None => self.dropping = true,
        }
    }
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame of {} bytes does not fit a buffer of {}", self.len, self.limit)
    }
}

impl Error for TooLong {}
