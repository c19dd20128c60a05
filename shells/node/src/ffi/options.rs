//! Options of clients on their way from JavaScript, as JSON.

use core::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;

use crate::engine::options::{ClientOptions, H2Options, Protocol, Proxy, TlsOptions, Via};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    host: String,
    port: u16,
    tls: Option<Tls>,
    protocol: Versions,
    socket_path: Option<String>,
    local_address: Option<IpAddr>,
    via: Option<Way>,
    connect_timeout: u32,
    family: u8,
    asks_lookup: bool,
    asks_socket: bool,
    auto_select_family: bool,
    attempt_timeout: u32,
    tcp_keep_alive: Option<u32>,
    keep_alive_timeout: u32,
    keep_alive_max_timeout: u32,
    keep_alive_threshold: i64,
    pipelining: u32,
    max_requests: Option<u32>,
    max_header_size: u32,
    max_response_size: Option<u64>,
    max_concurrent_streams: u32,
    connection_window: u32,
    stream_window: u32,
    ping_interval: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Versions {
    Http1,
    Alpn,
    AlpnPreferH2,
    H2Prior,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    /// None: the roots of Node.js.
    ca: Option<Vec<String>>,
    crl: Vec<String>,
    cert: String,
    key: String,
    reject_unauthorized: bool,
    asks_identity: Option<u32>,
    servername: Option<String>,
    max_cached_sessions: u32,
    min_version: u8,
    max_version: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
enum Way {
    Connect { proxy: Asked, fields: String },
    Socks5 { proxy: Asked, auth: Option<(String, String)> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    host: String,
    port: u16,
    tls: Option<Tls>,
    connect_timeout: u32,
}

/// Options of a client; `roots` are for those that name none.
pub(super) fn parse(json: &str, roots: &Arc<[String]>) -> Result<ClientOptions, serde_json::Error> {
    serde_json::from_str::<Options>(json).map(|options| options.with(roots))
}

impl Options {
    fn with(self, roots: &Arc<[String]>) -> ClientOptions {
        let from = self;
        ClientOptions {
            host: from.host,
            port: from.port,
            tls: from.tls.map(|tls| tls.with(roots)),
            protocol: match from.protocol {
                Versions::Http1 => Protocol::Http1,
                Versions::Alpn => Protocol::Alpn,
                Versions::AlpnPreferH2 => Protocol::AlpnPreferH2,
                Versions::H2Prior => Protocol::H2Prior,
            },
            socket_path: from.socket_path,
            local_address: from.local_address,
            via: from.via.map_or(Via::Direct, |via| via.with(roots)),
            connect_timeout_ms: from.connect_timeout,
            family: from.family,
            asks_lookup: from.asks_lookup,
            asks_socket: from.asks_socket,
            auto_select_family: from.auto_select_family,
            attempt_timeout_ms: from.attempt_timeout,
            tcp_keep_alive_ms: from.tcp_keep_alive,
            keep_alive_timeout_ms: from.keep_alive_timeout,
            keep_alive_max_timeout_ms: from.keep_alive_max_timeout,
            keep_alive_threshold_ms: from.keep_alive_threshold,
            pipelining: from.pipelining,
            max_requests: from.max_requests,
            max_header_size: from.max_header_size,
            max_response_size: from.max_response_size,
            h2: H2Options {
                max_concurrent_streams: from.max_concurrent_streams,
                connection_window: from.connection_window,
                stream_window: from.stream_window,
                ping_interval_ms: from.ping_interval,
            },
        }
    }
}

impl Tls {
    fn with(self, roots: &Arc<[String]>) -> TlsOptions {
        let from = self;
        TlsOptions {
            ca: from.ca.map_or_else(|| Arc::clone(roots), Arc::from),
            crl: from.crl,
            cert: from.cert,
            key: from.key,
            reject_unauthorized: from.reject_unauthorized,
            asks_identity: from.asks_identity,
            servername: from.servername,
            max_cached_sessions: from.max_cached_sessions,
            min_version: from.min_version,
            max_version: from.max_version,
        }
    }
}

impl Way {
    fn with(self, roots: &Arc<[String]>) -> Via {
        match self {
            Self::Connect { proxy, fields } => {
                // Latin1, as fields are; each character was checked to be one byte.
                let fields = fields.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect();
                Via::Connect { proxy: proxy.with(roots), fields }
            }
            Self::Socks5 { proxy, auth } => Via::Socks5 { proxy: proxy.with(roots), auth },
        }
    }
}

impl Asked {
    fn with(self, roots: &Arc<[String]>) -> Proxy {
        Proxy {
            host: self.host,
            port: self.port,
            tls: self.tls.map(|tls| tls.with(roots)),
            connect_timeout_ms: self.connect_timeout,
        }
    }
}
