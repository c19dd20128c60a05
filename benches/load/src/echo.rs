//! What the raw upstream behind the peer proxy does: 200 with the request's body as it came.

use std::io::Write as _;
use std::mem::MaybeUninit;

/// Appends one answer for each whole request at the front of `input`; returns the bytes used.
///
/// # Panics
///
/// When the bytes are no HTTP request, or a body has no plain length.
pub fn answer_all(input: &[u8], out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while used < input.len() {
        let mut fields = [const { MaybeUninit::uninit() }; 32];
        let mut head = httparse::Request::new(&mut []);
        let parsed = head.parse_with_uninit_headers(&input[used..], &mut fields);
        let httparse::Status::Complete(head_len) = parsed.expect("the proxy sends valid heads")
        else {
            break;
        };
        let body_len = body_len(head.headers);
        let body_start = used + head_len;
        let Some(body) = input.get(body_start..body_start + body_len) else { break };
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {body_len}\r\n\r\n")
            .expect("a Vec takes every byte");
        out.extend_from_slice(body);
        used = body_start + body_len;
    }
    used
}

fn body_len(fields: &[httparse::Header<'_>]) -> usize {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let text = field.map(|field| std::str::from_utf8(field.value).expect("digits"));
    text.map_or(0, |text| text.parse().expect("digits"))
}
