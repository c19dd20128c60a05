//! The data connection: requests in, answers and events out.
//!
//! [`Shared`] is what handlers, the client handle and the driver meet in: the session, which
//! decides, and the queue of what it handed out. The driver owns the socket.

mod adopt;
mod call;
mod driver;
mod outgoing;
mod shared;
mod state;

#[cfg(all(test, feature = "arrow"))]
pub(crate) use outgoing::Scratch;
pub(crate) use outgoing::{Outgoing, Owned};

pub(crate) use adopt::adopt;
pub(crate) use call::{Abort, Call, Frame};
pub(crate) use driver::serve;
pub(crate) use shared::{Plan, Shared, locked};
