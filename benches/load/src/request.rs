//! What the generator sends.

/// Values of the rotating field: a program that remembers the last head gains nothing from these.
pub const VARIANTS: usize = 64;

const NOT_FOUND_HEAD: &str = "GET /test HTTP/1.1\r\n\
    Host: unknown.do\r\n\
    User-Agent: forebay-bench-load/1\r\n\
    Accept: application/json\r\n\
    X-Request-Id: ";
const ID_LEN: usize = 16;

/// Bytes of [`not_found`]: the small head of `benches/wall`.
pub const NOT_FOUND_LEN: usize = NOT_FOUND_HEAD.len() + ID_LEN + 4;
const _: () = assert!(NOT_FOUND_LEN == 132);

/// Bytes of a small and a large body of [`post_echo`].
pub const SMALL_LEN: usize = 64;
pub const LARGE_LEN: usize = 1 << 20;

/// A request that the gateway itself answers with 404; `variant` changes one field, nothing else.
pub fn not_found(variant: usize) -> Vec<u8> {
    // A multiplication spreads the variants over all digits, as real ids do.
    let id = (variant as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{NOT_FOUND_HEAD}{id:016x}\r\n\r\n").into_bytes()
}

/// A request without a body to the echo worker behind the default service.
pub fn get_echo() -> Vec<u8> {
    b"GET /echo HTTP/1.1\r\nHost: do\r\nUser-Agent: forebay-bench-load/1\r\nAccept: */*\r\n\r\n"
        .to_vec()
}

/// A request with a body of `len` bytes that have to come back.
pub fn post_echo(len: usize) -> Vec<u8> {
    let mut request = format!(
        "POST /echo HTTP/1.1\r\nHost: do\r\nUser-Agent: forebay-bench-load/1\r\nAccept: */*\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {len}\r\n\r\n"
    )
    .into_bytes();
    // 89 is prime: parts that change places are noticed.
    request.extend((0..len).map(|index| b'!' + (index % 89) as u8));
    request
}
