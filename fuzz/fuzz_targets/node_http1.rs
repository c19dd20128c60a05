//! The Node.js package's engine on a real socket: a server that sends any bytes, cut anywhere, and
//! a caller that asks, pauses, grants and gives up at any time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| forebay_fuzz::node::run(data));
