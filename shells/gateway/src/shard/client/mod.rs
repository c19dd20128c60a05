//! One client connection: its machine, its bytes, its call.

mod request;
mod response;

use core::sync::atomic::Ordering;
use core::time::Duration;

use forebay_core_dispatch::front::{Circumstances, Event, Front, Place, Work};
use forebay_core_http1::After;
use forebay_core_time::{Instant, earliest};
use forebay_reactor::{Flags, Handle, Interest, OpId, Piece, PoolClass};

use crate::shard::input::{Chunk, Input};
use crate::shard::io::Io;
use crate::shard::mail::ToHome;
use crate::shard::outbox::{Flush, Outbox, copied};
use crate::shard::post::Post;
use crate::shard::token::{Kind, Owner};
use request::{RequestBody, Running};

/// The smallest and the largest memory for a connection's last head, in bytes. A longer head is
/// read anew each time.
const MEMORY_LEN: core::ops::RangeInclusive<usize> = 256..=1024;
/// Beyond so many bytes on their way to a client nothing more is made for it.
const OUTBOX_MAX: usize = 256 * 1024;
/// Room for the shortest things: an error answer, 100 (Continue), a chunk size.
const ROOM: usize = 640;

/// A client connection.
pub(in crate::shard) struct Client {
    pub(in crate::shard) owner: Owner,
    handle: Handle,
    peer: Box<str>,
    front: Front,
    input: Input,
    outbox: Outbox,
    reading: Reading,
    class: PoolClass,
    /// The grace of a half-close; `None` if it has no end.
    grace: Option<Duration>,
    hangup: Option<OpId>,
    /// When the client ended its direction behind bytes that are not being read.
    half_closed: Option<Instant>,
    /// For the last head; empty if there is none.
    pub(in crate::shard) memory: Box<[u8]>,
    /// When this client last did something.
    pub(in crate::shard) active: Instant,
    call: Option<Running>,
    /// Names the next call; never used twice by one slot.
    pub(in crate::shard) serial: u32,
    /// Something was written since the machine was last told that everything is sent.
    owes_word: bool,
    /// The socket failed or the peer is gone: nothing can be sent.
    lost: bool,
    /// For which time the timer is set.
    pub(in crate::shard) timer: Option<Instant>,
}

/// The receive operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Stopped,
    Running(OpId),
    /// A cancelled receive whose end has not come yet.
    Stopping,
    /// Without a free buffer.
    Starved,
    /// The stream has ended.
    Ended,
}

/// What is to be done with a client after it was worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::shard) enum Fate {
    /// It lives on.
    Lives,
    /// It is over.
    Over,
}

impl Client {
    pub(in crate::shard) fn new(io: &Io, owner: Owner, handle: Handle, peer: Box<str>) -> Self {
        Self {
            owner,
            handle,
            peer,
            front: Front::new(io.now, io.scene.shared.limits),
            input: Input::default(),
            outbox: Outbox::default(),
            reading: Reading::Stopped,
            class: PoolClass::Small,
            grace: grace(io.scene.shared.limits.half_close_grace_ms),
            hangup: None,
            half_closed: None,
            memory: Box::default(),
            active: io.now,
            call: None,
            serial: 0,
            owes_word: false,
            lost: false,
            timer: None,
        }
    }

    /// When the machine wants to be woken, or the grace of a half-close ends.
    pub(in crate::shard) fn deadline(&self) -> Option<Instant> {
        earliest(self.front.poll_timeout(), self.grace_end())
    }

    /// Until when a whole request may go without a byte of its response, although the client has
    /// ended its direction. Behind bytes that are read the machine sees to it.
    fn grace_end(&self) -> Option<Instant> {
        let since = self.half_closed.filter(|_| self.front.is_waiting())?;
        Some(since.saturating_add(self.grace?))
    }

    /// Whether it only waits for a request.
    pub(in crate::shard) fn is_idle(&self) -> bool {
        self.call.is_none() && self.input.is_empty() && self.outbox.is_empty()
    }

    /// Whether a call or an answer is underway.
    pub(in crate::shard) fn is_busy(&self) -> bool {
        self.front.has_call() || !self.outbox.is_empty() || self.front.is_reading_body()
    }

    /// Bytes of memory to lend, if the last head did not fit into what was lent for it.
    pub(in crate::shard) fn memory_wanted(&self) -> Option<usize> {
        let len = self.front.memory_len();
        let fits = len <= self.memory.len() || len > *MEMORY_LEN.end();
        (!fits).then(|| len.next_power_of_two().max(*MEMORY_LEN.start()))
    }

    /// Lends so many bytes, instead of what was lent before.
    pub(in crate::shard) fn remember_in(&mut self, len: usize) {
        self.front.forget();
        self.memory = vec![0; len].into_boxed_slice();
    }

    /// Gives back the memory of the last head; how many bytes that were.
    pub(in crate::shard) fn forget(&mut self) -> usize {
        self.front.forget();
        core::mem::take(&mut self.memory).len()
    }

    /// The gateway is stopping.
    pub(in crate::shard) fn handle_stop(&mut self) {
        self.front.handle_stop();
    }

    /// Bytes came, or the receive ended.
    pub(in crate::shard) fn handle_received(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        completion: &forebay_reactor::Completion,
    ) {
        self.active = io.now;
        let buf = io.reactor.take_buf(completion);
        let has_bytes = buf.is_some();
        if let Some(buf) = buf {
            self.input.push(buf);
        }
        if completion.is_terminal() {
            self.reading = match completion.result {
                _ if completion.flags.contains(Flags::CANCELLED) => Reading::Stopped,
                result if result == -rustix::io::Errno::NOBUFS.raw_os_error() => self.starve(io),
                0 if !has_bytes => {
                    self.front.handle_eof(io.now);
                    self.owes_word = true;
                    Reading::Ended
                }
                result if result < 0 => {
                    self.lose(post);
                    Reading::Ended
                }
                _ => Reading::Stopped,
            };
        }
        self.pump(io, post);
        // What is answered at once holds no buffer until the end of the turn.
        self.send(io, post);
    }

    /// A buffer is free again.
    pub(in crate::shard) fn handle_buffer(&mut self, io: &mut Io) {
        io.note_buffers();
        if self.reading == Reading::Starved {
            self.reading = Reading::Stopped;
        }
    }

    /// The peer is gone in both directions, or has ended its own.
    pub(in crate::shard) fn handle_hangup(&mut self, io: &Io, post: &mut Post, found: Flags) {
        self.hangup = None;
        if found.contains(Flags::HUP) || found.contains(Flags::ERROR) {
            self.lose(post);
        } else {
            self.half_closed = Some(io.now);
        }
    }

    /// The kernel has what it was given, or never will.
    pub(in crate::shard) fn handle_sent(&mut self, io: &mut Io, post: &mut Post, result: i32) {
        let Some(payload) = self.outbox.handle_sent(result) else {
            self.lose(post);
            return;
        };
        self.drained(post, payload);
        self.pump(io, post);
    }

    /// So many bytes of payload have gone: the worker may send more.
    fn drained(&mut self, post: &mut Post, payload: u64) {
        if payload > 0
            && let Some(call) = &mut self.call
        {
            call.drained += payload;
            if let Some(id) = call.id {
                let bytes = core::mem::take(&mut call.drained);
                post.send_home(call.core, ToHome::Drained { call: id, bytes });
            }
        }
    }

    /// The machine's time has come.
    pub(in crate::shard) fn handle_timeout(&mut self, io: &mut Io, post: &mut Post) {
        if self.grace_end().is_some_and(|end| end.is_reached(io.now)) {
            return self.lose(post);
        }
        let out = self.outbox.room(&mut io.reactor, ROOM);
        if let Some(event) = self.front.handle_timeout(io.now, io.scene.date(), out) {
            self.handle_refused(post, event);
        }
        self.owes_word = true;
        self.pump(io, post);
    }

    /// Works through the input as far as the machine, the call and the socket let it.
    pub(in crate::shard) fn pump(&mut self, io: &mut Io, post: &mut Post) {
        while !self.lost && !self.is_held() {
            if self.input.is_empty() && self.front.awaits_request() {
                break;
            }
            let chunk = self.input.take();
            let (used, goes_on) = self.offer(io, post, &chunk);
            self.input.put_back(chunk, used);
            // What was read of a body that nobody wants may end the connection.
            self.owes_word |= used > 0 && !self.front.has_call();
            let goes_on = goes_on || (self.front.wants_read() && self.input.gather());
            if !goes_on {
                break;
            }
        }
    }

    /// Whether what comes next must wait: for the socket to take what is on its way, or for the
    /// worker.
    fn is_held(&self) -> bool {
        let worker_is_busy = self.call.as_ref().is_some_and(|call| match call.body {
            RequestBody::Parts { parts, granted, .. } => parts == 0 && granted > 0,
            RequestBody::Done
            | RequestBody::Absorbed
            | RequestBody::Ended { .. }
            | RequestBody::Gathered { .. }
            | RequestBody::Dropped => false,
        });
        worker_is_busy || self.outbox.len() > OUTBOX_MAX
    }

    /// Offers bytes to the machine and does what they led to. How many were used, and whether to
    /// offer the rest.
    fn offer(&mut self, io: &mut Io, post: &mut Post, chunk: &Chunk) -> (usize, bool) {
        let input = chunk.as_slice();
        let id = [io.random().to_le_bytes(), io.random().to_le_bytes()];
        let mut request_id = [0; 16];
        request_id[..8].copy_from_slice(&id[0]);
        request_id[8..].copy_from_slice(&id[1]);
        let circumstances = Circumstances { peer: &self.peer, request_id };
        let site = io.scene.site();
        let step = {
            let out = self.outbox.room(&mut io.reactor, ROOM);
            let mut work = Work { out, scratch: &mut io.scratch, memory: &mut self.memory };
            self.front.handle_bytes(
                io.now,
                input,
                &mut io.fields,
                &site,
                (&circumstances, &mut work),
            )
        };
        let used = step.used;
        let Some(event) = step.event else { return (used, false) };
        match event {
            Event::Answered(place) => self.written(io, &place),
            Event::Call(call) => self.hand_over(io, post, &call, chunk, used),
            Event::Body(bytes) => {
                let part = match chunk {
                    Chunk::Lent(buf) => Piece::Pool(buf.slice(used - bytes.len()..used)),
                    Chunk::Gathered(_) => copied(&mut io.reactor, bytes),
                };
                self.handle_body(io, post, part);
            }
            Event::End { trailers_len } => self.handle_end(io, post, trailers_len),
            refused @ Event::Refused { .. } => {
                self.handle_refused(post, refused);
                return (used, false);
            }
        }
        (used, true)
    }

    /// An answer was written.
    fn written(&mut self, io: &mut Io, place: &Place) {
        match place {
            Place::Out(len) => self.outbox.commit(*len),
            Place::Scratch(range) => {
                self.outbox.push_copy(&mut io.reactor, &io.scratch[range.clone()]);
            }
        }
        self.owes_word = true;
    }

    /// The client broke a rule, took too long, or is gone.
    fn handle_refused(&mut self, post: &mut Post, event: Event<'_>) {
        let Event::Refused { place, gone, error } = event else { return };
        tracing::debug!(peer = %self.peer, rule = error.rule(), "{error}");
        if let Place::Out(len) = place {
            self.outbox.commit(len);
        }
        self.owes_word = true;
        if gone {
            self.drop_call(post);
        }
    }

    /// Nothing can be sent or received any more.
    fn lose(&mut self, post: &mut Post) {
        self.lost = true;
        self.drop_call(post);
    }

    /// Tells the home that nobody waits for the call any more.
    pub(in crate::shard) fn drop_call(&mut self, post: &mut Post) {
        self.outbox.forget_payload();
        if let Some(Running { core, id: Some(id), .. }) = self.call.take() {
            post.send_home(core, ToHome::Gone { call: id });
        }
    }

    /// Sends what was written, tells the machine what was sent, reads or stops reading.
    pub(in crate::shard) fn settle(&mut self, io: &mut Io, post: &mut Post) -> Fate {
        loop {
            let was_held = self.is_held();
            self.send(io, post);
            let is_sent = self.outbox.is_empty();
            if self.lost || (is_sent && self.front.is_closed()) {
                return Fate::Over;
            }
            if was_held && !self.is_held() {
                self.pump(io, post);
                continue;
            }
            if !is_sent || !core::mem::take(&mut self.owes_word) {
                break;
            }
            match self.front.handle_written(io.now) {
                After::Open => self.pump(io, post),
                After::Linger => {
                    if io.reactor.shutdown_write(self.handle).is_err() {
                        return Fate::Over;
                    }
                    self.front.handle_shutdown(io.now);
                }
                After::Close | After::Switched => return Fate::Over,
            }
        }
        self.steer(io);
        Fate::Lives
    }

    /// Sends what was written, unless the socket has not taken the last of it yet.
    fn send(&mut self, io: &mut Io, post: &mut Post) {
        let token = self.owner.token(Kind::ClientSend);
        match self.outbox.flush(&mut io.reactor, self.handle, token) {
            Ok(Flush::Sent(payload)) => self.drained(post, payload),
            Ok(Flush::Nothing | Flush::Started) => {}
            Err(_) => self.lose(post),
        }
        self.outbox.release();
    }

    /// Starts or stops the receive.
    fn steer(&mut self, io: &mut Io) {
        let wants = self.front.wants_read() && !self.is_held();
        match self.reading {
            Reading::Stopped if wants || self.input.is_empty() => self.receive(io),
            // One that waits for a buffer may hold others, which its end must set free.
            Reading::Stopped | Reading::Starved => self.watch(io),
            Reading::Running(op) if !wants && !self.input.is_empty() => {
                io.reactor.cancel(op);
                self.reading = Reading::Stopping;
                self.watch(io);
            }
            Reading::Ended if self.call.is_some() => self.watch(io),
            Reading::Running(_) | Reading::Stopping | Reading::Ended => {}
        }
    }

    fn receive(&mut self, io: &mut Io) {
        let token = self.owner.token(Kind::ClientRecv);
        let op = match self.class {
            PoolClass::Small => io.reactor.recv_multi(self.handle, self.class, token),
            // A body that arrives faster than it is passed on must not take all the large buffers.
            PoolClass::Bulk => io.reactor.recv(self.handle, self.class, token),
        };
        if let Ok(op) = op {
            self.reading = Reading::Running(op);
        }
    }

    /// A large body is coming: the receive goes on with large buffers.
    fn receive_bulk(&mut self, io: &mut Io) {
        if self.class == PoolClass::Bulk {
            return;
        }
        self.class = PoolClass::Bulk;
        if let Reading::Running(op) = self.reading {
            io.reactor.cancel(op);
            self.reading = Reading::Stopping;
        }
    }

    fn starve(&self, io: &mut Io) -> Reading {
        io.note_starved();
        let token = self.owner.token(Kind::ClientBuffer);
        match io.reactor.await_buffers(self.class, token) {
            Ok(_) => Reading::Starved,
            Err(_) => Reading::Stopped,
        }
    }

    /// Whoever is not read must still be noticed when he hangs up.
    fn watch(&mut self, io: &mut Io) {
        if self.hangup.is_none() {
            let token = self.owner.token(Kind::ClientHangup);
            let interest = match (self.reading, self.half_closed) {
                (Reading::Ended, _) | (_, Some(_)) => Interest::HUP,
                (_, None) => Interest::READ_CLOSED,
            };
            self.hangup = io.reactor.poll(self.handle, interest, token).ok();
        }
    }

    /// Closes the socket and leaves the count of connections.
    pub(in crate::shard) fn close(&mut self, io: &mut Io, post: &mut Post) {
        self.drop_call(post);
        // A stale handle is closed already.
        let _stale = io.reactor.close(self.handle);
        io.scene.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

fn grace(ms: u32) -> Option<Duration> {
    (ms != u32::MAX).then(|| Duration::from_millis(ms.into()))
}
