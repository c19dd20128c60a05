//! Worker processes: how one is started, and the ends of its pipes.
//!
//! Every process is started by one thread that lives as long as the gateway. The kernel ties the
//! parent-death signal to the thread that forked, and a fork must not hold up a loop.

mod stderr;

pub use stderr::{LineLimit, StderrTail};

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::process::{Pid, PidfdFlags, Signal};

/// What a worker's instances are started from.
#[derive(Debug, Clone)]
pub struct Program {
    /// The file to execute, then its arguments.
    pub command: Vec<OsString>,
    /// Where it starts; `None`: where the gateway runs.
    pub cwd: Option<PathBuf>,
    /// Laid over the gateway's own environment.
    pub env: Vec<(OsString, OsString)>,
}

/// A running process. When the value is dropped, the process is killed with its group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: Pid,
}

/// This side's ends of a process's pipes, none of which ever blocks.
#[derive(Debug)]
pub struct Pipes {
    /// Becomes readable when the process has ended.
    pub exit: OwnedFd,
    /// Control lines to the process. Closing it is an order to stop.
    pub stdin: OwnedFd,
    /// Control lines from the process.
    pub stdout: OwnedFd,
    /// Its log.
    pub stderr: OwnedFd,
}

impl Process {
    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The status, if the process has ended; it is reaped then.
    ///
    /// # Errors
    /// What the operating system reports.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal to the process and whatever it started in its group.
    ///
    /// A group that has ended already is no error.
    pub fn signal(&self, signal: Signal) {
        // The group's id stays reserved until the leader was reaped, and `try_wait` is the only one
        // that reaps.
        let _gone = rustix::process::kill_process_group(self.pid, signal);
    }
}

impl Drop for Process {
    /// No process outlives the gateway's record of it.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::KILL);
            let _status = self.child.wait();
        }
    }
}

/// Is told what became of an order to start a process.
pub type Done = Box<dyn FnOnce(io::Result<(Process, Pipes)>) + Send>;

/// One order to start a process; `done` is called on the starter's thread.
pub struct Start {
    /// What to start.
    pub program: Arc<Program>,
    /// Variables of this instance alone, laid over the program's.
    pub env: Vec<(OsString, OsString)>,
    /// Gets the process, or the reason why there is none.
    pub done: Done,
}

impl core::fmt::Debug for Start {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Start").field("program", &self.program).finish_non_exhaustive()
    }
}

/// The thread that starts processes.
#[derive(Debug)]
pub struct Starter {
    /// As many orders can wait as the homes have places for instances.
    orders: Sender<Start>,
}

impl Starter {
    /// Starts the thread. It ends when the last clone of this value is dropped.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn new() -> io::Result<(Self, JoinHandle<()>)> {
        let (orders, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("forebay-starter".into())
            .stack_size(256 * 1024)
            .spawn(move || run(&queue))?;
        Ok((Self { orders }, thread))
    }

    /// Hands in an order.
    ///
    /// # Errors
    /// The order itself, when the thread has ended.
    pub fn start(&self, order: Start) -> Result<(), Start> {
        self.orders.send(order).map_err(|refused| refused.0)
    }
}

impl Clone for Starter {
    fn clone(&self) -> Self {
        Self { orders: self.orders.clone() }
    }
}

fn run(queue: &Receiver<Start>) {
    while let Ok(Start { program, env, done }) = queue.recv() {
        done(spawn(&program, &env));
    }
}

fn spawn(program: &Program, env: &[(OsString, OsString)]) -> io::Result<(Process, Pipes)> {
    let Some((file, arguments)) = program.command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
    };
    let mut command = Command::new(file);
    command.args(arguments);
    if let Some(cwd) = &program.cwd {
        command.current_dir(cwd);
    }
    // A token of the gateway's own parent is none of a worker's business, and makes it wait for an
    // AUTH frame.
    command.env_remove("PROCWIRE_TOKEN");
    for (key, value) in program.env.iter().chain(env) {
        command.env(key, value);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    die_with_this_thread(&mut command);
    attach(command.spawn()?)
}

fn attach(mut child: Child) -> io::Result<(Process, Pipes)> {
    let pid = Pid::from_child(&child);
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let process = Process { child, pid };
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(io::Error::other("a pipe of the process is missing"));
    };
    let (stdin, stdout, stderr) =
        (OwnedFd::from(stdin), OwnedFd::from(stdout), OwnedFd::from(stderr));
    for pipe in [&stdin, &stdout, &stderr] {
        let flags = rustix::fs::fcntl_getfl(pipe)?;
        rustix::fs::fcntl_setfl(pipe, flags | rustix::fs::OFlags::NONBLOCK)?;
    }
    let exit = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    Ok((process, Pipes { exit, stdin, stdout, stderr }))
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "std offers no other way to run code between fork and exec")]
fn die_with_this_thread(command: &mut Command) {
    let ask = || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
            .map_err(io::Error::from)
    };
    // SAFETY: the closure runs in the child between fork and exec, where only async-signal-safe
    // functions may be called. It makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

#[cfg(not(target_os = "linux"))]
fn die_with_this_thread(_command: &mut Command) {}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::io::Read;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    fn start(command: &[&str]) -> io::Result<(Process, Pipes)> {
        let (starter, _thread) = Starter::new()?;
        let (tx, rx) = channel();
        let program = Program {
            command: command.iter().map(Into::into).collect(),
            cwd: None,
            env: vec![("FOREBAY_TEST".into(), "1".into())],
        };
        let done = Box::new(move |process| tx.send(process).unwrap());
        starter.start(Start { program: Arc::new(program), env: Vec::new(), done }).unwrap();
        let process = rx.recv_timeout(Duration::from_secs(10)).unwrap();
        // The parent-death signal would end the process together with the thread.
        core::mem::forget(starter);
        process
    }

    fn wait(fd: &OwnedFd) {
        let mut fds = [rustix::event::PollFd::new(fd, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1, "nothing within 10 s");
    }

    #[test]
    fn a_process_gets_its_environment_and_its_end_is_seen() {
        let (mut process, pipes) = start(&["sh", "-c", "echo $FOREBAY_TEST; exit 7"]).unwrap();
        wait(&pipes.exit);
        let status = process.try_wait().unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
        let mut text = String::new();
        std::fs::File::from(pipes.stdout.try_clone().unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "1\n");
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let error = start(&["/nonexistent/program"]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_dropped_is_killed_with_its_group() {
        let (process, pipes) = start(&["sh", "-c", "sleep 600 & echo $!; wait"]).unwrap();
        wait(&pipes.stdout);
        let mut line = [0; 32];
        let len = rustix::io::read(&pipes.stdout, &mut line).unwrap();
        let grandchild: i32 = core::str::from_utf8(&line[..len]).unwrap().trim().parse().unwrap();
        drop(process);
        let pid = Pid::from_raw(grandchild).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while rustix::process::test_kill_process(pid).is_ok() && !is_zombie(grandchild) {
            assert!(Instant::now() < deadline, "process {grandchild} still runs");
            std::thread::yield_now();
        }
    }

    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z"))
    }
}
