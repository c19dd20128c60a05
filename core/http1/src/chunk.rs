//! The chunked coding (RFC 9112 section 7.1), without its trailer section.

use crate::class;
use crate::config::Config;
use crate::error::PeerError;

/// Decodes size lines and finds the data between them; keeps no byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkDecoder {
    place: Place,
    /// Digits of the size so far.
    digits: u8,
    /// Bytes of the size line so far.
    line_len: u16,
    /// Bytes of all extensions so far.
    extensions_len: u16,
    /// The size while it is read; then what is left of the data.
    left: u64,
    /// All sizes so far.
    total: u64,
}

/// Where in the coding the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    /// White space behind the size: only an extension may follow.
    Blank,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    End,
}

/// What [`ChunkDecoder::decode`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// All bytes were used; more are needed.
    Partial,
    /// The next so many bytes, at least 1, are data; the caller takes of them what it can
    /// ([`ChunkDecoder::take`]).
    Data(u64),
    /// The last size line was read: the trailer section follows.
    Last,
}

impl ChunkDecoder {
    /// The most digits that a size can have.
    const DIGITS_MAX: u8 = 16;

    pub(crate) const fn new() -> Self {
        let place = Place::Size;
        Self { place, digits: 0, line_len: 0, extensions_len: 0, left: 0, total: 0 }
    }

    /// Whether the next byte belongs to data.
    pub(crate) const fn is_in_data(&self) -> bool {
        matches!(self.place, Place::Data)
    }

    /// Whether the last size line was read.
    pub(crate) const fn is_last(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// Reads framing from the start of `input` up to data, the end or what is missing, and gives
    /// the number of bytes used with what comes next.
    pub(crate) fn decode(
        &mut self,
        input: &[u8],
        config: &Config,
    ) -> Result<(usize, Chunk), PeerError> {
        let mut used = 0usize;
        loop {
            match self.place {
                Place::Data => return Ok((used, Chunk::Data(self.left))),
                Place::End => return Ok((used, Chunk::Last)),
                Place::Size
                | Place::Blank
                | Place::Extension
                | Place::SizeLf
                | Place::DataCr
                | Place::DataLf => {}
            }
            let Some(byte) = input.get(used) else {
                return Ok((used, Chunk::Partial));
            };
            self.place = self.step(*byte, config)?;
            used = used.wrapping_add(1);
        }
    }

    /// Takes so many bytes of data, at most what [`Chunk::Data`] said.
    pub(crate) const fn take(&mut self, len: u64) {
        self.left = self.left.saturating_sub(len);
        if self.left == 0 {
            self.place = Place::DataCr;
        }
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8, config: &Config) -> Result<Place, PeerError> {
        match self.place {
            Place::Size => self.size_byte(byte, config),
            Place::Blank => match byte {
                b' ' | b'\t' => self.extension_byte(config, Place::Blank),
                b';' => self.extension_byte(config, Place::Extension),
                _ => Err(PeerError::ChunkSize),
            },
            Place::Extension => match byte {
                b'\r' => Ok(Place::SizeLf),
                b'\n' => Err(PeerError::LineEnd),
                _ if class::is(byte, class::VALUE) => self.extension_byte(config, Place::Extension),
                _ => Err(PeerError::ChunkExtension),
            },
            Place::SizeLf if byte == b'\n' => self.size_end(config),
            Place::SizeLf => Err(PeerError::LineEnd),
            Place::DataCr if byte == b'\r' => Ok(Place::DataLf),
            Place::DataLf if byte == b'\n' => {
                self.digits = 0;
                self.line_len = 0;
                Ok(Place::Size)
            }
            Place::DataCr | Place::DataLf => Err(PeerError::ChunkEnd),
            Place::Data | Place::End => Ok(self.place),
        }
    }

    fn size_byte(&mut self, byte: u8, config: &Config) -> Result<Place, PeerError> {
        if let Some(digit) = class::hex(byte) {
            if self.digits == Self::DIGITS_MAX {
                return Err(PeerError::ChunkSize);
            }
            self.digits = self.digits.saturating_add(1);
            self.left = self.left << 4 | u64::from(digit);
            return self.line_byte(config, Place::Size);
        }
        match byte {
            _ if self.digits == 0 => Err(PeerError::ChunkSize),
            b'\r' => Ok(Place::SizeLf),
            b'\n' => Err(PeerError::LineEnd),
            b';' => self.extension_byte(config, Place::Extension),
            b' ' | b'\t' => self.extension_byte(config, Place::Blank),
            _ => Err(PeerError::ChunkSize),
        }
    }

    fn extension_byte(&mut self, config: &Config, next: Place) -> Result<Place, PeerError> {
        self.extensions_len = self.extensions_len.saturating_add(1);
        if self.extensions_len > config.chunk_extensions_len {
            return Err(PeerError::ChunkExtension);
        }
        self.line_byte(config, next)
    }

    fn line_byte(&mut self, config: &Config, next: Place) -> Result<Place, PeerError> {
        self.line_len = self.line_len.saturating_add(1);
        if self.line_len > config.chunk_line_len {
            return Err(PeerError::ChunkExtension);
        }
        Ok(next)
    }

    fn size_end(&mut self, config: &Config) -> Result<Place, PeerError> {
        if self.left == 0 {
            return Ok(Place::End);
        }
        let limit = config.body_len.min(u64::MAX >> 1);
        match self.total.checked_add(self.left) {
            Some(total) if total <= limit => {
                self.total = total;
                Ok(Place::Data)
            }
            Some(_) | None => Err(PeerError::BodyLength),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The data and how the coding went on, fed `cut` bytes at a time.
    fn decode(input: &[u8], cut: usize, config: &Config) -> (Vec<u8>, Result<Chunk, PeerError>) {
        let mut decoder = ChunkDecoder::new();
        let (mut data, mut at, mut end) = (Vec::new(), 0, 0);
        loop {
            match decoder.decode(&input[at..end], config) {
                Ok((used, Chunk::Data(left))) => {
                    at += used;
                    let take = left.min((end - at) as u64);
                    decoder.take(take);
                    data.extend_from_slice(&input[at..at + take as usize]);
                    at += take as usize;
                }
                Ok((used, Chunk::Partial)) => at += used,
                Ok((_, Chunk::Last)) => return (data, Ok(Chunk::Last)),
                Err(error) => return (data, Err(error)),
            }
            if at == input.len() {
                return (data, Ok(Chunk::Partial));
            }
            end = (end + cut).min(input.len()).max(at);
        }
    }

    fn verdict(input: &[u8]) -> (Vec<u8>, Result<Chunk, PeerError>) {
        let whole = decode(input, input.len(), &Config::new());
        assert_eq!(decode(input, 1, &Config::new()), whole);
        assert_eq!(decode(input, 3, &Config::new()), whole);
        whole
    }

    #[test]
    fn data_is_found() {
        let hello = b"hello".to_vec();
        assert_eq!(verdict(b"5\r\nhello\r\n0\r\n"), (hello.clone(), Ok(Chunk::Last)));
        assert_eq!(
            verdict(b"0003\r\nhel\r\n2;a=\"b\"\r\nlo\r\n00;x\r\n"),
            (hello.clone(), Ok(Chunk::Last))
        );
        assert_eq!(verdict(b"5 \t;x\r\nhello\r\n0\r\n"), (hello.clone(), Ok(Chunk::Last)));
        assert_eq!(verdict(b"5\r\nhello\r\n"), (hello, Ok(Chunk::Partial)));
    }

    #[test]
    fn each_mistake_has_its_rule() {
        for (input, error) in [
            (b"\r\n".as_slice(), PeerError::ChunkSize),
            (b";a\r\n", PeerError::ChunkSize),
            (b"0x5\r\n", PeerError::ChunkSize),
            (b"+5\r\n", PeerError::ChunkSize),
            (b" 5\r\n", PeerError::ChunkSize),
            (b"5 \r\n", PeerError::ChunkSize),
            (b"10000000000000005\r\n", PeerError::ChunkSize),
            (b"FFFFFFFFFFFFFFFF\r\n", PeerError::BodyLength),
            (b"8000000000000000\r\n", PeerError::BodyLength),
            (b"5\n", PeerError::LineEnd),
            (b"5;a\n", PeerError::LineEnd),
            (b"5\rx", PeerError::LineEnd),
            (b"5;a\x00\r\n", PeerError::ChunkExtension),
            (b"1\r\nabc", PeerError::ChunkEnd),
            (b"1\r\na\rx", PeerError::ChunkEnd),
        ] {
            assert_eq!(verdict(input).1, Err(error), "{input:?}");
        }
    }

    #[test]
    fn limits_hold_at_the_byte() {
        let config =
            Config { chunk_line_len: 4, chunk_extensions_len: 5, body_len: 3, ..Config::new() };
        let end = |input: &[u8]| decode(input, 9, &config).1;
        assert_eq!(end(b"2;ab\r\nhi\r\n1\r\n!\r\n"), Ok(Chunk::Partial));
        assert_eq!(end(b"2;abc\r\n"), Err(PeerError::ChunkExtension));
        assert_eq!(end(b"1;ab\r\nh\r\n1;a\r\ni\r\n"), Ok(Chunk::Partial));
        assert_eq!(end(b"1;ab\r\nh\r\n1;ab\r\n"), Err(PeerError::ChunkExtension));
        assert_eq!(end(b"2\r\nhi\r\n2\r\n"), Err(PeerError::BodyLength));
    }

    #[test]
    fn sizes_never_wrap() {
        // Two sizes whose sum is 2^63.
        let config = Config::new();
        let mut decoder = ChunkDecoder::new();
        assert_eq!(
            decoder.decode(b"7FFFFFFFFFFFFFFF\r\n", &config),
            Ok((18, Chunk::Data(u64::MAX >> 1)))
        );
        decoder.take(u64::MAX >> 1);
        assert_eq!(decoder.decode(b"\r\n1\r\n", &config), Err(PeerError::BodyLength));
    }
}
