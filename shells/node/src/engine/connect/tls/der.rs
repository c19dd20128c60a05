//! What Node.js tells about a certificate, read from its bytes (X.509, RFC 5280).
//!
//! Nothing here decides on trust alone: signatures and chains are rustls's business.

use core::fmt;
use core::net::IpAddr;

/// The fields of a certificate that errors speak of.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    issuer: &'a [u8],
    subject: &'a [u8],
    /// Seconds since 1970.
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    /// Behind the subject: key, and extensions.
    rest: &'a [u8],
}

/// One alternative name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Dns(String),
    Address(IpAddr),
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const UTC_TIME: u8 = 0x17;
const VERSION: u8 = 0xA0;
const EXTENSIONS: u8 = 0xA3;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1D, 0x11];

/// Takes the next element: its tag and contents.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7F => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let len = digits.iter().fold(0usize, |len, digit| len << 8 | usize::from(*digit));
            (len, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((*tag, contents))
}

fn expect<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(bytes).filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
}

impl<'a> Certificate<'a> {
    pub(super) fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let mut certificate = expect(&mut bytes, SEQUENCE)?;
        let mut body = expect(&mut certificate, SEQUENCE)?;
        if body.first() == Some(&VERSION) {
            take(&mut body)?;
        }
        // Serial number, signature algorithm.
        take(&mut body)?;
        take(&mut body)?;
        let issuer = expect(&mut body, SEQUENCE)?;
        let mut validity = expect(&mut body, SEQUENCE)?;
        let not_before = time(take(&mut validity)?)?;
        let not_after = time(take(&mut validity)?)?;
        let subject = expect(&mut body, SEQUENCE)?;
        Some(Self { issuer, subject, not_before, not_after, rest: body })
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// The last common name of the subject.
    pub(super) fn common_name(&self) -> Option<String> {
        let (mut names, mut found) = (self.subject, None);
        while let Some(mut set) = expect(&mut names, SET) {
            while let Some(mut pair) = expect(&mut set, SEQUENCE) {
                if expect(&mut pair, OID) == Some(COMMON_NAME) {
                    found = take(&mut pair).map(|(_, name)| String::from_utf8_lossy(name).into());
                }
            }
        }
        found
    }

    /// The alternative names that are names of hosts or addresses.
    pub(super) fn names(&self) -> Vec<Name> {
        self.alternative_names().unwrap_or_default()
    }

    fn alternative_names(&self) -> Option<Vec<Name>> {
        let mut rest = self.rest;
        let mut wrapped = loop {
            let (tag, contents) = take(&mut rest)?;
            if tag == EXTENSIONS {
                break contents;
            }
        };
        let mut extensions = expect(&mut wrapped, SEQUENCE)?;
        while let Some(mut extension) = expect(&mut extensions, SEQUENCE) {
            if expect(&mut extension, OID)? != ALTERNATIVE_NAMES {
                continue;
            }
            // A flag may stand between.
            let (mut tag, mut value) = take(&mut extension)?;
            if tag != OCTETS {
                (tag, value) = take(&mut extension)?;
            }
            let mut names = (tag == OCTETS).then(|| expect(&mut value, SEQUENCE)).flatten()?;
            let mut found = Vec::new();
            while let Some((tag, name)) = take(&mut names) {
                found.extend(Name::parse(tag, name));
            }
            return Some(found);
        }
        None
    }
}

impl Name {
    fn parse(tag: u8, name: &[u8]) -> Option<Self> {
        match tag {
            0x82 => Some(Self::Dns(String::from_utf8_lossy(name).into_owned())),
            0x87 => {
                let v4 = <[u8; 4]>::try_from(name).map(IpAddr::from);
                let v6 = <[u8; 16]>::try_from(name).map(IpAddr::from);
                v4.or(v6).ok().map(Self::Address)
            }
            _ => None,
        }
    }

    pub(super) const fn is_dns(&self) -> bool {
        matches!(self, Self::Dns(_))
    }

    pub(super) fn address(&self) -> Option<String> {
        match self {
            Self::Address(address) => Some(address.to_string()),
            Self::Dns(_) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{name}"),
            Self::Address(IpAddr::V4(address)) => write!(f, "IP Address:{address}"),
            Self::Address(IpAddr::V6(address)) => {
                // In full, as OpenSSL writes it.
                let groups = address.segments().map(|group| format!("{group:X}"));
                write!(f, "IP Address:{}", groups.join(":"))
            }
        }
    }
}

/// Whether a common name, with a star as its whole first label perhaps, is this host's.
pub(super) fn matches(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(parent) if parent.contains('.') => {
            host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        }
        Some(_) => false,
        None => name.eq_ignore_ascii_case(host),
    }
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ`, in seconds since 1970; what was before is 0.
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let digits = text.strip_suffix(b"Z")?;
    let number = |at: usize, len: usize| {
        digits.get(at..at + len)?.iter().try_fold(0i64, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, at) = if tag == UTC_TIME {
        let year = number(0, 2)?;
        (if year < 50 { 2000 + year } else { 1900 + year }, 2)
    } else {
        (number(0, 4)?, 4)
    };
    let (month, day) = (number(at, 2)?, number(at + 2, 2)?);
    let (hour, minute, second) = (number(at + 4, 2)?, number(at + 6, 2)?, number(at + 8, 2)?);
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Days since the first of 1970, in the Gregorian calendar.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin with March: the leap day is the last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time((UTC_TIME, b"240229123456Z")), Some(1_709_210_096));
        assert_eq!(time((0x18, b"20500101000000Z")), Some(2_524_608_000));
        assert_eq!(time((UTC_TIME, b"690101000000Z")), Some(0), "1969");
        assert_eq!(time((UTC_TIME, b"7001010000Z")), None);
        assert_eq!(time((UTC_TIME, b"70010100000xZ")), None);
    }

    #[test]
    fn stars_stand_for_one_label() {
        assert!(matches("a.do", "A.do") && matches("*.a.do", "b.a.do"));
        assert!(!matches("*.a.do", "a.do") && !matches("*.a.do", "c.b.a.do"));
        assert!(!matches("*.do", "a.do") && !matches("", "a"));
    }

    #[test]
    fn no_bytes_do_harm() {
        for len in 0..64 {
            for byte in [0u8, 0x30, 0x81, 0x84, 0xFF] {
                drop(Certificate::parse(&vec![byte; len]).map(|cert| cert.names()));
            }
        }
    }
}
