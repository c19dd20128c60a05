//! `forebay serve`: from a configuration to running shards, and to their end.

mod log;
mod resident;
mod run_dir;
mod signals;

use core::net::SocketAddr;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, OnceLock};

use forebay_reactor::{Backend, BackendInfo, BackendKind, CoreOptions, Running, net};

use crate::config::{BackendChoice, Config, Loaded};
use crate::process::Starter;
use crate::shard::{self, CORES_MAX, Shared};
use run_dir::RunDir;
use signals::Signals;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// The share of the receive pool that holds small buffers; the rest holds large ones.
const SMALL_SHARE: u64 = 4;
/// Descriptors that are not client connections: workers have four each, files and listeners a few.
const OTHER_FILES: u64 = 256;

/// Serves until told to stop. The status is 0 after a stop, 1 if serving was not possible.
#[must_use]
pub fn run(loaded: Loaded) -> ExitCode {
    log::start(&loaded.config.log);
    match serve(loaded.config) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config) -> io::Result<ExitCode> {
    // Before any thread is started, so that all of them leave the signals to it.
    let signals = Signals::new()?;
    raise_file_limit(config.http.max_connections);
    if config.namespace().is_none() {
        tracing::error!("Namespace not found for environment: {}", config.environment);
    }
    let run_dir = RunDir::new(config.run_dir.as_deref().unwrap_or(Path::new("")))?;
    let (starter, _thread) = Starter::new()?;
    let options = options(&config);
    let cores = options.count.unwrap_or_else(available).min(CORES_MAX);
    let options = CoreOptions { count: Some(cores), ..options };
    let (listeners, addresses) = listen(&config, cores)?;
    let shared = Arc::new(Shared::new(config, cores).map_err(io::Error::other)?);
    let backend = Arc::new(OnceLock::new());
    let running = start(&options, &shared, listeners, (starter, run_dir.path()), &backend)?;
    announce(&addresses, cores, backend.get())?;
    resident::give_back_start();
    let code = wait(&signals, &shared, &running);
    for end in running.join() {
        match end {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::Error::other("a core stopped with a panic")),
        }
    }
    tracing::info!("stopped");
    Ok(code)
}

type Listeners = Vec<Vec<OwnedFd>>;

/// Binds every address once for each core. An address that somebody serves already is an error.
fn listen(config: &Config, cores: usize) -> io::Result<(Listeners, Vec<SocketAddr>)> {
    let mut listeners: Listeners = (0..cores).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for wanted in &config.http.bind {
        let at =
            |error: io::Error| io::Error::new(error.kind(), format!("listen on {wanted}: {error}"));
        net::check_unserved(*wanted).map_err(at)?;
        let mut addr = *wanted;
        for listeners in &mut listeners {
            let listener = net::listen_shared(addr, BACKLOG).map_err(at)?;
            // Inherited by its connections: a client that takes no byte for so long is gone.
            let stalled_ms = config.http.limits.idle_timeout_ms;
            rustix::net::sockopt::set_tcp_user_timeout(&listener, stalled_ms)
                .map_err(|error| at(error.into()))?;
            // Port 0 is decided by the first of them.
            addr = net::local_addr(&listener).map_err(at)?;
            listeners.push(listener);
        }
        addresses.push(addr);
    }
    Ok((listeners, addresses))
}

fn start(
    options: &CoreOptions,
    shared: &Arc<Shared>,
    listeners: Listeners,
    (starter, run_dir): (Starter, &Path),
    backend: &Arc<OnceLock<BackendInfo>>,
) -> io::Result<Running<io::Result<()>>> {
    let listeners: Mutex<Vec<_>> = Mutex::new(listeners.into_iter().map(Some).collect());
    let (shared, run_dir) = (Arc::clone(shared), run_dir.to_owned());
    let backend = Arc::clone(backend);
    let init = move |core: &mut forebay_reactor::Core| {
        let _told_already = backend.set(core.reactor.backend().clone());
        let mut listeners = listeners.lock().map_err(|_| io::Error::other("poisoned"))?;
        listeners.get_mut(core.index).and_then(Option::take).ok_or(io::Error::other("no listeners"))
    };
    let run = move |core: forebay_reactor::Core, listeners: Vec<OwnedFd>| {
        let end = shard::run(core, &shared, listeners, (starter.clone(), &run_dir));
        if let Err(error) = &end {
            // The others cannot do without it: their calls would wait for ever.
            tracing::error!(%error, "a core cannot go on");
            std::process::exit(1);
        }
        end
    };
    forebay_reactor::start(options, init, run).map_err(io::Error::other)
}

/// Waits for a signal and then for the end of what runs. A second signal does not wait.
fn wait(signals: &Signals, shared: &Shared, running: &Running<io::Result<()>>) -> ExitCode {
    signals.wait();
    tracing::info!("stopping: what runs is finished first");
    let delay = shared.config().stop_delay;
    if !delay.is_zero() && signals.wait_for(delay) {
        exit_now();
    }
    shared.stop();
    running.shutdown();
    signals.then(exit_now);
    ExitCode::SUCCESS
}

/// Ends at once. Workers notice by the end of their standard input, and on Linux are killed.
fn exit_now() {
    tracing::warn!("a second signal: what runs is broken off");
    std::process::exit(130);
}

/// Tells a person what runs.
fn announce(
    addresses: &[SocketAddr],
    cores: usize,
    backend: Option<&BackendInfo>,
) -> io::Result<()> {
    let backend = backend.map_or_else(String::new, |info| {
        let name = match info.kind {
            BackendKind::IoUring => "io_uring",
            BackendKind::Epoll => "epoll",
            _ => "other",
        };
        format!("{name} ({})", info.reason)
    });
    let cores = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    let mut out = io::stdout().lock();
    for addr in addresses {
        writeln!(out, "listening on   http://{addr} on {cores}")?;
    }
    writeln!(out, "backend        {backend}")?;
    if let Some(addr) = addresses.first() {
        writeln!(out, "try            curl -H 'Host: gateway.do' http://{addr}/health")?;
    }
    out.flush()
}

fn options(config: &Config) -> CoreOptions {
    let reactor = &config.reactor;
    let mut options = CoreOptions {
        count: (reactor.cores > 0).then_some(usize::from(reactor.cores)),
        ..CoreOptions::default()
    };
    options.config.backend = match reactor.backend {
        BackendChoice::Auto => Backend::Auto,
        BackendChoice::Uring => Backend::IoUring,
        BackendChoice::Epoll => Backend::Epoll,
        _ => Backend::Auto,
    };
    let [small, bulk] = forebay_reactor::PoolClass::ALL.map(|class| class.buffer_len() as u64);
    let whole =
        |bytes: u64, len: u64| usize::try_from((bytes / len).max(8) * len).unwrap_or(usize::MAX);
    options.config.small_bytes = whole(reactor.buffers / SMALL_SHARE, small);
    options.config.bulk_bytes = whole(reactor.buffers - reactor.buffers / SMALL_SHARE, bulk);
    options
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, core::num::NonZero::get)
}

/// Raises the soft limit of open files to the hard one.
fn raise_file_limit(max_connections: u32) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if u64::from(max_connections) + OTHER_FILES > limit {
        tracing::warn!(max_connections, open_files = limit, "more connections than open files");
    }
}
