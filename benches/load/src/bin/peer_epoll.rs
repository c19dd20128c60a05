//! Bound: a raw epoll loop with httparse.

use std::io;
use std::net::TcpListener;

use load::answer::Answer;
use load::bound;
use load::readiness::{self, Handler};

struct NotFound(Answer);

impl Handler for NotFound {
    fn turn(&mut self) {
        self.0.refresh();
    }

    fn handle(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        bound::answer_all(input, &self.0, out)
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: peer_epoll ADDRESS");
    let listener = TcpListener::bind(address)?;
    readiness::serve(listener.into(), &mut NotFound(Answer::new()))
}
