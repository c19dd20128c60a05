//! The examples of `forebay-worker`, each with the Node.js parent beside it.

use std::path::Path;

use crate::node::Run;

/// Runs an example's parent, which builds its worker, and compares what it says after cargo.
fn says(example: &str, expected: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shells/worker/examples");
    let parent = folder.join(format!("{example}.mjs"));
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let run = Run::start(
        &[parent.to_str().expect("a path in UTF-8")],
        &[("EXAMPLE_PROFILE", profile), ("NO_COLOR", "1")],
    );
    let (status, output) = run.end();
    assert!(status.success(), "{status}: {output}");
    assert!(output.ends_with(expected), "{output}");
}

#[test]
fn echo() {
    says(
        "echo",
        "echo: {
  text: 'hello',
  when: 1970-01-01T00:00:00.000Z,
  bytes: <Buffer 01 02 03>
}
echo_raw: <Buffer 6f 6e 6c 79 20 62 79 74 65 73>
",
    );
}

#[test]
fn streaming() {
    says(
        "streaming",
        "countdown: 3
countdown: 2
countdown: 1
countdown: 0
word: one
word: two
failed: the text says stop
countdown: 1000
countdown: 999
countdown: 998
given up: AbortError
",
    );
}

#[test]
fn events() {
    says(
        "events",
        "accepted
job 7: 25 %
job 7: 50 %
job 7: 75 %
job 7: 100 %
heartbeat at a Date: true
",
    );
}

#[test]
fn primes() {
    says(
        "primes",
        "primes below 100, 1000, 100000: [ 25, 168, 9592 ]
below 10^12: AbortError
and the worker goes on: 4
",
    );
}

#[test]
fn tables() {
    says(
        "tables",
        "sums: [ 'price 7.75', 'weight 6' ]
back: [ 'bread 2.5', 'milk 1.25', 'null 4' ]
row: bread
row: milk
row: null
",
    );
}
