//! Finds the parts of a response frame while its bytes still arrive.

use forebay_core_procwire::msgpack::{ReadError, Reader, Token};

use super::GATHER_LEN;

/// The worker sent something that is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

/// Where the parts of a map, or of a piece of a body, lie, as far as it was looked at.
///
/// Each item is read once, and once more for each cut inside it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scan {
    stage: Stage,
    /// Where the next item begins.
    at: usize,
    entries_left: u32,
    parts: Parts,
}

#[derive(Debug, Clone, Copy, Default)]
enum Stage {
    #[default]
    Start,
    Key,
    /// So many items until the entry is complete.
    Value {
        left: u64,
    },
    Body,
    Done,
}

/// Offsets of the values whose keys mean something.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Parts {
    pub(crate) status: Option<usize>,
    pub(crate) fields: Option<usize>,
    pub(crate) trailers: Option<usize>,
    pub(crate) message: Option<usize>,
    /// Whether it is a map at all; otherwise it is nothing but a body.
    pub(crate) is_map: bool,
    /// Bytes of the body, which follows `len` bytes of everything else.
    pub(crate) body_len: Option<usize>,
    pub(crate) len: usize,
}

impl Scan {
    /// Looks at the bytes of a payload of `total` bytes that are there so far: those of the last
    /// call and perhaps more. Gives the parts once everything but the body is there.
    pub(crate) fn advance(&mut self, bytes: &[u8], total: usize) -> Result<Option<Parts>, Invalid> {
        while !matches!(self.stage, Stage::Done) {
            let rest = bytes.get(self.at..).unwrap_or(&[]);
            let mut reader = Reader::new(rest);
            match self.read(&mut reader) {
                Ok(stage) => {
                    let read = rest.len().saturating_sub(reader.rest().len());
                    self.at = self.at.saturating_add(read);
                    self.stage = stage;
                }
                Err(ReadError::Truncated) if bytes.len() < total.min(GATHER_LEN) => {
                    return Ok(None);
                }
                Err(_) => return Err(Invalid),
            }
        }
        let body_len = self.parts.body_len.unwrap_or(0);
        if self.at.checked_add(body_len) != Some(total) || self.at > GATHER_LEN {
            return Err(Invalid);
        }
        self.parts.len = self.at;
        Ok(Some(self.parts))
    }

    /// Reads one item, or a key with what it says about its value.
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<Stage, ReadError> {
        match self.stage {
            Stage::Start => {
                if let Ok(len) = reader.read_bytes_or_str_head() {
                    self.parts.body_len = usize::try_from(len).ok();
                    return Ok(Stage::Done);
                }
                self.entries_left = reader.read_map()?;
                self.parts.is_map = true;
                Ok(if self.entries_left == 0 { Stage::Done } else { Stage::Key })
            }
            Stage::Key => {
                let before = reader.rest().len();
                let key = reader.read_bytes_or_str()?;
                let read = before.saturating_sub(reader.rest().len());
                Ok(self.note(key, self.at.saturating_add(read)))
            }
            Stage::Value { left } => {
                let inside = match reader.read()? {
                    Token::Array(count) => u64::from(count),
                    Token::Map(count) => u64::from(count).saturating_mul(2),
                    Token::Nil
                    | Token::Bool(_)
                    | Token::Int(_)
                    | Token::Float(_)
                    | Token::Str(_)
                    | Token::Bin(_)
                    | Token::Ext(..) => 0,
                };
                let left = left.saturating_sub(1).saturating_add(inside);
                Ok(if left == 0 { self.next_entry() } else { Stage::Value { left } })
            }
            Stage::Body if self.entries_left > 1 => Err(ReadError::Trailing),
            Stage::Body => {
                if !reader.take_nil() {
                    let len = reader.read_bytes_or_str_head()?;
                    self.parts.body_len = usize::try_from(len).ok();
                }
                Ok(Stage::Done)
            }
            Stage::Done => Ok(Stage::Done),
        }
    }

    /// A key that means something: its value begins at `at`.
    fn note(&mut self, key: &[u8], at: usize) -> Stage {
        match key {
            b"s" => self.parts.status = Some(at),
            b"h" => self.parts.fields = Some(at),
            b"t" => self.parts.trailers = Some(at),
            b"message" => self.parts.message = Some(at),
            b"b" => return Stage::Body,
            _ => {}
        }
        Stage::Value { left: 1 }
    }

    fn next_entry(&mut self) -> Stage {
        self.entries_left = self.entries_left.saturating_sub(1);
        if self.entries_left == 0 { Stage::Done } else { Stage::Key }
    }
}
