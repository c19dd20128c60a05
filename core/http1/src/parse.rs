//! A head in one go: one pass over its lines, and what its fields mean.

use crate::class;
use crate::config::{Config, index};
use crate::error::PeerError;
use crate::fields;
use crate::head::{FieldSlot, Fields, Framing, Head, HeadFacts, Version};
use crate::host;
use crate::lines;
use crate::name::{self, Known};
use crate::request_line;
use crate::target::Target;

/// More fields than the mask of those that are not forwarded can hold.
pub(crate) const FIELD_COUNT_MAX: usize = 128;

/// What came of an attempt.
pub(crate) enum Parsed<'f, 'i> {
    /// A head of so many bytes.
    Head(usize, Head<'f, 'i>),
    /// The lines are in order, what they say is not.
    Refused(PeerError),
    /// Not complete, or not in order.
    Unclear,
}

/// Parses the head at the start of `input`.
///
/// Accepts only what the search for its end and the line checks accept as well; leaves to them to
/// tell a head that is not complete from one that is wrong, and how.
#[inline(always)]
pub(crate) fn head<'f, 'i>(
    input: &'i [u8],
    config: &Config,
    slots: &'f mut [FieldSlot],
) -> Parsed<'f, 'i> {
    let Some(text) = behind_empty_lines(input, config) else {
        return Parsed::Unclear;
    };
    let Some(line) = request_line(text, config) else {
        return Parsed::Unclear;
    };
    let RequestLine { method, target, version, behind } = line;
    let lines = behind.get(..index(config.fields_len).saturating_add(2)).unwrap_or(behind);
    let count_max = usize::from(config.field_count).min(FIELD_COUNT_MAX).min(slots.len());
    let room = slots.get_mut(..count_max).unwrap_or_default();
    let mut found = Found::new();
    let Some((count, rest)) = field_lines(lines, room, &mut found) else {
        return Parsed::Unclear;
    };
    let slots: &'f [FieldSlot] = slots.get(..count).unwrap_or_default();
    let fields = Fields { slots: slots.iter(), lines };
    match found.finish(fields, method, version, config) {
        Ok((facts, host, hop_by_hop)) => {
            let used = input.len().wrapping_sub(behind.len());
            let used = used.wrapping_add(lines.len().wrapping_sub(rest));
            Parsed::Head(used, Head { method, target, slots, lines, host, hop_by_hop, facts })
        }
        Err(error) => Parsed::Refused(error),
    }
}

/// A request line, and what follows its CRLF.
struct RequestLine<'i> {
    method: &'i [u8],
    target: Target<'i>,
    version: Version,
    behind: &'i [u8],
}

/// The request line at the start of `text`, if it is complete and in order.
#[inline(always)]
fn request_line<'i>(text: &'i [u8], config: &Config) -> Option<RequestLine<'i>> {
    let line = text.get(..index(config.request_line_len)).unwrap_or(text);
    let behind_method = lines::behind_token(line);
    let method = line.get(..line.len().wrapping_sub(behind_method.len()))?;
    let [b' ', rest @ ..] = behind_method else {
        return None;
    };
    if method.is_empty() || request_line::check_method(method, config).is_err() {
        return None;
    }
    let (target, rest) = Target::parse(rest, method).ok()?;
    let (version, rest) = lines::version(rest)?;
    let behind = text.get(line.len().wrapping_sub(rest.len())..)?;
    Some(RequestLine { method, target, version, behind })
}

/// Goes through the field lines at the start of `text` and the empty line behind them: how many
/// they are, and how many bytes are left behind them, if they are complete and in order.
///
/// A function by itself, so that what goes round in it stays in registers.
#[inline(never)]
fn field_lines<'i>(
    text: &'i [u8],
    slots: &mut [FieldSlot],
    found: &mut Found<'i>,
) -> Option<(usize, usize)> {
    let (mut count, mut at) = (0usize, 0usize);
    while let Some(line) = lines::field(text, at) {
        *slots.get_mut(count)? = FieldSlot::new(at, line.colon, line.value, line.value_end);
        let name = text.get(at..line.colon)?;
        if name::may_be_known(name) {
            found.add(name, count, text.get(line.value..line.value_end)?);
        }
        count = count.wrapping_add(1);
        at = line.next;
    }
    match text.get(at..)? {
        [b'\r', b'\n', rest @ ..] => Some((count, rest.len())),
        [..] => None,
    }
}

/// Why a complete head was [`Parsed::Unclear`]; `lines` are its field lines.
#[cold]
pub(crate) fn diagnose(lines: &[u8], config: &Config, slot_count: usize) -> PeerError {
    let count = slot_count.min(usize::from(config.field_count)).min(FIELD_COUNT_MAX);
    match fields::check(lines, count) {
        Err(error) => error,
        // The one pass knows a mistake that the check does not: so far there is none.
        Ok(_) => PeerError::FieldName,
    }
}

/// What follows the empty lines that are permitted before a request.
#[inline(always)]
pub(crate) fn behind_empty_lines<'i>(input: &'i [u8], config: &Config) -> Option<&'i [u8]> {
    match input {
        [b'\r' | b'\n', ..] | [] => skip_empty_lines(input, config),
        [..] => Some(input),
    }
}

#[cold]
fn skip_empty_lines<'i>(input: &'i [u8], config: &Config) -> Option<&'i [u8]> {
    let mut rest = input;
    for _ in 0..config.empty_line_count {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
    }
    match rest {
        [b'\r' | b'\n', ..] | [] => None,
        [..] => Some(rest),
    }
}

/// The bit of the field at `at`, which is below [`FIELD_COUNT_MAX`].
#[inline]
fn bit(at: usize) -> u128 {
    u32::try_from(at).ok().and_then(|at| 1u128.checked_shl(at)).unwrap_or(0)
}

/// What the fields of one head mean, gathered in their order.
struct Found<'i> {
    host: Option<&'i [u8]>,
    length: Option<&'i [u8]>,
    coding: Option<&'i [u8]>,
    error: Option<PeerError>,
    close: bool,
    keep_alive: bool,
    /// `Connection: upgrade`, and `Upgrade`.
    upgrade_option: bool,
    upgrade: bool,
    /// `Connection` names other fields.
    names_fields: bool,
    expects_continue: bool,
    /// Bit n: field n is not forwarded.
    hop_by_hop: u128,
}

impl<'i> Found<'i> {
    const fn new() -> Self {
        Self {
            host: None,
            length: None,
            coding: None,
            error: None,
            close: false,
            keep_alive: false,
            upgrade_option: false,
            upgrade: false,
            names_fields: false,
            expects_continue: false,
            hop_by_hop: 0,
        }
    }

    /// Takes up the field at `at`.
    #[inline(never)]
    fn add(&mut self, name: &[u8], at: usize, value: &'i [u8]) {
        match Known::of(name) {
            Known::Host => match self.host.replace(value) {
                Some(_) => self.fail(PeerError::HostRepeated),
                None => return,
            },
            Known::ContentLength => match self.length.replace(value) {
                Some(_) => self.fail(PeerError::ContentLengthRepeated),
                None => return,
            },
            Known::TransferEncoding => {
                if self.coding.replace(value).is_some() {
                    self.fail(PeerError::CodingMalformed);
                }
            }
            Known::Connection => self.add_options(value),
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expects_continue = true;
            }
            Known::Expect => self.fail(PeerError::Expectation),
            Known::Upgrade => self.upgrade = true,
            Known::HopByHop => {}
            Known::Date | Known::ProxyAuthenticate | Known::Other => return,
        }
        self.hop_by_hop |= bit(at);
    }

    /// The options of one `Connection` field (RFC 9110 section 7.6.1).
    fn add_options(&mut self, value: &'i [u8]) {
        // What nearly always stands there, alone.
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in options(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade_option = true;
            } else if !option.is_empty() {
                self.names_fields = true;
            }
        }
    }

    /// Keeps the first error.
    #[cold]
    fn fail(&mut self, error: PeerError) {
        self.error = self.error.or(Some(error));
    }

    #[inline(always)]
    fn finish(
        &mut self,
        fields: Fields<'_, 'i>,
        method: &[u8],
        version: Version,
        config: &Config,
    ) -> Result<(HeadFacts, Option<&'i [u8]>, u128), PeerError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let host = self.checked_host(version)?;
        let framing = self.framing(version, config)?;
        if self.names_fields {
            self.drop_named(fields)?;
        }
        let http11 = version == Version::Http11;
        let has_body = framing.has_body();
        let facts = HeadFacts {
            framing,
            version,
            keep_alive: !self.close && (http11 || self.keep_alive),
            is_head: method == b"HEAD",
            expects_continue: self.expects_continue && http11 && has_body,
            upgrade: self.upgrade && self.upgrade_option && http11 && !has_body,
        };
        Ok((facts, host, self.hop_by_hop))
    }

    #[inline]
    fn checked_host(&self, version: Version) -> Result<Option<&'i [u8]>, PeerError> {
        match self.host {
            Some(value) if host::is_valid(value) => Ok(self.host),
            Some([]) | None if version == Version::Http10 => Ok(None),
            Some([]) | None => Err(PeerError::HostMissing),
            Some(_) => Err(PeerError::HostSyntax),
        }
    }

    #[inline]
    fn framing(&self, version: Version, config: &Config) -> Result<Framing, PeerError> {
        match (self.length, self.coding) {
            (None, None) => Ok(Framing::None),
            (Some(value), None) => {
                let len = content_length(value)?;
                if len > config.body_len {
                    return Err(PeerError::BodyLength);
                }
                Ok(Framing::Length(len))
            }
            (Some(_), Some(_)) => Err(PeerError::TwoFramings),
            (None, Some(_)) if version == Version::Http10 => Err(PeerError::CodingInHttp10),
            (None, Some(value)) if value.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            (None, Some(value)) => Err(unknown_coding(value)),
        }
    }

    /// Drops the fields that `Connection` names. No more names than fields are permitted, so that
    /// the comparisons are bounded by the square of that limit.
    #[cold]
    fn drop_named(&mut self, fields: Fields<'_, 'i>) -> Result<(), PeerError> {
        let lists = fields.clone().filter(|(name, _)| name.eq_ignore_ascii_case(b"connection"));
        let mut count = 0usize;
        for name in lists.flat_map(|(_, value)| options(value)).filter(|name| !name.is_empty()) {
            count = count.wrapping_add(1);
            if count > FIELD_COUNT_MAX {
                return Err(PeerError::FieldCount);
            }
            match Known::of(name) {
                Known::Host | Known::ContentLength | Known::TransferEncoding => {
                    return Err(PeerError::ConnectionOption);
                }
                Known::Connection
                | Known::Expect
                | Known::Upgrade
                | Known::Date
                | Known::HopByHop
                | Known::ProxyAuthenticate
                | Known::Other => {}
            }
            for (at, (field, _)) in fields.clone().enumerate() {
                if field.eq_ignore_ascii_case(name) {
                    self.hop_by_hop |= bit(at);
                }
            }
        }
        Ok(())
    }
}

/// The members of a comma-separated list, empty ones included.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(class::trim)
}

/// 1 to 19 digits, which fit 64 bits (RFC 9110 section 8.6, strictly).
pub(crate) fn content_length(value: &[u8]) -> Result<u64, PeerError> {
    if value.contains(&b',') {
        return Err(PeerError::ContentLengthRepeated);
    }
    if !(1..=19).contains(&value.len()) {
        return Err(PeerError::ContentLength);
    }
    value.iter().try_fold(0u64, |sum, byte| match byte {
        b'0'..=b'9' => Ok(sum.wrapping_mul(10).wrapping_add(u64::from(byte & 0xF))),
        _ => Err(PeerError::ContentLength),
    })
}

/// Why a transfer coding is not `chunked` alone (RFC 9112 section 6.1).
#[cold]
fn unknown_coding(value: &[u8]) -> PeerError {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let count = options(value).filter(|coding| is_chunked(coding)).count();
    let last = options(value).last().is_some_and(is_chunked);
    let malformed =
        options(value).any(|coding| coding.is_empty() || !class::all(coding, class::TOKEN));
    if malformed || count > 1 || count == 1 && !last {
        PeerError::CodingMalformed
    } else {
        PeerError::Coding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Scan;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[derive(Debug, PartialEq)]
    enum Verdict {
        Good(usize),
        Refused(PeerError),
        Partial,
    }

    /// The fast way: one pass.
    fn fast(input: &[u8]) -> Option<Verdict> {
        let mut slots = [const { FieldSlot::uninit() }; 96];
        match head(input, &Config::new(), &mut slots) {
            Parsed::Head(len, _) => Some(Verdict::Good(len)),
            Parsed::Refused(error) => Some(Verdict::Refused(error)),
            Parsed::Unclear => None,
        }
    }

    /// The slow way: the search for the end and the checks line by line.
    fn slow(input: &[u8]) -> Verdict {
        let config = Config::new();
        let mut scan = Scan::default();
        match scan.head(input, &config) {
            Err(error) => Verdict::Refused(error),
            Ok(None) => Verdict::Partial,
            Ok(Some(end)) => match fields::check(&input[scan.fields()..end - 2], 96) {
                Err(error) => Verdict::Refused(error),
                Ok(_) => Verdict::Good(end),
            },
        }
    }

    fn heads() -> impl Strategy<Value = Vec<u8>> {
        // A good head with a few bytes changed, removed or put in.
        let good = b"\r\nPOST /a%20b?c HTTP/1.1\r\nHost: a.do:1\r\nX-Long-Name_1:\t value with  blanks \t\r\n\
            Empty:\r\nAccept: text/html, */*;q=0.8, and more of it to fill a vector\r\n\r\nbody";
        let bytes = prop_oneof![
            proptest::sample::select(b"\r\n :\t\0\x7F\xFFaG/%#\\?".to_vec()),
            any::<u8>(),
        ];
        proptest::collection::vec((0..good.len(), bytes, 0..3u8), 0..4).prop_map(move |edits| {
            let mut head = good.to_vec();
            for (at, byte, kind) in edits {
                let at = at.min(head.len() - 1);
                match kind {
                    0 => head[at] = byte,
                    1 => drop(head.remove(at)),
                    _ => head.insert(at, byte),
                }
            }
            head
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        /// Section 4 of the rules: what `httparse` lets pass is caught, and what this crate's own
        /// checks let pass is not refused by `httparse`.
        #[test]
        fn both_ways_agree(input in heads()) {
            let slow = slow(&input);
            match fast(&input) {
                Some(Verdict::Good(len)) => prop_assert_eq!(slow, Verdict::Good(len)),
                Some(Verdict::Refused(_)) => prop_assert!(matches!(slow, Verdict::Good(_))),
                Some(Verdict::Partial) | None => prop_assert!(!matches!(slow, Verdict::Good(_))),
            }
        }
    }

    /// What `httparse` makes of a head: its length, and all that it found.
    type Parts = (usize, Vec<u8>, Vec<u8>, Version, Vec<(Vec<u8>, Vec<u8>)>);

    fn by_httparse(input: &[u8]) -> Option<Parts> {
        let mut headers = [httparse::EMPTY_HEADER; 96];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(len)) = request.parse(input) else {
            return None;
        };
        let field = |field: &httparse::Header<'_>| (field.name.into(), field.value.to_vec());
        let version = if request.version? == 0 { Version::Http10 } else { Version::Http11 };
        let fields = request.headers.iter().map(field).collect();
        Some((len, request.method?.into(), request.path?.into(), version, fields))
    }

    fn by_us(input: &[u8]) -> Option<Parts> {
        let mut slots = [FieldSlot::uninit(); 96];
        let Parsed::Head(len, head) = head(input, &Config::new(), &mut slots) else {
            return None;
        };
        let fields = head.fields().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        let target = head.target().raw().into();
        Some((len, head.method().into(), target, head.facts.version, fields))
    }

    /// Where this crate is stricter than `httparse`, beside what the fields say: a line feed alone,
    /// empty lines, the target, the method.
    fn may_be_refused(input: &[u8], (len, method, target, ..): &Parts) -> bool {
        let bare = |at: usize| input[at] == b'\n' && (at == 0 || input[at - 1] != b'\r');
        (0..*len).any(bare)
            || input.starts_with(b"\r\n\r\n\r\n")
            || request_line::check_method(method, &Config::new()).is_err()
            || Target::parse(target, method).is_err()
    }

    fn compare(input: &[u8]) -> Result<(), TestCaseError> {
        let mut slots = [FieldSlot::uninit(); 96];
        let is_refused = matches!(head(input, &Config::new(), &mut slots), Parsed::Refused(_));
        match (by_us(input), by_httparse(input)) {
            (None, Some(parts)) => prop_assert!(is_refused || may_be_refused(input, &parts)),
            (ours, theirs) => prop_assert_eq!(ours, theirs),
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        /// A parser that others wrote says the same, and finds the same parts.
        #[test]
        fn httparse_agrees(input in heads()) {
            compare(&input)?;
        }

        /// Names and values of any length, so that each ends at any place of a word.
        #[test]
        fn httparse_agrees_on_any_fields(
            fields in proptest::collection::vec(
                ("[!#-'*+.^_`|~A-Za-z0-9-]{1,20}", "[ \t]{0,2}", "[\t -~\u{80}-\u{ff}]{0,40}"), 0..6,
            ),
            target in "/[a-z?/.]{0,20}",
        ) {
            let mut input = std::format!("GET {target} HTTP/1.1\r\nHost: a\r\n").into_bytes();
            for (name, blank, value) in fields {
                input.extend(std::format!("{name}:{blank}{value}\r\n").into_bytes());
            }
            input.extend(b"\r\n");
            compare(&input)?;
        }
    }

    #[test]
    fn codings_are_told_apart() {
        for (value, error) in [
            ("", PeerError::CodingMalformed),
            ("chunked, chunked", PeerError::CodingMalformed),
            ("chunked, gzip", PeerError::CodingMalformed),
            ("chunked;q=1", PeerError::CodingMalformed),
            ("gzip,, chunked", PeerError::CodingMalformed),
            ("gzip, chunked", PeerError::Coding),
            ("identity", PeerError::Coding),
            ("xchunked", PeerError::Coding),
        ] {
            assert_eq!(unknown_coding(value.as_bytes()), error, "{value}");
        }
    }

    #[test]
    fn lengths_are_1_to_19_digits() {
        assert_eq!(content_length(b"0005"), Ok(5));
        assert_eq!(content_length(b"9999999999999999999"), Ok(9_999_999_999_999_999_999));
        for value in [b"".as_slice(), b"+5", b"-5", b"0x5", b"5 5", b"10000000000000000000", b"5\t"]
        {
            assert_eq!(content_length(value), Err(PeerError::ContentLength), "{value:?}");
        }
        assert_eq!(content_length(b"5, 5"), Err(PeerError::ContentLengthRepeated));
    }
}
