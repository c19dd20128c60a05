//! The one answer that every direct peer gives: the gateway's own 404, byte for byte.

use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// The body of the answer to [`crate::request::NOT_FOUND`], in the words of the gateway.
pub const BODY: &str = concat!(
    r#"{"error":"Service not found","message":"No worker found for unknown.do/test","#,
    r#""available_services":["gateway","db","auth","schedule","webhooks","email","mcp","queue"]}"#
);

/// The media type of [`BODY`].
pub const CONTENT_TYPE: &str = "application/json";

/// Bytes of an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const DATE_LEN: usize = 29;

/// The whole answer in one piece of memory, its date rewritten at most once per second.
#[derive(Debug)]
pub struct Answer {
    bytes: Vec<u8>,
    date_offset: usize,
    second: u64,
}

impl Answer {
    pub fn new() -> Self {
        let mut bytes = Vec::new();
        write!(bytes, "HTTP/1.1 404 Not Found\r\nContent-Type: {CONTENT_TYPE}\r\nDate: ")
            .expect("a Vec takes every byte");
        let date_offset = bytes.len();
        bytes.resize(date_offset + DATE_LEN, b' ');
        write!(bytes, "\r\nContent-Length: {}\r\n\r\n", BODY.len())
            .expect("a Vec takes every byte");
        bytes.extend_from_slice(BODY.as_bytes());
        let mut answer = Self { bytes, date_offset, second: 0 };
        answer.refresh();
        answer
    }

    /// Writes the date of now; to be called once per turn of a loop.
    pub fn refresh(&mut self) {
        let now = crate::system::coarse_seconds();
        if now != self.second {
            self.second = now;
            let date = &mut self.bytes[self.date_offset..self.date_offset + DATE_LEN];
            date.copy_from_slice(&imf_fixdate(now));
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn equals_but_for_date(&self, other: &[u8]) -> bool {
        let date_end = self.date_offset + DATE_LEN;
        self.bytes.len() == other.len()
            && self.bytes[..self.date_offset] == other[..self.date_offset]
            && self.bytes[date_end..] == other[date_end..]
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::new()
    }
}

/// Now as an IMF-fixdate (RFC 9110 section 5.6.7).
pub fn date_now() -> [u8; DATE_LEN] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    imf_fixdate(now.as_secs())
}

fn imf_fixdate(second: u64) -> [u8; DATE_LEN] {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day = second / 86_400;
    let (year, month, day_of_month) = civil(day);
    let text = format!(
        "{}, {day_of_month:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        DAYS[usize::try_from(day % 7).expect("below 7")],
        MONTHS[month],
        second / 3600 % 24,
        second / 60 % 60,
        second % 60
    );
    text.as_bytes().try_into().expect("29 bytes until the year 9999")
}

/// Year, month from 0 and day from 1 of a day counted from 1970-01-01, by eras of 400 years.
fn civil(day: u64) -> (u64, usize, u64) {
    let shifted = day + 719_468; // days since 0000-03-01
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    (year, usize::try_from(month).expect("below 12"), day_of_month)
}

#[cfg(test)]
mod tests {
    use super::{Answer, imf_fixdate};

    #[test]
    fn dates_are_those_of_the_rfc() {
        assert_eq!(&imf_fixdate(784_111_777), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(&imf_fixdate(1_709_164_800), b"Thu, 29 Feb 2024 00:00:00 GMT");
        assert_eq!(&imf_fixdate(1_735_689_599), b"Tue, 31 Dec 2024 23:59:59 GMT");
    }

    #[test]
    fn the_answer_is_one_whole_http_message() {
        let answer = Answer::new();
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let mut head = httparse::Response::new(&mut fields);
        let used = head.parse(answer.bytes()).expect("valid").unwrap();
        assert_eq!(head.code, Some(404));
        assert_eq!(&answer.bytes()[used..], super::BODY.as_bytes());
    }
}
