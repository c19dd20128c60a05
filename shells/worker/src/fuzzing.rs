//! A way in for the fuzzer, which has no parent process: compiled with `--cfg fuzzing` only.

use core::future::Future;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use crate::builder::Builder;
use crate::client::Client;
use crate::connection::{self, Shared};
use crate::socket::Stream;

/// A worker whose parent is at the other end of `socket`, and what serves it.
///
/// # Errors
/// The socket cannot be watched.
pub fn connected(
    builder: Builder,
    socket: UnixStream,
) -> io::Result<(Client, impl Future<Output = ()> + Send)> {
    let (shared, handlers) = Shared::new(builder);
    let stream = Stream::new(socket)?;
    shared.connect();
    let client = Client::from_shared(Arc::clone(&shared));
    let serve = async move {
        // Broken by the peer, or ended: it is the same to a worker.
        let _ = connection::serve(&shared, handlers, stream).await;
        shared.disconnect();
        shared.abort_tasks();
    };
    Ok((client, serve))
}
