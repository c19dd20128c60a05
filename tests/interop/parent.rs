//! `@procwire/core` drives our worker.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use forebay_tests::program::example;

use crate::node::{Run, file};

/// Runs one scenario of `parent/*.mjs` to its end.
fn run(scenario: &str) -> (ExitStatus, String) {
    let start = file("parent/start.mjs");
    let worker = example("forebay-worker", "everything");
    let args = [&start, &worker].map(|path| path.to_str().expect("a path in UTF-8"));
    Run::start(&[args[0], scenario, args[1]], &[]).end()
}

fn pass(scenario: &str) {
    let (status, output) = run(scenario);
    assert!(status.success(), "{status}: {output}");
}

/// One test for each scenario, and one that none was forgotten.
macro_rules! scenarios {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                pass(stringify!($name));
            }
        )*

        const PASSING: &[&str] = &[$(stringify!($name)),*];
    };
}

scenarios! {
    every_response_type
    raw_payloads
    events_of_every_codec
    every_failure_is_an_error
    only_the_first_answer_counts
    buffers_and_dates
    values_of_every_kind
    integers_at_their_limits
    broken_text
    a_thousand_parked_requests
    ten_thousand_requests_at_once
    overload_is_an_error
    an_abort_ends_a_stream
    a_reader_that_pauses_loses_nothing
    shutdown_ends_at_once
    auth_keeps_strangers_out
    heartbeat_goes_on_beside_busy_handlers
    heartbeat_finds_a_stopped_worker
    a_crash_is_followed_by_a_restart
    a_failed_start_is_told
    a_mismatch_is_the_end
    a_lost_connection_is_followed_by_a_restart
}

/// Those that end with the death of the parent.
const KILLED: [&str; 2] = ["killed", "killed_before_ready"];

#[test]
fn every_scenario_is_run() {
    let start = file("parent/start.mjs");
    let (_, listed) = Run::start(&[start.to_str().expect("a path in UTF-8"), "--list"], &[]).end();
    let mut known: Vec<&str> = PASSING.iter().chain(&KILLED).copied().collect();
    known.sort_unstable();
    assert_eq!(listed.lines().collect::<Vec<_>>(), known);
}

/// SIGKILL of the parent, with a request parked and a stream in full flow, or before it has
/// connected: [`Run::end`] finds that neither process nor socket file is left.
#[test]
fn nothing_is_left_of_the_worker_of_a_killed_parent() {
    for scenario in KILLED {
        let (status, output) = run(scenario);
        assert_eq!(status.signal(), Some(9), "{output}");
        assert!(output.starts_with("worker "), "{output}");
    }
}
