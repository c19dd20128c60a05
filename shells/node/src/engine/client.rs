//! A client: a queue of requests, and the task that connects and sends them.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

use super::ask::Asker;
use super::command::{Answer, ClientId, Request};
use super::connect::{self, Ready};
use super::event::{Event, Version};
use super::failure::{Failure, Kind};
use super::guard::{broken, guarded};
use super::h1::{Ending, H1};
use super::h2::H2;
use super::lane::Lent;
use super::options::ClientOptions;
use super::raw;
use super::shared::{Offer, Shared};

/// What a client's task and the commands about it share.
pub(super) struct Client {
    pub(super) id: ClientId,
    pub(super) options: Arc<ClientOptions>,
    /// What was not sent yet. Requests that were aborted are left in it until they come to the
    /// front.
    pub(super) queue: RefCell<VecDeque<Box<Request>>>,
    pub(super) depth: Cell<u32>,
    /// Its connection, after it was lent.
    pub(super) returned: Cell<Option<Box<Lent>>>,
    /// The number of the last question to the caller, and what was answered.
    pub(super) asked: Cell<u32>,
    pub(super) answer: Cell<Option<Option<Answer>>>,
    /// Tells connections that are leaving that it is destroyed.
    pub(super) end: Notify,
    /// It was told that there is a connection, and not that it is gone.
    is_connected: Cell<bool>,
    phase: Cell<Phase>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// No new requests come.
    Closing,
    /// Nothing matters any more.
    Destroyed,
}

/// What of a request decides which connection it can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) servername: Option<Box<str>>,
    pub(super) no_h2: bool,
}

impl Wish {
    pub(super) fn of(request: &Request) -> Self {
        Self { servername: request.servername.clone(), no_h2: request.flags.no_h2 }
    }

    /// Whether `request` could use a connection that was made for this wish.
    pub(super) fn fits(&self, request: &Request, options: &ClientOptions, h2: bool) -> bool {
        let same_name = options.tls.is_none() || self.servername == request.servername;
        same_name && !(h2 && request.flags.no_h2)
    }
}

impl Client {
    pub(super) fn new(id: ClientId, options: Arc<ClientOptions>) -> Self {
        Self {
            id,
            depth: Cell::new(options.pipelining),
            options,
            queue: RefCell::default(),
            returned: Cell::default(),
            asked: Cell::new(0),
            end: Notify::new(),
            answer: Cell::default(),
            is_connected: Cell::new(false),
            phase: Cell::new(Phase::Open),
            waker: RefCell::default(),
        }
    }

    pub(super) fn close(&self) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Closing);
        }
    }

    pub(super) fn destroy(&self) {
        self.phase.set(Phase::Destroyed);
        self.end.notify_waiters();
    }

    pub(super) fn is_destroyed(&self) -> bool {
        self.phase.get() == Phase::Destroyed
    }

    pub(super) fn is_closing(&self) -> bool {
        self.phase.get() != Phase::Open
    }

    /// Lets the client's task look again.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Who is woken from now on.
    pub(super) fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// The oldest request that still exists, left in the queue.
    pub(super) fn front<R>(&self, shared: &Shared, f: impl FnOnce(&Request) -> R) -> Option<R> {
        let mut queue = self.queue.borrow_mut();
        while let Some(request) = queue.front() {
            if shared.is_live(request.id) {
                return Some(f(request));
            }
            queue.pop_front();
        }
        None
    }

    /// The request in front leaves the queue.
    pub(super) fn take(&self) -> Option<Box<Request>> {
        self.queue.borrow_mut().pop_front()
    }

    /// The request is to be sent again, before all others.
    pub(super) fn put_back(&self, shared: &Shared, request: Box<Request>) {
        shared.with_slot(request.id, |slot| slot.offer = Offer::Untold);
        self.queue.borrow_mut().push_front(request);
    }

    /// Whether the request in front may be written. If nobody was told that it can be, up to
    /// `room` requests are offered.
    pub(super) fn is_wanted(&self, shared: &Shared, room: usize) -> bool {
        let queue = self.queue.borrow();
        let front = queue.front().and_then(|front| shared.with_slot(front.id, |slot| slot.offer));
        if front == Some(Offer::Untold) {
            for request in queue.iter().take(room) {
                let before = shared.with_slot(request.id, |slot| slot.offer.tell());
                if before == Some(Offer::Untold) {
                    shared.emit(Event::Offer { id: request.id });
                }
            }
        }
        front.is_none_or(|offer| offer == Offer::Accepted)
    }

    /// Runs `work`, unless the client is destroyed meanwhile.
    async fn unless_destroyed<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.register(cx);
            if self.is_destroyed() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Waits for a request, and tells what it wishes; nothing when the client is to end.
    async fn wish(&self, shared: &Shared) -> Option<Wish> {
        poll_fn(|cx| {
            self.register(cx);
            if self.is_destroyed() {
                return Poll::Ready(None);
            }
            match self.front(shared, Wish::of) {
                Some(wish) => Poll::Ready(Some(wish)),
                None if self.is_closing() => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }
}

/// A client's life, from its opening to its end.
pub(super) async fn run(shared: Rc<Shared>, client: Rc<Client>) {
    while guarded(live(&shared, &client)).await.is_none() {
        fail_all(&shared, &client);
    }
    for request in client.queue.take() {
        shared.finish(request.id);
    }
    shared.forget(client.id);
}

async fn live(shared: &Rc<Shared>, client: &Rc<Client>) {
    while let Some(wish) = client.wish(shared).await {
        let servername = wish.servername.as_deref();
        shared.emit(Event::Connecting { client: client.id, servername });
        let asker = Asker { shared, client };
        let connect = connect::connect(&asker, &client.options, &wish);
        match client.unless_destroyed(connect).await {
            Some(Ok(ready)) => serve(shared, client, wish, ready).await,
            Some(Err(failure)) => refuse(shared, client, &wish, *failure),
            None => return,
        }
    }
}

/// The client's task has lost its way: nobody waits in vain for what it was doing.
pub(super) fn fail_all(shared: &Shared, client: &Client) {
    shared.take_back(true);
    drop(client.returned.take());
    client.queue.take();
    for id in shared.requests_of(client.id) {
        shared.fail(id, broken());
    }
    if client.is_connected.replace(false) {
        shared.emit(Event::Disconnected { client: client.id, failure: broken() });
    }
}

/// Uses a connection until its end.
pub(super) async fn serve(shared: &Rc<Shared>, client: &Rc<Client>, wish: Wish, ready: Ready) {
    let (id, version) = (client.id, ready.info.version);
    client.is_connected.set(true);
    shared.emit(Event::Connected { client: id, info: ready.info.clone() });
    let failure = if version == Version::Http2 {
        serve_h2(shared, client, wish, ready).await
    } else {
        serve_h1(shared, client, wish, ready).await
    };
    client.is_connected.set(false);
    shared.emit(Event::Disconnected { client: id, failure });
}

async fn serve_h2(shared: &Rc<Shared>, client: &Rc<Client>, wish: Wish, ready: Ready) -> Failure {
    match H2::new(shared, client, wish, ready).await {
        Ok(mut connection) => {
            let failure = poll_fn(|cx| {
                client.register(cx);
                connection.poll(cx)
            })
            .await;
            connection.leave();
            failure
        }
        Err(failure) => *failure,
    }
}

async fn serve_h1(shared: &Rc<Shared>, client: &Rc<Client>, wish: Wish, ready: Ready) -> Failure {
    let mut connection = H1::new(Rc::clone(shared), Rc::clone(client), wish, ready);
    let ending = poll_fn(|cx| {
        client.register(cx);
        connection.poll(cx)
    })
    .await;
    match ending {
        Ending::Closed { failure, fails } => {
            connection.give_back(fails.then_some(&failure));
            *failure
        }
        Ending::Switched { id } => {
            let stream = connection.into_stream();
            let shared = Rc::clone(shared);
            tokio::task::spawn_local(async move {
                if guarded(raw::run(Rc::clone(&shared), id, stream)).await.is_none() {
                    shared.fail(id, broken());
                }
            });
            Failure::new(Kind::Informational).with_message("upgrade")
        }
    }
}

/// No connection: the requests that waited for it fail.
fn refuse(shared: &Shared, client: &Client, wish: &Wish, failure: Failure) {
    // A name that does not match concerns the requests for that name.
    let one_name = failure.code == "ERR_TLS_CERT_ALTNAME_INVALID";
    shared.emit(Event::ConnectFailed { client: client.id, failure });
    let waiting = client.queue.take();
    for request in waiting {
        if one_name && Wish::of(&request).servername != wish.servername {
            client.queue.borrow_mut().push_back(request);
        } else {
            shared.fail(request.id, Failure::new(Kind::Connect));
        }
    }
}
