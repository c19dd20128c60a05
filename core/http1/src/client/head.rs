//! The head of a response, read line by line as it comes.

use crate::class;
use crate::client::error::{Fault, ResponseError};
use crate::config::{index, narrow};
use crate::head::Version;
use crate::lines;
use crate::name::Known;
use crate::parse::options;

/// The head of a response as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead<'i> {
    /// 100 to 999.
    pub status: u16,
    /// The version.
    pub version: Version,
    /// The reason phrase: any bytes but CR and LF.
    pub reason: &'i [u8],
    /// The field lines, each with its CRLF: token, colon, value with the white space around it.
    pub fields: &'i [u8],
    /// How the body is delimited.
    pub framing: ResponseFraming,
}

/// How the body of a response is delimited (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseFraming {
    /// There is none, whatever the fields say.
    None,
    /// `Content-Length`, in bytes; may be 0.
    Length(u64),
    /// `Transfer-Encoding: chunked`
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

/// What is known of a head so far. Positions count from the start of the input.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partial {
    status: u16,
    version: Version,
    reason: u32,
    reason_end: u32,
    /// Where the field lines begin; 0 before the status line is complete.
    fields: u32,
    section: Section,
    found: Found,
}

/// Field lines up to an empty line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    /// Where the next line begins.
    at: u32,
    /// Bytes of names and values so far.
    counted: u32,
    /// No line so far.
    first: bool,
    /// How far the line that begins at `at`, and is not complete, was read without a mistake.
    read: u32,
    /// Its name is complete.
    in_value: bool,
}

/// What the fields of a response mean to the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    length: Option<u64>,
    coding: Coding,
    close: bool,
    keep_alive: bool,
    /// Seconds.
    pub(crate) hint: Option<u32>,
}

/// What `Transfer-Encoding` says last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Absent,
    Chunked,
    Other,
}

impl Partial {
    pub(crate) const fn new() -> Self {
        Self {
            status: 0,
            version: Version::Http11,
            reason: 0,
            reason_end: 0,
            fields: 0,
            section: Section::new(0),
            found: Found {
                length: None,
                coding: Coding::Absent,
                close: false,
                keep_alive: false,
                hint: None,
            },
        }
    }

    /// Whether not even the status line is complete.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fields == 0
    }

    /// Reads on in `input`, which begins with what was read before: the length of the whole head,
    /// once it is complete.
    #[inline]
    pub(crate) fn read(
        &mut self,
        input: &[u8],
        header_len: u32,
    ) -> Result<Option<usize>, ResponseError> {
        if self.fields == 0 && !self.read_status_line(input)? {
            return Ok(None);
        }
        let Self { section, found, .. } = self;
        section.read(input, header_len, |known, name, value| found.add(known, name, value))
    }

    fn read_status_line(&mut self, input: &[u8]) -> Result<bool, ResponseError> {
        let (status, version) = match input.first_chunk::<13>() {
            Some([b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', status @ .., _])
                if matches!(minor, b'0' | b'1') =>
            {
                let version = if *minor == b'1' { Version::Http11 } else { Version::Http10 };
                (status_code(status)?, version)
            }
            Some(_) | None => return begin_of_status_line(input).map(|()| false),
        };
        let behind = match input.get(12) {
            Some(b' ') => 13usize,
            Some(b'\r' | b'\n') | None => 12,
            Some(_) => return Err(ResponseError::Syntax(Fault::StatusEnd)),
        };
        // Goes on where it stopped.
        let start = behind.max(index(self.reason_end));
        let rest = input.get(start..).unwrap_or_default();
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let len = rest.iter().position(ends).unwrap_or(rest.len());
        let end = start.wrapping_add(len);
        self.reason = narrow(behind);
        self.reason_end = narrow(end);
        match rest.get(len..) {
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\r'] | []) | None => return Ok(false),
            Some([b'\r', ..]) => return Err(ResponseError::Syntax(Fault::StatusLineLf)),
            Some(_) => return Err(ResponseError::Syntax(Fault::StatusLineCr)),
        }
        self.status = status;
        self.version = version;
        self.fields = narrow(end.wrapping_add(2));
        self.section = Section::new(end.wrapping_add(2));
        Ok(true)
    }

    /// The head, which ends at `end` of the same input; `head`: it answers a HEAD request.
    pub(crate) fn finish<'i>(&self, input: &'i [u8], end: usize, head: bool) -> ResponseHead<'i> {
        let part = |start: u32, end: usize| input.get(index(start)..end).unwrap_or_default();
        ResponseHead {
            status: self.status,
            version: self.version,
            reason: part(self.reason, index(self.reason_end)),
            fields: part(self.fields, end.wrapping_sub(2)),
            framing: self.framing(head),
        }
    }

    const fn framing(&self, head: bool) -> ResponseFraming {
        if head || matches!(self.status, 100..=199 | 204 | 304) {
            return ResponseFraming::None;
        }
        match (self.found.coding, self.found.length) {
            (Coding::Chunked, _) => ResponseFraming::Chunked,
            (Coding::Absent, Some(len)) => ResponseFraming::Length(len),
            (Coding::Absent, None) | (Coding::Other, _) => ResponseFraming::UntilClose,
        }
    }

    /// Whether the server leaves the connection open (RFC 9112 section 9.3).
    pub(crate) const fn keeps_alive(&self) -> bool {
        let wish = match self.version {
            Version::Http11 => true,
            Version::Http10 => self.found.keep_alive,
        };
        wish && !self.found.close
    }

    /// Whether there is content, by its framing.
    pub(crate) const fn has_content(&self) -> bool {
        !matches!(self.found.length, None | Some(0)) || !matches!(self.found.coding, Coding::Absent)
    }

    pub(crate) const fn hint(&self) -> Option<u32> {
        self.found.hint
    }
}

fn status_code(digits: &[u8; 3]) -> Result<u16, ResponseError> {
    let code = digits.iter().try_fold(0u16, |code, digit| match digit {
        b'0'..=b'9' => Some(code.wrapping_mul(10).wrapping_add(u16::from(digit & 0xF))),
        _ => None,
    });
    code.filter(|code| *code >= 100).ok_or(ResponseError::Syntax(Fault::Status))
}

/// Checks the bytes of a status line up to its status one by one.
#[cold]
fn begin_of_status_line(input: &[u8]) -> Result<(), ResponseError> {
    let mut minor_of_2 = false;
    for (at, byte) in input.iter().enumerate().take(13) {
        let fault = match (at, byte) {
            (0, b'H') | (1 | 2, b'T') | (3, b'P') | (4, b'/') => continue,
            (0..5, _) => Fault::Protocol,
            (5, b'0'..=b'9') => {
                minor_of_2 = *byte != b'1';
                continue;
            }
            (5, _) => Fault::MajorVersion,
            (6, b'.') => continue,
            (6, _) => Fault::VersionDot,
            (7, b'0' | b'1') if !minor_of_2 => continue,
            (7, b'0'..=b'9') => Fault::Version,
            (7, _) => Fault::MinorVersion,
            (8, b' ') => continue,
            (8, _) => Fault::VersionSpace,
            (9, b'1'..=b'9') | (10 | 11, b'0'..=b'9') => continue,
            (9..12, _) => Fault::Status,
            (_, b' ' | b'\r' | b'\n') => continue,
            (..) => Fault::StatusEnd,
        };
        return Err(ResponseError::Syntax(fault));
    }
    Ok(())
}

impl Section {
    pub(crate) fn new_at_start() -> Self {
        Self::new(0)
    }

    const fn new(at: usize) -> Self {
        // A head is bounded by 32 bits.
        #[expect(clippy::as_conversions, reason = "bounded, in a const fn")]
        let at = at as u32;
        Self { at, counted: 0, first: true, read: 0, in_value: false }
    }

    /// Reads on: gives each field to `add`, and the length of the input up to and with the empty
    /// line.
    #[inline(always)]
    pub(crate) fn read<'i>(
        &mut self,
        input: &'i [u8],
        header_len: u32,
        mut add: impl FnMut(Known, &'i [u8], &'i [u8]) -> Result<(), ResponseError>,
    ) -> Result<Option<usize>, ResponseError> {
        if self.read > 0 && self.goes_on(input) {
            return Ok(None);
        }
        loop {
            let at = index(self.at);
            let Some(line) = lines::field(input, at) else {
                return self.read_end(input);
            };
            let name = input.get(at..line.colon).unwrap_or_default();
            let value = input.get(line.value..line.value_end).unwrap_or_default();
            let len = narrow(name.len()).saturating_add(narrow(value.len()));
            self.counted = self.counted.saturating_add(len);
            if self.counted >= header_len {
                return Err(ResponseError::HeaderLength);
            }
            let known = Known::of(name);
            if known != Known::Other {
                add(known, name, value)?;
            }
            self.at = narrow(line.next);
            self.first = false;
        }
    }

    /// Whether what is new neither ends the line nor is wrong.
    #[cold]
    fn goes_on(&mut self, input: &[u8]) -> bool {
        let new = input.get(index(self.read)..).unwrap_or_default();
        let plain = class::all(new, if self.in_value { class::VALUE } else { class::TOKEN });
        self.read = if plain { narrow(input.len()) } else { 0 };
        plain
    }

    /// What stands where no field line does: the empty line, the beginning of a line, or a mistake.
    fn read_end(&mut self, input: &[u8]) -> Result<Option<usize>, ResponseError> {
        let rest = input.get(index(self.at)..).unwrap_or_default();
        let fault = match rest {
            [b'\r', b'\n', ..] => return Ok(Some(index(self.at).wrapping_add(2))),
            [] | [b'\r'] => return Ok(None),
            [b'\r', ..] => Fault::HeadLf,
            [b'\n', ..] => Fault::HeadCr,
            [b' ' | b'\t', ..] if self.first => Fault::LeadingSpace,
            [b' ' | b'\t', ..] => Fault::Folding,
            [..] => match begin_of_field(rest) {
                Some(fault) => fault,
                None => {
                    let end = rest.strip_suffix(b"\r").unwrap_or(rest).len();
                    self.read = self.at.saturating_add(narrow(end));
                    self.in_value = rest.contains(&b':');
                    return Ok(None);
                }
            },
        };
        Err(ResponseError::Syntax(fault))
    }
}

/// What is wrong with a field line, if anything is: else it is incomplete.
#[cold]
fn begin_of_field(rest: &[u8]) -> Option<Fault> {
    let colon = rest.iter().position(|byte| !class::is(*byte, class::TOKEN))?;
    if colon == 0 || rest.get(colon) != Some(&b':') {
        return Some(Fault::FieldName);
    }
    let value = rest.get(colon..)?;
    let end = value.iter().position(|byte| !class::is(*byte, class::VALUE))?;
    match value.get(end..)? {
        [b'\r'] => None,
        // A whole line: the fast way would have taken it.
        [b'\r', b'\n', ..] => Some(Fault::FieldValue),
        [b'\r', ..] => Some(Fault::FieldLf),
        [b'\n', ..] => Some(Fault::FieldCr),
        [..] => Some(Fault::FieldValue),
    }
}

impl Found {
    fn add(&mut self, known: Known, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
        match known {
            Known::ContentLength => self.add_length(value)?,
            Known::TransferEncoding => {
                // A length and a coding: one recipient might take the one and another the other.
                if self.length.is_some() {
                    return Err(ResponseError::ContentLength);
                }
                let last = options(value).last().unwrap_or_default();
                let chunked = last.eq_ignore_ascii_case(b"chunked");
                self.coding = if chunked { Coding::Chunked } else { Coding::Other };
            }
            Known::Connection => self.add_options(value),
            Known::HopByHop if name.eq_ignore_ascii_case(b"keep-alive") => {
                self.hint = self.hint.or_else(|| timeout(value));
            }
            Known::Host
            | Known::Expect
            | Known::Upgrade
            | Known::Date
            | Known::HopByHop
            | Known::ProxyAuthenticate
            | Known::Other => {}
        }
        Ok(())
    }

    fn add_length(&mut self, value: &[u8]) -> Result<(), ResponseError> {
        let length = match value {
            _ if self.coding != Coding::Absent => Err(Fault::LengthWithCoding),
            [] => Err(Fault::LengthEmpty),
            [b'0'..=b'9', ..] => Ok(decimal(value)),
            [..] => Err(Fault::LengthDigit),
        };
        // Digits and something else, too many digits, a second length.
        let length = length.map_err(ResponseError::Syntax)?;
        if length.is_none() || self.length.is_some() {
            return Err(ResponseError::ContentLength);
        }
        self.length = length;
        Ok(())
    }

    fn add_options(&mut self, value: &[u8]) {
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            }
        }
    }
}

/// Digits, at least one, that fit.
fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u64::from(byte & 0xF)),
        _ => None,
    })
}

/// The seconds behind `timeout=`.
fn timeout(value: &[u8]) -> Option<u32> {
    const KEY: &[u8] = b"timeout=";
    let start = value.windows(KEY.len()).position(|window| window == KEY)?;
    let digits = value.get(start.wrapping_add(KEY.len())..)?;
    let len = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let digits = digits.get(..len).filter(|digits| !digits.is_empty())?;
    let seconds = decimal(digits).unwrap_or(u64::MAX);
    Some(u32::try_from(seconds).unwrap_or(u32::MAX))
}
