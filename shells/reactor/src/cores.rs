use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::sys::affinity;
use crate::{Config, Reactor, ReactorError, Remote};

/// How threads are started.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    /// How many threads, 1 to 1,024; `None` is one for each CPU that this process may use.
    pub count: Option<usize>,
    /// Whether thread `i` is pinned to the `i`-th CPU that this process may use.
    pub pin: bool,
    /// What each thread's reactor is made with.
    pub config: Config,
}

/// Where a thread may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pinning {
    /// On this CPU, which no other of the threads is pinned to.
    Pinned(usize),
    /// On this CPU, with others of the threads: there are more threads than CPUs.
    Shared(usize),
    /// Anywhere: pinning was not asked for.
    Off,
    /// Anywhere: the OS refused or cannot.
    Unsupported,
}

/// One thread's part: its reactor and the ways to the others.
#[derive(Debug)]
pub struct Core {
    /// 0 to `count - 1`.
    pub index: usize,
    /// How many threads there are.
    pub count: usize,
    /// Where this thread may run.
    pub pinning: Pinning,
    /// This thread's reactor.
    pub reactor: Reactor,
    gate: Arc<Gate>,
}

/// The running threads.
#[derive(Debug)]
pub struct Running<T> {
    threads: Vec<thread::JoinHandle<Option<T>>>,
    gate: Arc<Gate>,
}

/// Why no thread runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError<E> {
    /// The options name something out of range.
    InvalidOptions(&'static str),
    /// The reactor of this thread could not be made.
    Reactor(usize, ReactorError),
    /// The OS started no further thread, or one ended in a panic before it ran.
    Thread(io::Error),
    /// `init` of this thread failed.
    Init(usize, E),
}

/// What the threads share, set when all are ready.
#[derive(Debug, Default)]
struct Gate {
    remotes: OnceLock<Box<[Remote]>>,
    stopping: AtomicBool,
}

/// What a thread tells when it is ready or not.
type Report<E> = Result<(usize, Remote), StartError<E>>;

/// Most threads of one start.
const COUNT_MAX: usize = 1024;

/// Starts one thread `forebay-<i>` per core: all of them, or none.
///
/// On each thread `init` runs first. When all have succeeded, `run` gets what `init` made and
/// runs until it returns: it should when [`Core::is_stopping`] says so, which
/// [`Running::shutdown`] causes, together with a wake-up.
///
/// # Errors
///
/// The first failure of any thread; the others have stopped by then.
pub fn start<S, T, E, I, R>(
    options: &CoreOptions,
    init: I,
    run: R,
) -> Result<Running<T>, StartError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
    I: Fn(&mut Core) -> Result<S, E> + Send + Sync + 'static,
    R: Fn(Core, S) -> T + Send + Sync + 'static,
{
    let cpus = affinity::allowed();
    let count = options.count.unwrap_or_else(usable);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(StartError::InvalidOptions("count must be 1 to 1024"));
    }
    let gate = Arc::new(Gate::default());
    let body = Arc::new((init, run));
    let (reports, report) = mpsc::channel();
    let mut running = Running { threads: Vec::new(), gate: Arc::clone(&gate) };
    // A thread goes through when its `go` is sent, and ends when it is dropped.
    let mut goes = Vec::new();
    for index in 0..count {
        let (go, wait) = mpsc::channel::<()>();
        let place = Place { index, count, cpu: cpu_of(index, count, options.pin, &cpus) };
        let (config, gate) = (options.config.clone(), Arc::clone(&gate));
        let (body, reports) = (Arc::clone(&body), reports.clone());
        let thread = move || {
            let (core, made) = prepare(&place, &config, &gate, &body.0, &reports)?;
            drop(reports);
            wait.recv().ok()?;
            Some(body.1(core, made))
        };
        let thread = thread::Builder::new().name(format!("forebay-{index}")).spawn(thread);
        match thread {
            Ok(thread) => running.threads.push(thread),
            Err(error) => {
                drop(goes);
                running.join();
                return Err(StartError::Thread(error));
            }
        }
        goes.push(go);
    }
    drop(reports);
    match collect(&report, count) {
        Ok(remotes) => {
            // Set once, here.
            let _ = gate.remotes.set(remotes);
            for go in goes {
                // A thread that has reported waits.
                let _ = go.send(());
            }
            Ok(running)
        }
        Err(error) => {
            drop(goes);
            running.join();
            Err(error)
        }
    }
}

/// The CPUs that this process may use, in order; empty where the OS does not tell.
#[must_use]
pub fn allowed_cpus() -> Vec<usize> {
    affinity::allowed()
}

impl Core {
    /// Whether [`Running::shutdown`] was called.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.gate.stopping.load(Ordering::Acquire)
    }

    /// The ways to all threads' reactors, by index. Empty while `init` runs.
    #[must_use]
    pub fn remotes(&self) -> &[Remote] {
        self.gate.remotes.get().map_or(&[], |remotes| remotes)
    }
}

impl<T> Running<T> {
    /// The ways to all threads' reactors, by index.
    #[must_use]
    pub fn remotes(&self) -> &[Remote] {
        self.gate.remotes.get().map_or(&[], |remotes| remotes)
    }

    /// Asks all threads to stop, and wakes them. Does not wait.
    pub fn shutdown(&self) {
        self.gate.stopping.store(true, Ordering::Release);
        self.remotes().iter().for_each(Remote::wake);
    }

    /// Waits until all threads have returned; `Err` holds the panic of one that did not.
    pub fn join(self) -> Vec<thread::Result<T>> {
        let joined = self.threads.into_iter().map(thread::JoinHandle::join);
        // A thread without an output never ran, and then there is no `Running`.
        joined.filter_map(Result::transpose_output).collect()
    }
}

impl Default for CoreOptions {
    fn default() -> Self {
        Self { count: None, pin: true, config: Config::default() }
    }
}

impl<E: fmt::Display> fmt::Display for StartError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOptions(text) => f.write_str(text),
            Self::Reactor(index, error) => write!(f, "core {index}: {error}"),
            Self::Thread(error) => write!(f, "thread: {error}"),
            Self::Init(index, error) => write!(f, "core {index}: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for StartError<E> {}

/// Which thread one is.
#[derive(Debug)]
struct Place {
    index: usize,
    count: usize,
    cpu: Option<Pinning>,
}

/// `Option` inside of a thread's result, turned out.
trait TransposeOutput<T> {
    fn transpose_output(self) -> Option<thread::Result<T>>;
}

impl<T> TransposeOutput<T> for thread::Result<Option<T>> {
    fn transpose_output(self) -> Option<thread::Result<T>> {
        match self {
            Ok(output) => output.map(Ok),
            Err(panic) => Some(Err(panic)),
        }
    }
}

/// The first part of a thread's life; `None` if it failed, which was reported.
fn prepare<S, E>(
    place: &Place,
    config: &Config,
    gate: &Arc<Gate>,
    init: &impl Fn(&mut Core) -> Result<S, E>,
    reports: &mpsc::Sender<Report<E>>,
) -> Option<(Core, S)> {
    let Place { index, count, .. } = *place;
    let pinning = pin(place.cpu);
    let made = Reactor::new(config)
        .map_err(|error| StartError::Reactor(index, error))
        .map(|reactor| Core { index, count, pinning, reactor, gate: Arc::clone(gate) })
        .and_then(|mut core| match init(&mut core) {
            Ok(state) => Ok((core, state)),
            Err(error) => Err(StartError::Init(index, error)),
        });
    let (report, made) = match made {
        Ok((core, state)) => (Ok((index, core.reactor.remote())), Some((core, state))),
        Err(error) => (Err(error), None),
    };
    // The starter only stops listening when it has given up.
    reports.send(report).ok()?;
    made
}

/// Waits until every thread is ready.
fn collect<E>(
    reports: &mpsc::Receiver<Report<E>>,
    count: usize,
) -> Result<Box<[Remote]>, StartError<E>> {
    let mut remotes = Vec::new();
    for _ in 0..count {
        let gone = |_| StartError::Thread(io::Error::other("a thread ended before it ran"));
        remotes.push(reports.recv().map_err(gone)??);
    }
    remotes.sort_by_key(|(index, _)| *index);
    Ok(remotes.into_iter().map(|(_, remote)| remote).collect())
}

/// CPUs that this process may keep busy: its affinity mask and its quota.
fn usable() -> usize {
    thread::available_parallelism().map_or(1, core::num::NonZero::get)
}

fn cpu_of(index: usize, count: usize, wanted: bool, cpus: &[usize]) -> Option<Pinning> {
    if !wanted {
        return None;
    }
    let cpu = cpus.get(index.checked_rem(cpus.len()).unwrap_or(0)).copied();
    Some(cpu.map_or(Pinning::Unsupported, |cpu| {
        if count > cpus.len() { Pinning::Shared(cpu) } else { Pinning::Pinned(cpu) }
    }))
}

fn pin(wanted: Option<Pinning>) -> Pinning {
    match wanted {
        None => Pinning::Off,
        Some(pinning @ (Pinning::Pinned(cpu) | Pinning::Shared(cpu))) if affinity::pin(cpu) => {
            pinning
        }
        Some(Pinning::Pinned(_) | Pinning::Shared(_) | Pinning::Off | Pinning::Unsupported) => {
            Pinning::Unsupported
        }
    }
}
