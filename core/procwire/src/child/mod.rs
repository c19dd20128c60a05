//! The child's side: one session for the adopted data connection, one for the control plane.

mod answers;
mod control;
mod session;

pub use crate::calls::Entry;
pub use control::{ChildControl, Command, ControlStep};
pub use session::{
    Call, CallEntry, CallState, ChildSession, Config, Event, Method, Refusal, Reply, Step, Storage,
};
