//! The stored counts: lines `instructions<TAB>name`.

use std::fmt::Write as _;
use std::path::PathBuf;

/// How much more than the baseline is let pass: other compilers of the same release differ by less.
const TOLERANCE: f64 = 1.02;

/// Counts by name, in the order of the file.
#[derive(Debug)]
pub struct Baseline(Vec<(String, f64)>);

impl Baseline {
    pub fn read() -> Result<Self, String> {
        let Ok(text) = std::fs::read_to_string(file()) else { return Ok(Self(Vec::new())) };
        let entry = |line: &str| {
            let (count, name) = line.split_once('\t')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        let entries: Option<_> = text.lines().map(entry).collect();
        entries.map(Self).ok_or_else(|| format!("{} is not a baseline", file().display()))
    }

    pub fn of(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, count)| *count)
    }

    pub fn set(&mut self, name: &str, count: f64) {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, known)) => *known = count,
            None => self.0.push((name.to_owned(), count)),
        }
    }

    pub fn write(&self) -> Result<(), String> {
        let mut text = String::new();
        for (name, count) in &self.0 {
            let _ = writeln!(text, "{count:.1}\t{name}");
        }
        std::fs::write(file(), text).map_err(|error| error.to_string())
    }
}

/// One word about a count.
pub fn verdict(counted: f64, known: Option<f64>) -> &'static str {
    match known {
        None => "new",
        Some(known) if counted > known * TOLERANCE + 0.5 => "grown",
        Some(known) if counted * TOLERANCE + 0.5 < known => "shrunk: bless it",
        Some(_) => "as before",
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("baseline.txt")
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn more_than_two_percent_is_growth() {
        assert_eq!(verdict(100.0, None), "new");
        assert_eq!(verdict(102.0, Some(100.0)), "as before");
        assert_eq!(verdict(104.0, Some(100.0)), "grown");
        assert_eq!(verdict(90.0, Some(100.0)), "shrunk: bless it");
    }
}
