//! A parent's session under arbitrary bytes and operations, beside the model of its tests.
#![no_main]

#[path = "../../core/procwire/tests/suite/parent_model.rs"]
mod parent_model;

libfuzzer_sys::fuzz_target!(|ops: &[u8]| parent_model::run(ops));
