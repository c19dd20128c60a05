//! The running worker.

use core::fmt;
use std::sync::Arc;

use crate::builder::Builder;
use crate::connection::Shared;
use crate::error::Error;
use crate::payload::IntoPayload;

/// A running worker: emits events and tells when to end. Clones are the same worker.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// Why a worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shutdown {
    /// The parent said `$shutdown`.
    Requested,
    /// The parent's end of stdin is gone, and so is the parent.
    ParentGone,
    /// The data connection ended, or broke the protocol.
    ConnectionLost,
    /// SIGTERM or SIGINT.
    Signal,
    /// [`Client::shutdown`] was called.
    Local,
}

impl Client {
    /// Starts the description of a worker.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sends an event to the parent. Waits, without a limit in time, while the parent does not
    /// read.
    ///
    /// # Errors
    /// [`Error::UnknownEvent`], [`Error::NotConnected`] before a parent was adopted,
    /// [`Error::Closed`], [`Error::TooLong`], [`Error::Encode`].
    pub async fn emit<T>(&self, event: &str, data: &T) -> Result<(), Error>
    where
        T: IntoPayload + Sync + ?Sized,
    {
        self.shared.emit(event, data).await
    }

    /// Returns once a parent was adopted, or with an error when there will be none any more.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub async fn connected(&self) -> Result<(), Error> {
        self.shared.connected().await
    }

    /// Takes no further request, lets the running ones end, then ends the worker.
    pub fn shutdown(&self) {
        self.shared.drain();
    }

    /// Returns when the worker has ended: the parent said so, went away, or the connection broke.
    /// Handlers that still run have been told, given a moment, and dropped; the socket file is
    /// gone. What is left is to return from `main`.
    pub async fn wait_for_shutdown(&self) -> Shutdown {
        self.shared.ended().await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
