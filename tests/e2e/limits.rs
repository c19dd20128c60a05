//! Admission: what is too much is refused at once or waits with a bound, and says which.

use forebay_tests::gateway::{PATIENCE, signal};
use forebay_tests::http::Client;
use forebay_tests::until;

use crate::{DEMO, Setup, bad_worker, on_each_backend};

fn overloaded(text: &str) -> String {
    let text = text.replace('"', "\\\"");
    format!(r#"{{"error":"Service overloaded","message":"{text}"}}"#)
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    // On a busy machine the last of them waits for longer than a second.
    let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"demo\"\n\
                   queue_timeout = \"20s\"\n";
    on_each_backend(|backend| {
        let gateway = Setup { backend, workers, ..DEMO }.start();
        let mut clients: Vec<Client> = (0..1000).map(|_| Client::connect(gateway.addr())).collect();
        for round in 0..3 {
            for client in &mut clients {
                client.send(format!("GET /r{round} HTTP/1.1\r\nHost: gateway.do\r\n\r\n"));
            }
            for client in &mut clients {
                assert_eq!(client.answer().status, 200);
            }
        }
    });
}

#[test]
fn a_connection_that_is_answered_at_once_holds_less_than_a_buffer() {
    const COUNT: u64 = 512;
    on_each_backend(|backend| {
        let text = Setup { backend, ..DEMO }.text().replace("cores = 2", "cores = 1");
        let gateway = forebay_tests::gateway::Gateway::start(&text);
        assert_eq!(Client::connect(gateway.addr()).get("unknown.do", "/").status, 404);
        let before = gateway.own_memory();
        let get = "GET /test HTTP/1.1\r\nHost: unknown.do\r\nAccept: */*\r\n\r\n";
        let mut clients: Vec<_> = (0..COUNT).map(|_| Client::connect(gateway.addr())).collect();
        for client in &mut clients {
            client.send(get);
            assert_eq!(client.answer().status, 404);
        }
        for _ in 0..3 {
            // Stopped while they arrive, it has all of them to answer at once.
            signal(gateway.pid(), "STOP");
            for client in &mut clients {
                client.send(get);
            }
            signal(gateway.pid(), "CONT");
            for client in &mut clients {
                assert_eq!(client.answer().status, 404);
            }
        }
        let each = gateway.own_memory().saturating_sub(before) / COUNT;
        assert!(each < 3 * 1024, "{backend}: {each} bytes for each connection");
    });
}

#[test]
fn what_a_burst_took_is_given_back() {
    const COUNT: u64 = 512;
    on_each_backend(|backend| {
        let text = Setup { backend, ..DEMO }.text().replace("cores = 2", "cores = 1");
        let gateway = forebay_tests::gateway::Gateway::start(&text);
        let get = "GET /test HTTP/1.1\r\nHost: unknown.do\r\nAccept: */*\r\n\r\n";
        let mut client = Client::connect(gateway.addr());
        let before = gateway.own_memory();
        // New connections, all of which have a request already.
        signal(gateway.pid(), "STOP");
        let mut clients: Vec<_> = (0..COUNT).map(|_| Client::connect(gateway.addr())).collect();
        clients.iter_mut().for_each(|client| client.send(get));
        signal(gateway.pid(), "CONT");
        clients.iter_mut().for_each(|client| assert_eq!(client.answer().status, 404));
        let each = until("the memory was given back", PATIENCE, || {
            for _ in 0..1000 {
                client.send(get);
                assert_eq!(client.answer().status, 404);
            }
            let each = gateway.own_memory().saturating_sub(before) / COUNT;
            (each < 2 * 1024).then_some(each)
        });
        assert!(each > 0, "{backend}: connections are not free");
    });
}

#[test]
fn a_full_queue_is_refused_at_once_and_a_wait_has_an_end() {
    on_each_backend(|backend| {
        let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"demo\"\n\
                       max_concurrency = 1\nqueue_len = 1\nqueue_timeout = \"500ms\"\n";
        let gateway = Setup { backend, workers, ..DEMO }.start();
        assert_eq!(Client::connect(gateway.addr()).get("gateway.do", "/health").status, 200);
        let mut busy = Client::connect(gateway.addr());
        busy.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        let busy_for_too_long = overloaded("Worker \"gateway\" was busy for too long");
        let mut probe = Client::connect(gateway.addr());
        until("the only place is taken", PATIENCE, || {
            (probe.get("gateway.do", "/health").text() == busy_for_too_long).then_some(())
        });
        // One of them waits in the queue, and for the others it is full.
        let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(gateway.addr())).collect();
        for client in &mut clients {
            client.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\n");
        }
        let answers: Vec<_> = clients.iter_mut().map(Client::answer).collect();
        for answer in &answers {
            assert_eq!((answer.status, answer.field("retry-after")), (503, Some("1")));
        }
        let full = overloaded("Worker \"gateway\" has too many calls waiting");
        assert_eq!(answers.iter().filter(|answer| answer.text() == full).count(), 3);
        assert_eq!(answers.iter().filter(|answer| answer.text() == busy_for_too_long).count(), 1);
    });
}

#[test]
fn a_worker_that_keeps_failing_is_left_alone_for_a_while() {
    let keys = "restart = { base = \"10ms\", factor = 1, max = \"10ms\", jitter = 0.0, limit = 2, \
                window = \"60s\", cooldown = \"20s\" }";
    let gateway = Setup { workers: &bad_worker("exit", keys), ..DEMO }.start();
    let mut client = Client::connect(gateway.addr());
    let answer = until("the circuit opens", PATIENCE, || {
        let answer = client.get("gateway.do", "/");
        (answer.status == 503).then_some(answer)
    });
    assert_eq!(answer.text(), overloaded("Worker \"gateway\" keeps failing to start"));
    let seconds: u64 = answer.field("retry-after").and_then(|v| v.parse().ok()).expect("seconds");
    assert!((1..=20).contains(&seconds), "{seconds}");
}

#[test]
fn connections_beyond_the_limit_wait_outside() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, listen: "max_connections = 20", ..DEMO }.start();
        let mut inside: Vec<Client> = (0..20).map(|_| Client::connect(gateway.addr())).collect();
        for client in &mut inside {
            assert_eq!(client.get("unknown.do", "/").status, 404);
        }
        let mut outside = Client::connect(gateway.addr());
        outside.send("GET / HTTP/1.1\r\nHost: unknown.do\r\n\r\n");
        drop(inside);
        assert_eq!(outside.answer().status, 404, "served once others have left");
    });
}

#[test]
fn two_pipelined_requests_are_answered_in_order() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send(
            "GET /stream?chunks=2&size=3&delay=20ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n\
             GET /second HTTP/1.1\r\nHost: gateway.do\r\n\r\n",
        );
        assert_eq!(client.answer().body.len(), 6);
        assert!(client.answer().text().contains("/second"));
    });
}

#[test]
fn clients_that_held_every_buffer_and_left_block_nobody() {
    on_each_backend(|backend| {
        // The least that the pool may be: a few small buffers, which slow requests hold.
        let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"demo\"\n";
        let text = Setup { backend, workers, ..DEMO }.text();
        let text = text.replace("cores = 2", "cores = 1\nbuffers = \"1MiB\"");
        let gateway = forebay_tests::gateway::Gateway::start(&text);
        let mut holders: Vec<Client> = Vec::new();
        for _ in 0..200 {
            let mut client = Client::connect(gateway.addr());
            // A second request behind one that is not answered stays in its buffer.
            client.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\nGET / HTTP/1.1\r\n");
            holders.push(client);
        }
        drop(holders);
        let answer = Client::connect(gateway.addr()).get("gateway.do", "/health");
        assert_eq!(answer.status, 200, "{}", answer.text());
    });
}

#[test]
fn without_a_free_buffer_new_calls_are_refused_after_a_while() {
    on_each_backend(|backend| {
        let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"demo\"\n";
        let text = Setup { backend, workers, ..DEMO }.text();
        let text = text.replace("cores = 2", "cores = 1\nbuffers = \"1MiB\"");
        let gateway = forebay_tests::gateway::Gateway::start(&text);
        // Its second request lies in the gateway until the first one is answered.
        let mut client = Client::connect(gateway.addr());
        client.send(
            "GET /stream?chunks=2&size=1&delay=700ms HTTP/1.1\r\nHost: gateway.do\r\n\r\n\
             GET /health HTTP/1.1\r\nHost: gateway.do\r\n\r\n",
        );
        assert_eq!(client.head().status, 200);
        let holders: Vec<Client> = (0..400)
            .map(|_| {
                let mut holder = Client::connect(gateway.addr());
                holder.send("GET /hang HTTP/1.1\r\nHost: gateway.do\r\n\r\nGET / HTTP/1.1\r\n");
                holder
            })
            .collect();
        while client.chunk().is_some() {}
        let answer = client.answer();
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.text(), overloaded("Gateway is at capacity"));
        // With room again, it serves again.
        drop(holders);
        assert_eq!(Client::connect(gateway.addr()).get("gateway.do", "/health").status, 200);
    });
}
