#![doc = include_str!("../README.md")]

mod config;
mod cores;
mod error;
mod handle;
pub mod net;
mod outgoing;
mod piece;
mod reactor;
mod remote;
mod sys;

pub use config::{Backend, Config, PoolClass, Tier};
pub use cores::{Core, CoreOptions, Pinning, Running, StartError, allowed_cpus, start};
pub use error::ReactorError;
pub use forebay_core_completion::{CancelOutcome, Completion, Flags, Interest, OpId};
pub use handle::Handle;
pub use piece::{Piece, byte_len};
pub use reactor::{BackendInfo, BackendKind, Reactor, Stats};
pub use remote::{PostError, Remote};
pub use sys::pool::{PoolBuf, PoolBufMut};
