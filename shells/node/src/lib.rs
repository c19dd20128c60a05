//! The native half of the npm package `forebay`: an undici-compatible dispatcher for Node.js.
//!
//! `engine` owns connections and speaks HTTP; it knows no JavaScript. `ffi` carries batches of
//! commands in and batches of events out.

pub mod engine;
mod ffi;
