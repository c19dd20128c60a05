//! What a worker answers an HTTP request with.

use bytes::Bytes;

use crate::http::wire;

/// A response's status and fields, in the order and spelling that the client will see.
///
/// The gateway adds `Date`, and the framing of the body when there is no `Content-Length`; it
/// answers 500 in the worker's place when a name or a value is none that HTTP allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHead {
    status: u16,
    fields: wire::Fields,
}

/// A whole response: a head and a body that lies in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub(crate) head: HttpHead,
    pub(crate) body: Bytes,
}

/// Fields behind a streamed body. The gateway drops those that HTTP forbids there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trailers {
    pub(crate) fields: wire::Fields,
}

impl HttpHead {
    /// A head without fields. `status` is 200 to 599.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, fields: wire::Fields::default() }
    }

    /// Adds a field behind those that are there. A value may be text or any bytes.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name.as_bytes(), value.as_ref());
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Says how long the body is, unless the author did.
    pub(crate) fn with_length(self, len: usize) -> Self {
        if self.fields.has_length() {
            return self;
        }
        let mut digits = [0; DIGITS_MAX];
        self.field("content-length", decimal(len, &mut digits))
    }

    pub(crate) fn fields(&self) -> &wire::Fields {
        &self.fields
    }
}

/// Digits of the largest length.
const DIGITS_MAX: usize = 20;

/// A number as text.
fn decimal(mut number: usize, digits: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut start = DIGITS_MAX;
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789"[number % 10];
        number /= 10;
        start -= 1;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or(&[])
}

impl HttpResponse {
    /// A response without fields and body. `status` is 200 to 599.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { head: HttpHead::new(status), body: Bytes::new() }
    }

    /// UTF-8 text.
    #[must_use]
    pub fn text(status: u16, text: impl Into<Bytes>) -> Self {
        Self::new(status).field("content-type", "text/plain; charset=utf-8").body(text)
    }

    /// JSON that is already encoded.
    #[must_use]
    pub fn json(status: u16, json: impl Into<Bytes>) -> Self {
        Self::new(status).field("content-type", "application/json").body(json)
    }

    /// An HTML page.
    #[must_use]
    pub fn html(status: u16, page: impl Into<Bytes>) -> Self {
        Self::new(status).field("content-type", "text/html; charset=utf-8").body(page)
    }

    /// Adds a field behind those that are there. A value may be text or any bytes.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head = self.head.field(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.head.status
    }
}

impl From<HttpHead> for HttpResponse {
    fn from(head: HttpHead) -> Self {
        Self { head, body: Bytes::new() }
    }
}

impl Trailers {
    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field behind those that are there.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push(name.as_bytes(), value.as_ref());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_rust_writes_them() {
        for number in [0, 7, 10, 99, 65_536, 1_000_000, usize::MAX] {
            let mut digits = [0; DIGITS_MAX];
            assert_eq!(decimal(number, &mut digits), number.to_string().as_bytes());
        }
    }
}
