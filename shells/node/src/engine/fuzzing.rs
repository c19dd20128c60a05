//! A way in for the fuzzer, which brings the connection: compiled with `--cfg fuzzing` only.

use core::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time;

use super::client::{self, Client, Wish};
use super::connect::Ready;
use super::event::{Connected, Version};
use super::lane::Lane;
use super::shared::Shared;
use super::stream::Stream;
use super::{ClientId, ClientOptions, Command, EventSink};

/// The number of the only client.
pub const CLIENT: ClientId = ClientId(0);

/// An engine on the thread that calls it. Its client has one connection in its life.
pub struct Player {
    shared: Rc<Shared>,
    client: Rc<Client>,
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").finish_non_exhaustive()
    }
}

impl Player {
    /// An engine without a connection.
    #[must_use]
    pub fn new(sink: Box<dyn EventSink>, options: ClientOptions) -> Self {
        let started = time::Instant::now();
        let shared = Rc::new(Shared::new(started, sink, Arc::new(Lane::new(started))));
        let client = Rc::new(Client::new(CLIENT, Arc::new(options)));
        shared.adopt(&client);
        Self { shared, client }
    }

    /// Hands over a command.
    pub fn tell(&self, command: Command) {
        self.shared.handle(command);
    }

    /// Speaks HTTP/1.1 on `socket` until its end. Tasks are spawned: call it inside a `LocalSet`.
    ///
    /// # Errors
    /// The socket cannot be watched.
    pub async fn serve(&self, socket: UnixStream) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        let stream = Stream::Unix(tokio::net::UnixStream::from_std(socket)?);
        let info = Connected { version: Version::Http11, local: None, remote: None };
        let wish = Wish { servername: None, no_h2: false };
        client::serve(&self.shared, &self.client, wish, Ready { stream, info }).await;
        Ok(())
    }

    /// Fails what waits for a connection.
    pub fn fail_all(&self) {
        client::fail_all(&self.shared, &self.client);
    }
}
