//! The upstream of the peer proxy: a raw epoll loop on a Unix socket that echoes bodies.

use std::io;
use std::os::unix::net::UnixListener;

use load::echo;
use load::readiness::{self, Handler};

struct Echo;

impl Handler for Echo {
    fn turn(&mut self) {}

    fn handle(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        echo::answer_all(input, out)
    }
}

fn main() -> io::Result<()> {
    let path = std::env::args().nth(1).expect("usage: peer_upstream SOCKET");
    let listener = UnixListener::bind(path)?;
    readiness::serve(listener.into(), &mut Echo)
}
