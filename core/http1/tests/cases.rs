//! Every byte case, in memory, however its bytes are cut.

mod echo;

use echo::Echo;
use forebay_core_http1::Config;
use forebay_tests::chopper::{Chopper, every_split};
use forebay_tests::http1_cases::{Action, Case, Fate, all, judge, read_answers};

/// The limits that the cases are written for.
const CONFIG: Config = Config {
    body_len: 1 << 20,
    header_timeout_ms: 2_000,
    body_timeout_ms: 2_000,
    idle_timeout_ms: 5_000,
    half_close_grace_ms: 250,
    ..Config::new()
};

/// Longer inputs are not split at every point: the time would be quadratic.
const SPLIT_LEN_MAX: usize = 1_000;

/// Beyond this a replay takes too long to be repeated a thousand times.
const CHOP_LEN_MAX: usize = 100_000;

/// What a client saw: the bytes, and whether the server closed.
type Seen = (Vec<u8>, bool);

/// Replays a case; `cut` hands each piece that the client sends to the server.
fn replay(case: &Case, mut cut: impl FnMut(&[u8], &mut Echo)) -> Seen {
    let mut echo = Echo::new(CONFIG);
    for action in &case.script {
        match action {
            Action::Send(bytes) => cut(bytes, &mut echo),
            Action::Pause(ms) => echo.sleep(*ms),
            Action::Wait => assert!(!echo.output.is_empty(), "{}: no answer to wait for", case.id),
            Action::Fin => echo.finish(),
        }
    }
    match case.connection {
        Fate::Keep => {
            let before = echo.output.len();
            echo.receive(b"GET /further HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
            let further = String::from_utf8_lossy(&echo.output[before..]).into_owned();
            assert!(further.starts_with("HTTP/1.1 200 OK\r\n"), "{}: {further:?}", case.id);
            echo.output.truncate(before);
            (core::mem::take(&mut echo.output), false)
        }
        Fate::Close => {
            echo.sleep(if case.slow { 8_000 } else { 3_000 });
            assert!(echo.is_over(), "{}: still open", case.id);
            let before = echo.output.len();
            echo.receive(b"GET /further HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
            assert_eq!(echo.output.len(), before, "{}: answers after the end", case.id);
            (core::mem::take(&mut echo.output), true)
        }
        Fate::Any => (core::mem::take(&mut echo.output), echo.is_over()),
    }
}

fn whole(case: &Case) -> Seen {
    replay(case, |bytes, echo| echo.receive(bytes))
}

fn len(case: &Case) -> usize {
    let lens = case.script.iter().map(|action| match action {
        Action::Send(bytes) => bytes.len(),
        Action::Pause(_) | Action::Wait | Action::Fin => 0,
    });
    lens.sum()
}

#[test]
fn every_case_has_its_answer() {
    for case in all() {
        let (bytes, _) = whole(&case);
        let verdict = read_answers(&bytes, case.head).and_then(|answers| judge(&case, &answers));
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]).into_owned();
        assert_eq!(verdict, Ok(()), "{} {}: {text:?}", case.id, case.name);
    }
}

#[test]
fn single_bytes_change_nothing() {
    for case in all() {
        let seen = replay(&case, |bytes, echo| {
            for byte in bytes {
                echo.receive(&[*byte]);
            }
        });
        assert!(seen == whole(&case), "{} {}", case.id, case.name);
    }
}

#[test]
fn no_split_changes_anything() {
    for case in all().into_iter().filter(|case| len(case) <= SPLIT_LEN_MAX) {
        let expected = whole(&case);
        for (first, second) in every_split(len(&case)) {
            // The split is counted over the whole script.
            let mut start = 0;
            let seen = replay(&case, |bytes, echo| {
                let at = first.end.saturating_sub(start).min(bytes.len());
                for piece in [&bytes[..at], &bytes[at..]] {
                    if !piece.is_empty() {
                        echo.receive(piece);
                    }
                }
                start += bytes.len();
            });
            assert!(seen == expected, "{} {}: split at {second:?}", case.id, case.name);
        }
    }
}

#[test]
fn a_thousand_random_cuts_change_nothing() {
    for case in all() {
        let expected = whole(&case);
        let count = if len(&case) <= CHOP_LEN_MAX { 1_000 } else { 20 };
        for seed in 0..count {
            let mut chopper = Chopper::new(seed);
            let seen = replay(&case, |bytes, echo| {
                for piece in chopper.pieces(bytes) {
                    echo.receive(piece);
                }
            });
            assert!(seen == expected, "{} {}: seed {seed}", case.id, case.name);
        }
    }
}
