//! TCP echo on a reactor, beside raw loops without limits or errors, and what a message costs.
//!
//! `tcp_echo serve KIND` serves on a free port and prints it; KIND is `epoll`, `uring`, `raw-epoll`
//! or `raw-uring`. `tcp_echo compare [CONNECTIONS] [ROUNDS]` runs all kinds in turn against one
//! spinning client, the server pinned to CPU 0 and the client to CPU 1, and prints the server's CPU
//! time for each message (the scheduler's own accounting), and the median ratio to `raw-epoll`.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

mod client;
mod raw;
mod server;

use core::time::Duration;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Bytes of a message.
const MESSAGE: usize = 64;
const KINDS: [&str; 4] = ["raw-epoll", "epoll", "raw-uring", "uring"];

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| args.get(at).and_then(|n| n.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("serve") => serve(args.get(1).map_or("", String::as_str)),
        Some("compare") => compare(number(1, 64), number(2, 7)),
        _ => Err("usage: tcp_echo serve KIND | tcp_echo compare [CONNECTIONS] [ROUNDS]".into()),
    }
}

fn serve(kind: &str) -> Result<(), Box<dyn core::error::Error>> {
    let any = core::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = forebay_reactor::net::listen_shared(any, 1024)?;
    println!("{}", forebay_reactor::net::local_addr(&listener)?);
    match kind {
        "epoll" => server::run(listener, forebay_reactor::Backend::Epoll),
        "uring" => server::run(listener, forebay_reactor::Backend::IoUring),
        "raw-epoll" => raw::epoll(listener),
        "raw-uring" => raw::uring(listener),
        _ => Err(format!("no such kind: {kind}").into()),
    }
}

fn compare(connections: usize, rounds: usize) -> Result<(), Box<dyn core::error::Error>> {
    let mut servers = Vec::new();
    for kind in KINDS {
        servers.push((kind, start(kind)?));
    }
    pin(1);
    let mut clients = Vec::new();
    for (_, (_, addr)) in &servers {
        clients.push(client::Client::connect(addr.parse()?, connections)?);
    }
    let mut costs: Vec<Vec<f64>> = vec![Vec::new(); KINDS.len()];
    for round in 0..rounds {
        for step in 0..KINDS.len() {
            // Another order in each round.
            let at = (step * (1 + 2 * (round % 2)) + round) % KINDS.len();
            let child = &servers[at].1.0;
            clients[at].run(Duration::from_millis(100))?;
            let before = cpu(child)?;
            let count = clients[at].run(Duration::from_millis(600))?;
            let cost = (cpu(child)? - before) as f64 / count as f64;
            costs[at].push(cost);
        }
    }
    println!(
        "{connections} connections, {rounds} rounds, {MESSAGE} bytes; server CPU ns per message"
    );
    for (at, kind) in KINDS.iter().enumerate() {
        let ratios = costs[at].iter().zip(&costs[0]).map(|(cost, base)| cost / base).collect();
        let (ratio, cost) = (median(ratios), median(costs[at].clone()));
        println!("{kind:10} {cost:7.0} ns  {ratio:.3} of raw-epoll");
    }
    let uring = costs[3].iter().zip(&costs[2]).map(|(cost, base)| cost / base).collect();
    println!("uring      {:.3} of raw-uring", median(uring));
    for (_, (child, _)) in &mut servers {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn start(kind: &str) -> Result<(Child, String), Box<dyn core::error::Error>> {
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(std::env::current_exe()?)
        .args(["serve", kind])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, line.trim().to_owned()))
}

/// CPU time of a process of one thread, in ns.
fn cpu(child: &Child) -> Result<u64, Box<dyn core::error::Error>> {
    let text = std::fs::read_to_string(format!("/proc/{}/schedstat", child.id()))?;
    Ok(text.split(' ').next().ok_or("empty")?.parse()?)
}

fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    // On a machine of one CPU both run there.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
