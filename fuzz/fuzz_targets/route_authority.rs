//! An authority that is accepted has a canonical form that is accepted again, unchanged.
#![no_main]

use forebay_core_route::authority;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut buf = [0xff; _];
    if let Ok(first) = authority::parse(data, &mut buf) {
        let mut again = [0; _];
        let second = authority::parse(first.host.as_bytes(), &mut again).expect("canonical");
        assert_eq!(first.host, second.host);
        assert_eq!(first.host.kind(), second.host.kind());
        assert!(!first.host.as_bytes().iter().any(u8::is_ascii_uppercase));
    }
});
