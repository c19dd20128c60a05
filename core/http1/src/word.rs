//! Eight bytes at a time, as one little-endian integer.
//!
//! Masks have the high bit of each byte that matches. Unless they are called exact, they are so up
//! to their first mark; behind it a borrow can set others.

const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The high bit of every byte.
pub(crate) const HIGH: u64 = ONES << 7;

/// The word at the start of `bytes`, and what follows it. Bytes that are missing are zero: zero is
/// in no class, so a scan stops there.
#[inline(always)]
pub(crate) fn cut(bytes: &[u8]) -> (u64, &[u8]) {
    match bytes.split_first_chunk::<8>() {
        Some((chunk, behind)) => (u64::from_le_bytes(*chunk), behind),
        None => (load_end(bytes), &[]),
    }
}

/// Fewer than eight bytes. Two loads that may overlap instead of a loop.
#[inline]
fn load_end(bytes: &[u8]) -> u64 {
    let shift = |count: usize| u32::try_from(count.wrapping_mul(8)).unwrap_or(0);
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last));
        let offset = bytes.len().wrapping_sub(4);
        return u64::from(u32::from_le_bytes(*first)) | last.wrapping_shl(shift(offset));
    }
    let byte = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(0)).wrapping_shl(shift(at));
    byte(0) | byte(1) | byte(2)
}

/// The offset of the first marked byte, 8 without one.
#[inline(always)]
pub(crate) fn first(marks: u64) -> usize {
    usize::try_from(marks.trailing_zeros() >> 3).unwrap_or(8)
}

/// What no field value has: controls but HTAB, which is marked too.
#[inline(always)]
pub(crate) const fn not_value(word: u64) -> u64 {
    (below(word, 0x20) | zero(word ^ fill(0x7F))) & HIGH
}

/// What needs a look in a query: blanks, controls, `!`, `"`, `#` and everything beyond ASCII.
#[inline(always)]
pub(crate) const fn not_query(word: u64) -> u64 {
    (below(word, b'$') | zero(word ^ fill(0x7F)) | word) & HIGH
}

/// What needs a look in a path: as for a query, and `$`, `%`, `?` and the backslash.
#[inline(always)]
pub(crate) const fn not_path(word: u64) -> u64 {
    // One bit tells `?` and 0x7F apart.
    let question = zero((word | fill(0x40)) ^ fill(0x7F));
    (below(word, b'&') | question | zero(word ^ fill(b'\\')) | word) & HIGH
}

/// What a label of a host name has: letters, digits, `-` and `_`. Exact.
#[inline(always)]
pub(crate) const fn label(word: u64) -> u64 {
    let ascii = word & !HIGH;
    let small = ascii | fill(0x20);
    let letter = small.wrapping_add(fill(0x80 - b'a')) & !small.wrapping_add(fill(0x7F - b'z'));
    let digit = ascii.wrapping_add(fill(0x80 - b'0')) & !ascii.wrapping_add(fill(0x7F - b'9'));
    (letter | digit) & !word & HIGH | equal(word, b'-') | equal(word, b'_')
}

/// The bytes that equal `byte`. Exact.
#[inline(always)]
pub(crate) const fn equal(word: u64, byte: u8) -> u64 {
    let differs = word ^ fill(byte);
    !((differs & !HIGH).wrapping_add(!HIGH) | differs) & HIGH
}

/// All bits of the first `count` bytes, fewer than eight.
#[inline(always)]
pub(crate) fn first_bytes(count: usize) -> u64 {
    let shift = u32::try_from(count.wrapping_mul(8)).unwrap_or(0);
    1u64.wrapping_shl(shift).wrapping_sub(1)
}

/// `byte` in every byte.
const fn fill(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The bytes below `byte`, which is at most 0x80.
const fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(fill(byte)) & !word
}

const fn zero(word: u64) -> u64 {
    below(word, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class;
    use proptest::prelude::*;

    #[test]
    fn what_is_missing_is_zero() {
        let bytes = b"abcdefghij";
        for len in 0..=10 {
            let mut padded = [0; 8];
            let count = len.min(8);
            padded[..count].copy_from_slice(&bytes[..count]);
            assert_eq!(cut(&bytes[..len]).0.to_le_bytes(), padded, "{len}");
        }
    }

    proptest! {
        #[test]
        fn exact_masks_have_every_mark(bytes in any::<[u8; 8]>(), byte in any::<u8>()) {
            let word = u64::from_le_bytes(bytes);
            let (labels, equals) = (label(word).to_le_bytes(), equal(word, byte).to_le_bytes());
            for at in 0..8 {
                let is_label = class::is(bytes[at], class::LABEL);
                prop_assert_eq!(labels[at], if is_label { 0x80 } else { 0 });
                prop_assert_eq!(equals[at], if bytes[at] == byte { 0x80 } else { 0 });
            }
        }

        /// The first mark is at the first byte that is not plain; those that are no good are never
        /// plain.
        #[test]
        fn the_first_mark_is_exact(
            bytes in any::<[u8; 8]>(),
            good in any::<[u8; 8]>(),
            len in 0..9usize,
        ) {
            // Mostly good bytes, so that later ones are reached.
            let mut bytes = bytes;
            for (at, byte) in good.iter().enumerate().take(len) {
                bytes[at] = b'a' + byte % 26;
            }
            let word = u64::from_le_bytes(bytes);
            let outside = |test: &dyn Fn(u8) -> bool| {
                bytes.iter().position(|byte| !test(*byte)).unwrap_or(8)
            };
            let value = |byte| class::is(byte, class::VALUE) && byte != b'\t';
            let query = |byte| class::is(byte, class::TARGET) && !b"!\"".contains(&byte);
            let path = |byte| class::is(byte, class::PATH) && !b"!\"$".contains(&byte);
            prop_assert_eq!(first(not_value(word)), outside(&value));
            prop_assert_eq!(first(not_query(word)), outside(&query));
            prop_assert_eq!(first(not_path(word)), outside(&path));
        }
    }
}
