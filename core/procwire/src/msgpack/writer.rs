use core::error::Error;
use core::fmt;

use super::number::SAFE_MAX;
use super::{EXT_TIMESTAMP, Int, Timestamp};

/// Writes MessagePack values to the front of a slice, each in its shortest form.
///
/// A container is its count, followed by that many values, or pairs of them; the caller counts.
/// What does not fit is not written at all, so a caller can go on in other memory.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut [u8],
    len: usize,
}

/// The value does not fit the memory left; nothing of it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<'o> Writer<'o> {
    /// A writer at the front of `out`.
    #[must_use]
    pub const fn new(out: &'o mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or(&[])
    }

    /// What was written, for as long as the memory lives.
    #[must_use]
    pub fn into_written(self) -> &'o [u8] {
        let Self { out, len } = self;
        out.get(..len).unwrap_or(&[])
    }

    /// Nil.
    ///
    /// # Errors
    /// It does not fit; as with all methods below.
    pub fn nil(&mut self) -> Result<(), Full> {
        self.put(&[0xC0], &[])
    }

    /// A boolean.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn bool(&mut self, value: bool) -> Result<(), Full> {
        self.put(&[0xC2 | u8::from(value)], &[])
    }

    /// An integer of 0 and above.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn uint(&mut self, value: u64) -> Result<(), Full> {
        if let Ok(value) = u8::try_from(value) {
            if value < 0x80 { self.put(&[value], &[]) } else { self.put(&[0xCC, value], &[]) }
        } else if let Ok(value) = u16::try_from(value) {
            self.put(&[0xCD], &value.to_be_bytes())
        } else if let Ok(value) = u32::try_from(value) {
            self.put(&[0xCE], &value.to_be_bytes())
        } else {
            self.put(&[0xCF], &value.to_be_bytes())
        }
    }

    /// Any integer. JavaScript loses precision outside ±(2^53 - 1) (procwire section 7.3).
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn int(&mut self, value: i64) -> Result<(), Full> {
        if let Ok(value) = u64::try_from(value) {
            self.uint(value)
        } else if let Ok(value) = i8::try_from(value) {
            let [byte] = value.to_be_bytes();
            if value >= -32 { self.put(&[byte], &[]) } else { self.put(&[0xD0, byte], &[]) }
        } else if let Ok(value) = i16::try_from(value) {
            self.put(&[0xD1], &value.to_be_bytes())
        } else if let Ok(value) = i32::try_from(value) {
            self.put(&[0xD2], &value.to_be_bytes())
        } else {
            self.put(&[0xD3], &value.to_be_bytes())
        }
    }

    /// A float of 64 bits.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn f64(&mut self, value: f64) -> Result<(), Full> {
        self.put(&[0xCB], &value.to_be_bytes())
    }

    /// A number as JavaScript writes it: an integer where it is a safe one, -0 among them, and a
    /// float otherwise (procwire section 7.1).
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn number(&mut self, value: f64) -> Result<(), Full> {
        match Int::from_f64(value).filter(|_| (-SAFE_MAX..=SAFE_MAX).contains(&value)) {
            Some(Int::Unsigned(value)) => self.uint(value),
            Some(Int::Negative(value)) => self.int(value),
            None if value.is_nan() => self.put(&[0xCB], &[0x7F, 0xF8, 0, 0, 0, 0, 0, 0]),
            None => self.f64(value),
        }
    }

    /// Text.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn str(&mut self, text: &str) -> Result<(), Full> {
        self.str_bytes(text.as_bytes())
    }

    /// Text given as bytes, written as it is.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn str_bytes(&mut self, text: &[u8]) -> Result<(), Full> {
        let len = u32::try_from(text.len()).map_err(|_| Full)?;
        if len < 32 {
            return self.put(&[0xA0 | low_byte(len)], text);
        }
        let (head, head_len) = sized([0xD9, 0xDA, 0xDB], len);
        self.put(head.get(..head_len).unwrap_or(&[]), text)
    }

    /// Bytes, as bin.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn bin(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let (head, len) = sized(BIN, u32::try_from(bytes.len()).map_err(|_| Full)?);
        self.put(head.get(..len).unwrap_or(&[]), bytes)
    }

    /// Only the head of bin: `len` bytes of data must follow, for example as the span of a frame.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn bin_head(&mut self, len: u32) -> Result<(), Full> {
        let (head, head_len) = sized(BIN, len);
        self.put(head.get(..head_len).unwrap_or(&[]), &[])
    }

    /// An extension.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn ext(&mut self, kind: i8, data: &[u8]) -> Result<(), Full> {
        let [kind] = kind.to_be_bytes();
        let fixed = match data.len() {
            1 => 0xD4,
            2 => 0xD5,
            4 => 0xD6,
            8 => 0xD7,
            16 => 0xD8,
            _ => {
                let len = u32::try_from(data.len()).map_err(|_| Full)?;
                let (mut head, len) = sized([0xC7, 0xC8, 0xC9], len);
                if let Some(place) = head.get_mut(len) {
                    *place = kind;
                }
                return self.put(head.get(..len.saturating_add(1)).unwrap_or(&[]), data);
            }
        };
        self.put(&[fixed, kind], data)
    }

    /// A time, in the shortest of the three forms.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn timestamp(&mut self, time: Timestamp) -> Result<(), Full> {
        self.ext(EXT_TIMESTAMP, time.emit(&mut [0; 12]))
    }

    /// The head of an array of `count` values.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn array(&mut self, count: u32) -> Result<(), Full> {
        self.container(0x90, 0xDC, count)
    }

    /// The head of a map of `count` pairs.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn map(&mut self, count: u32) -> Result<(), Full> {
        self.container(0x80, 0xDE, count)
    }

    /// A value that is encoded already.
    #[expect(clippy::missing_errors_doc, reason = "said once, at `nil`")]
    pub fn encoded(&mut self, value: &[u8]) -> Result<(), Full> {
        self.put(value, &[])
    }

    fn container(&mut self, fixed: u8, sized: u8, count: u32) -> Result<(), Full> {
        if count < 16 {
            self.put(&[fixed | low_byte(count)], &[])
        } else if let Ok(count) = u16::try_from(count) {
            self.put(&[sized], &count.to_be_bytes())
        } else {
            self.put(&[sized | 1], &count.to_be_bytes())
        }
    }

    #[inline]
    fn put(&mut self, head: &[u8], data: &[u8]) -> Result<(), Full> {
        let rest = self.out.get_mut(self.len..).ok_or(Full)?;
        let (to_head, rest) = rest.split_at_mut_checked(head.len()).ok_or(Full)?;
        let to_data = rest.get_mut(..data.len()).ok_or(Full)?;
        to_head.copy_from_slice(head);
        to_data.copy_from_slice(data);
        self.len = self.len.saturating_add(head.len()).saturating_add(data.len());
        Ok(())
    }
}

const BIN: [u8; 3] = [0xC4, 0xC5, 0xC6];

/// A head with the shortest length field, and its length; one byte more is there for an
/// extension's type.
const fn sized(marks: [u8; 3], len: u32) -> ([u8; 6], usize) {
    let [b0, b1, b2, b3] = len.to_be_bytes();
    let [short, middle, long] = marks;
    match (b0, b1, b2) {
        (0, 0, 0) => ([short, b3, 0, 0, 0, 0], 2),
        (0, 0, _) => ([middle, b2, b3, 0, 0, 0], 3),
        _ => ([long, b0, b1, b2, b3, 0], 5),
    }
}

const fn low_byte(value: u32) -> u8 {
    let [_, _, _, low] = value.to_be_bytes();
    low
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory left for the value")
    }
}

impl Error for Full {}
