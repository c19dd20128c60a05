//! The load generator: one thread on its own CPU, HTTP/1.1 keep-alive connections, each with a
//! batch of requests in flight, every byte of every answer checked.

mod added;
mod connection;
mod idle;
mod template;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::epoll;

use crate::flags::Flags;
use connection::{Connection, Script};
use load::histogram::Histogram;
use load::{request, system};

/// A process whose CPU time and memory are read at the edges of the window.
struct Watched {
    name: String,
    pid: u32,
}

/// Runs what the flags say and prints the figures as `key=value` words on one line.
pub fn main(flags: &Flags) -> Result<(), String> {
    system::pin(flags.number("cpu", 1)?).map_err(|error| format!("pinning: {error}"))?;
    system::raise_open_files().map_err(|error| format!("open files: {error}"))?;
    let address: SocketAddr = flags.parsed("address")?;
    let watched = watched(flags)?;
    let script = script(flags.text("request")?, flags.number("depth", 1)?)?;
    let count = flags.number("connections", 1)?;
    if flags.is_set("idle") {
        return idle::run(address, &script, count, &watched);
    }
    let window = Duration::from_secs_f64(flags.float("seconds", 1.0)?);
    if flags.is_set("added") {
        return added::run(address, &self::script("404", 1)?, &script, window);
    }
    let load = Load {
        warm: Duration::from_secs_f64(flags.float("warm", 0.2)?),
        window,
        timeout: if flags.is_set("sleep") { None } else { Some(Duration::ZERO) },
        watched,
        tally: flags.text("tally").ok().map(PathBuf::from),
    };
    load.run(address, &script, count)
}

fn watched(flags: &Flags) -> Result<Vec<Watched>, String> {
    let Ok(list) = flags.text("watch") else { return Ok(Vec::new()) };
    let entry = |entry: &str| {
        let (name, pid) = entry.split_once('=')?;
        Some(Watched { name: name.to_owned(), pid: pid.parse().ok()? })
    };
    let list: Option<_> = list.split(',').map(entry).collect();
    list.ok_or_else(|| "--watch takes NAME=PID,…".to_owned())
}

fn script(name: &str, depth: usize) -> Result<Script, String> {
    let not_found = load::answer::BODY.as_bytes();
    let post = |len| {
        let post = request::post_echo(len);
        let echoed = post[post.len() - len..].to_vec();
        Script::new(&[post], depth, 200, &echoed)
    };
    match name {
        "404" => Ok(Script::new(&[request::not_found(0)], depth, 404, not_found)),
        "404-rotating" => {
            let requests: Vec<_> = (0..request::VARIANTS).map(request::not_found).collect();
            Ok(Script::new(&requests, depth, 404, not_found))
        }
        "get-echo" => Ok(Script::new(&[request::get_echo()], depth, 200, b"")),
        "post-echo" => Ok(post(request::SMALL_LEN)),
        "post-echo-large" => Ok(post(request::LARGE_LEN)),
        other => Err(format!("no request is named {other}")),
    }
}

struct Load {
    warm: Duration,
    window: Duration,
    /// Of one wait for events: zero spins, none sleeps.
    timeout: Option<Duration>,
    watched: Vec<Watched>,
    /// Where `benches/tally` counts, if it was loaded into the watched processes.
    tally: Option<PathBuf>,
}

impl Load {
    fn run(&self, address: SocketAddr, script: &Script, count: usize) -> Result<(), String> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| error.to_string())?;
        let mut connections = Vec::with_capacity(count);
        for index in 0..count {
            let connection =
                Connection::open(address, script).map_err(|error| error.to_string())?;
            let data = epoll::EventData::new_u64(index as u64);
            epoll::add(&poll, connection.socket(), data, epoll::EventFlags::IN)
                .map_err(|error| error.to_string())?;
            connections.push(connection);
        }
        for (index, connection) in connections.iter_mut().enumerate() {
            connection.start(script, index)?;
        }
        let mut turns = Turns { poll, connections, script, input: vec![0; 1 << 18] };
        turns.run_until(Instant::now() + self.warm, self.timeout)?;
        let before = Snapshot::take(&self.watched, self.tally.as_deref())?;
        let run = turns.run_until(Instant::now() + self.window, self.timeout)?;
        let after = Snapshot::take(&self.watched, self.tally.as_deref())?;
        self.print(&run, &before, &after);
        Ok(())
    }

    fn print(&self, run: &Run, before: &Snapshot, after: &Snapshot) {
        let mut line = format!(
            "requests={} ns={} p50={} p99={}",
            run.requests,
            after.at.duration_since(before.at).as_nanos(),
            run.latencies.quantile(0.5),
            run.latencies.quantile(0.99)
        );
        for (index, process) in self.watched.iter().enumerate() {
            let cpu = after.cpu_ns[index] - before.cpu_ns[index];
            let name = &process.name;
            line += &format!(" cpu.{name}={cpu} rss.{name}={}", after.resident[index]);
        }
        let tallies = self.watched.iter().zip(before.tallies.iter().zip(&after.tallies));
        for (Watched { name, .. }, (before, after)) in tallies {
            let (allocations, copied) = (after[0] - before[0], after[1] - before[1]);
            line += &format!(" allocations.{name}={allocations} copied.{name}={copied}");
        }
        println!("{line}");
    }
}

/// What `benches/tally` has counted so far. A process that was forked counts in its parent's file.
fn tallies(folder: &Path, watched: &[Watched]) -> Result<Vec<[u64; 2]>, String> {
    let file = |process: &Watched| std::fs::read(folder.join(process.pid.to_string()));
    let mut counts = Vec::new();
    for (index, bytes) in watched.iter().map(file).enumerate() {
        match bytes.as_deref().map(<[u8]>::as_chunks) {
            Ok(([allocations, copied], [])) => {
                let numbers = [allocations, copied].map(|bytes| u64::from_ne_bytes(*bytes));
                counts.push(numbers);
            }
            Err(error) if error.kind() == ErrorKind::NotFound && index > 0 => counts.push([0, 0]),
            Ok(_) | Err(_) => return Err("no tally of the server".to_owned()),
        }
    }
    Ok(counts)
}

/// What is read at one edge of the window.
struct Snapshot {
    at: Instant,
    cpu_ns: Vec<u64>,
    resident: Vec<u64>,
    /// Allocations and bytes copied, where they are counted.
    tallies: Vec<[u64; 2]>,
}

impl Snapshot {
    fn take(watched: &[Watched], tally: Option<&Path>) -> Result<Self, String> {
        let gone = |error| format!("a watched process: {error}");
        let cpu_ns = watched.iter().map(|process| system::process_cpu_ns(process.pid));
        let cpu_ns = cpu_ns.collect::<Result<_, _>>().map_err(gone)?;
        let at = Instant::now();
        let resident = watched.iter().map(|process| system::resident_bytes(process.pid));
        let resident = resident.collect::<Result<_, _>>().map_err(gone)?;
        let tallies = tally.map_or(Ok(Vec::new()), |folder| tallies(folder, watched))?;
        Ok(Self { at, cpu_ns, resident, tallies })
    }
}

/// What was counted in one window.
struct Run {
    requests: u64,
    latencies: Histogram,
}

struct Turns<'a> {
    poll: std::os::fd::OwnedFd,
    connections: Vec<Connection>,
    script: &'a Script,
    input: Vec<u8>,
}

impl Turns<'_> {
    /// Sends on where a socket took only a part of a batch.
    fn send_rest(&mut self) -> Result<(), String> {
        let mut unsent =
            self.connections.iter_mut().filter(|connection| connection.has_unsent(self.script));
        unsent.try_for_each(|connection| connection.send_rest(self.script))
    }

    fn run_until(&mut self, end: Instant, timeout: Option<Duration>) -> Result<Run, String> {
        let timeout = timeout.map(|time| time.try_into().expect("zero fits"));
        let mut run = Run { requests: 0, latencies: Histogram::default() };
        let mut events = Vec::with_capacity(512);
        let mut silent_since = Instant::now();
        loop {
            events.clear();
            epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref())
                .map_err(|error| error.to_string())?;
            if !self.script.is_small() {
                self.send_rest()?;
            }
            let now = Instant::now();
            if now >= end {
                return Ok(run);
            }
            if !events.is_empty() {
                silent_since = now;
            } else if now.duration_since(silent_since) > Duration::from_secs(5) {
                return Err("no answer for 5 s".to_owned());
            }
            for event in &events {
                let connection = &mut self.connections[event.data.u64() as usize];
                if let Some(sent) = connection.receive(self.script, &mut self.input)? {
                    let count = self.script.depth() as u64;
                    let latency = Instant::now().duration_since(sent);
                    run.latencies.record(latency.as_nanos() as u64, count);
                    run.requests += count;
                    connection.send(self.script)?;
                }
            }
        }
    }
}
