//! What touches the OS. One file or folder per backend behind [`Driver`]; a further backend adds
//! one here and a variant there.

pub(crate) mod affinity;
mod driver;
mod eager;
pub(crate) mod epoll;
#[expect(unsafe_code, reason = "buffers are shared with the kernel and across threads")]
pub(crate) mod pool;
pub(crate) mod socket;
#[expect(unsafe_code, reason = "submission entries carry raw pointers")]
pub(crate) mod uring;

pub(crate) use driver::{Driver, Wait};
pub(crate) use eager::send_now;
