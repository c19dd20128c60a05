//! Eight bytes at a time, as one little-endian integer.
//!
//! Results are masks with the high bit of each byte that matches.

/// 0x01 in every byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of every byte.
pub(crate) const HIGH: u64 = 0x8080_8080_8080_8080;
/// Every bit but the high one of every byte.
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// `byte` in every byte.
const fn fill(byte: u8) -> u64 {
    ONES.wrapping_mul(u64::from_le_bytes([byte, 0, 0, 0, 0, 0, 0, 0]))
}

/// The bytes that are `.` or `%` behind a `/`, or may be where a byte is no ASCII; then the mask of
/// the next word's `slash_before`, whose lowest byte says that a slash stands before the word.
pub(crate) const fn dot_behind_slash(word: u64, slash_before: u64) -> (u64, u64) {
    let ascii = word & LOW;
    let not_slash = (ascii ^ fill(b'/')).wrapping_add(LOW);
    let not_dot = (ascii ^ fill(b'.')).wrapping_add(LOW);
    let not_percent = (ascii ^ fill(b'%')).wrapping_add(LOW);
    let slashes = !not_slash & HIGH;
    (((slashes << 8) | slash_before) & !(not_dot & not_percent), slashes >> 56)
}

/// The bytes that equal `byte`; any bytes.
pub(crate) const fn eq(word: u64, byte: u8) -> u64 {
    let differs = word ^ fill(byte);
    !((differs & LOW).wrapping_add(LOW) | differs) & HIGH
}

/// The bytes that equal `byte`; ASCII bytes only.
pub(crate) const fn eq_ascii(word: u64, byte: u8) -> u64 {
    !(word ^ fill(byte)).wrapping_add(LOW) & HIGH
}

/// The bytes that are at least `byte`, which is 1 to 127; ASCII bytes only.
const fn ge_ascii(word: u64, byte: u8) -> u64 {
    word.wrapping_add(fill(0x80_u8.wrapping_sub(byte))) & HIGH
}

/// The bytes from `first` to `last`, which is below 127; ASCII bytes only.
pub(crate) const fn in_range_ascii(word: u64, first: u8, last: u8) -> u64 {
    ge_ascii(word, first) & !ge_ascii(word, last.wrapping_add(1))
}

/// All bits of the first `count` bytes, 0 to 8.
pub(crate) const fn first_bytes(count: u32) -> u64 {
    match 1_u64.checked_shl(count.wrapping_mul(8)) {
        Some(bit) => bit.wrapping_sub(1),
        None => u64::MAX,
    }
}

/// The position of the first byte of a mask, 8 if it is empty.
pub(crate) const fn first_of(mask: u64) -> u32 {
    mask.trailing_zeros() >> 3
}

/// The word of `bytes` that begins at `start`, a multiple of eight, and the number of its bytes: 8
/// but for the last one. The bytes that are missing there are zero.
#[inline]
pub(crate) fn at(bytes: &[u8], start: usize) -> Option<(u64, u32)> {
    let rest = bytes.get(start..)?;
    if let Some(chunk) = rest.first_chunk::<8>() {
        return Some((u64::from_le_bytes(*chunk), 8));
    }
    let count = u32::try_from(rest.len()).unwrap_or(0);
    let missing_bits = 8_u32.wrapping_sub(count).wrapping_mul(8);
    match bytes.last_chunk::<8>() {
        _ if rest.is_empty() => None,
        Some(chunk) => Some((u64::from_le_bytes(*chunk).wrapping_shr(missing_bits), count)),
        None => Some((short_word(rest), count)),
    }
}

/// One to seven bytes as a word. Two loads that may overlap instead of a loop.
fn short_word(bytes: &[u8]) -> u64 {
    let shift = |byte: usize| u32::try_from(byte.wrapping_mul(8)).unwrap_or(0);
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let last = u64::from(u32::from_le_bytes(*last));
        let offset = bytes.len().wrapping_sub(4);
        return u64::from(u32::from_le_bytes(*first)) | last.wrapping_shl(shift(offset));
    }
    let byte =
        |index: usize| u64::from(bytes.get(index).copied().unwrap_or(0)).wrapping_shl(shift(index));
    byte(0) | byte(1) | byte(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_the_bytes_in_order(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut seen = [0_u8; 48];
            let mut len = 0;
            while let Some((word, count)) = at(&bytes, len) {
                seen[len..len + 8].copy_from_slice(&word.to_le_bytes());
                len += usize::try_from(count).unwrap();
                prop_assert_eq!(&seen[len..len + 8 - usize::try_from(count).unwrap()],
                    &[0_u8; 8][..8 - usize::try_from(count).unwrap()]);
            }
            prop_assert_eq!(&seen[..len], &bytes[..]);
        }

        #[test]
        fn masks_mark_exactly_the_bytes_that_match(
            bytes in any::<[u8; 8]>(), byte in 1_u8..127, width in 0_u8..60,
        ) {
            let ascii = bytes.map(|byte| byte & 0x7f);
            let last = byte.saturating_add(width).min(126);
            let any = eq(u64::from_le_bytes(bytes), byte).to_le_bytes();
            let equal = eq_ascii(u64::from_le_bytes(ascii), byte).to_le_bytes();
            let inside = in_range_ascii(u64::from_le_bytes(ascii), byte, last).to_le_bytes();
            for index in 0..8 {
                prop_assert_eq!(any[index] == 0x80, bytes[index] == byte);
                prop_assert_eq!(equal[index] == 0x80, ascii[index] == byte);
                prop_assert_eq!(inside[index] == 0x80, (byte..=last).contains(&ascii[index]));
            }
        }
    }

    #[test]
    fn counts_cover_both_ends() {
        assert_eq!(first_bytes(0), 0);
        assert_eq!(first_bytes(3), 0xff_ffff);
        assert_eq!(first_bytes(8), u64::MAX);
        assert_eq!(first_of(0), 8);
        assert_eq!(first_of(0x80_0000), 2);
    }
}
