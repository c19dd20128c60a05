//! Reading the vector files.

/// The rows of a vector file: fields between tabs, comments left out.
pub(crate) fn rows<const N: usize>(file: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        fields.try_into().unwrap_or_else(|fields| panic!("not {N} fields: {fields:?}"))
    })
}

/// Bytes from hexadecimal digits; `-` is none, `N*xx` repeats a byte, spaces separate.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace().filter(|word| *word != "-") {
        let (count, digits) = word.split_once('*').unwrap_or(("1", word));
        assert!(digits.len() % 2 == 0, "half a byte in {word}");
        for _ in 0..count.parse::<usize>().unwrap() {
            bytes.extend(
                digits.as_bytes().chunks(2).map(|pair| {
                    u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap()
                }),
            );
        }
    }
    bytes
}

/// All ways to cut `bytes` in two, and the one into single bytes.
pub(crate) fn cuts(bytes: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let pairs = (0..=bytes.len()).map(|at| {
        let (front, back) = bytes.split_at(at);
        vec![front, back]
    });
    pairs.chain(core::iter::once(bytes.chunks(1).collect()))
}
