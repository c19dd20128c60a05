//! One HTTP/1.1 connection: moves bytes between a stream, the machine and the sink.

mod lend;
mod receive;
mod send;

use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use forebay_core_http1::client::{self as http1, Connection, Sent};
use forebay_core_time::Instant;
use tokio::time::Sleep;

use super::causes;
use super::client::{Client, Wish};
use super::command::{Request, RequestId};
use super::connect::Ready;
use super::event::Connected;
use super::failure::{Failure, Kind, SocketInfo};
use super::options::ClientOptions;
use super::outbox::Outbox;
use super::raw::RawStream;
use super::shared::Shared;
use super::stream::Stream;

pub(super) use receive::told;
pub(super) use send::{compose, describe, framing};

type Machine = Connection<Box<[Sent]>>;

/// How a connection ended.
pub(super) enum Ending {
    /// It is closed; `fails`: with it the request whose response was awaited.
    Closed { failure: Box<Failure>, fails: bool },
    /// It belongs to this request alone now.
    Switched { id: RequestId },
}

/// A connection in use.
pub(super) struct H1 {
    shared: Rc<Shared>,
    client: Rc<Client>,
    wish: Wish,
    stream: Stream,
    info: Connected,
    machine: Machine,
    /// Whoever submits has stream, machine and outbox.
    lent: bool,
    /// Sent, or being sent, and without a complete response.
    running: VecDeque<Box<Request>>,
    /// The last of them, while its body comes.
    upload: Option<Upload>,
    /// Where in what is written the bodies end, and whose they are.
    marks: VecDeque<(u64, RequestId)>,
    outbox: Outbox,
    write_error: Option<io::Error>,
    /// What was read and not used, from `kept_at` on.
    kept: Vec<u8>,
    kept_at: usize,
    tail: Option<Tail>,
    bytes_read: u64,
    timer: Pin<Box<Sleep>>,
    /// When `timer` fires. It may be earlier than what is waited for.
    armed: Option<Instant>,
}

/// The last bytes of what is used now: a piece of a body that is worth more than a copy, to be told
/// of when nothing borrows the buffer.
struct Tail {
    id: RequestId,
    len: usize,
    /// The response ends with it.
    ends: bool,
}

/// A body that comes in chunks.
struct Upload {
    id: RequestId,
    /// The head was not written: an empty body is framed differently.
    staged: bool,
    /// Bytes of chunks that were taken, and for how many of them room was given back.
    taken: u64,
    credited: u64,
}

/// What came of trying to read.
enum Progress {
    /// A response ended: another request may be sent.
    Some,
    None,
}

/// Requests on the wire, whatever the depth: their number is kept beforehand.
const DEPTH_MAX: u32 = 1024;

impl H1 {
    pub(super) fn new(shared: Rc<Shared>, client: Rc<Client>, wish: Wish, ready: Ready) -> Self {
        let depth = client.depth.get().clamp(1, DEPTH_MAX) as usize;
        let machine = machine(&client.options, shared.now(), depth);
        Self {
            machine,
            lent: false,
            shared,
            client,
            wish,
            stream: ready.stream,
            info: ready.info,
            running: VecDeque::new(),
            upload: None,
            marks: VecDeque::new(),
            outbox: Outbox::default(),
            write_error: None,
            kept: Vec::new(),
            kept_at: 0,
            tail: None,
            bytes_read: 0,
            timer: Box::pin(tokio::time::sleep_until(tokio::time::Instant::now())),
            armed: None,
        }
    }

    /// Does all that can be done now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        let now = self.shared.now();
        let done = match self.is_lent(cx) {
            Ok(true) => return Poll::Pending,
            Ok(false) => self.step(cx, now),
            Err(ending) => Err(ending),
        };
        self.shared.flush_at(now);
        match done.and_then(|()| self.lend(cx)) {
            Ok(()) => Poll::Pending,
            Err(ending) => Poll::Ready(ending),
        }
    }

    fn step(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), Ending> {
        if self.client.is_destroyed() {
            return Err(self.closed(Failure::new(Kind::Destroyed), false));
        }
        if self.running.iter().any(|request| !self.shared.is_live(request.id)) {
            let failure = Failure::new(Kind::Informational).with_message("aborted");
            return Err(self.closed(failure, false));
        }
        self.machine.set_depth(self.client.depth.get());
        if self.running.is_empty() {
            // A server that has just left is noticed before a request is lost on it.
            self.read(cx, now)?;
        }
        loop {
            self.send(now)?;
            self.write(cx);
            if let Progress::None = self.read(cx, now)? {
                break;
            }
        }
        if let Some(error) = self.write_error.take() {
            return Err(self.closed(causes::system(&error, "write"), true));
        }
        if self.client.is_closing() && self.rests() {
            return Err(self.closed(Failure::new(Kind::Destroyed), false));
        }
        self.watch_time(cx, now)
    }

    /// Whether nothing is on its way, and nothing waits to be.
    fn rests(&self) -> bool {
        self.running.is_empty() && self.client.front(&self.shared, |_| ()).is_none()
    }

    fn closed(&self, failure: Failure, fails: bool) -> Ending {
        Ending::Closed { failure: Box::new(failure), fails: fails && !self.running.is_empty() }
    }

    /// The machine found a fault in `data`, or waited in vain.
    #[cold]
    fn broken(&self, error: http1::ResponseError, data: &[u8]) -> Ending {
        let idle = error == http1::ResponseError::IdleTimeout;
        self.closed(causes::response(error, data, || self.socket_info()), !idle)
    }

    fn socket_info(&self) -> SocketInfo {
        SocketInfo {
            local: self.info.local,
            remote: self.info.remote,
            bytes_written: self.outbox.written(),
            bytes_read: self.bytes_read,
        }
    }

    /// The connection is over: the request in front fails with `failure`, those behind it wait for
    /// the next connection.
    pub(super) fn give_back(&mut self, failure: Option<&Failure>) {
        let mut running = core::mem::take(&mut self.running);
        if let Some(failure) = failure
            && let Some(front) = running.pop_front()
        {
            self.shared.fail(front.id, failure.clone());
        }
        for request in running.into_iter().rev() {
            self.client.put_back(&self.shared, request);
        }
    }

    /// What a request that took over the connection goes on with.
    pub(super) fn into_stream(self) -> RawStream {
        let early = self.kept.get(self.kept_at..).unwrap_or_default().to_vec();
        RawStream { stream: self.stream, early, outbox: self.outbox }
    }
}

/// What speaks HTTP/1.1, for as many requests at a time as `depth`.
fn machine(options: &ClientOptions, now: Instant, depth: usize) -> Machine {
    let config = http1::Config {
        header_len: options.max_header_size,
        body_len: options.max_response_size.unwrap_or(u64::MAX),
        keep_alive_ms: options.keep_alive_timeout_ms,
        keep_alive_max_ms: options.keep_alive_max_timeout_ms,
        keep_alive_threshold_ms: options.keep_alive_threshold_ms,
        request_count: options.max_requests.unwrap_or(0),
    };
    Connection::new(now, config, vec![Sent::default(); depth].into_boxed_slice())
}
