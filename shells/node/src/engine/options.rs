//! What a client is and may do. All was checked for its type and range before.

use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

/// A client's origin and options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOptions {
    /// Name or address, without brackets.
    pub host: String,
    /// Of the origin.
    pub port: u16,
    /// `https`: with this TLS.
    pub tls: Option<TlsOptions>,
    /// Which version of HTTP.
    pub protocol: Protocol,
    /// Connect to this Unix socket or named pipe instead.
    pub socket_path: Option<String>,
    /// Connect from this address.
    pub local_address: Option<IpAddr>,
    /// Connect by way of a proxy.
    pub via: Via,
    /// Lookup, TCP and TLS together. 0: no limit.
    pub connect_timeout_ms: u32,
    /// Addresses of this family only: 4 or 6; 0: both.
    pub family: u8,
    /// The caller makes the streams to the server.
    pub asks_socket: bool,
    /// The caller looks names up.
    pub asks_lookup: bool,
    /// Try the other family when the first address does not answer within `attempt_timeout_ms`.
    pub auto_select_family: bool,
    /// See `auto_select_family`.
    pub attempt_timeout_ms: u32,
    /// The delay of TCP's own keep-alive probes. None: off.
    pub tcp_keep_alive_ms: Option<u32>,
    /// How long a connection may be idle, without a hint from the server.
    pub keep_alive_timeout_ms: u32,
    /// The longest that a server's hint can make it.
    pub keep_alive_max_timeout_ms: u32,
    /// Taken off a server's hint. A hint that is no more than this means: do not use it again.
    pub keep_alive_threshold_ms: i64,
    /// Requests on the wire at a time; 0: one, and no keep-alive.
    pub pipelining: u32,
    /// Requests per connection; the last carries `connection: close`. None: no limit.
    pub max_requests: Option<u32>,
    /// A response's head or trailers of this size or more is an error.
    pub max_header_size: u32,
    /// Of a response's body. None: no limit.
    pub max_response_size: Option<u64>,
    /// For HTTP/2.
    pub h2: H2Options,
}

/// Which version of HTTP a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 only; ALPN offers nothing else.
    Http1,
    /// ALPN offers `http/1.1`, then `h2`: the server chooses.
    Alpn,
    /// ALPN offers `h2` first.
    AlpnPreferH2,
    /// HTTP/2 without being asked, over plain TCP or TLS.
    H2Prior,
}

/// HTTP/2 settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H2Options {
    /// Requests at a time, if the server does not allow fewer.
    pub max_concurrent_streams: u32,
    /// Bytes that all streams together may be sent unasked.
    pub connection_window: u32,
    /// Bytes that a stream may be sent unasked.
    pub stream_window: u32,
    /// Between two PINGs. 0: none.
    pub ping_interval_ms: u32,
}

/// TLS towards one peer.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// PEM of the only roots to trust, shared: what is derived from them may be kept by address.
    /// Those of Node.js are given by the caller too.
    pub ca: Arc<[String]>,
    /// PEM of lists of revoked certificates. With any, each certificate of a chain must be of an
    /// issuer whose list is here. Empty: nothing is asked about revocation.
    pub crl: Vec<String>,
    /// PEM of the client's certificate chain. Empty: none.
    pub cert: String,
    /// PEM of its key.
    pub key: String,
    /// Verify the peer.
    pub reject_unauthorized: bool,
    /// The caller says whether a certificate is for the name, by the function of this number.
    pub asks_identity: Option<u32>,
    /// Send and verify this name. None: that of the origin; empty: send none, verify the origin's.
    pub servername: Option<String>,
    /// Sessions to keep for resumption; 0: none.
    pub max_cached_sessions: u32,
    /// The oldest version allowed: 12 or 13.
    pub min_version: u8,
    /// The newest version allowed: 12 or 13.
    pub max_version: u8,
}

impl fmt::Debug for TlsOptions {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("servername", &self.servername)
            .field("reject_unauthorized", &self.reject_unauthorized)
            .finish_non_exhaustive()
    }
}

/// What stands between client and origin.
#[derive(Clone, PartialEq, Eq)]
pub enum Via {
    /// Nothing. (A proxy that forwards is the origin of its client: requests have absolute
    /// targets.)
    Direct,
    /// A tunnel by CONNECT.
    Connect {
        /// Whom to ask.
        proxy: Proxy,
        /// Fields of the CONNECT request, in the form of
        /// [`RequestHead::fields`](super::RequestHead::fields). Secrets.
        fields: Vec<u8>,
    },
    /// A tunnel by SOCKS5; the proxy looks the name up.
    Socks5 {
        /// Whom to ask.
        proxy: Proxy,
        /// Name and password.
        auth: Option<(String, String)>,
    },
}

impl fmt::Debug for Via {
    /// Without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Connect { proxy, .. } => write!(f, "Connect({}:{})", proxy.host, proxy.port),
            Self::Socks5 { proxy, .. } => write!(f, "Socks5({}:{})", proxy.host, proxy.port),
        }
    }
}

/// A proxy that opens tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub host: String,
    /// Where it is.
    pub port: u16,
    /// TLS towards it.
    pub tls: Option<TlsOptions>,
    /// How long a connection to it may take, TLS included; 0: for ever. What it does then is
    /// within [`ClientOptions::connect_timeout_ms`].
    pub connect_timeout_ms: u32,
}
