//! The parent's side: one session for each child process.
//!
//! ```
//! use forebay_core_frame::Loan;
//! use forebay_core_procwire::parent::{
//!     Config, Event, Expect, Line, NewCall, ParentSession, PendingEntry, Source, Storage,
//! };
//! use forebay_core_procwire::{Body, ResponseKind, ResponseType};
//! use forebay_core_time::Instant;
//!
//! let now = Instant::ZERO; // the process was just spawned
//! let pending = [PendingEntry::default(); 16];
//! let loans = [Loan::default(); 8];
//! let mut session = ParentSession::new(now, Config::default(), Storage { pending, loans });
//! let mut slots = [0; 8 * 64];
//!
//! // A line from the child's stdout: look for what is needed, then connect to the pipe.
//! let line = br#"{"method":"$init","params":{"pipe":"/run/w.sock","schema":{
//!     "methods":{"echo":{"id":1,"response":"result"}},"events":{}}}}"#;
//! let Ok(Line::Init(init)) = session.handle_line(now, line) else { panic!("not ready") };
//! let method = init.need_method("echo", ResponseType::Result)?;
//! session.handle_connected(now, None, &mut slots).expect("it waits for the connection");
//!
//! // A request: the slot's bytes, then five bytes of payload that only the shell knows.
//! let call = NewCall { method, expect: Expect::Result, key: 77 };
//! let sent = session.send_request(call, Body::span(5), &mut slots);
//! let (request, frame) = sent.expect("a slot and a place are free");
//! assert_eq!(frame.head(&slots), b"\0\x01\0\0\0\0\x01\0\0\0\x05");
//! session.handle_sent(frame.slot).expect("it is on loan");
//!
//! // Its answer carries the caller's key.
//! let step = session.handle_bytes(b"\0\x01\x03\0\0\0\x01\0\0\0\x01\xc0").expect("good frames");
//! let source = Source::Response { request, key: 77, kind: ResponseKind::Result };
//! assert_eq!(step.event, Some(Event::Frame { source, payload: &[0xC0] }));
//! # Ok::<(), forebay_core_procwire::control::NeedError>(())
//! ```

mod data;
mod lifecycle;
mod session;

pub use crate::calls::Entry;
pub use data::{Counters, Event, Expect, NewCall, PendingEntry, PendingState, Source, Step};
pub use lifecycle::{Action, Failure, Heartbeat, Timing};
pub use session::{Config, Line, ParentSession, Storage};
