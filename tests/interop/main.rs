//! Our ends against the published npm packages: a Node.js parent drives our worker, and our parent
//! drives a worker on the npm client.
//!
//! `cargo xtask test-all --only interop` installs Node.js and the packages and runs it; by hand:
//! `npm ci` in this folder and in `shells/worker/examples`, then
//! `cargo test -p forebay-tests --features interop --test interop`.
#![cfg(unix)]

mod client;
mod examples;
mod node;
mod parent;
