//! The engine against real sockets.

mod any_bytes;
mod exchange;
mod failures;
mod http2;
mod proxies;
mod quick;
mod secure;
mod support;
