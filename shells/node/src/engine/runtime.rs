//! The engine's thread: takes commands, runs a task per client, tells the sink when all is done.

use core::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use super::EventSink;
use super::command::Command;
use super::shared::Shared;

/// A running engine. Dropping it ends its thread: connections are closed, no event follows.
#[derive(Debug)]
pub struct Engine {
    /// Taken when the engine ends. Unbounded: who submits waits for its answers, and has a bound of
    /// its own.
    commands: Option<UnboundedSender<Vec<Command>>>,
    thread: Option<JoinHandle<()>>,
}

std::thread_local! {
    /// What the runtime's hook flushes before the thread sleeps.
    static SHARED: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
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
            .on_thread_park(flush)
            .build()?;
        let (sender, receiver) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name("forebay-engine".to_owned())
            .spawn(move || run(runtime, receiver, sink))?;
        Ok(Self { commands: Some(sender), thread: Some(thread) })
    }

    /// Hands over commands, which take effect in their order.
    pub fn submit(&self, commands: Vec<Command>) {
        if let Some(sender) = &self.commands {
            // An engine that has ended has nothing to do with them.
            drop(sender.send(commands));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the engine's thread was reported there.
            drop(thread.join());
        }
    }
}

/// Names that are looked up at a time.
const LOOKUPS_MAX: usize = 16;

fn run(runtime: Runtime, receiver: UnboundedReceiver<Vec<Command>>, sink: Box<dyn EventSink>) {
    let shared = Rc::new(Shared::new(sink));
    SHARED.set(Some(Rc::clone(&shared)));
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, take_commands(shared, receiver));
    drop(tasks);
    SHARED.set(None);
    // A lookup that hangs does not keep the process.
    runtime.shutdown_background();
}

fn flush() {
    SHARED.with_borrow(|shared| {
        if let Some(shared) = shared {
            shared.flush();
        }
    });
}

async fn take_commands(shared: Rc<Shared>, mut receiver: UnboundedReceiver<Vec<Command>>) {
    let late = Rc::clone(&shared);
    tokio::task::spawn_local(async move { late.flush_late().await });
    while let Some(batch) = receiver.recv().await {
        for command in batch {
            shared.handle(command);
        }
    }
}
