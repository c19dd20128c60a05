//! Durations and sizes with their units.

use core::time::Duration;

/// The longest duration that a key may have.
pub(super) const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What a duration may look like.
pub(super) const DURATION_FORM: &str = "a duration such as \"250ms\", \"5s\", \"10m\" or \"2h\"";
/// What a size may look like.
pub(super) const SIZE_FORM: &str = "bytes, or a size such as \"64KiB\", \"16MiB\" or \"2GiB\"";

/// A number and one of `us`, `ms`, `s`, `m`, `h`; zero needs no unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let micros = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        "" if number == 0 => 0,
        _ => return None,
    };
    number.checked_mul(micros).map(Duration::from_micros)
}

/// A number of bytes and one of `B`, `KiB`, `MiB`, `GiB`, or no unit.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let bytes = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(bytes)
}

/// The digits at the start as a number, and what follows them.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim_start_matches(' ')))
}

/// A size in the largest unit that divides it.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(duration("5 s"), Some(Duration::from_secs(5)));
        assert_eq!(duration("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(duration("10m"), Some(Duration::from_secs(600)));
        assert_eq!(duration("7us"), Some(Duration::from_micros(7)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for wrong in [
            "",
            "s",
            "5",
            "5 days",
            "1.5s",
            "-1s",
            "5S",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(size("64KiB"), Some(65_536));
        assert_eq!(size("1GiB"), Some(1 << 30));
        assert_eq!(size("3 MiB"), Some(3 << 20));
        assert_eq!(size("12B"), Some(12));
        assert_eq!(size("12"), Some(12));
        for wrong in ["", "KiB", "1KB", "1kib", "1.5KiB", "-1", "99999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_size(1000), "1000");
    }
}
