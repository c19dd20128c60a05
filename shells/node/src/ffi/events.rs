//! Events on their way to JavaScript.
//!
//! A record is a row of 32-bit words in the machine's order, then bytes, padded with zeros to a
//! whole word. The first word is kind, version (10, 11, 20) and status; the next two name the
//! request (slot, generation) or the client (number, 0):
//!
//! ```text
//! kind | version << 8 | status << 16, slot, generation
//!   1 offer
//!   2 informational, 3 head, 10 upgrade: length of reason, length of fields, reason, fields
//!   4 data: length, bytes              5 owned data: length (the bytes are fetched by `take`)
//!   6 end: length of trailers, trailers
//!   7 response: lengths of reason, fields, body, trailers; then these
//!   8 body credit: bytes               9 body sent
//!  11 error, 13 disconnected, 14 connect failed: length, JSON of the failure
//!  12 connected, 16 ask, 17 connecting: length, JSON         15 closed
//!  18 streams: how many               19 pong: microseconds
//! ```

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_queue::{ArrayQueue, SegQueue};
use neon::handle::Root;
use neon::prelude::{Context, JsUint8Array};
use serde_json::{Value, json};

use crate::engine::{
    ClientId, Connected, Data, Event, EventSink, Failure, Head, Question, RequestId, SocketInfo,
    Version,
};

/// A batch of this size is handed over at once.
const BATCH_LEN: usize = 48 * 1024;
/// A batch of so many events is handed over at once.
const BATCH_COUNT: u32 = 64;
/// Data of this size crosses without being packed.
const OWNED_LEN: usize = 32 * 1024;
/// Buffers of that size that are kept: to give them back and take them again costs page faults.
const EMPTIED_MAX: usize = 16;
/// With so much on its way, nothing more should be read.
const FULL_LEN: usize = 8 << 20;

/// What the engine's thread has told and JavaScript's has not read.
#[derive(Debug)]
pub(super) struct Queue {
    batches: SegQueue<Vec<u8>>,
    /// Buffers, and where in each the data starts.
    owned: SegQueue<(Vec<u8>, usize)>,
    /// Buffers for it, to read into again.
    emptied: ArrayQueue<Vec<u8>>,
    /// Arrays that are borrowed no more. Were they dropped where that was found, each would wake
    /// JavaScript by itself.
    given_back: SegQueue<Root<JsUint8Array>>,
    /// Batches to write into again.
    spare: ArrayQueue<Vec<u8>>,
    /// A batch that did not fit, kept in front of the others.
    front: std::sync::Mutex<Option<Vec<u8>>>,
    len: AtomicUsize,
    /// JavaScript has been woken and has not begun to drain.
    woken: AtomicBool,
    /// The engine was told that the queue is full.
    starved: AtomicBool,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            batches: SegQueue::new(),
            owned: SegQueue::new(),
            emptied: ArrayQueue::new(EMPTIED_MAX),
            given_back: SegQueue::new(),
            spare: ArrayQueue::new(8),
            front: std::sync::Mutex::new(None),
            len: AtomicUsize::new(0),
            woken: AtomicBool::new(false),
            starved: AtomicBool::new(false),
        }
    }
}

/// What a call of `drain` did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Drained {
    Copied { bytes: usize, more: bool },
    TooLarge { bytes: usize },
}

impl Queue {
    /// Copies whole batches into `slab`.
    pub(super) fn drain(&self, slab: &mut [u8]) -> Drained {
        // Before the first look into the queue: what comes after it wakes again.
        self.woken.store(false, Ordering::SeqCst);
        let mut used = 0;
        let mut front = self.front.lock().expect("only this thread locks it");
        while let Some(batch) = front.take().or_else(|| self.batches.pop()) {
            let Some(room) = slab.get_mut(used..).and_then(|rest| rest.get_mut(..batch.len()))
            else {
                let bytes = batch.len();
                *front = Some(batch);
                return if used == 0 {
                    Drained::TooLarge { bytes }
                } else {
                    Drained::Copied { bytes: used, more: true }
                };
            };
            room.copy_from_slice(&batch);
            used += batch.len();
            self.len.fetch_sub(batch.len(), Ordering::Relaxed);
            self.recycle(batch);
        }
        Drained::Copied { bytes: used, more: false }
    }

    /// Copies the next piece of owned data into `into`, or drops it if there is no room.
    pub(super) fn take(&self, into: &mut [u8]) {
        let Some((mut buffer, start)) = self.owned.pop() else {
            return;
        };
        let bytes = &buffer[start..];
        self.len.fetch_sub(bytes.len(), Ordering::Relaxed);
        if let Some(room) = into.get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
        }
        if buffer.capacity() <= 4 * OWNED_LEN {
            buffer.clear();
            // More than are kept: this one is given back to the system.
            drop(self.emptied.push(buffer));
        }
    }

    /// The array is borrowed no more: JavaScript is told together with what comes next, or late.
    pub(super) fn give_back(&self, array: Option<Root<JsUint8Array>>) {
        array.into_iter().for_each(|array| self.given_back.push(array));
    }

    /// Lets JavaScript collect what was given back.
    pub(super) fn release<'cx>(&self, cx: &mut impl Context<'cx>) {
        while let Some(array) = self.given_back.pop() {
            array.drop(cx);
        }
    }

    /// Whether arrays were given back that JavaScript was not woken for.
    fn holds(&self) -> bool {
        !self.given_back.is_empty() && !self.woken.load(Ordering::SeqCst)
    }

    /// Whether the engine waits to be told that there is room, and there is.
    pub(super) fn starved(&self) -> bool {
        self.starved.load(Ordering::Relaxed)
            && self.len.load(Ordering::Relaxed) < FULL_LEN / 2
            && self.starved.swap(false, Ordering::SeqCst)
    }

    fn recycle(&self, mut batch: Vec<u8>) {
        if batch.capacity() <= 4 * BATCH_LEN {
            batch.clear();
            // More spares than are kept: this one is given back to the system.
            drop(self.spare.push(batch));
        }
    }
}

/// Packs events; lives on the engine's thread.
pub(super) struct Sink<W> {
    queue: std::sync::Arc<Queue>,
    wake: W,
    batch: Vec<u8>,
    count: u32,
    /// Something in the batch is worth a wake-up of its own.
    urgent: bool,
    /// It was late before, and what has gathered since then has not been handed over.
    put_off: bool,
}

impl<W: Fn()> Sink<W> {
    pub(super) fn new(queue: std::sync::Arc<Queue>, wake: W) -> Self {
        Self { queue, wake, batch: Vec::new(), count: 0, urgent: false, put_off: false }
    }

    /// Copies what was packed into `slab`, which is large enough for an answer that was read at
    /// once; says how much that is.
    pub(super) fn copy(&mut self, slab: &mut [u8]) -> usize {
        self.hand_over();
        match self.queue.drain(slab) {
            Drained::Copied { bytes, .. } => bytes,
            Drained::TooLarge { .. } => 0,
        }
    }

    fn hand_over(&mut self) {
        if !self.batch.is_empty() {
            let next = self.queue.spare.pop().unwrap_or_default();
            let batch = core::mem::replace(&mut self.batch, next);
            self.queue.len.fetch_add(batch.len(), Ordering::Relaxed);
            self.queue.batches.push(batch);
        }
        (self.count, self.urgent, self.put_off) = (0, false, false);
        if !self.queue.woken.swap(true, Ordering::SeqCst) {
            (self.wake)();
        }
    }

    fn words<const N: usize>(&mut self, words: [u32; N]) {
        for word in words {
            self.batch.extend_from_slice(&word.to_ne_bytes());
        }
    }

    fn bytes(&mut self, parts: &[&[u8]]) {
        for part in parts {
            self.batch.extend_from_slice(part);
        }
        let padded = self.batch.len().next_multiple_of(4);
        self.batch.resize(padded, 0);
    }

    fn request(&mut self, kind: u32, id: RequestId) {
        self.words([kind, id.slot, id.generation]);
    }

    fn head(&mut self, kind: u32, id: RequestId, head: &Head<'_>) {
        self.words([first(kind, head), id.slot, id.generation]);
        self.words([len(head.reason), len(head.fields)]);
        self.bytes(&[head.reason, head.fields]);
    }

    fn response(&mut self, id: RequestId, head: &Head<'_>, body: &[u8], trailers: &[u8]) {
        self.words([first(7, head), id.slot, id.generation]);
        self.words([len(head.reason), len(head.fields), len(body), len(trailers)]);
        self.bytes(&[head.reason, head.fields, body, trailers]);
    }

    fn data(&mut self, id: RequestId, data: Data<'_>) {
        match data {
            Data::Borrowed(bytes) if bytes.len() < OWNED_LEN => {
                self.words([4, id.slot, id.generation, len(bytes)]);
                self.bytes(&[bytes]);
            }
            Data::Borrowed(bytes) => {
                let mut copy = self.emptied();
                copy.extend_from_slice(bytes);
                self.owned(id, copy, 0);
            }
            Data::Owned { buffer, start } => {
                let emptied = self.emptied();
                self.owned(id, core::mem::replace(buffer, emptied), start);
            }
        }
    }

    fn emptied(&self) -> Vec<u8> {
        self.queue.emptied.pop().unwrap_or_default()
    }

    /// The bytes are in their queue before the record that announces them is in its own.
    fn owned(&mut self, id: RequestId, buffer: Vec<u8>, start: usize) {
        let bytes = &buffer[start..];
        self.words([5, id.slot, id.generation, len(bytes)]);
        self.queue.len.fetch_add(bytes.len(), Ordering::Relaxed);
        self.queue.owned.push((buffer, start));
    }

    fn json(&mut self, kind: u32, id: RequestId, value: &Value) {
        let text = value.to_string();
        self.words([kind, id.slot, id.generation, len(text.as_bytes())]);
        self.bytes(&[text.as_bytes()]);
    }
}

impl<W: Fn() + Send> EventSink for Sink<W> {
    fn emit(&mut self, event: Event<'_>) {
        self.urgent |= !matches!(event, Event::BodySent { .. } | Event::Connecting { .. });
        self.count += 1;
        match event {
            Event::Offer { id } => self.request(1, id),
            Event::Informational { id, head } => self.head(2, id, &head),
            Event::Head { id, head } => self.head(3, id, &head),
            Event::Data { id, data } => self.data(id, data),
            Event::End { id, trailers } => {
                self.words([6, id.slot, id.generation, len(trailers)]);
                self.bytes(&[trailers]);
            }
            Event::Response { id, head, body, trailers } => {
                self.response(id, &head, body, trailers)
            }
            Event::BodyCredit { id, bytes } => self.words([8, id.slot, id.generation, bytes]),
            Event::BodySent { id } => self.request(9, id),
            Event::Upgrade { id, head } => self.head(10, id, &head),
            Event::Error { id, failure } => self.json(11, id, &failure_json(&failure)),
            Event::Connecting { client, servername } => {
                self.json(17, of(client), &json!({ "servername": servername }));
            }
            Event::Ask { client, number, question } => {
                self.json(16, of(client), &question_json(number, question));
            }
            Event::Connected { client, info } => {
                self.json(12, of(client), &connected_json(&info));
            }
            Event::Streams { client, max } => self.words([18, client.0, 0, max]),
            Event::Pong { client, after } => {
                let micros = u32::try_from(after.as_micros()).unwrap_or(u32::MAX);
                self.words([19, client.0, 0, micros]);
            }
            Event::Disconnected { client, failure } => {
                self.json(13, of(client), &failure_json(&failure));
            }
            Event::ConnectFailed { client, failure } => {
                self.json(14, of(client), &failure_json(&failure));
            }
            Event::Closed { client } => self.request(15, of(client)),
        }
        if self.batch.len() >= BATCH_LEN || self.count >= BATCH_COUNT {
            self.hand_over();
        }
    }

    fn flush(&mut self) -> bool {
        if self.urgent {
            self.hand_over();
        }
        !self.batch.is_empty() || self.queue.holds()
    }

    fn flush_late(&mut self) -> bool {
        let waits = self.flush();
        if waits && self.put_off {
            self.hand_over();
            return false;
        }
        self.put_off = waits;
        waits
    }

    fn is_full(&self) -> bool {
        let full = self.queue.len.load(Ordering::Relaxed) + self.batch.len() >= FULL_LEN;
        if full {
            self.queue.starved.store(true, Ordering::SeqCst);
        }
        full
    }
}

fn of(client: ClientId) -> RequestId {
    RequestId { slot: client.0, generation: 0 }
}

fn len(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("the engine bounds what it emits far below 4 GiB")
}

fn first(kind: u32, head: &Head<'_>) -> u32 {
    kind | version(head.version) << 8 | u32::from(head.status) << 16
}

fn version(version: Version) -> u32 {
    match version {
        Version::Http10 => 10,
        Version::Http11 => 11,
        Version::Http2 => 20,
    }
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "kind": failure.kind as u8,
        "code": failure.code,
        "message": failure.message,
        "errno": failure.errno,
        "syscall": failure.syscall,
        "address": failure.address,
        "port": failure.port,
        "detail": failure.detail,
        "certificate": failure.certificate.as_deref().map(hex),
        "socket": failure.socket.as_deref().map(socket_json),
        "causes": failure.causes.iter().map(failure_json).collect::<Vec<_>>(),
    })
}

fn socket_json(socket: &SocketInfo) -> Value {
    json!({
        "local": socket.local.map(|address| address.to_string()),
        "remote": socket.remote.map(|address| address.to_string()),
        "localAddress": socket.local.map(|address| address.ip().to_string()),
        "localPort": socket.local.map(|address| address.port()),
        "remoteAddress": socket.remote.map(|address| address.ip().to_string()),
        "remotePort": socket.remote.map(|address| address.port()),
        "bytesWritten": socket.bytes_written,
        "bytesRead": socket.bytes_read,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn question_json(number: u32, question: Question<'_>) -> Value {
    match question {
        Question::Lookup { host } => json!({ "number": number, "kind": "lookup", "host": host }),
        Question::Socket { servername } => {
            json!({ "number": number, "kind": "socket", "host": servername })
        }
        Question::Identity { host, chain } => {
            let chain: Vec<String> = chain.iter().map(|der| hex(der)).collect();
            json!({ "number": number, "kind": "identity", "host": host, "chain": chain })
        }
    }
}

fn connected_json(info: &Connected) -> Value {
    json!({
        "version": version(info.version),
        "localAddress": info.local.map(|address| address.ip().to_string()),
        "localPort": info.local.map(|address| address.port()),
        "remoteAddress": info.remote.map(|address| address.ip().to_string()),
        "remotePort": info.remote.map(|address| address.port()),
    })
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::AtomicU32;
    use std::sync::Arc;

    use super::*;

    const ID: RequestId = RequestId { slot: 0, generation: 0 };

    #[test]
    fn what_can_wait_goes_with_what_cannot_or_late() {
        let wakes = AtomicU32::new(0);
        let woken = || wakes.load(Ordering::Relaxed);
        let queue = Arc::new(Queue::default());
        let mut sink = Sink::new(Arc::clone(&queue), || {
            wakes.fetch_add(1, Ordering::Relaxed);
        });
        assert!(!sink.flush() && !sink.flush_late(), "there is nothing");
        sink.emit(Event::BodySent { id: ID });
        sink.emit(Event::BodySent { id: ID });
        assert!(sink.flush() && sink.flush() && sink.flush_late());
        assert_eq!(woken(), 0, "something better may follow");
        sink.emit(Event::End { id: ID, trailers: b"" });
        assert!(!sink.flush());
        assert_eq!(woken(), 1);
        let mut slab = [0; 64];
        assert_eq!(queue.drain(&mut slab), Drained::Copied { bytes: 40, more: false });
        sink.emit(Event::BodySent { id: ID });
        assert!(sink.flush_late(), "it has just come");
        assert!(!sink.flush_late());
        assert_eq!(woken(), 2);
    }
}
