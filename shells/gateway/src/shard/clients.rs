//! The client connections of a shard.

use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::os::fd::{BorrowedFd, OwnedFd};

use forebay_core_time::{Instant, TimerSlot, Wheel};
use forebay_reactor::{Completion, Flags, Handle, OpId};

use super::client::{Client, Fate};
use super::io::Io;
use super::mail::{ToClient, ToHome};
use super::post::Post;
use super::token::{Kind, Owner, parse_origin};

/// Bytes in which the last heads of connections are remembered.
const MEMORY_MAX: usize = 512 * 1024;
/// A connection that did nothing for so long gives the memory of its last head back.
const FORGET_AFTER: core::time::Duration = core::time::Duration::from_secs(1);

/// All connections, and the listeners they come from.
pub(super) struct Clients {
    slots: Vec<Slot>,
    free: Vec<u32>,
    timers: Wheel<Vec<TimerSlot>>,
    /// Those that were worked on in this turn.
    touched: Vec<u32>,
    /// Bytes in which last heads are remembered.
    memory: usize,
    /// The next one to be asked whether it still needs its memory.
    hand: u32,
    listeners: Vec<Listener>,
    count: usize,
    stopping: bool,
}

struct Slot {
    generation: u32,
    /// Call serials go on with the next tenant.
    serial: u32,
    touched: bool,
    client: Option<Box<Client>>,
}

struct Listener {
    handle: Handle,
    accept: Option<OpId>,
}

impl Clients {
    /// The connections of these listeners.
    pub(super) fn new(io: &mut Io, listeners: Vec<OwnedFd>) -> std::io::Result<Self> {
        let mut clients = Self {
            slots: Vec::new(),
            free: Vec::new(),
            timers: Wheel::new(Vec::new()),
            touched: Vec::new(),
            memory: 0,
            hand: 0,
            listeners: Vec::new(),
            count: 0,
            stopping: false,
        };
        for listener in listeners {
            let handle = io.reactor.attach(listener).map_err(|(_, error)| error)?;
            clients.listeners.push(Listener { handle, accept: None });
        }
        clients.accept(io);
        Ok(clients)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// When a timer is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.poll_timeout()
    }

    /// Whether some listener takes no connections, although it should.
    pub(super) fn is_paused(&self) -> bool {
        !self.stopping && self.listeners.iter().any(|listener| listener.accept.is_none())
    }

    /// Accepts connections, unless there are too many.
    pub(super) fn accept(&mut self, io: &mut Io) {
        let shared = &io.scene.shared;
        let max = shared.config.http.max_connections as usize;
        if self.stopping || shared.connections.load(Ordering::Relaxed) > max * 95 / 100 {
            return;
        }
        for (index, listener) in (0..).zip(&mut self.listeners) {
            if listener.accept.is_none() {
                let token = Owner::new(index, 0).token(Kind::Accept);
                listener.accept = io.reactor.accept_multi(listener.handle, token).ok();
            }
        }
    }

    /// A connection came, or a listener stopped taking them.
    pub(super) fn handle_accepted(&mut self, io: &mut Io, owner: Owner, completion: &Completion) {
        if completion.is_terminal()
            && let Some(listener) = self.listeners.get_mut(owner.slot as usize)
        {
            listener.accept = None;
        }
        let Some(handle) = io.reactor.take_handle(completion) else { return };
        if self.stopping {
            let _stale = io.reactor.close(handle);
            return;
        }
        let max = io.scene.shared.config.http.max_connections as usize;
        if io.scene.shared.connections.fetch_add(1, Ordering::Relaxed) + 1 >= max {
            self.pause(io);
        }
        self.insert(io, handle);
    }

    /// Something happened to a client's socket.
    pub(super) fn handle_completion(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        (kind, owner): (Kind, Owner),
        completion: &Completion,
    ) {
        let Some(mut client) = self.take(owner) else { return };
        match kind {
            Kind::ClientRecv => {
                self.lend_memory(&mut client);
                client.handle_received(io, post, completion);
            }
            Kind::ClientSend => client.handle_sent(io, post, completion.result),
            Kind::ClientHangup if completion.flags.contains(Flags::CANCELLED) => {}
            Kind::ClientHangup => client.handle_hangup(io, post, completion.flags),
            Kind::ClientBuffer => client.handle_buffer(io),
            Kind::Accept
            | Kind::Connect
            | Kind::InstanceRecv
            | Kind::InstanceSend
            | Kind::InstanceBuffer
            | Kind::Stdout
            | Kind::Stderr
            | Kind::Exit
            | Kind::Stdin => {}
        }
        self.put(client);
    }

    /// A letter about a client's call.
    pub(super) fn handle_letter(
        &mut self,
        io: &mut Io,
        post: &mut Post,
        origin: u64,
        letter: ToClient,
    ) {
        let (_, name) = parse_origin(origin);
        let slot = self.slots.get_mut(name.slot as usize);
        let client = slot.and_then(|slot| slot.client.take_if(|it| it.has_call(name.generation)));
        match client {
            Some(mut client) => {
                client.handle_letter(io, post, letter);
                self.put(client);
            }
            // The client left before the home had taken its call.
            None => {
                if let ToClient::Accepted { core, call } = letter {
                    post.send_home(core, ToHome::Gone { call });
                }
            }
        }
    }

    /// Lets those whose time has come act.
    pub(super) fn handle_timeouts(&mut self, io: &mut Io, post: &mut Post) {
        while let Some(slot) = self.timers.poll_expired(io.now) {
            let Some(entry) = self.slots.get_mut(slot as usize) else { continue };
            let Some(mut client) = entry.client.take() else { continue };
            client.timer = None;
            client.handle_timeout(io, post);
            self.put(client);
        }
    }

    /// Ends the turn for those that were worked on: sends what they have, sets their timers, closes
    /// them.
    pub(super) fn settle(&mut self, io: &mut Io, post: &mut Post) {
        let mut touched = core::mem::take(&mut self.touched);
        for slot in touched.drain(..) {
            let Some(entry) = self.slots.get_mut(slot as usize) else { continue };
            entry.touched = false;
            let Some(client) = &mut entry.client else { continue };
            let idle = self.stopping && !client.is_busy();
            if client.settle(io, post) == Fate::Over || idle {
                self.remove(io, post, slot);
            } else {
                self.set_timer(slot);
            }
        }
        self.touched = touched;
        self.take_memory_back(io);
    }

    /// Takes no new connections, closes idle ones, and lets answers say that they are the last.
    pub(super) fn stop(&mut self, io: &mut Io) {
        self.stopping = true;
        for listener in self.listeners.drain(..) {
            let _stale = io.reactor.close(listener.handle);
        }
        for (index, entry) in (0..).zip(&mut self.slots) {
            if let Some(client) = &mut entry.client {
                client.handle_stop();
                if !core::mem::replace(&mut entry.touched, true) {
                    self.touched.push(index);
                }
            }
        }
    }

    /// Closes what has nothing underway.
    pub(super) fn close_idle(&mut self, io: &mut Io, post: &mut Post) {
        for slot in (0..).take(self.slots.len()) {
            let client = self.slots[slot as usize].client.as_ref();
            if client.is_some_and(|client| !client.is_busy()) {
                self.remove(io, post, slot);
            }
        }
    }

    fn pause(&mut self, io: &mut Io) {
        for listener in &mut self.listeners {
            if let Some(accept) = listener.accept.take() {
                io.reactor.cancel(accept);
            }
        }
    }

    fn insert(&mut self, io: &mut Io, handle: Handle) {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => self.grow(),
        };
        let entry = &mut self.slots[slot as usize];
        let owner = Owner::new(slot, entry.generation);
        let peer = io.reactor.fd(handle).map_or_else(String::new, peer_name);
        let mut client = Box::new(Client::new(io, owner, handle, peer.into()));
        client.serial = entry.serial;
        self.count += 1;
        self.put(client);
    }

    fn grow(&mut self) -> u32 {
        let slot = u32::try_from(self.slots.len()).expect("connections are limited");
        self.slots.push(Slot { generation: 1, serial: 0, touched: false, client: None });
        if self.timers.capacity() < self.slots.len() {
            self.timers.grow(self.slots.len());
        }
        slot
    }

    fn remove(&mut self, io: &mut Io, post: &mut Post, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let Some(mut client) = entry.client.take() else { return };
        client.close(io, post);
        entry.generation = entry.generation.wrapping_add(1);
        entry.serial = client.serial;
        self.timers.cancel(slot);
        self.memory -= client.forget();
        self.free.push(slot);
        self.count -= 1;
    }

    /// A client out of its place, to work on it. [`put`](Self::put) it back.
    fn take(&mut self, owner: Owner) -> Option<Box<Client>> {
        let entry = self.slots.get_mut(owner.slot as usize)?;
        entry.client.take_if(|client| client.owner == owner)
    }

    fn put(&mut self, client: Box<Client>) {
        let slot = client.owner.slot;
        let entry = &mut self.slots[slot as usize];
        entry.client = Some(client);
        if !core::mem::replace(&mut entry.touched, true) {
            self.touched.push(slot);
        }
    }

    /// Sets the timer if the machine's deadline is before it. A timer that is too early does no
    /// harm, and most deadlines move on before they are reached.
    fn set_timer(&mut self, slot: u32) {
        let Some(client) = &mut self.slots[slot as usize].client else { return };
        let Some(deadline) = client.deadline() else { return };
        if client.timer.is_none_or(|timer| deadline < timer) {
            client.timer = Some(deadline);
            self.timers.schedule(slot, deadline).expect("every slot has a timer");
        }
    }

    fn lend_memory(&mut self, client: &mut Client) {
        let Some(len) = client.memory_wanted() else { return };
        let others = self.memory - client.memory.len();
        if others + len <= MEMORY_MAX {
            client.remember_in(len);
            self.memory = others + len;
        }
    }

    /// Looks at one connection a turn.
    fn take_memory_back(&mut self, io: &Io) {
        if self.memory == 0 {
            return;
        }
        self.hand = if (self.hand as usize) + 1 < self.slots.len() { self.hand + 1 } else { 0 };
        let Some(client) = &mut self.slots[self.hand as usize].client else { return };
        if client.is_idle() && io.now.saturating_since(client.active) > FORGET_AFTER {
            self.memory -= client.forget();
        }
    }
}

/// The peer's address; empty if it has gone already.
fn peer_name(socket: BorrowedFd<'_>) -> String {
    let addr = rustix::net::getpeername(socket).ok().flatten();
    let addr = addr.and_then(|addr| SocketAddr::try_from(addr).ok());
    addr.map_or_else(String::new, |addr| addr.to_string())
}
