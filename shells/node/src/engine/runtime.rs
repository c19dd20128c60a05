//! The engine's thread: takes commands, runs a task per client, tells the sink when all is done.

use core::cell::RefCell;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time;

use crossbeam_queue::SegQueue;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

use super::EventSink;
use super::command::Command;
use super::lane::{Lane, Look};
use super::shared::Shared;

/// A running engine. Dropping it ends its thread: connections are closed, no event follows.
#[derive(Debug)]
pub struct Engine {
    inbox: Arc<Inbox>,
    lane: Arc<Lane>,
    thread: Option<JoinHandle<()>>,
}

/// What was submitted. Unbounded: who submits waits for its answers, and has a bound of its own.
#[derive(Debug, Default)]
struct Inbox {
    batches: SegQueue<Vec<Command>>,
    ended: AtomicBool,
    /// The engine's thread sleeps, or is about to without looking here again.
    asleep: AtomicBool,
    /// Of the engine's thread, once it runs.
    waker: OnceLock<Waker>,
}

std::thread_local! {
    /// What the runtime's hooks need.
    static HOOKED: RefCell<Option<(Rc<Shared>, Arc<Inbox>)>> = const { RefCell::new(None) };
}

impl Engine {
    /// Starts a thread that tells `sink` what happens.
    ///
    /// # Errors
    /// When the system gives no thread, or none of what it takes to wait for sockets.
    pub fn start(sink: Box<dyn EventSink>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(LOOKUPS_MAX)
            .on_thread_park(before_sleep)
            .on_thread_unpark(after_sleep)
            .build()?;
        let inbox = Arc::<Inbox>::default();
        let started = time::Instant::now();
        let lane = Arc::new(Lane::new(started));
        let (their_inbox, their_lane) = (Arc::clone(&inbox), Arc::clone(&lane));
        let thread = std::thread::Builder::new()
            .name("forebay-engine".to_owned())
            .spawn(move || run(runtime, their_inbox, || Shared::new(started, sink, their_lane)))?;
        Ok(Self { inbox, lane, thread: Some(thread) })
    }

    /// Hands over commands, which take effect in their order.
    ///
    /// Returns whether [`look`](Self::look) has to be called for the answer.
    pub fn submit(&self, commands: Vec<Command>) -> bool {
        match self.lane.offer(commands) {
            Ok(()) => true,
            Err(commands) => {
                self.push(commands);
                false
            }
        }
    }

    /// Looks for the answer to what was submitted last.
    pub fn look(&self, sink: &mut dyn EventSink) -> Look {
        let look = self.lane.look(sink);
        if look == Look::Left {
            self.push(vec![Command::TakeBack]);
        }
        look
    }

    fn push(&self, commands: Vec<Command>) {
        self.inbox.batches.push(commands);
        self.inbox.wake();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.inbox.ended.store(true, Ordering::SeqCst);
        self.inbox.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the engine's thread was reported there.
            drop(thread.join());
        }
    }
}

impl Inbox {
    /// A thread that is awake looks here before it sleeps.
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(waker) = self.waker.get()
        {
            waker.wake_by_ref();
        }
    }

    fn is_empty(&self) -> bool {
        self.batches.is_empty() && !self.ended.load(Ordering::SeqCst)
    }

    /// Lets `shared` handle what is there; ready when the engine is to end.
    fn poll(&self, cx: &Context<'_>, shared: &Rc<Shared>) -> Poll<()> {
        self.waker.get_or_init(|| cx.waker().clone());
        while let Some(batch) = self.batches.pop() {
            for command in batch {
                shared.handle(command);
            }
        }
        if self.ended.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Names that are looked up at a time.
const LOOKUPS_MAX: usize = 16;

fn run(runtime: Runtime, inbox: Arc<Inbox>, shared: impl FnOnce() -> Shared) {
    let shared = Rc::new(shared());
    HOOKED.set(Some((Rc::clone(&shared), Arc::clone(&inbox))));
    let tasks = LocalSet::new();
    let late = Rc::clone(&shared);
    tasks.spawn_local(async move { late.flush_late().await });
    tasks.block_on(&runtime, poll_fn(|cx| inbox.poll(cx, &shared)));
    drop(tasks);
    HOOKED.set(None);
    // A lookup that hangs does not keep the process.
    runtime.shutdown_background();
}

/// There is nothing left to do.
fn before_sleep() {
    HOOKED.with_borrow(|hooked| {
        let Some((shared, inbox)) = hooked else {
            return;
        };
        shared.flush();
        shared.pace.rests();
        inbox.asleep.store(true, Ordering::SeqCst);
        if !inbox.is_empty() {
            // The runtime does not sleep when its main task is woken here.
            inbox.wake();
        }
    });
}

fn after_sleep() {
    HOOKED.with_borrow(|hooked| {
        if let Some((_, inbox)) = hooked {
            inbox.asleep.store(false, Ordering::SeqCst);
        }
    });
}
