//! The trailer section of a chunked message (RFC 9112 section 7.1.2).

use crate::fields;
use crate::name::is_forbidden_in_trailers;

/// The trailer section of a request, checked; iterate over it for name and value.
///
/// Fields of framing, routing, authentication and content are left out (RFC 9110 section 6.5.1).
#[derive(Debug, Clone)]
pub struct Trailers<'i> {
    /// Field lines that passed the check.
    pub(crate) rest: &'i [u8],
}

impl<'i> Iterator for Trailers<'i> {
    /// Name and value.
    type Item = (&'i str, &'i [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (name, value) = fields::next(&mut self.rest)?;
            if !is_forbidden_in_trailers(name.as_bytes()) {
                return Some((name, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_could_change_the_message_is_left_out() {
        let lines = b"X-Sum: 1\r\nContent-Length: 5\r\nHOST: a\r\nCookie: b\r\nContent-Type: c\r\n\
            authorization: d\r\nTransfer-Encoding: e\r\nY: \r\n";
        let kept: Vec<_> = Trailers { rest: lines }.collect();
        assert_eq!(kept, [("X-Sum", b"1".as_slice()), ("Y", b"")]);
    }
}
