//! The engine: one thread per Node.js environment that owns every connection.
//!
//! Commands go in by batches, events come out into an [`EventSink`]. Nothing here knows JavaScript,
//! and nothing outside knows sockets.
//!
//! The unit is a *client*: one origin with one set of options, at most one connection at a time, a
//! first-in first-out queue of requests, and reconnection when a request needs it. Which client a
//! request goes to is decided by who sends the commands.
//!
//! # Order
//! Commands take effect in the order in which they were submitted. The events of one request come
//! in this order, and exactly one of the last line ends it:
//!
//! ```text
//! Start                                  again if the request is sent once more
//!   BodyCredit* BodySent                 the upload; may interleave with what follows
//!   Informational*
//!   Head Data* End | Response | Upgrade Data* End | Error
//! ```
//!
//! An error may come at any moment, before the start too. After [`Command::Abort`] no event of
//! that request follows, but for those that were emitted before the engine saw it: the generation
//! in the [`RequestId`] tells them apart from those of the slot's next request.

mod ask;
mod causes;
mod client;
pub mod command;
mod connect;
pub mod event;
pub mod failure;
#[cfg(all(fuzzing, unix))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod h1;
mod h2;
mod lane;
pub mod options;
mod outbox;
mod pace;
mod raw;
mod runtime;
mod shared;
mod stream;

pub use command::{Answer, Body, ClientId, Command, Request, RequestFlags, RequestHead, RequestId};
pub use event::{Connected, Data, Event, Head, Question, Version};
pub use failure::{Failure, Kind, SocketInfo};
pub use lane::Look;
pub use options::{ClientOptions, Proxy, Via};
pub use runtime::Engine;

/// Where events go; the FFI packs them for JavaScript.
pub trait EventSink: Send {
    /// Takes one event. Called on the engine's thread only.
    ///
    /// The sink wakes JavaScript by itself when much has gathered; otherwise
    /// [`flush`](Self::flush) does.
    fn emit(&mut self, event: Event<'_>);

    /// Everything that was ready has been done: JavaScript may be woken.
    ///
    /// Called before the engine's thread sleeps, and during long work at least once per
    /// millisecond. With nothing to tell it costs nothing. When nothing but [`Event::BodySent`] has
    /// gathered, that may wait for something better, which is likely to follow: returns whether it
    /// does.
    fn flush(&mut self) -> bool;

    /// The same, a millisecond after something began to wait, and again as long as it does.
    fn flush_late(&mut self) -> bool {
        self.flush()
    }

    /// JavaScript is so far behind that no socket should be read until [`Command::Drained`].
    fn is_full(&self) -> bool;
}
