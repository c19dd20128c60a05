//! Authorities: the vectors, and the fast way against a slow one.

use super::*;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

const VECTORS: &str = include_str!("../../../../tests/vectors/route/authorities.tsv");

fn error_of(name: &str) -> AuthorityError {
    match name {
        "empty" => AuthorityError::Empty,
        "byte" => AuthorityError::Byte,
        "empty label" => AuthorityError::EmptyLabel,
        "too long" => AuthorityError::TooLong,
        "literal" => AuthorityError::Literal,
        "port" => AuthorityError::Port,
        other => panic!("no error is called {other}"),
    }
}

#[test]
fn vectors() {
    let lines = VECTORS.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        let mut buf = [0xff; _];
        let result = parse(columns[0].as_bytes(), &mut buf);
        match columns[1..] {
            ["error", error] => assert_eq!(result, Err(error_of(error)), "{line}"),
            [kind, text, port] => {
                let authority = result.unwrap_or_else(|error| panic!("{line}: {error}"));
                let kind = match kind {
                    "v4" => HostKind::V4,
                    "v6" => HostKind::V6,
                    _ => HostKind::Name,
                };
                assert_eq!(authority.host, Host::from_canonical(text.as_bytes()), "{line}");
                assert_eq!(authority.host.kind(), kind, "{line}");
                assert_eq!(authority.port, port.parse().ok(), "{line}");
            }
            _ => panic!("not a vector: {line}"),
        }
        count += 1;
    }
    assert!(count > 80, "{count} vectors");
}

/// The rules one after the other, byte by byte.
fn model(input: &str) -> Result<(String, Option<u16>), AuthorityError> {
    let (host, port) = match input.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (input, None),
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !host.bytes().all(valid) {
        return Err(AuthorityError::Byte);
    }
    if host.is_empty() {
        return Err(AuthorityError::Empty);
    }
    let port = match port {
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| AuthorityError::Port)?)
        }
        Some(_) => return Err(AuthorityError::Port),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.split('.').any(str::is_empty) {
        return Err(AuthorityError::EmptyLabel);
    }
    if host.len() > 253 || host.split('.').any(|label| label.len() > 63) {
        return Err(AuthorityError::TooLong);
    }
    Ok((host.to_ascii_lowercase(), port))
}

fn check(input: &str) {
    let mut buf = [0xff; _];
    let result = parse(input.as_bytes(), &mut buf);
    match (result, model(input)) {
        (Ok(Authority { host, port }), Ok((text, expected))) => {
            assert_eq!(host, Host::from_canonical(text.as_bytes()), "{input}");
            assert_eq!(port, expected, "{input}");
            let again = text.clone();
            let mut buf = [0; _];
            assert_eq!(parse(again.as_bytes(), &mut buf).unwrap().host, host, "idempotent");
        }
        // Which of several mistakes is named first is not promised.
        (result, expected) => {
            assert_eq!(result.is_err(), expected.is_err(), "{input:?} {result:?}")
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut buf = [0; _];
        let _ = parse(&input, &mut buf);
    }

    /// dispatch rules for hosts, against the plain model.
    #[test]
    fn agrees_with_the_model(input in "[a-zA-Z0-9_.-]{0,24}(:[0-9]{0,6})?") {
        check(&input);
    }

    #[test]
    fn agrees_with_the_model_on_long_names(
        input in "([a-z0-9]{50,66}\\.){2,5}[A-Z]{1,64}\\.?(:80)?",
    ) {
        check(&input);
    }

    #[test]
    fn one_bad_byte_anywhere_is_found(
        input in "[a-z]{1,40}", at in 0..40_usize, bad in "[^a-zA-Z0-9_.:-]",
    ) {
        let mut input = input;
        input.insert_str(at % input.len(), &bad);
        prop_assume!(!input.starts_with('['));
        let mut buf = [0; _];
        prop_assert_eq!(parse(input.as_bytes(), &mut buf), Err(AuthorityError::Byte));
    }
}
