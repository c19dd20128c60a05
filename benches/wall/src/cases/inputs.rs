//! Request heads that rotate, so that no branch predictor learns one by heart.

/// How many different inputs each case goes through.
pub const COUNT: usize = 64;

/// Bytes of the small head: what a program sends that calls a service.
pub const SMALL: usize = 132;

/// Bytes of the large head: what a browser sends.
pub const LARGE: usize = 703;

/// Hosts below the zone `do` of the shipped configuration, each of 8 bytes.
const HOSTS: [&str; 8] = [
    "email.do", "queue.do", "xauth.do", "DEmail.d", "localhos", "email.do", "queue.do", "gate.way",
];

/// The heads of one length, all different.
pub fn heads(len: usize) -> Vec<Vec<u8>> {
    assert!(len == SMALL || len == LARGE);
    (0..COUNT).map(|variant| if len == SMALL { small(variant) } else { large(variant) }).collect()
}

fn path(variant: usize) -> String {
    // Below the prefix, at the root, and deeper; always 23 bytes.
    match variant % 3 {
        0 => format!("/api/db/items/{variant:09}"),
        1 => format!("/items/list/view/{variant:06}"),
        _ => format!("/api/auth/users/{variant:07}"),
    }
}

fn small(variant: usize) -> Vec<u8> {
    let (path, host) = (path(variant), HOSTS[variant % HOSTS.len()]);
    let front = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\n\
         X-Request-Id: "
    );
    fill(front, variant, SMALL)
}

fn large(variant: usize) -> Vec<u8> {
    let (path, host) = (path(variant), HOSTS[variant % HOSTS.len()]);
    let front = format!(
        "GET {path}?page={variant:03}&sort=name HTTP/1.1\r\n\
         Host: {host}\r\n\
         Connection: keep-alive\r\n\
         Cache-Control: max-age=0\r\n\
         Upgrade-Insecure-Requests: 1\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/130.0.0.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\n\
         Referer: https://{host}/items/list\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-GB,en;q=0.9\r\n\
         Cookie: session="
    );
    fill(front, variant, LARGE)
}

/// Fills the last field's value up to a head of `len` bytes.
fn fill(front: String, variant: usize, len: usize) -> Vec<u8> {
    let mut bytes = front.into_bytes();
    let mut state = variant as u64 + 1;
    while bytes.len() < len - 4 {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        bytes.push(b"0123456789abcdef"[(state >> 60) as usize]);
    }
    bytes.extend_from_slice(b"\r\n\r\n");
    assert_eq!(bytes.len(), len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::{COUNT, LARGE, SMALL, heads};

    #[test]
    fn heads_have_their_length_and_are_all_different() {
        for len in [SMALL, LARGE] {
            let mut heads = heads(len);
            heads.sort();
            heads.dedup();
            assert_eq!(heads.len(), COUNT);
        }
    }
}
