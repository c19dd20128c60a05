//! From a description to a running worker.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::env;
use std::io;
use std::sync::Arc;

#[cfg(unix)]
use tokio::io::AsyncReadExt as _;
use tokio::time::{Instant, sleep_until};

use crate::builder::Builder;
use crate::client::{Client, Shutdown};
use crate::connection::{self, Shared};
use crate::control;
use crate::error::StartError;
use crate::handler::Start;
use crate::socket::{self, Listener};

/// A parent misses the exit, and the last words, of a child that goes in its first 100 ms
/// (procwire section 2.4).
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What handlers get to end by themselves once nobody waits for them any more.
const HANDLER_GRACE: Duration = Duration::from_millis(500);

/// A process has one stdin and one stdout.
static STARTED: AtomicBool = AtomicBool::new(false);

pub(crate) async fn start(builder: Builder) -> Result<Client, StartError> {
    if STARTED.swap(true, Ordering::AcqRel) {
        return Err(StartError::AlreadyStarted);
    }
    let (shared, handlers) = Shared::new(builder);
    let outcome = announce(&shared);
    if let Err(error) = &outcome {
        let _ = control::announce(&control::error_line(&error.to_string()));
    }
    let followed = control::follow(Arc::clone(&shared)).map_err(StartError::Io);
    match outcome.and_then(|ready| followed.map(|()| ready)) {
        Ok(ready) => {
            tokio::spawn(run(Arc::clone(&shared), handlers, ready));
            Ok(Client::from_shared(shared))
        }
        Err(error) => {
            let _ = tokio::time::timeout(LAST_WORDS, shared.stopping()).await;
            Err(error)
        }
    }
}

/// What a worker that was announced waits for its parent with.
struct Ready {
    listener: Listener,
    token: Option<Arc<[u8]>>,
    signals: Signals,
    file: FileGuard,
}

/// Removes the socket file when the task that serves goes, however that comes: the runtime of a
/// program that panics, or returns without waiting, drops it.
struct FileGuard(Arc<Shared>);

impl Drop for FileGuard {
    fn drop(&mut self) {
        self.0.remove_socket();
    }
}

/// Listens, then says so.
fn announce(shared: &Arc<Shared>) -> Result<Ready, StartError> {
    let token = match env::var_os("PROCWIRE_TOKEN") {
        Some(token) if token.is_empty() => return Err(StartError::EmptyToken),
        Some(token) => Some(Arc::from(token.as_encoded_bytes())),
        None => None,
    };
    // Before there is a file that an unwatched signal would leave behind.
    let signals = Signals::watch().map_err(StartError::Io)?;
    let (listener, file) = socket::listen().map_err(StartError::Bind)?;
    let line = file.path().to_str().and_then(|path| control::init_line(&shared.plan, path));
    shared.keep_socket(file);
    let file = FileGuard(Arc::clone(shared));
    control::announce(&line.ok_or(StartError::TooManyNames)?).map_err(StartError::Announce)?;
    Ok(Ready { listener, token, signals, file })
}

/// The whole life of the worker.
async fn run(shared: Arc<Shared>, handlers: Vec<Start>, ready: Ready) {
    // A task of its own: what arrives does not wake this one.
    let Ready { listener, token, mut signals, file: _file } = ready;
    let mut serving = tokio::spawn(serve(Arc::clone(&shared), handlers, listener, token));
    let served = tokio::select! {
        () = shared.stopping() => None,
        () = signals.come() => Some(Shutdown::Signal),
        reason = &mut serving => Some(reason.unwrap_or(Shutdown::ConnectionLost)),
    };
    if let Some(reason) = served {
        shared.stop(reason);
    }
    if !serving.is_finished() {
        // Closes the socket.
        serving.abort();
        let _ = serving.await;
    }
    shared.remove_socket();
    shared.disconnect();
    let deadline = Instant::now() + HANDLER_GRACE;
    while shared.is_busy() && Instant::now() < deadline {
        sleep_until(deadline.min(Instant::now() + Duration::from_millis(5))).await;
    }
    shared.abort_tasks();
    shared.end();
}

async fn serve(
    shared: Arc<Shared>,
    handlers: Vec<Start>,
    mut listener: Listener,
    token: Option<Arc<[u8]>>,
) -> Shutdown {
    let adopted = connection::adopt(&mut listener, token).await;
    drop(listener);
    shared.remove_socket();
    let Ok(stream) = adopted else { return Shutdown::ConnectionLost };
    shared.connect();
    // Whether it ended in order or not makes no difference to a worker: its parent is gone.
    let _ = connection::serve(&shared, handlers, stream).await;
    if shared.is_drained() { Shutdown::Local } else { Shutdown::ConnectionLost }
}

/// The signals that ask a process to end, as bytes of a stream.
#[cfg(unix)]
struct Signals(tokio::net::UnixStream);

#[cfg(unix)]
impl Signals {
    /// From here on they no longer end the process by themselves.
    fn watch() -> io::Result<Self> {
        use std::os::unix::net::UnixStream;

        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::low_level::pipe::register;

        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        register(SIGINT, write.try_clone()?)?;
        register(SIGTERM, write)?;
        Ok(Self(tokio::net::UnixStream::from_std(read)?))
    }

    /// Returns when one has come.
    async fn come(&mut self) {
        // The stream has no end: what writes to it is never given up.
        let _ = self.0.read_u8().await;
    }
}

/// Windows ends a process without asking it; nothing of ours is left behind there.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "the same as on Unix")]
    fn watch() -> io::Result<Self> {
        Ok(Self)
    }

    async fn come(&mut self) {
        core::future::pending().await
    }
}
