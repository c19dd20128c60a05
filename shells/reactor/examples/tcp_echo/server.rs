//! The echo on a reactor.

use std::os::fd::OwnedFd;

use forebay_reactor::{Backend, Completion, Config, Flags, Handle, PoolClass, Reactor};

const ACCEPT: u64 = u64::MAX;
const SENT: u64 = u64::MAX - 1;

pub(crate) fn run(listener: OwnedFd, backend: Backend) -> Result<(), Box<dyn core::error::Error>> {
    let mut reactor = Reactor::new(&Config { backend, ..Config::default() })?;
    let listener = reactor.attach(listener).map_err(|(_, error)| error)?;
    reactor.accept_multi(listener, ACCEPT)?;
    let mut out = [Completion::EMPTY; 256];
    let mut pieces = Vec::new();
    loop {
        let count = reactor.wait(&mut out, None)?;
        for completion in &out[..count] {
            match completion.token {
                SENT => {}
                ACCEPT => {
                    let Some(socket) = reactor.take_handle(completion) else { continue };
                    reactor.recv_multi(socket, PoolClass::Small, socket.to_u64())?;
                }
                socket if completion.flags.contains(Flags::BUFFER) => {
                    pieces.extend(reactor.take_buf(completion).map(Into::into));
                    reactor.send(Handle::from_u64(socket), &mut pieces, SENT)?;
                }
                socket => reactor.close(Handle::from_u64(socket))?,
            }
        }
    }
}
