//! The control plane: JSON objects, one per line, on the child's stdin and stdout (procwire
//! section 2).

mod init;
mod json;
mod line;
mod message;
mod write;

pub use init::{EventEntry, Events, Init, InitError, MethodEntry, Methods, NeedError};
pub use json::JsonStr;
pub use line::{LINE_LEN_MAX, LineSplitter, LineStep, LineTooLong};
pub use message::Message;
pub use write::{
    MethodDecl, PING_LINE, PONG_LINE, SHUTDOWN_LINE, TooShort, write_error, write_init,
};
