/// An integer of any width, in the only form that each value has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "an integer is negative or not")]
pub enum Int {
    /// 0 and above.
    Unsigned(u64),
    /// Below 0.
    Negative(i64),
}

/// Largest integer that JavaScript numbers hold without loss of their neighbours, 2^53 - 1.
pub(super) const SAFE_MAX: f64 = 9_007_199_254_740_991.0;

impl Int {
    /// The value, if it fits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(value),
            Self::Negative(_) => None,
        }
    }

    /// The value, if it fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Unsigned(value) => i64::try_from(value).ok(),
            Self::Negative(value) => Some(value),
        }
    }

    /// The nearest float, as JavaScript has it.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Self::Unsigned(value) => nearest_u64(value),
            Self::Negative(value) => nearest_i64(value),
        }
    }

    /// The integer that `value` is exactly; `None` for a fraction, and outside 64 bits.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        if value >= 0.0 {
            let whole = truncated_u64(value);
            let exact = value < 18_446_744_073_709_551_616.0 && nearest_u64(whole) == value;
            exact.then_some(Self::Unsigned(whole))
        } else {
            let whole = truncated_i64(value);
            let exact = value >= -9_223_372_036_854_775_808.0 && nearest_i64(whole) == value;
            exact.then_some(Self::Negative(whole))
        }
    }
}

impl From<u64> for Int {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<i64> for Int {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Negative(value), Self::Unsigned)
    }
}

#[expect(clippy::as_conversions, reason = "rounding to nearest is what is asked for")]
const fn nearest_u64(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::as_conversions, reason = "rounding to nearest is what is asked for")]
pub(super) const fn nearest_i64(value: i64) -> f64 {
    value as f64
}

/// Saturates; NaN becomes 0.
#[expect(clippy::as_conversions, reason = "truncation is what is asked for, and it saturates")]
const fn truncated_u64(value: f64) -> u64 {
    value as u64
}

/// Saturates; NaN becomes 0.
#[expect(clippy::as_conversions, reason = "truncation is what is asked for, and it saturates")]
pub(super) const fn truncated_i64(value: f64) -> i64 {
    value as i64
}
