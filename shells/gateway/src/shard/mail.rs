//! What cores tell each other, and what the starter of processes tells them.
//!
//! A call whose client is on another core than its worker travels as mail, its bytes as loans. The
//! way is bounded: what does not fit waits at the sender, who stops reading from wherever it comes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crossbeam_queue::SegQueue;
use forebay_core_dispatch::home::Body;
use forebay_core_dispatch::{CallId, InstanceId, Refusal};
use forebay_reactor::{Piece, Remote};

use crate::process::{Pipes, Process};

/// Letters that may wait in one core's box; each sender may be one letter late to notice.
const BOX_LEN: usize = 4096;
/// Letters for one core that may wait at a sender before it takes no new calls for that core.
const BACKLOG_MAX: usize = 1024;

/// A call on its way to its worker's core.
#[derive(Debug)]
pub(super) struct NewCall {
    pub(super) origin: u64,
    /// The worker, by the position of its service.
    pub(super) service: u16,
    pub(super) message: Piece,
    pub(super) inline: Option<Piece>,
    pub(super) body: Body,
    pub(super) idempotent: bool,
}

/// From a client's core to the core of the worker.
#[derive(Debug)]
pub(super) enum ToHome {
    Call(NewCall),
    /// A part of the request's body; `last` if nothing follows.
    Body {
        call: CallId,
        part: Option<Piece>,
        last: bool,
    },
    /// The end of the body, with encoded trailers.
    Trailers {
        call: CallId,
        trailers: Piece,
    },
    /// The body that was asked for in one piece.
    Gathered {
        call: CallId,
        body: Piece,
    },
    /// The client took so many bytes of the response.
    Drained {
        call: CallId,
        bytes: u64,
    },
    /// The client is gone.
    Gone {
        call: CallId,
    },
}

/// From a worker's core to the core of the client.
#[derive(Debug)]
pub(super) enum ToClient {
    /// The call has this name from now on, at this core.
    Accepted { core: u8, call: CallId },
    /// The call is over: answer this.
    Refused { service: u16, refusal: Refusal, detail: Piece },
    /// More of the body may come.
    ReadBody { bytes: u32, parts: u8, chunk: u32 },
    /// The whole body is needed first.
    Gather { limit: u32 },
    /// Nobody wants the rest of the body.
    DiscardBody,
    /// 103; the fields are encoded.
    Informational { status: u16, fields: Piece },
    /// The response begins; the fields are encoded.
    Head { status: u16, fields: Piece, length: Option<u64> },
    /// The body goes on.
    Part { part: Piece },
    /// The response ends with these trailers, encoded; the end follows.
    Trailers { trailers: Piece },
    /// The response ends.
    End,
    /// The response cannot be completed.
    Broken,
}

/// Anything that arrives in a core's box.
#[derive(Debug)]
pub(super) enum Mail {
    ToHome(ToHome),
    ToClient { origin: u64, letter: ToClient },
    Started { instance: InstanceId, process: io::Result<(Process, Pipes)> },
}

/// The box of one core. An empty one has next to no memory.
#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    letters: Arc<SegQueue<Mail>>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self { letters: Arc::new(SegQueue::new()) }
    }

    /// The next letter.
    pub(super) fn take(&self) -> Option<Mail> {
        self.letters.pop()
    }

    /// Puts a letter into the box; gives it back if the box is full. Ring the bell afterwards.
    pub(super) fn put(&self, mail: Mail) -> Result<(), Mail> {
        if self.letters.len() >= BOX_LEN {
            return Err(mail);
        }
        self.letters.push(mail);
        Ok(())
    }
}

/// One core's way to another.
#[derive(Debug)]
pub(super) struct Way {
    mailbox: Mailbox,
    bell: Remote,
    backlog: VecDeque<Mail>,
    /// Letters were put in since the bell was last rung.
    rang: bool,
}

impl Way {
    pub(super) fn new(mailbox: Mailbox, bell: Remote) -> Self {
        Self { mailbox, bell, backlog: VecDeque::new(), rang: true }
    }

    /// Sends a letter, now or as soon as there is room, in order.
    pub(super) fn send(&mut self, mail: Mail) {
        if !self.backlog.is_empty() {
            self.backlog.push_back(mail);
            return;
        }
        match self.mailbox.put(mail) {
            Ok(()) => self.rang = false,
            Err(mail) => self.backlog.push_back(mail),
        }
    }

    /// Whether so much waits that no new call may be sent this way.
    pub(super) fn is_crowded(&self) -> bool {
        self.backlog.len() >= BACKLOG_MAX
    }

    /// Moves on what waits and wakes the other core if there is something new. True if letters are
    /// left behind.
    pub(super) fn deliver(&mut self) -> bool {
        while let Some(mail) = self.backlog.pop_front() {
            match self.mailbox.put(mail) {
                Ok(()) => self.rang = false,
                Err(mail) => {
                    self.backlog.push_front(mail);
                    break;
                }
            }
        }
        if !self.rang {
            self.rang = true;
            self.bell.wake();
        }
        !self.backlog.is_empty()
    }
}
