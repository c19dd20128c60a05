//! Signals that ask the gateway to stop, read like a stream.

use core::time::Duration;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGINT, SIGTERM};

/// SIGINT and SIGTERM from now on.
#[derive(Debug)]
pub(super) struct Signals {
    stream: UnixStream,
}

impl Signals {
    /// Takes over both signals.
    pub(super) fn new() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGINT, write.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGTERM, write)?;
        Ok(Self { stream: read })
    }

    /// Waits for one of them.
    pub(super) fn wait(&self) {
        next(&self.stream);
    }

    /// Waits for one of them, but no longer than this; whether one came.
    pub(super) fn wait_for(&self, limit: Duration) -> bool {
        let limited = self.stream.set_read_timeout(Some(limit));
        let came = limited.is_ok() && next(&self.stream);
        let _unlimited = self.stream.set_read_timeout(None);
        came
    }

    /// Does something at the next of them, on a thread of its own.
    pub(super) fn then(&self, what: fn()) {
        let Ok(stream) = self.stream.try_clone() else { return };
        let watch = move || {
            if next(&stream) {
                what();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("forebay-signal".into()).spawn(watch) {
            tracing::warn!(%error, "a second signal will have no effect");
        }
    }
}

/// Waits for a byte; false if there will be none.
fn next(mut stream: &UnixStream) -> bool {
    loop {
        match stream.read(&mut [0]) {
            Ok(len) => return len > 0,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}
