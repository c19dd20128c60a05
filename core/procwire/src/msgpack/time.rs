use super::number::{nearest_i64, truncated_i64};
use super::{EXT_DATE, EXT_TIMESTAMP};

/// A point in time as MessagePack has it: seconds since 1970-01-01 UTC, leap seconds not counted,
/// and nanoseconds after that second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
}

const NANOS_PER_SECOND: u32 = 1_000_000_000;
const NANOS_PER_MILLI: u32 = 1_000_000;
/// Largest magnitude of a JavaScript `Date`, in milliseconds.
const DATE_MAX: f64 = 8_640_000_000_000_000.0;

impl Timestamp {
    /// `None` when `nanos` is a second or more.
    #[must_use]
    pub const fn new(seconds: i64, nanos: u32) -> Option<Self> {
        if nanos < NANOS_PER_SECOND { Some(Self { seconds, nanos }) } else { None }
    }

    /// The time so many milliseconds after the epoch, or before it.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        let rest = u32::try_from(millis.rem_euclid(1000)).unwrap_or(0);
        Self { seconds: millis.div_euclid(1000), nanos: rest.saturating_mul(NANOS_PER_MILLI) }
    }

    /// Whole milliseconds since the epoch, rounded down; saturates.
    #[must_use]
    pub fn to_millis(self) -> i64 {
        let part = i128::from(self.nanos / NANOS_PER_MILLI);
        let millis = i128::from(self.seconds).saturating_mul(1000).saturating_add(part);
        i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after that second, below 10^9.
    #[must_use]
    pub const fn nanos(self) -> u32 {
        self.nanos
    }

    /// Reads an extension that is a time, by its type and data: a timestamp in any of its forms,
    /// or a legacy date. `None` for every other, and out of range.
    #[must_use]
    pub fn from_extension(kind: i8, data: &[u8]) -> Option<Self> {
        match kind {
            EXT_TIMESTAMP => Self::from_ext(data),
            EXT_DATE => Self::from_legacy(data),
            _ => None,
        }
    }

    /// Reads the data of a timestamp extension, one of its three forms (procwire section 7.1).
    pub(super) fn from_ext(data: &[u8]) -> Option<Self> {
        if let Ok(data) = <[u8; 4]>::try_from(data) {
            return Self::new(i64::from(u32::from_be_bytes(data)), 0);
        }
        if let Ok(data) = <[u8; 8]>::try_from(data) {
            let both = u64::from_be_bytes(data);
            let seconds = i64::try_from(both & 0x3_FFFF_FFFF).ok()?;
            return Self::new(seconds, u32::try_from(both >> 34).ok()?);
        }
        let (nanos, seconds) = data.split_first_chunk::<4>()?;
        let seconds = <[u8; 8]>::try_from(seconds).ok()?;
        Self::new(i64::from_be_bytes(seconds), u32::from_be_bytes(*nanos))
    }

    /// Reads the data of a legacy date: milliseconds as a float, within the range of a `Date`.
    fn from_legacy(data: &[u8]) -> Option<Self> {
        let millis = f64::from_be_bytes(data.try_into().ok()?);
        if !(-DATE_MAX..=DATE_MAX).contains(&millis) {
            return None;
        }
        // `Date` cuts fractions of a millisecond off, towards the epoch.
        Some(Self::from_millis(truncated_i64(millis)))
    }

    /// Milliseconds as a float, for a peer that wants a number.
    #[must_use]
    pub fn to_millis_f64(self) -> f64 {
        nearest_i64(self.to_millis())
    }

    /// The shortest of the three forms; returns how many bytes of `out` it takes.
    pub(super) fn emit(self, out: &mut [u8; 12]) -> &[u8] {
        let (nanos, seconds) = out.split_at_mut(4);
        let len = match (u32::try_from(self.seconds), u64::try_from(self.seconds)) {
            (Ok(whole), _) if self.nanos == 0 => {
                nanos.copy_from_slice(&whole.to_be_bytes());
                4
            }
            (_, Ok(whole)) if whole < 1 << 34 => {
                let both = u64::from(self.nanos) << 34 | whole;
                let [b0, b1, b2, b3, b4, b5, b6, b7] = both.to_be_bytes();
                nanos.copy_from_slice(&[b0, b1, b2, b3]);
                if let Some(to) = seconds.first_chunk_mut::<4>() {
                    *to = [b4, b5, b6, b7];
                }
                8
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => {
                nanos.copy_from_slice(&self.nanos.to_be_bytes());
                seconds.copy_from_slice(&self.seconds.to_be_bytes());
                12
            }
        };
        out.get(..len).unwrap_or(&[])
    }
}
