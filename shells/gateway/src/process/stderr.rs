//! What a worker writes to its standard error: forwarded line by line, and its end kept for the
//! failure report.

use core::time::Duration;
use std::time::Instant;

/// A longer line is cut here.
const LINE_MAX: usize = 8 * 1024;
/// How much of the end is kept.
const TAIL_MAX: usize = 4 * 1024;
/// Lines that one worker may log in a second.
const LINES_PER_SECOND: u32 = 1000;

/// Splits the output into lines and keeps the last 4 KiB of it.
#[derive(Debug, Default)]
pub struct StderrTail {
    line: Vec<u8>,
    tail: Vec<u8>,
}

impl StderrTail {
    /// Takes what was read and calls `each` with every line that it completes, without the line
    /// end.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        self.keep(bytes);
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(&bytes[..end]);
            each(self.line.strip_suffix(b"\r").unwrap_or(&self.line));
            self.line.clear();
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    /// The end of the output, as text of at most 4 KiB; what is no UTF-8 is replaced.
    #[must_use]
    pub fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim_end().to_owned()
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_MAX.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL_MAX)..]);
        let surplus = self.tail.len().saturating_sub(TAIL_MAX);
        self.tail.drain(..surplus);
    }
}

/// How many lines one worker may log: 1,000 a second, the rest is counted.
#[derive(Debug)]
pub struct LineLimit {
    window: Instant,
    lines: u32,
    dropped: u64,
}

impl LineLimit {
    /// A limit whose first second begins at `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { window: now, lines: 0, dropped: 0 }
    }

    /// Whether one more line may be logged, and how many were dropped before it.
    pub fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.duration_since(self.window) >= Duration::from_secs(1) {
            self.window = now;
            self.lines = 0;
        }
        if self.lines == LINES_PER_SECOND {
            self.dropped += 1;
            return None;
        }
        self.lines += 1;
        Some(core::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut tail = StderrTail::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            tail.push(chunk, |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        lines
    }

    #[test]
    fn lines_are_whole_whatever_the_reads_were() {
        assert_eq!(lines(&[b"one\ntw", b"o\r", b"\n\nthr"]), ["one", "two", ""]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let long = vec![b'a'; LINE_MAX + 100];
        let seen = lines(&[&long, b"\nb\n"]);
        assert_eq!((seen[0].len(), seen[1].as_str()), (LINE_MAX, "b"));
    }

    #[test]
    fn the_last_4_kib_are_kept() {
        let mut tail = StderrTail::default();
        tail.push(&vec![b'x'; 10_000], |_| ());
        tail.push(b"end", |_| ());
        assert_eq!(tail.tail().len(), TAIL_MAX);
        assert!(tail.tail().ends_with("xend"));
    }

    #[test]
    fn the_thousand_and_first_line_of_a_second_is_dropped_and_counted() {
        let start = Instant::now();
        let mut limit = LineLimit::new(start);
        assert!((0..1000).all(|_| limit.admit(start) == Some(0)));
        assert_eq!(limit.admit(start), None);
        assert_eq!(limit.admit(start + Duration::from_secs(1)), Some(1));
    }
}
