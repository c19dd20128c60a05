//! The authority of a request: `host [":" port]`, as the `Host` field or an absolute target has it.

use core::fmt::{self, Write as _};
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::hash::NameHash;
use crate::word;

/// Bytes of a host name at most, without a trailing dot (RFC 1035 section 2.3.4, as text).
pub const HOST_LEN_MAX: usize = 253;
/// Bytes of one label at most (RFC 1035 section 2.3.4).
pub const LABEL_LEN_MAX: usize = 63;

/// Room for a host in lower case: the longest one with its trailing dot, in whole words. What it
/// holds before a call does not matter.
pub type HostBuf = [u8; 256];

/// A host that was checked, in the form in which hosts are compared.
///
/// Lower case, no trailing dot, no port; an IPv6 literal in brackets and in the text form of
/// RFC 5952.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Host<'h> {
    text: &'h [u8],
    /// Bytes of the leftmost label.
    label_len: usize,
    label_hash: u64,
}

/// What kind of host it is. Exhaustive on purpose: RFC 3986 section 3.2.2 knows no other that is
/// taken here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostKind {
    /// A registered name.
    Name,
    /// An IPv4 address: four decimal numbers.
    V4,
    /// An IPv6 address in brackets.
    V6,
}

/// A host and the port that came with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'h> {
    /// The host, in the form in which hosts are compared.
    pub host: Host<'h>,
    /// The port; none if there is none or it is empty.
    pub port: Option<u16>,
}

impl<'h> Host<'h> {
    /// The text of the host: ASCII, nothing that JSON would have to escape.
    #[must_use]
    pub const fn as_bytes(&self) -> &'h [u8] {
        self.text
    }

    /// What kind of host it is.
    #[must_use]
    pub fn kind(&self) -> HostKind {
        kind_of(self.text)
    }

    /// The leftmost label: everything up to the first dot. Of an address, meaningless.
    #[must_use]
    pub fn label(&self) -> &'h [u8] {
        self.text.get(..self.label_len).unwrap_or(self.text)
    }

    pub(crate) const fn label_hash(&self) -> u64 {
        self.label_hash
    }

    /// A host that [`parse`] gave before, from its text.
    pub(crate) fn from_canonical(text: &'h [u8]) -> Self {
        let label_len = text.iter().position(|&byte| byte == b'.').unwrap_or(text.len());
        let label_hash = crate::hash::of(text.get(..label_len).unwrap_or(text));
        Self { text, label_len, label_hash }
    }
}

/// Checks an authority and puts its host, in the form in which hosts are compared, into `buf`.
///
/// # Errors
/// [`AuthorityError`], each of which a server answers with 400; [`AuthorityError::Empty`] may be
/// something else where no host is needed (HTTP/1.0).
///
/// # Bound
/// Work is linear in the length; the host is refused beyond [`HOST_LEN_MAX`].
#[inline]
pub fn parse<'h>(input: &[u8], buf: &'h mut HostBuf) -> Result<Authority<'h>, AuthorityError> {
    if input.first() == Some(&b'[') {
        return parse_literal(input, buf);
    }
    let scan = scan_name(input, buf)?;
    let port = if scan.len == input.len() { None } else { parse_port(input, scan.len)? };
    let text = buf.get(..scan.len).unwrap_or(&[]);
    let text = text.strip_suffix(b".").unwrap_or(text);
    if text.len() > LABEL_LEN_MAX {
        check_lengths(text)?;
    }
    let host = Host { text, label_len: scan.label_len, label_hash: scan.label_hash };
    Ok(Authority { host, port })
}

/// What one pass over a name found.
struct Scan {
    /// Bytes up to the port or the end.
    len: usize,
    /// Bytes of the leftmost label.
    label_len: usize,
    label_hash: u64,
}

/// Checks the bytes and labels of a name, writes it in lower case, and takes the hash of its
/// leftmost label, all in one pass and eight bytes at a time.
#[inline(always)]
fn scan_name(input: &[u8], buf: &mut HostBuf) -> Result<Scan, AuthorityError> {
    let mut hash = NameHash::default();
    let mut label = None;
    // A dot at the start would make an empty label, as one behind another does.
    let mut dot_before = 0x80;
    let mut len = 0_usize;
    while let Some((word, count)) = word::at(input, len) {
        if word & word::HIGH != 0 {
            return Err(AuthorityError::Byte);
        }
        let (mut lower, name_count) = lower_name(word);
        let is_last = name_count < 8;
        if name_count < count {
            if !is_colon(word, name_count) {
                return Err(AuthorityError::Byte);
            }
            lower &= word::first_bytes(name_count);
        }
        let dots = word::eq_ascii(lower, b'.');
        if dots & ((dots << 8) | dot_before) != 0 {
            return Err(AuthorityError::EmptyLabel);
        }
        dot_before = dots >> 56;
        if label.is_none() {
            if dots == 0 && !is_last {
                hash.add(lower);
            } else {
                let end = word::first_of(dots).min(name_count);
                let hash = hash.finish(lower & word::first_bytes(end));
                label = Some((len.wrapping_add(size(end)), hash));
            }
        }
        let slot = buf.get_mut(len..).and_then(<[u8]>::first_chunk_mut);
        *slot.ok_or(AuthorityError::TooLong)? = lower.to_le_bytes();
        len = len.wrapping_add(size(name_count));
        if is_last {
            break;
        }
    }
    if len == 0 {
        return Err(AuthorityError::Empty);
    }
    let (label_len, label_hash) = label.unwrap_or_else(|| (len, hash.finish(0)));
    Ok(Scan { len, label_len, label_hash })
}

/// A word of ASCII in lower case, and how many of its first bytes a name may have: letters, digits,
/// `-`, `_` and `.`. The byte behind them is the end of the input, the colon of a port, or a
/// mistake.
#[inline]
const fn lower_name(word: u64) -> (u64, u32) {
    // In ASCII the small letter has one bit more, 0x20: the mark of a match two bits lower.
    let lower = word | (word::in_range_ascii(word, b'A', b'Z') >> 2);
    let valid = word::in_range_ascii(lower, b'a', b'z')
        | word::in_range_ascii(lower, b'0', b'9')
        | word::in_range_ascii(lower, b'-', b'.')
        | word::eq_ascii(lower, b'_');
    (lower, word::first_of(!valid & word::HIGH))
}

const fn is_colon(word: u64, index: u32) -> bool {
    word.wrapping_shr(index.wrapping_mul(8)) & 0xff == 0x3a
}

/// At most 63 bytes a label and 253 in all.
#[cold]
fn check_lengths(text: &[u8]) -> Result<(), AuthorityError> {
    let long = |label: &[u8]| label.len() > LABEL_LEN_MAX;
    if text.len() > HOST_LEN_MAX || text.split(|&byte| byte == b'.').any(long) {
        return Err(AuthorityError::TooLong);
    }
    Ok(())
}

/// The kind of a host that was checked.
pub(crate) fn kind_of(text: &[u8]) -> HostKind {
    if text.first() == Some(&b'[') {
        return HostKind::V6;
    }
    let digits_outside =
        text.first().is_some_and(u8::is_ascii_digit) && text.last().is_some_and(u8::is_ascii_digit);
    if !digits_outside {
        return HostKind::Name;
    }
    match core::str::from_utf8(text).map(str::parse::<Ipv4Addr>) {
        Ok(Ok(_)) => HostKind::V4,
        Ok(Err(_)) | Err(_) => HostKind::Name,
    }
}

/// The port that follows `host_len` bytes of host: nothing, or a colon and digits up to 65535.
fn parse_port(input: &[u8], host_len: usize) -> Result<Option<u16>, AuthorityError> {
    let digits = match input.get(host_len..) {
        None | Some([]) => return Ok(None),
        Some([b':', digits @ ..]) => digits,
        Some(_) => return Err(AuthorityError::Byte),
    };
    let mut port = None;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(AuthorityError::Port);
        }
        let sum =
            port.unwrap_or(0_u16).checked_mul(10).and_then(|tens| tens.checked_add(digit.into()));
        port = Some(sum.ok_or(AuthorityError::Port)?);
    }
    Ok(port)
}

/// `[` IPv6 address `]`, then the port. A zone id (RFC 6874) is none of an address's bytes.
#[cold]
fn parse_literal<'h>(input: &[u8], buf: &'h mut HostBuf) -> Result<Authority<'h>, AuthorityError> {
    let end =
        input.iter().take(64).position(|&byte| byte == b']').ok_or(AuthorityError::Literal)?;
    let inner = input.get(1..end).unwrap_or(&[]);
    let address: Ipv6Addr = core::str::from_utf8(inner)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(AuthorityError::Literal)?;
    let port = parse_port(input, end.saturating_add(1))?;
    let mut out = Text { buf, len: 0 };
    // Never too long: an address has at most 45 bytes as text.
    write!(out, "[{address}]").map_err(|fmt::Error| AuthorityError::TooLong)?;
    let Text { buf, len } = out;
    let text = buf.get(..len).unwrap_or(&[]);
    Ok(Authority { host: Host::from_canonical(text), port })
}

/// `core::fmt` into a buffer.
struct Text<'h> {
    buf: &'h mut HostBuf,
    len: usize,
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.saturating_add(text.len());
        let room = self.buf.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// A position inside a word as a length.
fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(8)
}

/// Why an authority was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is no host.
    Empty,
    /// A byte that no host has: userinfo, percent-encoding, spaces, commas, non-ASCII.
    Byte,
    /// Two dots in a row, or one at the start.
    EmptyLabel,
    /// The host has more than 253 bytes, or a label more than 63.
    TooLong,
    /// What stands in brackets, or fails to, is no IPv6 address.
    Literal,
    /// The port is not a number from 0 to 65535.
    Port,
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is no host",
            Self::Byte => "a byte that no host name has",
            Self::EmptyLabel => "an empty label in the host name",
            Self::TooLong => "the host name or one of its labels is too long",
            Self::Literal => "no IPv6 address in the brackets",
            Self::Port => "the port is not a number from 0 to 65535",
        })
    }
}

impl core::error::Error for AuthorityError {}

#[cfg(test)]
mod tests;
