//! Peer: may_minihttp, the fastest server of public rankings in this language, with one worker.
//! It adds a `Server: M` field of its own.

use std::io;

use load::answer;
use may_minihttp::{HttpServer, HttpService, Request, Response};

#[derive(Clone)]
struct NotFound;

impl HttpService for NotFound {
    fn call(
        &mut self,
        request: Request<'_, '_, '_>,
        response: &mut Response<'_>,
    ) -> io::Result<()> {
        assert_eq!(request.path(), "/test");
        response.status_code(404, "Not Found");
        response.header("Content-Type: application/json");
        response.body(answer::BODY);
        Ok(())
    }
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1).expect("usage: peer_may ADDRESS");
    may::config().set_workers(1).set_worker_pin(false);
    let server = HttpServer(NotFound).start(address)?;
    server.join().map_err(|_| io::Error::other("the server ended"))
}
