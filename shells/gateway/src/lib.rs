#![doc = include_str!("../README.md")]

pub mod builtin;
pub mod cli;
pub mod config;
pub mod process;
pub mod serve;
pub mod shard;
