//! Clients that leave: the worker hears of it, nothing leaks, and a half-close is not taken for
//! leaving.

use forebay_tests::gateway::PATIENCE;
use forebay_tests::http::Client;
use forebay_tests::until;

use crate::{DEMO, Setup, on_each_backend};

/// How many calls the demo worker has seen cancelled.
fn aborted(client: &mut Client) -> u64 {
    let answer = client.get("gateway.do", "/aborted");
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    json["aborted"].as_u64().expect("a count")
}

#[test]
fn the_worker_hears_of_a_client_that_left() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut observer = Client::connect(gateway.addr());
        let mut expected = aborted(&mut observer);

        // While the worker thinks.
        let mut client = Client::connect(gateway.addr());
        client.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        until("the call arrived", PATIENCE, || (hanging(&mut observer) == 1).then_some(()));
        drop(client);
        expected += 1;
        until("ABORT while thinking", PATIENCE, || {
            (aborted(&mut observer) == expected).then_some(())
        });

        // In the middle of a request's body: a FIN is as good as a reset.
        let mut client = Client::connect(gateway.addr());
        client
            .send("POST /upload HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: 100000\r\n\r\nabc");
        drop(client);
        expected += 1;
        until("ABORT in a body", PATIENCE, || (aborted(&mut observer) == expected).then_some(()));

        // In the middle of an answer that the client does not read.
        let mut client = Client::connect(gateway.addr());
        client.send("GET /stream?chunks=100000&size=65536 HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        assert_eq!(client.head().status, 200);
        drop(client);
        expected += 1;
        until("ABORT in an answer", PATIENCE, || {
            (aborted(&mut observer) == expected).then_some(())
        });
    });
}

fn hanging(client: &mut Client) -> u64 {
    let answer = client.get("gateway.do", "/aborted");
    let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    json["hanging"].as_u64().expect("a count")
}

#[test]
fn a_half_close_is_not_a_disconnect() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send("GET /stream?chunks=3&size=5&delay=50ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        client.finish();
        let head = client.head();
        assert_eq!(client.body_of(head).body.len(), 15);
        assert_eq!(client.rest(), b"");
    });
}

#[test]
fn a_half_close_longer_than_its_grace_ends_the_call() {
    on_each_backend(|backend| {
        let listen = "half_close_grace = \"100ms\"";
        let gateway = Setup { backend, listen, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        client.finish();
        assert_eq!(client.rest(), b"", "closed without an answer");
        let mut observer = Client::connect(gateway.addr());
        until("ABORT after the grace", PATIENCE, || (aborted(&mut observer) == 1).then_some(()));
    });
}

#[test]
fn a_slow_call_whose_grace_is_never_goes_on() {
    let gateway = Setup { listen: "half_close_grace = \"never\"", ..DEMO }.start();
    let mut client = Client::connect(gateway.addr());
    client.send("GET /stream?chunks=1&size=5&delay=600ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
    client.finish();
    let head = client.head();
    assert_eq!(client.body_of(head).body.len(), 5);
}

#[test]
fn a_thousand_clients_that_leave_at_random_leak_nothing() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut observer = Client::connect(gateway.addr());
        assert_eq!(observer.get("gateway.do", "/health").status, 200);
        let files = open_files(gateway.pid());
        for round in 0..1000_usize {
            let request = b"POST /upload HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: 20\r\n\r\n01234567890123456789";
            let mut client = Client::connect(gateway.addr());
            client.send(&request[..round % request.len()]);
        }
        until("every connection was closed", PATIENCE, || {
            (open_files(gateway.pid()) <= files).then_some(())
        });
        assert_eq!(observer.get("gateway.do", "/health").status, 200);
    });
}

#[test]
fn a_client_that_stops_reading_is_gone_at_last() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, listen: "idle_timeout = \"500ms\"", ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send("GET /stream?chunks=1000000&size=65536 HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        assert_eq!(client.head().status, 200);
        until("ABORT of a response that nobody reads", PATIENCE, || {
            (aborted(&mut Client::connect(gateway.addr())) == 1).then_some(())
        });
    });
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the gateway runs").count()
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    on_each_backend(|backend| {
        let listen =
            "idle_timeout = \"200ms\"\nheader_timeout = \"300ms\"\nbody_timeout = \"300ms\"";
        let gateway = Setup { backend, listen, ..DEMO }.start();
        assert_eq!(Client::connect(gateway.addr()).rest(), b"");
        let mut kept = Client::connect(gateway.addr());
        assert_eq!(kept.get("gateway.do", "/health").status, 200);
        assert_eq!(kept.rest(), b"");

        let mut half = Client::connect(gateway.addr());
        half.send("GET / HT");
        assert_eq!(half.answer().status, 408);

        let mut stuck = Client::connect(gateway.addr());
        stuck.send("POST /upload HTTP/1.1\r\nHost: gateway.do\r\nContent-Length: 9\r\n\r\nabc");
        assert_eq!(stuck.answer().status, 408);
        assert_eq!(stuck.rest(), b"");
    });
}
