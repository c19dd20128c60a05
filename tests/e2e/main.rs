//! The real binary, real sockets, real worker processes.

mod bad_input;
mod client_gone;
mod configuration;
mod limits;
mod mixture;
mod routing;
mod start_stop;
mod streaming;
mod worker_gone;

use forebay_tests::gateway::Gateway;

/// What a gateway under test is made of; every test runs on each backend.
struct Setup<'a> {
    backend: &'a str,
    dispatch: &'a str,
    listen: &'a str,
    workers: &'a str,
}

/// One worker, `gateway`, the demo.
const DEMO: Setup<'static> = Setup {
    backend: "auto",
    dispatch: "",
    listen: "",
    workers: "[namespaces.production.workers.gateway]\nbuiltin = \"demo\"\n",
};

impl Setup<'_> {
    fn text(&self) -> String {
        let Self { backend, dispatch, listen, workers } = self;
        format!(
            "environment = \"production\"\n[reactor]\ncores = 2\nbackend = \"{backend}\"\n\
             [dispatch]\nzones = [\"do\"]\n{dispatch}\n\
             [listen.http]\nbind = [\"127.0.0.1:0\"]\n{listen}\n\
             [namespaces.production]\nname = \"dotdo-production\"\nbinding = \"PRODUCTION\"\n{workers}"
        )
    }

    fn start(&self) -> Gateway {
        Gateway::start(&self.text())
    }
}

/// Runs a test on each backend that this machine has.
fn on_each_backend(test: impl Fn(&'static str)) {
    for backend in ["uring", "epoll"] {
        test(backend);
    }
}

/// A worker `gateway` that misbehaves in this way, with more keys for its table.
fn bad_worker(mode: &str, keys: &str) -> String {
    let path = env!("CARGO_BIN_EXE_bad-worker");
    format!("[namespaces.production.workers.gateway]\ncommand = [\"{path}\", \"{mode}\"]\n{keys}\n")
}
