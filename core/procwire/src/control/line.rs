use core::error::Error;
use core::fmt;

/// Bytes of storage that a shell gives a [`LineSplitter`]: the longest line of either role.
pub const LINE_LEN_MAX: usize = 64 * 1024;

/// Cuts the bytes of stdin or stdout into lines that begin with `{`, and skips all others
/// (procwire section 2.1).
///
/// A line that lies wholly inside the input is borrowed from it; one that is cut is gathered in
/// the caller's storage, whose length is the longest line allowed. Skipped lines may be of any
/// length.
#[derive(Debug, Clone)]
pub struct LineSplitter<S> {
    storage: S,
    state: State,
}

/// What one call to [`LineSplitter::handle_bytes`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its two members are what a step is")]
pub struct LineStep<'a> {
    /// Bytes at the front of the input that the caller may discard once it has used the line.
    pub used: usize,
    /// A line without its end; `None` when all input was taken.
    pub line: Option<&'a [u8]>,
}

/// A line that begins with `{` is longer than the storage. The stream cannot be trusted after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first byte of a line.
    Start,
    /// Inside a line that begins with `{`, of which so many bytes are stored.
    Gathering(usize),
    /// Inside any other line.
    Skipping,
    Failed,
}

impl<S: AsRef<[u8]> + AsMut<[u8]>> LineSplitter<S> {
    /// A splitter at the start of a stream.
    #[must_use]
    pub const fn new(storage: S) -> Self {
        Self { storage, state: State::Start }
    }

    /// Takes the input up to the end of the next line that begins with `{`.
    ///
    /// Lines end at `\n`; a `\r` before it belongs to the end.
    ///
    /// # Errors
    /// Such a line is too long; the same error comes back from then on.
    ///
    /// # Bound
    /// One pass over the input, one copy of a cut line.
    pub fn handle_bytes<'a>(&'a mut self, input: &'a [u8]) -> Result<LineStep<'a>, LineTooLong> {
        let mut used = 0_usize;
        loop {
            let rest = input.get(used..).unwrap_or(&[]);
            let end = rest.iter().position(|byte| *byte == b'\n');
            let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or(&[]);
            used = used.saturating_add(piece.len()).saturating_add(usize::from(end.is_some()));
            let Some(line) = self.take(piece, end.is_some())? else {
                if end.is_none() {
                    return Ok(LineStep { used, line: None });
                }
                continue;
            };
            let line = match line {
                Place::Input => piece,
                Place::Storage(len) => self.storage.as_ref().get(..len).unwrap_or(&[]),
            };
            return Ok(LineStep { used, line: Some(without_return(line)) });
        }
    }

    /// The stream ended: the last line, if its end was missing.
    pub fn handle_eof(&mut self) -> Option<&[u8]> {
        match core::mem::replace(&mut self.state, State::Start) {
            State::Gathering(len) => self.storage.as_ref().get(..len).map(without_return),
            State::Start | State::Skipping => None,
            State::Failed => {
                self.state = State::Failed;
                None
            }
        }
    }

    /// Takes a piece of a line, `ended` if the line ends with it. Says where the line is once it
    /// is complete.
    fn take(&mut self, piece: &[u8], ended: bool) -> Result<Option<Place>, LineTooLong> {
        let len = match (self.state, piece.first()) {
            (State::Failed, _) => return Err(LineTooLong),
            (State::Start, None) => return Ok(None),
            (State::Start, Some(b'{')) if ended => {
                return self.fits(piece.len()).map(|_| Some(Place::Input));
            }
            (State::Start, Some(b'{')) => self.store(0, piece)?,
            (State::Gathering(len), _) => self.store(len, piece)?,
            (State::Start, Some(_)) | (State::Skipping, _) => {
                self.state = if ended { State::Start } else { State::Skipping };
                return Ok(None);
            }
        };
        self.state = if ended { State::Start } else { State::Gathering(len) };
        Ok(ended.then_some(Place::Storage(len)))
    }

    fn store(&mut self, at: usize, piece: &[u8]) -> Result<usize, LineTooLong> {
        let len = self.fits(at.saturating_add(piece.len()))?;
        if let Some(to) = self.storage.as_mut().get_mut(at..len) {
            to.copy_from_slice(piece);
        }
        Ok(len)
    }

    fn fits(&mut self, len: usize) -> Result<usize, LineTooLong> {
        if len <= self.storage.as_ref().len() {
            return Ok(len);
        }
        self.state = State::Failed;
        Err(LineTooLong)
    }
}

enum Place {
    Input,
    Storage(usize),
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("control line too long")
    }
}

impl Error for LineTooLong {}
