//! Paths: the vectors, and the fast way against RFC 3986 written down.

use super::*;
use proptest::prelude::*;
use std::string::String;
use std::vec;
use std::vec::Vec;

const VECTORS: &str = include_str!("../../../../tests/vectors/route/paths.tsv");

fn normal(path: &str) -> Result<String, PathError> {
    let path = NormalPath::parse(path.as_bytes())?;
    let mut out = vec![0; path.len()];
    assert_eq!(path.emit(&mut out), Ok(path.len()));
    assert_eq!(path.pieces().flatten().copied().collect::<Vec<u8>>(), out);
    let short = out.len() - 1;
    assert_eq!(path.emit(&mut out[..short]), Err(TooSmall { need: path.len() }));
    assert_eq!(path.as_plain().unwrap_or(&out), out);
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn vectors() {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let (path, expected) = line.split_once('\t').unwrap();
        let expected = match expected {
            "too many segments" => Err(PathError::TooManySegments),
            "not absolute" => Err(PathError::NotAbsolute),
            normal => Ok(String::from(normal)),
        };
        assert_eq!(normal(path), expected, "{line}");
        count += 1;
    }
    assert!(count > 45, "{count} vectors");
}

#[test]
fn the_query_is_cut_off() {
    assert_eq!(before_query(b"/a?b?c"), b"/a");
    assert_eq!(before_query(b"/a"), b"/a");
    assert_eq!(before_query(b"?"), b"");
    assert_eq!(before_query(b""), b"");
}

/// RFC 3986 section 5.2.4 word by word, on a copy; the spellings of a dot are replaced before.
fn remove_dot_segments(path: &str) -> String {
    let plain = path.split('/').map(|segment| {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        if dots == "." || dots == ".." { dots } else { String::from(segment) }
    });
    let mut input = plain.collect::<Vec<_>>().join("/");
    let mut output = String::new();
    while !input.is_empty() {
        if input.starts_with("/./") {
            input.replace_range(..2, "");
        } else if input == "/." {
            input = String::from("/");
        } else if input.starts_with("/../") || input == "/.." {
            input.replace_range(..3, "");
            if input.is_empty() {
                input.push('/');
            }
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |index| index + 1);
            output.push_str(&input[..end]);
            input.replace_range(..end, "");
        }
    }
    output
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(input in prop::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(path) = NormalPath::parse(&input) {
            let mut out = vec![0; path.len()];
            prop_assert_eq!(path.emit(&mut out), Ok(path.len()));
            prop_assert!(path.segments().count() <= SEGMENT_COUNT_MAX);
        }
    }

    #[test]
    fn is_what_the_rfc_says(path in "(/(\\.|%2e|%2E|a|[b-z]{1,9}|;|%){0,3}){1,12}") {
        prop_assert_eq!(normal(&path), Ok(remove_dot_segments(&path)));
    }

    /// What is normal stays as it is.
    #[test]
    fn is_idempotent(path in "(/(\\.|%2e|%2E|a|%2){0,4}){1,20}") {
        let once = normal(&path).unwrap();
        prop_assert_eq!(normal(&once), Ok(once));
    }

    /// The short way for paths without dot segments finds them wherever they are.
    #[test]
    fn finds_a_dot_segment_at_any_place(before in "[a-z]{0,40}", after in "(/[a-z]{0,20})?") {
        let path = std::format!("/{before}/..{after}");
        prop_assert_eq!(normal(&path), Ok(remove_dot_segments(&path)));
        let path = std::format!("/{before}/%2e{after}");
        prop_assert_eq!(normal(&path), Ok(remove_dot_segments(&path)));
    }
}
