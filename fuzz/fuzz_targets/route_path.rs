//! A path that is accepted has a normal form without dot segments, which is its own normal form.
#![no_main]

use forebay_core_route::NormalPath;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(path) = NormalPath::parse(data) else { return };
    let mut out = vec![0; path.len()];
    assert_eq!(path.emit(&mut out), Ok(path.len()));
    let joined: Vec<u8> = path.pieces().flatten().copied().collect();
    assert_eq!(joined, out);
    let again = NormalPath::parse(&out).expect("the normal form is a path");
    assert_eq!(again.as_plain(), Some(&out[..]));
    assert!(path.segments().eq(again.segments()));
    assert!(!path.segments().any(|segment| matches!(segment, b"." | b".." | b"%2e")));
});
