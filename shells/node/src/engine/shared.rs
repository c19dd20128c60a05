//! What all clients of an engine share: the sink, the table of requests, the clients themselves.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time;

use bytes::Bytes;
use forebay_core_time::Instant;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::EventSink;
use super::client::{self, Client};
use super::command::{ClientId, Command, Request, RequestId};
use super::event::Event;
use super::failure::Failure;
use super::lane::Lane;
use super::pace::Pace;

/// The state of an engine. It lives on one thread.
pub(super) struct Shared {
    started: time::Instant,
    pub(super) lane: Arc<Lane>,
    sink: RefCell<Box<dyn EventSink>>,
    /// When the sink was last flushed during long work.
    flushed: Cell<Instant>,
    /// Wakes [`flush_late`](Self::flush_late), once until nothing waits in the sink.
    late: Notify,
    is_late: Cell<bool>,
    slots: RefCell<Vec<Slot>>,
    in_flight: Cell<u32>,
    pub(super) pace: Pace,
    clients: RefCell<Vec<Option<Rc<Client>>>>,
    /// Who waits for the sink to have room.
    starved: RefCell<Vec<Waker>>,
    /// What sockets are read into.
    pub(super) scratch: RefCell<Vec<u8>>,
}

/// What is known of the request that has this number.
#[derive(Default)]
pub(super) struct Slot {
    generation: u32,
    live: bool,
    client: u32,
    /// Response bytes that the consumer still wants.
    pub(super) credit: u64,
    pub(super) paused: bool,
    /// What is to be sent and was not taken yet.
    pub(super) upload: VecDeque<Bytes>,
    pub(super) upload_ended: bool,
    pub(super) offer: Offer,
    /// The ways in which a server has refused to begin with it, as bits.
    pub(super) refused: u8,
    /// Of its own task, once it has one: it needs its client no more.
    pub(super) waker: Option<Waker>,
}

/// Whether the caller knows that a request can be written, and wants it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Offer {
    #[default]
    Untold,
    Told,
    Accepted,
}

impl Offer {
    /// The caller is told, unless it was before; what was so before.
    pub(super) fn tell(&mut self) -> Self {
        let before = *self;
        if before == Self::Untold {
            *self = Self::Told;
        }
        before
    }
}

/// The sink is flushed at least so often while there is much to do.
const FLUSH_AFTER: Duration = Duration::from_millis(1);

/// What is read from a socket at once: 64 KiB, as Node.js does, with a head in front of them.
pub(super) const READ_LEN: usize = 68 * 1024;

impl Shared {
    pub(super) fn new(started: time::Instant, sink: Box<dyn EventSink>, lane: Arc<Lane>) -> Self {
        Self {
            started,
            lane,
            sink: RefCell::new(sink),
            flushed: Cell::new(Instant::ZERO),
            late: Notify::new(),
            is_late: Cell::new(false),
            slots: RefCell::default(),
            in_flight: Cell::new(0),
            pace: Pace::default(),
            clients: RefCell::default(),
            starved: RefCell::default(),
            scratch: RefCell::new(Vec::with_capacity(READ_LEN)),
        }
    }

    /// The time since the engine started.
    pub(super) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    /// The same moment for the runtime.
    pub(super) fn tokio_instant(&self, at: Instant) -> tokio::time::Instant {
        (self.started + at.saturating_since(Instant::ZERO)).into()
    }

    pub(super) fn emit(&self, event: Event<'_>) {
        self.sink.borrow_mut().emit(event);
        self.watch();
    }

    /// The sink may keep what can wait: flushes again in a while.
    pub(super) async fn flush_late(&self) {
        loop {
            self.late.notified().await;
            sleep(FLUSH_AFTER).await;
            while self.sink.borrow_mut().flush_late() {
                sleep(FLUSH_AFTER).await;
            }
            self.is_late.set(false);
        }
    }

    /// The request ends with `failure`, if it still exists.
    pub(super) fn fail(&self, id: RequestId, failure: Failure) {
        if self.finish(id) {
            self.emit(Event::Error { id, failure });
        }
    }

    /// A connection has done what it could: flushes only if the last time was long ago.
    pub(super) fn flush_at(&self, now: Instant) {
        self.pace.works();
        if now.saturating_since(self.flushed.get()) >= FLUSH_AFTER {
            self.flushed.set(now);
            self.flush();
        }
    }

    pub(super) fn flush(&self) {
        if self.sink.borrow_mut().flush() {
            self.watch();
        }
    }

    /// Something may wait in the sink. To notice that before the thread is about to sleep saves it
    /// a turn.
    fn watch(&self) {
        if !self.is_late.replace(true) {
            self.late.notify_one();
        }
    }

    /// Whether nothing should be read now; then `waker` hears of the change.
    pub(super) fn is_full(&self, waker: &Waker) -> bool {
        let full = self.sink.borrow().is_full();
        if full {
            let mut starved = self.starved.borrow_mut();
            if !starved.iter().any(|other| other.will_wake(waker)) {
                starved.push(waker.clone());
            }
        }
        full
    }

    /// What is known of a request, unless it is gone.
    pub(super) fn with_slot<R>(&self, id: RequestId, f: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(id.slot as usize)?;
        (slot.live && slot.generation == id.generation).then(|| f(slot))
    }

    pub(super) fn is_live(&self, id: RequestId) -> bool {
        self.with_slot(id, |_| ()).is_some()
    }

    /// The requests of a client that are not over, and have no task of their own.
    pub(super) fn requests_of(&self, client: ClientId) -> Vec<RequestId> {
        let slots = self.slots.borrow();
        let waits = |slot: &Slot| slot.live && slot.client == client.0 && slot.waker.is_none();
        let of = slots.iter().zip(0..).filter(|(slot, _)| waits(slot));
        of.map(|(slot, index)| RequestId { slot: index, generation: slot.generation }).collect()
    }

    /// The request is over: whether it was not before.
    pub(super) fn finish(&self, id: RequestId) -> bool {
        let finished = self.with_slot(id, |slot| self.end(slot));
        finished.is_some()
    }

    fn end(&self, slot: &mut Slot) {
        slot.live = false;
        slot.upload.clear();
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// Requests that are not over.
    pub(super) const fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    pub(super) fn handle(self: &Rc<Self>, command: Command) {
        self.pace.works();
        match command {
            Command::Open { client: id, options } => {
                let client = Rc::new(Client::new(id, options));
                self.adopt(&client);
                tokio::task::spawn_local(client::run(Rc::clone(self), client));
            }
            Command::Pipelining { client, depth } => {
                self.with_client(client, |client| client.depth.set(depth));
            }
            Command::Dispatch(request) => self.dispatch(request),
            Command::Go { id } => self.change(id, |slot| slot.offer = Offer::Accepted),
            Command::BodyChunk { id, chunk } => self.change(id, |slot| {
                if !slot.upload_ended && !chunk.is_empty() {
                    slot.upload.push_back(chunk);
                }
            }),
            Command::BodyEnd { id } => self.change(id, |slot| slot.upload_ended = true),
            Command::Credit { id, bytes } => self.change(id, |slot| {
                slot.credit = slot.credit.saturating_add(u64::from(bytes));
            }),
            Command::Pause { id } => self.change(id, |slot| slot.paused = true),
            Command::Resume { id } => self.change(id, |slot| slot.paused = false),
            Command::Abort { id } => self.change(id, |slot| self.end(slot)),
            Command::Close { client } => self.with_client(client, Client::close),
            Command::Destroy { client } => self.with_client(client, Client::destroy),
            Command::Answer { client, number, answer } => {
                self.with_client(client, |client| {
                    // Who asked may have given up and asked something else.
                    if client.asked.get() == number {
                        client.answer.set(Some(answer));
                    }
                });
            }
            Command::TakeBack => self.take_back(true),
            Command::Drained => self.starved.take().into_iter().for_each(Waker::wake),
        }
    }

    /// A client begins to be.
    pub(super) fn adopt(&self, client: &Rc<Client>) {
        let mut clients = self.clients.borrow_mut();
        let index = client.id.0 as usize;
        if clients.len() <= index {
            clients.resize(index + 1, None);
        }
        clients[index] = Some(Rc::clone(client));
    }

    fn dispatch(&self, request: Box<Request>) {
        self.open(&request);
        self.with_client(request.client, |client| client.queue.borrow_mut().push_back(request));
    }

    /// Takes back the connection that is lent, if it is used no more or `anyway`, and gives it to
    /// its client.
    pub(super) fn take_back(&self, anyway: bool) {
        let Some(lent) = self.lane.take_back(anyway) else {
            return;
        };
        self.pace.is_late();
        if let Some(request) = &lent.request {
            self.open(request);
        }
        self.with_client(lent.client, |client| client.returned.set(Some(Box::new(lent))));
    }

    /// A request begins to be.
    fn open(&self, request: &Request) {
        let id = request.id;
        let slot = Slot {
            generation: id.generation,
            live: true,
            client: request.client.0,
            credit: u64::from(request.credit),
            offer: if request.flags.started { Offer::Accepted } else { Offer::Untold },
            ..Slot::default()
        };
        let mut slots = self.slots.borrow_mut();
        let index = id.slot as usize;
        if slots.len() <= index {
            slots.resize_with(index + 1, Slot::default);
        }
        if !slots[index].live {
            self.in_flight.set(self.in_flight.get() + 1);
        }
        slots[index] = slot;
    }

    /// Changes what is known of a request, and lets its client see it.
    fn change(&self, id: RequestId, f: impl FnOnce(&mut Slot)) {
        let changed = self.with_slot(id, |slot| {
            f(slot);
            (slot.waker.clone(), ClientId(slot.client))
        });
        match changed {
            Some((Some(waker), _)) => waker.wake(),
            Some((None, client)) => self.with_client(client, |_| ()),
            None => {}
        }
    }

    /// Does something to a client, and wakes it.
    fn with_client(&self, id: ClientId, f: impl FnOnce(&Client)) {
        let clients = self.clients.borrow();
        if let Some(Some(client)) = clients.get(id.0 as usize) {
            f(client);
            client.wake();
        }
    }

    /// The client is gone: its number may be used again.
    pub(super) fn forget(&self, id: ClientId) {
        if let Some(client) = self.clients.borrow_mut().get_mut(id.0 as usize) {
            *client = None;
        }
        self.emit(Event::Closed { client: id });
    }
}
