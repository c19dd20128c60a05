//! One HTTP/2 connection: starts a task for each request, and watches over them all.

mod cause;
mod exchange;
mod head;
mod pinger;
mod wire;

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Connection, SendRequest};
use tokio::time::{Instant, Sleep};

use super::client::{Client, Wish};
use super::command::{Body, Request};
use super::connect::Ready;
use super::event::Event;
use super::failure::{Failure, Kind};
use super::guard::{broken, guarded};
use super::shared::Shared;
use exchange::Exchange;
use pinger::Pinger;
use wire::{Counted, Wire};

/// A connection in use.
pub(super) struct H2 {
    shared: Rc<Shared>,
    client: Rc<Client>,
    wish: Wish,
    connection: Connection<Counted, Bytes>,
    sender: SendRequest<Bytes>,
    running: Rc<Running>,
    /// The server said that it takes no more requests: what it has begun with goes on.
    leaving: bool,
    /// How many streams JavaScript knows of.
    told_room: u32,
    rest: Rest,
    pinger: Pinger,
}

/// How long nothing was asked.
struct Rest {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
    runs: bool,
}

impl Rest {
    fn new(limit_ms: u32) -> Self {
        let limit = Duration::from_millis(u64::from(limit_ms));
        Self { limit, timer: Box::pin(tokio::time::sleep(limit)), runs: false }
    }

    /// Whether the connection has been idle for too long.
    fn is_over(&mut self, cx: &mut Context<'_>, idle: bool) -> bool {
        if idle && !self.runs {
            self.timer.as_mut().reset(Instant::now() + self.limit);
        }
        self.runs = idle;
        idle && self.timer.as_mut().poll(cx).is_ready()
    }
}

/// What a connection and the tasks of its requests tell each other.
pub(super) struct Running {
    count: Cell<u32>,
    /// A request got no answer for so long.
    unanswered: Cell<Option<Duration>>,
    wire: Rc<Wire>,
    /// Why the connection was given up.
    over: RefCell<Option<Failure>>,
}

/// The library has no error of its own for a head that is too long: it is let through up to this
/// many times the limit, and measured by us.
const HEAD_FACTOR: u32 = 16;

impl H2 {
    /// Begins to speak HTTP/2.
    pub(super) async fn new(
        shared: &Rc<Shared>,
        client: &Rc<Client>,
        wish: Wish,
        ready: Ready,
    ) -> Result<Self, Box<Failure>> {
        let options = &client.options;
        let wire = Rc::new(Wire::new(&ready.info));
        let handshake = h2::client::Builder::new()
            .enable_push(false)
            .initial_window_size(options.h2.stream_window)
            .initial_connection_window_size(options.h2.connection_window)
            .max_header_list_size(options.max_header_size.saturating_mul(HEAD_FACTOR))
            .initial_max_send_streams(1)
            .handshake(Counted { stream: ready.stream, wire: Rc::clone(&wire) })
            .await;
        let (sender, mut connection) =
            handshake.map_err(|error| Box::new(wire.of(cause::of_connection(&error))))?;
        let pinger = Pinger::new(connection.ping_pong(), options.h2.ping_interval_ms);
        Ok(Self {
            shared: Rc::clone(shared),
            client: Rc::clone(client),
            wish,
            connection,
            sender,
            running: Rc::new(Running {
                count: Cell::new(0),
                unanswered: Cell::new(None),
                wire,
                over: RefCell::new(None),
            }),
            leaving: false,
            told_room: options.h2.max_concurrent_streams,
            rest: Rest::new(options.keep_alive_timeout_ms),
            pinger,
        })
    }

    /// Does all that can be done now; in the end tells why the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Failure> {
        let ending = self.step(cx);
        self.shared.flush_at(self.shared.now());
        match ending {
            Some(failure) => Poll::Ready(self.running.wire.of(failure)),
            None => Poll::Pending,
        }
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Option<Failure> {
        if self.client.is_destroyed() {
            return Some(Failure::new(Kind::Destroyed));
        }
        if let Some(limit) = self.running.unanswered.take() {
            self.pinger.probe(limit);
        }
        if let Some(failure) = self.send(cx) {
            return Some(failure);
        }
        let ended = Pin::new(&mut self.connection).poll(cx);
        if let Poll::Ready(Err(error)) = ended {
            return Some(cause::of_connection(&error));
        }
        if let Poll::Ready(Err(error)) = self.sender.poll_ready(cx) {
            let failure = cause::of_connection(&error);
            if cause::is_fatal(&error) {
                self.running.over.replace(Some(self.running.wire.of(failure.clone())));
            } else {
                self.leaving = true;
            }
            return Some(failure);
        }
        if ended.is_ready() {
            return Some(cause::closed());
        }
        self.pinger.listen(cx);
        self.tell();
        // What the connection has read may have made room.
        if let Some(failure) = self.send(cx) {
            return Some(failure);
        }
        let idle = self.running.count.get() == 0;
        let rests = idle && self.client.front(&self.shared, |_| ()).is_none();
        if rests && self.client.is_closing() {
            return Some(Failure::new(Kind::Destroyed));
        }
        if self.rest.is_over(cx, rests) {
            let failure = Failure::new(Kind::Informational);
            return Some(failure.with_message("socket idle timeout"));
        }
        let gone = self.pinger.poll(cx);
        if let Some(failure) = gone.as_ref().filter(|failure| failure.kind == Kind::Socket) {
            self.running.over.replace(Some(self.running.wire.of(failure.clone())));
        }
        gone
    }

    /// How many streams there may be: one, before the server has said how many it takes. It
    /// refuses others.
    fn room(&self) -> u32 {
        let theirs = self.sender.current_max_send_streams().max(1);
        let ours = self.client.options.h2.max_concurrent_streams;
        u32::try_from(theirs).map_or(ours, |theirs| theirs.min(ours))
    }

    /// Tells what the server has said of itself.
    fn tell(&mut self) {
        let (client, room) = (self.client.id, self.room());
        // Of one we cannot know whether the server has said so.
        if room != self.told_room && room > 1 {
            self.told_room = room;
            self.shared.emit(Event::Streams { client, max: room });
        }
        if let Some(after) = self.pinger.pong.take() {
            self.shared.emit(Event::Pong { client, after });
        }
    }

    /// Sends as many requests as there is room for.
    fn send(&mut self, cx: &mut Context<'_>) -> Option<Failure> {
        let room = self.room();
        while self.pinger.probe.is_none() && self.running.count.get() < room {
            let (wish, options) = (&self.wish, &self.client.options);
            let front = self.client.front(&self.shared, |request| {
                (wish.fits(request, options, true), !request.head.upgrade().is_empty())
            });
            match front {
                Some((true, false)) => {}
                // Whether the server has upgrades is told by its settings.
                Some((true, true)) if self.pinger.has_settings(cx) => {
                    if self.refuses_upgrade() {
                        continue;
                    }
                }
                Some((false, _)) if self.running.count.get() == 0 => {
                    let failure = Failure::new(Kind::Informational);
                    return Some(failure.with_message("servername changed"));
                }
                Some(_) | None => return None,
            }
            match self.sender.poll_ready(cx) {
                Poll::Pending => return None,
                // What it means is looked at when the connection has been read.
                Poll::Ready(Err(_)) => return None,
                Poll::Ready(Ok(())) => {}
            }
            let free = room.saturating_sub(self.running.count.get());
            if !self.client.is_wanted(&self.shared, free as usize) {
                return None;
            }
            if let Some(request) = self.client.take() {
                self.begin(request);
            }
        }
        None
    }

    /// Whether the request in front wants an upgrade that is not to be had, and has failed.
    fn refuses_upgrade(&self) -> bool {
        let extended = self.sender.is_extended_connect_protocol_enabled();
        let check = |request: &Request| head::wants_websocket(request, extended).err();
        let Some(failure) = self.client.front(&self.shared, check).flatten() else {
            return false;
        };
        if let Some(request) = self.client.take() {
            self.shared.fail(request.id, *failure);
        }
        true
    }

    /// The client has no use for it any more. It lives as long as what the server has begun with.
    pub(super) fn leave(self) {
        if !self.leaving {
            return;
        }
        let (client, mut connection) = (self.client, self.connection);
        drop(self.sender);
        tokio::task::spawn_local(async move {
            let mut end = pin!(client.end.notified());
            poll_fn(|cx| {
                let over = end.as_mut().poll(cx).is_ready();
                let over = over || Pin::new(&mut connection).poll(cx).is_ready();
                if over { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
    }

    fn begin(&mut self, request: Box<Request>) {
        let id = request.id;
        let extended = self.sender.is_extended_connect_protocol_enabled();
        let head = match head::request(&request, &self.client.options, extended) {
            Ok(head) => head,
            Err(failure) => return self.shared.fail(id, *failure),
        };
        let raw = request.flags.connect || !request.head.upgrade().is_empty();
        let ends = !raw && matches!(request.body, Body::None | Body::Empty);
        match self.sender.send_request(head, ends) {
            Ok((response, upload)) => {
                let upload = (!ends).then_some(upload);
                let (shared, client) = (Rc::clone(&self.shared), Rc::clone(&self.client));
                let running = Rc::clone(&self.running);
                running.count.set(running.count.get() + 1);
                let exchange = Exchange::new(
                    Rc::clone(&shared),
                    Rc::clone(&client),
                    Rc::clone(&running),
                    request,
                    response,
                    upload,
                );
                tokio::task::spawn_local(async move {
                    if guarded(exchange.run()).await.is_none() {
                        shared.fail(id, broken());
                    }
                    running.count.set(running.count.get() - 1);
                    client.wake();
                });
            }
            Err(error) => self.shared.fail(id, self.running.wire.of(cause::of_stream(&error))),
        }
    }
}
