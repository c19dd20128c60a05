//! What a home knows about a call.

use core::time::Duration;

use forebay_core_flow::{CreditWindow, Watermark};
use forebay_core_procwire::RequestId;
use forebay_core_time::Instant;

use super::event::{Body, NewCall};
use crate::list::Link;
use crate::{Refusal, WorkerId};

/// Parts of one request's body that may await the worker's acknowledgement, the end apart: that
/// may come when no part may.
pub(super) const PARTS: usize = 8;

/// How long one client may hold up an instance's connection while other calls wait behind it.
pub(super) const STALL: Duration = Duration::from_secs(2);

/// A call, from its acceptance until everything about it was said.
///
/// ```text
///   Waiting ──▶ Assigned ──frame polled──▶ Sent ──head──▶ Responding
///    │  ▲          │                        │                 │
///    ▼  │          │     (retry: back to Waiting)             │
///   Gathering      └────────────┬───────────┴─────────────────┘
///                               ▼ any end
///                             Ended, until its action and its ABORT were polled
/// ```
#[derive(Debug)]
pub struct Call {
    pub(super) origin: u64,
    /// The worker's place; while the call lasts, the worker does.
    pub(super) worker: u32,
    pub(super) worker_id: WorkerId,
    /// The instance's place, from Assigned on.
    pub(super) instance: u32,
    pub(super) stage: Stage,
    pub(super) body: Body,
    pub(super) message_len: u32,
    pub(super) idempotent: bool,
    pub(super) retried: bool,
    /// A frame of the response came.
    pub(super) answered: bool,
    /// What the deadline of the stage counts from.
    pub(super) since: Instant,
    /// The id of the call on its instance's connection.
    pub(super) request: Option<RequestId>,
    /// How many frames its instance's connection had been given before the call's own.
    pub(super) frame: u64,
    pub(super) upload: Upload,
    pub(super) download: Download,
    /// What the client's side must be told.
    pub(super) todo: Todo,
    /// Its place among the calls of its worker's queue or of its instance.
    pub(super) member: Link,
    /// Its turn to transmit.
    pub(super) turn: Link,
    /// Its turn to be told about.
    pub(super) action: Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// In its worker's queue.
    Waiting,
    /// Its body is collected, so that it fits into the message.
    Gathering,
    /// An instance has it, and its frame has not been polled.
    Assigned,
    /// Its frame was polled.
    Sent,
    /// The response's head came.
    Responding,
    /// After the trailers only the end may come.
    Trailed,
    /// It is over.
    Ended {
        /// The worker has to be told.
        abort: Option<RequestId>,
    },
}

/// The request's body on its way to the worker.
#[derive(Debug)]
pub(super) struct Upload {
    /// What may be underway: held are bytes that the worker has not acknowledged.
    pub(super) window: CreditWindow,
    /// Bytes sent.
    pub(super) offset: u64,
    /// Ids of the parts that await an acknowledgement.
    pub(super) parts: [Option<RequestId>; PARTS + 1],
    /// Everything was sent.
    pub(super) done: bool,
    /// The worker wants no more.
    pub(super) refused: bool,
    /// What to allow the client's side with the next action.
    pub(super) grant_bytes: u32,
    pub(super) grant_parts: u8,
}

/// The response's body on its way to the client.
#[derive(Debug)]
pub(super) struct Download {
    pub(super) flow: Flow,
    /// What to grant the worker with the next frame.
    pub(super) grant: u64,
}

/// What bounds a response.
#[derive(Debug)]
pub(super) enum Flow {
    /// The worker has a window of this call's own.
    Granted(CreditWindow),
    /// There is only the connection to stop.
    Shared(Watermark),
}

/// What the shell has still to be told about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Todo {
    pub(super) read_body: bool,
    pub(super) gather: bool,
    pub(super) discard: bool,
    pub(super) end: Option<Verdict>,
}

/// How the client's side learns of the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Answer(Refusal),
    Abort,
}

impl Call {
    pub(super) fn new(now: Instant, call: &NewCall) -> Self {
        Self {
            origin: call.origin,
            worker: call.worker.index(),
            worker_id: call.worker,
            instance: u32::MAX,
            stage: Stage::Waiting,
            body: call.body,
            message_len: call.message_len,
            idempotent: call.idempotent,
            retried: false,
            answered: false,
            since: now,
            request: None,
            frame: 0,
            upload: Upload::new(0),
            download: Download::shared(0),
            todo: Todo::default(),
            member: Link::NONE,
            turn: Link::NONE,
            action: Link::NONE,
        }
    }

    /// Whether its body comes in parts that have not all been sent.
    pub(super) const fn is_uploading(&self) -> bool {
        matches!(self.body, Body::Streamed(_)) && !self.upload.done && !self.upload.refused
    }

    /// Whether a response head has been passed on.
    pub(super) const fn has_head(&self) -> bool {
        matches!(self.stage, Stage::Responding | Stage::Trailed)
    }

    pub(super) const fn is_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    pub(super) fn member(&mut self) -> &mut Link {
        &mut self.member
    }

    pub(super) fn turn(&mut self) -> &mut Link {
        &mut self.turn
    }

    pub(super) fn action(&mut self) -> &mut Link {
        &mut self.action
    }
}

impl Upload {
    pub(super) const fn new(window: u32) -> Self {
        Self {
            window: CreditWindow::new(widen(window), 0),
            offset: 0,
            parts: [None; PARTS + 1],
            done: false,
            refused: false,
            grant_bytes: 0,
            grant_parts: 0,
        }
    }

    /// Parts that the worker has not acknowledged.
    pub(super) fn parts_held(&self) -> usize {
        self.parts.iter().flatten().count()
    }
}

impl Download {
    pub(super) fn granted(window: u32, slack: u32) -> Self {
        let flow = Flow::Granted(CreditWindow::new(window.into(), slack.into()));
        Self { flow, grant: 0 }
    }

    pub(super) fn shared(window: u32) -> Self {
        Self { flow: Flow::Shared(Watermark::new(window.into(), u64::from(window / 2))), grant: 0 }
    }

    /// Whether the client is so far behind that nothing more of this call can come.
    pub(super) const fn is_blocked(&self) -> bool {
        match &self.flow {
            Flow::Granted(window) => window.room() == 0,
            Flow::Shared(mark) => mark.is_full(),
        }
    }

    /// Whether the client holds up the whole connection.
    pub(super) const fn holds_up(&self) -> bool {
        match &self.flow {
            Flow::Granted(_) => false,
            Flow::Shared(mark) => mark.is_full(),
        }
    }
}

impl Todo {
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

#[expect(clippy::as_conversions, reason = "widens, in a const fn")]
const fn widen(value: u32) -> u64 {
    value as u64
}
