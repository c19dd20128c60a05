//! `load drive`: one worker under one load, from a native parent on a CPU of its own or from
//! Node.js; prints the figures as `key=value` words on one line.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::parent::Parent;
use crate::flags::Flags;
use load::histogram::Histogram;
use load::system;

/// Runs what the flags say.
pub fn main(flags: &Flags) -> Result<(), String> {
    let folder = Folder::new()?;
    let command: Vec<_> = flags.text("command")?.split(' ').map(str::to_owned).collect();
    let load = Load {
        method: flags.text("method")?.to_owned(),
        len: flags.number("len", 1024)?,
        depth: flags.number("depth", 1)?,
        total: flags.number("total", 0)?,
        warm: Duration::from_secs_f64(flags.float("warm", 0.25)?),
        window: Duration::from_secs_f64(flags.float("seconds", 1.0)?),
    };
    // What is started from here on stays on this CPU; the parent moves away.
    let (worker_cpu, parent_cpu) = (flags.number("cpu", 0)?, flags.number("parent-cpu", 1)?);
    if flags.text("kind")? == "node" {
        return load.drive_node(&command, flags.text("node")?, worker_cpu, parent_cpu, &folder.0);
    }
    pin(worker_cpu)?;
    let mut worker = Worker::start(&command, &folder.0)?;
    pin(parent_cpu)?;
    let pid = worker.0.id();
    let mut parent = worker.connect()?;
    match flags.text("kind")? {
        "echo" => load.echo(&mut parent, pid),
        "stream" => load.stream(&mut parent, pid),
        "echo-total" => {
            let count = load.total / load.len;
            (0..count).try_for_each(|_| parent.echo(&load.method, load.len, 1).map(drop))?;
            memory(pid)
        }
        "stream-total" => {
            parent.stream(load.total / load.len, load.len, |_| ())?;
            memory(pid)
        }
        "idle" => {
            parent.echo(&load.method, load.len, 1)?;
            std::thread::sleep(Duration::from_millis(500));
            memory(pid)
        }
        other => Err(format!("no kind of load is named {other}")),
    }
}

fn pin(cpu: usize) -> Result<(), String> {
    system::pin(cpu).map_err(|error| format!("pinning: {error}"))
}

struct Load {
    method: String,
    len: usize,
    depth: usize,
    total: usize,
    warm: Duration,
    window: Duration,
}

impl Load {
    fn echo(&self, parent: &mut Parent, pid: u32) -> Result<(), String> {
        let end = Instant::now() + self.warm;
        while Instant::now() < end {
            parent.echo(&self.method, self.len, self.depth)?;
        }
        let (mut requests, mut latencies) = (0, Histogram::default());
        let (before, start) = (cpu(pid)?, Instant::now());
        while start.elapsed() < self.window {
            let took = parent.echo(&self.method, self.len, self.depth)?;
            latencies.record(took.as_nanos() as u64, self.depth as u64);
            requests += self.depth;
        }
        let (ns, cpu) = (start.elapsed().as_nanos(), cpu(pid)? - before);
        let (p50, p99) = (latencies.quantile(0.5), latencies.quantile(0.99));
        println!("requests={requests} ns={ns} cpu={cpu} p50={p50} p99={p99}{}", resident(pid)?);
        Ok(())
    }

    /// Streams one after the other, each of so many chunks that starting them does not count.
    fn stream(&self, parent: &mut Parent, pid: u32) -> Result<(), String> {
        const CHUNKS: usize = 50_000;
        parent.stream(CHUNKS, self.len, |_| ())?;
        let mut chunks = 0;
        let (before, start) = (cpu(pid)?, Instant::now());
        while start.elapsed() < self.window {
            parent.stream(CHUNKS, self.len, |count| chunks += count)?;
        }
        let (ns, cpu) = (start.elapsed().as_nanos(), cpu(pid)? - before);
        println!("requests={chunks} ns={ns} cpu={cpu}{}", resident(pid)?);
        Ok(())
    }

    fn drive_node(
        &self,
        command: &[String],
        node: &str,
        worker_cpu: usize,
        parent_cpu: usize,
        folder: &Path,
    ) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/parent.mjs");
        let mut parent = Command::new(node);
        parent.arg(script).arg(&self.method).arg(self.len.to_string()).arg(self.depth.to_string());
        parent.arg(self.warm.as_secs_f64().to_string()).arg(self.window.as_secs_f64().to_string());
        parent.args(["taskset", "--cpu-list", &worker_cpu.to_string()]).args(command);
        parent.env("XDG_RUNTIME_DIR", folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        pin(parent_cpu)?;
        let mut parent = Worker(parent.spawn().map_err(|error| format!("{node}: {error}"))?);
        let stdout = parent.0.stdout.take().ok_or("no stdout")?;
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut number = |word: &str| {
            let line = lines.find_map(|line| line.strip_prefix(word)?.trim().parse::<u64>().ok());
            line.ok_or_else(|| format!("the Node.js parent did not say {word}"))
        };
        // `taskset` has become the worker.
        let pid = u32::try_from(number("pid")?).map_err(|error| error.to_string())?;
        let (before, start) = (cpu(pid)?, Instant::now());
        let requests = number("end")?;
        let (ns, cpu) = (start.elapsed().as_nanos(), cpu(pid)? - before);
        println!("requests={requests} ns={ns} cpu={cpu}{}", resident(pid)?);
        drop(parent.0.stdin.take());
        parent.0.wait().map_err(|error| error.to_string())?;
        Ok(())
    }
}

fn cpu(pid: u32) -> Result<u64, String> {
    system::process_cpu_ns(pid).map_err(|error| format!("the worker: {error}"))
}

fn memory(pid: u32) -> Result<(), String> {
    println!("{}", resident(pid)?);
    Ok(())
}

/// Resident memory now and at its peak.
fn resident(pid: u32) -> Result<String, String> {
    let gone = |error| format!("the worker: {error}");
    let now = system::resident_bytes(pid).map_err(gone)?;
    let peak = system::peak_resident_bytes(pid).map_err(gone)?;
    Ok(format!(" rss={now} peak={peak}"))
}

/// A process that is told to end when dropped, and killed if it does not.
struct Worker(Child);

impl Worker {
    fn start(command: &[String], folder: &Path) -> Result<Self, String> {
        let (program, args) = command.split_first().ok_or("no command")?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env("XDG_RUNTIME_DIR", folder).env_remove("PROCWIRE_TOKEN");
        command.spawn().map(Self).map_err(|error| format!("{program}: {error}"))
    }

    /// Reads the announcement and connects. stdin stays open with the process.
    fn connect(&mut self) -> Result<Parent, String> {
        let stdout = self.0.stdout.as_mut().ok_or("no stdout")?;
        let mut init = String::new();
        BufReader::new(stdout).read_line(&mut init).map_err(|error| error.to_string())?;
        Parent::connect(&init)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Its connection is gone already.
        drop(self.0.stdin.take());
        let end = Instant::now() + Duration::from_secs(2);
        while matches!(self.0.try_wait(), Ok(None)) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Both fail when it has ended, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder for the worker's socket.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("forebay-worker-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
