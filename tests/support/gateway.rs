//! A gateway under test: the real binary in a folder of its own, on a port that the system chose.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::program::forebay;
use crate::until;

/// How long anything may take that is not itself under test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway; killed, and its folder removed, when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    addr: SocketAddr,
    folder: PathBuf,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway with this configuration. Its `[listen.http] bind` should name port 0.
    ///
    /// # Panics
    /// When it does not say within 20 s where it listens.
    #[must_use]
    pub fn start(config: &str) -> Self {
        Self::start_with(config, |_| ())
    }

    /// Like [`start`](Self::start), after `change` was made to the command line or its environment.
    ///
    /// # Panics
    /// When it does not say within 20 s where it listens.
    #[must_use]
    pub fn start_with(config: &str, change: impl FnOnce(&mut Command)) -> Self {
        let folder = folder();
        let file = folder.join("forebay.toml");
        fs::write(&file, config).expect("the folder is writable");
        let mut command = Command::new(forebay());
        command.arg("serve").arg("--config").arg(&file).env_remove("ENVIRONMENT");
        command.current_dir(&folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let reader = collect(&mut child, &log);
        let addr = listening(&mut child, &log);
        Self { child, addr, folder, log, reader: Some(reader) }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The folder it was started in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its standard error so far.
    ///
    /// # Panics
    /// When the thread that collects it panicked.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().expect("the reader does not panic").clone()
    }

    /// Waits until its log has `text`: it is read beside what the gateway answers.
    ///
    /// # Panics
    /// When that takes more than 20 s.
    pub fn expect_log(&self, text: &str) {
        until(text, PATIENCE, || self.log().contains(text).then_some(()));
    }

    /// The process ids of its workers that run now.
    #[must_use]
    pub fn workers(&self) -> Vec<u32> {
        children(self.pid())
    }

    /// The largest resident memory so far of a process, in bytes.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn peak_memory(pid: u32) -> u64 {
        status_field(pid, "VmHWM:")
    }

    /// Resident memory of the gateway that is its own and no file's, in bytes.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn own_memory(&self) -> u64 {
        status_field(self.pid(), "RssAnon:")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        signal(self.pid(), "TERM");
    }

    /// Waits for it to end.
    ///
    /// # Panics
    /// When it does not within 20 s.
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        until("the gateway ended", PATIENCE, || child.try_wait().expect("it is a child"))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _panicked = reader.join();
        }
        if std::thread::panicking() {
            #[expect(clippy::print_stderr, reason = "the log explains the failed test")]
            {
                eprintln!("--- log of the gateway\n{}---", self.log());
            }
        }
        let _left_behind = fs::remove_dir_all(&self.folder);
    }
}

/// Sends a signal, by its name without `SIG`.
///
/// # Panics
/// When `kill` cannot be run.
pub fn signal(pid: u32, name: &str) {
    let _status = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .expect("kill is there");
}

/// Whether a process runs; one that has ended and was not reaped does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

/// The processes whose parent is `pid`, zombies left out.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let all: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    all.into_iter().filter(|&pid| runs(pid)).collect()
}

fn status_field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the field is there");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("it is a number");
    kib * 1024
}

fn folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name =
        format!("forebay-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    fs::create_dir_all(&path).expect("the temporary folder is writable");
    path
}

fn collect(child: &mut Child, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let stderr = child.stderr.take().expect("it is piped");
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut log = log.lock().expect("no holder panics");
            log.push_str(&line);
            log.push('\n');
        }
    })
}

/// Reads the lines that the gateway prints at its start, up to the one that tells the address.
fn listening(child: &mut Child, log: &Mutex<String>) -> SocketAddr {
    let stdout = child.stdout.take().expect("it is piped");
    let (found, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line).is_ok_and(|len| len > 0) {
            if let Some((_, rest)) = line.split_once("listening on")
                && let Some(url) = rest.split_whitespace().find_map(|w| w.strip_prefix("http://"))
            {
                let _gone = found.send(url.trim_end_matches('/').parse().expect("an address"));
            }
            line.clear();
        }
        let _end = stdout.read(&mut [0]);
    });
    address.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        let _gone = child.kill();
        panic!("the gateway does not listen:\n{}", log.lock().expect("no holder panics"))
    })
}
