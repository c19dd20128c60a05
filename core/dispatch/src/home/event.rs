//! What goes into a home and what comes out, as plain values.

use crate::message::{Fields, Head};
use crate::refusal::Refusal;
use crate::{CallId, InstanceId, WorkerId};

/// A call that a front hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewCall {
    /// What the shell finds the client by; every output about this call repeats it.
    pub origin: u64,
    /// The worker that the route chose.
    pub worker: WorkerId,
    /// Bytes of the message that the front encoded.
    pub message_len: u32,
    /// The request's body.
    pub body: Body,
    /// Whether the method is one that may be repeated: GET, HEAD, OPTIONS, PUT, DELETE.
    pub idempotent: bool,
}

/// Where a request's body is. Exhaustive: a body is absent, here, or still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a body is absent, here, or still to come")]
pub enum Body {
    /// There is none.
    None,
    /// The shell has all of it, so many bytes, at most `inline_body`.
    Inline(u32),
    /// It is still to come; its length if that is known.
    Streamed(Option<u64>),
}

/// Bytes to write to an instance's connection: one frame.
///
/// In this order: `slot[..head]`, the call's message if `payload` is [`Payload::Call`],
/// `slot[head..len]`, and what else `payload` names. Small pieces are best copied side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Bytes of the slot that precede a call's message; equal to `len` for all other frames.
    pub head: u8,
    /// Bytes of the slot in all.
    pub len: u8,
    /// What follows.
    pub payload: Payload,
}

/// The bytes of a frame that the shell keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell has to find each of them")]
pub enum Payload {
    /// Nothing: the slot is the whole frame.
    None,
    /// The message of a call as the front encoded it and, after the slot's rest, its inline body.
    Call {
        /// The call.
        call: CallId,
        /// Bytes of its inline body, often 0.
        inline: u32,
    },
    /// The body part, or the encoded trailers, that the shell handed in.
    Part,
    /// The 64 characters of the token that the instance was spawned with.
    Token,
}

/// What became of a body part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a part is sent or it is not")]
pub enum Part {
    /// Write it to the instance, after everything that was written before.
    Send {
        /// Whose connection.
        instance: InstanceId,
        /// The frame.
        transmit: Transmit,
    },
    /// Nobody wants it any more: drop it.
    Discard,
}

/// What one call to [`Home::handle_bytes`](super::Home::handle_bytes) did.
#[derive(Debug, Clone, Copy)]
pub struct Step<'i> {
    /// Bytes of the input that are done with, at least one unless the input was empty.
    pub used: usize,
    /// What they said, if anything that a client must hear.
    pub event: Option<Event<'i>>,
}

/// Something for the client of a call.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::exhaustive_enums, reason = "a front has to do each of them")]
pub enum Event<'i> {
    /// 103 before the head.
    Informational {
        /// Whose call.
        origin: u64,
        /// Status and fields.
        head: Head<'i>,
    },
    /// The response begins.
    Head {
        /// Whose call.
        origin: u64,
        /// To give back drained bytes by.
        call: CallId,
        /// Status and fields.
        head: Head<'i>,
        /// The length of the whole body if the worker's frame tells it.
        length: Option<u64>,
        /// The first bytes of the body: always the last bytes of `input[..used]`, or empty.
        body: &'i [u8],
        /// Whether the response ends here, and the call with it.
        last: bool,
    },
    /// The body goes on.
    Body {
        /// Whose call.
        origin: u64,
        /// To give back drained bytes by.
        call: CallId,
        /// Never empty unless `last`; always the last bytes of `input[..used]`.
        bytes: &'i [u8],
        /// Whether the response ends here, and the call with it.
        last: bool,
    },
    /// Trailers; the end follows.
    Trailers {
        /// Whose call.
        origin: u64,
        /// Names and values.
        fields: Fields<'i>,
    },
    /// The call is over without a response head: answer this instead.
    Refused {
        /// Whose call.
        origin: u64,
        /// Whose instance it was.
        worker: WorkerId,
        /// The row.
        refusal: Refusal,
        /// The worker's own message, not cut, perhaps not UTF-8.
        detail: &'i [u8],
    },
    /// The call is over after its response head: close the client's connection, so that the body
    /// is visibly incomplete.
    Broken {
        /// Whose call.
        origin: u64,
    },
}

/// Something for the shell to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell has to do each of them")]
pub enum Action {
    /// Start a process. Answer with `handle_spawned` or `handle_spawn_failed`.
    Spawn {
        /// The new instance.
        instance: InstanceId,
        /// What it is an instance of.
        worker: WorkerId,
    },
    /// Call `poll_transmit` until it returns `None` and write what it says.
    Write {
        /// Whose connection.
        instance: InstanceId,
    },
    /// Write a control line to the process.
    WriteLine {
        /// Which process.
        instance: InstanceId,
        /// Which line.
        line: Line,
    },
    /// Send a signal to the process group.
    Kill {
        /// Which process.
        instance: InstanceId,
        /// Which signal.
        signal: Signal,
    },
    /// Close the data connection, or give up connecting, and drop what was to be written to it.
    Disconnect {
        /// Whose connection.
        instance: InstanceId,
    },
    /// Stop reading the data connection.
    StopReading {
        /// Whose connection.
        instance: InstanceId,
    },
    /// Read the data connection again.
    ResumeReading {
        /// Whose connection.
        instance: InstanceId,
    },
    /// The instance has ended and its name means nothing any more.
    Release {
        /// The former instance.
        instance: InstanceId,
        /// What it was an instance of.
        worker: WorkerId,
    },
    /// More of a request's body may be handed in.
    ReadBody {
        /// Whose call.
        origin: u64,
        /// The call.
        call: CallId,
        /// So many bytes more,
        bytes: u32,
        /// in so many parts more,
        parts: u8,
        /// each of so many bytes at most.
        chunk: u32,
    },
    /// The worker takes bodies only inside the call: collect it and call `handle_gathered`, or
    /// answer 413 and call `handle_gone`.
    Gather {
        /// Whose call.
        origin: u64,
        /// The call.
        call: CallId,
        /// The longest body that the worker can be sent, in bytes.
        limit: u32,
    },
    /// The worker wants no more of the request's body; the response may still come.
    DiscardBody {
        /// Whose call.
        origin: u64,
        /// The call.
        call: CallId,
    },
    /// The call is over: answer this.
    Answer {
        /// Whose call.
        origin: u64,
        /// The call, which is over.
        call: CallId,
        /// Its worker.
        worker: WorkerId,
        /// The row.
        refusal: Refusal,
    },
    /// The call is over after its response head: close the client's connection.
    Abort {
        /// Whose call.
        origin: u64,
        /// The call, which is over.
        call: CallId,
    },
}

/// A control line to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two messages of procwire to a child")]
pub enum Line {
    /// `$ping`.
    Ping,
    /// `$shutdown`.
    Shutdown,
}

/// A signal to a process group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a process is asked, then ended")]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
}

/// What a control line asks of the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell has to do each of them")]
pub enum LineOutcome {
    /// Nothing.
    Nothing,
    /// Connect to the socket whose path was written to the front of the caller's memory, so many
    /// bytes; the shell checks first where it lies. Answer with `handle_connected` or
    /// `handle_connect_failed`.
    Connect {
        /// Bytes of the path.
        path_len: usize,
    },
}

/// What a worker is doing, for metrics and readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Status {
    /// Calls that wait.
    pub queued: u32,
    /// Calls that an instance has.
    pub in_flight: u32,
    /// Instances between spawn and ready.
    pub starting: u16,
    /// Instances that take calls.
    pub ready: u16,
    /// Instances that end: draining, unhealthy, stopping.
    pub ending: u16,
    /// Whether the circuit is open.
    pub open: bool,
    /// Starts that failed and instances that were lost, ever.
    pub failures: u64,
    /// Frames that broke the call protocol, ever.
    pub violations: u64,
    /// Frames of calls that were over already, ever.
    pub late_frames: u64,
    /// Calls aborted because their client did not read while others waited, ever.
    pub stalled: u64,
}
