//! A whole worker on a real socket: its parent sends what it likes and reads when it likes.
#![no_main]

use forebay_fuzz::worker::{Op, run};

libfuzzer_sys::fuzz_target!(|ops: Vec<Op>| run(&ops));
