//! A child's session under arbitrary bytes and operations, beside the model of its tests.
#![no_main]

#[path = "../../core/procwire/tests/suite/child_model.rs"]
mod child_model;

libfuzzer_sys::fuzz_target!(|ops: &[u8]| child_model::run(ops));
