//! Why something failed, in the terms that Node.js uses.

use std::borrow::Cow;

use core::net::SocketAddr;

/// Which class of error a caller sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// The client's last failed connection, told as an event of its own before.
    Connect = 0,
    /// A system error of Node.js: a plain `Error` with `code`, `errno`, `syscall`, `address`,
    /// `port` or, of a failed lookup, `hostname` (in `address`). `message` is empty: it follows
    /// from these.
    System = 1,
    /// Several system errors, in `causes`: an `AggregateError` with the code of the first.
    Aggregate = 2,
    /// TLS: a plain `Error` with `code` and `message`. `address` is the host, when the name did not
    /// match, and `detail` the reason.
    Tls = 3,
    /// `ConnectTimeoutError` with `message`.
    ConnectTimeout = 4,
    /// `HeadersTimeoutError`; `message` only in HTTP/2.
    HeadersTimeout = 5,
    /// `BodyTimeoutError`; `message` only in HTTP/2.
    BodyTimeout = 6,
    /// `HeadersOverflowError`
    HeadersOverflow = 7,
    /// `SocketError` with `message` and `socket`.
    Socket = 8,
    /// `HTTPParserError`; `message` is the reason, `detail` the offending bytes as text.
    Parser = 9,
    /// `ResponseContentLengthMismatchError`
    ResponseLength = 10,
    /// `ResponseExceededMaxSizeError`
    ResponseSize = 11,
    /// `InformationalError` with `message`.
    Informational = 12,
    /// `RequestAbortedError` with `message`.
    Aborted = 13,
    /// `ClientDestroyedError`
    Destroyed = 14,
    /// HTTP/2: a plain `Error` with `code` and `message`. `errno` is the code of a reset.
    Http2 = 15,
    /// `ProxyConnectionError` with the first of `causes`.
    Proxy = 16,
    /// `SecureProxyConnectionError` with the first of `causes`.
    SecureProxy = 17,
    /// `Socks5ProxyError` with `code` and `message`.
    Socks5 = 18,
    /// `InvalidArgumentError` with `message`: options that only the engine can judge, such as a
    /// key that is none.
    InvalidArgument = 19,
    /// `RequestContentLengthMismatchError`
    RequestLength = 20,
    /// `NotSupportedError` with `message`.
    NotSupported = 21,
    /// What the caller's own function said.
    Caller = 22,
}

/// An error to be: what is empty is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub kind: Kind,
    /// `ECONNREFUSED`, `CERT_HAS_EXPIRED`.
    pub code: Cow<'static, str>,
    /// What it says, where the class does not determine it.
    pub message: Cow<'static, str>,
    /// The negative number of the system, 0: none. libuv's for lookups.
    pub errno: i32,
    /// `connect`, `read`, `write`, `getaddrinfo`, `bind`.
    pub syscall: &'static str,
    /// An address, the path of a Unix socket, or a host name.
    pub address: Cow<'static, str>,
    /// 0: none.
    pub port: u16,
    /// See [`Kind`].
    pub detail: Cow<'static, str>,
    /// Of [`Kind::Tls`]: the certificate whose name did not match, as DER.
    pub certificate: Option<Box<[u8]>>,
    /// Of [`Kind::Socket`].
    pub socket: Option<Box<SocketInfo>>,
    /// See [`Kind`].
    pub causes: Vec<Self>,
}

impl Failure {
    /// An error of which there is no more to say than its class.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            code: Cow::Borrowed(""),
            message: Cow::Borrowed(""),
            errno: 0,
            syscall: "",
            address: Cow::Borrowed(""),
            port: 0,
            detail: Cow::Borrowed(""),
            certificate: None,
            socket: None,
            causes: Vec::new(),
        }
    }

    /// The same, saying `message`.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// The same, with `code`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }
}

/// The connection that a [`Kind::Socket`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketInfo {
    /// Of a Unix socket: none.
    pub local: Option<SocketAddr>,
    /// Of a Unix socket: none.
    pub remote: Option<SocketAddr>,
    /// In its whole life.
    pub bytes_written: u64,
    /// In its whole life.
    pub bytes_read: u64,
}
