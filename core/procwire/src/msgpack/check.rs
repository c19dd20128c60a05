use super::{EXT_DATE, EXT_TIMESTAMP, ReadError, Reader, Timestamp, Token};

/// Deepest nesting of containers that [`check`] accepts (procwire section 7.3).
pub const DEPTH_MAX: usize = 128;

/// Checks that a payload is exactly one value that the published peers would decode (procwire
/// section 7.2): map keys are text or numbers and never `__proto__`, and times have one of their
/// forms. Broken UTF-8 passes, as it does there; stricter than there is only the depth.
///
/// # Errors
/// What is wrong first.
///
/// # Bound
/// One step for each item, no recursion.
pub fn check(payload: &[u8]) -> Result<(), ReadError> {
    let mut reader = Reader::new(payload);
    let mut open = [Open::default(); DEPTH_MAX];
    let mut depth = 0_usize;
    loop {
        let key = depth.checked_sub(1).and_then(|top| open.get(top)).is_some_and(Open::wants_key);
        let inside = item(reader.read()?, key)?;
        if inside.left > 0 {
            *open.get_mut(depth).ok_or(ReadError::Depth)? = inside;
            depth = depth.saturating_add(1);
            continue;
        }
        while let Some(top) = depth.checked_sub(1).and_then(|top| open.get_mut(top)) {
            top.left = top.left.saturating_sub(1);
            if top.left > 0 {
                break;
            }
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return reader.finish();
        }
    }
}

/// A container whose items are being read.
#[derive(Debug, Clone, Copy, Default)]
struct Open {
    /// Values still to come, keys counted.
    left: u64,
    map: bool,
}

impl Open {
    const fn wants_key(&self) -> bool {
        self.map && self.left.is_multiple_of(2)
    }
}

/// Checks one item and returns what it opens, which is nothing for a scalar.
fn item(token: Token<'_>, key: bool) -> Result<Open, ReadError> {
    if key && !is_key(token) {
        return Err(ReadError::Key);
    }
    let fine = match token {
        Token::Array(count) => return Ok(Open { left: u64::from(count), map: false }),
        Token::Map(count) => {
            return Ok(Open { left: u64::from(count).saturating_mul(2), map: true });
        }
        Token::Ext(EXT_TIMESTAMP, data) => Timestamp::from_ext(data).is_some(),
        Token::Ext(EXT_DATE, data) => data.len() == 8,
        Token::Nil | Token::Bool(_) | Token::Int(_) | Token::Float(_) => true,
        Token::Str(_) | Token::Bin(_) | Token::Ext(..) => true,
    };
    if fine { Ok(Open::default()) } else { Err(ReadError::Range) }
}

const fn is_key(token: Token<'_>) -> bool {
    match token {
        Token::Str(text) => !matches!(text, b"__proto__"),
        Token::Int(_) | Token::Float(_) => true,
        Token::Nil | Token::Bool(_) | Token::Bin(_) => false,
        Token::Ext(..) | Token::Array(_) | Token::Map(_) => false,
    }
}
