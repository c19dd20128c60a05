//! What the raw loops do with received bytes: httparse, one comparison, the prepared answer. No
//! limits, no timeouts, no error answers: a row to measure against, never a product.

use std::mem::MaybeUninit;

use crate::answer::Answer;

/// Appends one answer for each whole head at the front of `input`; returns the bytes used.
///
/// # Panics
///
/// When the bytes are no HTTP request or not the one that the bench sends.
pub fn answer_all(input: &[u8], answer: &Answer, out: &mut Vec<u8>) -> usize {
    let mut used = 0;
    while used < input.len() {
        let mut fields = [const { MaybeUninit::uninit() }; 16];
        let mut head = httparse::Request::new(&mut []);
        let parsed = head.parse_with_uninit_headers(&input[used..], &mut fields);
        match parsed.expect("the bench sends valid heads") {
            httparse::Status::Complete(len) => {
                assert_eq!(head.path, Some("/test"));
                used += len;
                out.extend_from_slice(answer.bytes());
            }
            httparse::Status::Partial => break,
        }
    }
    used
}
