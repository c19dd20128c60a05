//! Starting and stopping those who are measured.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::rows::Load;
use load::answer::Answer;
use load::{request, system};
use rustix::process::{Pid, Signal, kill_process};

/// A program that serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    Hyper,
    May,
    /// The raw loops: bounds.
    Epoll,
    Uring,
    /// The raw loop in front of the raw upstream.
    Proxy,
    Nginx,
    /// With the backend that it chooses itself.
    Forebay,
    ForebayUring,
    ForebayEpoll,
}

impl Contender {
    pub fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::May => "may_minihttp",
            Self::Epoll => "bound: raw epoll",
            Self::Uring => "bound: raw io_uring",
            Self::Proxy => "bound: raw proxy",
            Self::Nginx => "nginx",
            Self::Forebay => "forebay",
            Self::ForebayUring => "forebay, uring",
            Self::ForebayEpoll => "forebay, epoll",
        }
    }
}

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// The folder of the peers' binaries.
    pub peers: PathBuf,
    pub forebay: PathBuf,
    /// Free for configurations, sockets and logs; a folder for each start.
    pub scratch: PathBuf,
}

/// A program that serves now; ends when dropped.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    main: Child,
    upstream: Option<Child>,
    /// Of this start alone: configuration, log, sockets, tallies.
    pub folder: PathBuf,
    contender: Contender,
}

impl Server {
    /// Starts `contender` on the CPU that the calling thread is tied to, and waits for its answer
    /// to one request.
    pub fn start(contender: Contender, programs: &Programs, load: &Load) -> Result<Self, String> {
        let address = free_address()?;
        let folder = programs.scratch.join(address.port().to_string());
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let spawn = |mut command: Command| {
            if load.tally {
                command.env("LD_PRELOAD", programs.peers.join("libtally.so"));
                command.env("TALLY_FOLDER", &folder);
            }
            spawn(command, &folder)
        };
        let backend = |backend| spawn(forebay(programs, &folder, address, backend)?);
        let peer = |name: &str| {
            let mut command = Command::new(programs.peers.join(name));
            command.arg(address.to_string());
            spawn(command)
        };
        let socket = folder.join("upstream.sock");
        let upstream = if matches!(contender, Contender::Proxy | Contender::Nginx) {
            let mut command = Command::new(programs.peers.join("peer_upstream"));
            command.arg(&socket);
            Some(spawn(command)?)
        } else {
            None
        };
        let main = match contender {
            Contender::Hyper => peer("peer_hyper"),
            Contender::May => peer("peer_may"),
            Contender::Epoll => peer("peer_epoll"),
            Contender::Uring => peer("peer_uring"),
            Contender::Proxy => {
                let mut command = Command::new(programs.peers.join("peer_proxy"));
                command.arg(address.to_string()).arg(&socket);
                spawn(command)
            }
            Contender::Nginx => spawn(nginx(&folder, address)?),
            Contender::Forebay => backend("auto"),
            Contender::ForebayUring => backend("uring"),
            Contender::ForebayEpoll => backend("epoll"),
        }?;
        let mut server = Self { address, main, upstream, folder, contender };
        server.wait_for_answer(load.request)?;
        Ok(server)
    }

    /// The processes to watch, as the generator's `--watch` takes them: what serves, and what works
    /// behind it.
    pub fn watch_list(&self) -> Result<String, String> {
        let main = self.main.id();
        let children = system::children(main).map_err(|error| error.to_string())?;
        let mut list = format!("server={main}");
        // nginx's children serve, the gateway's are the workers behind it.
        let name = if self.contender == Contender::Nginx { "server" } else { "worker" };
        let behind = self.upstream.iter().map(|child| ("worker", child.id()));
        for (name, pid) in children.into_iter().map(|pid| (name, pid)).chain(behind) {
            list += &format!(",{name}={pid}");
        }
        Ok(list)
    }

    fn wait_for_answer(&mut self, probe: &str) -> Result<(), String> {
        let request = match probe {
            "get-echo" => request::get_echo(),
            "post-echo" | "post-echo-large" => request::post_echo(request::SMALL_LEN),
            _ => request::not_found(0),
        };
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match first_answer(self.address, &request) {
                Ok(answer) => return self.check_answer(&answer),
                Err(error) if Instant::now() > end => return Err(self.failed(&error)),
                Err(_) => sleep(Duration::from_millis(10)),
            }
            if let Ok(Some(status)) = self.main.try_wait() {
                return Err(self.failed(&format!("ended with {status}")));
            }
        }
    }

    /// The peers' bytes are the gateway's own, or the comparison is none.
    fn check_answer(&self, answer: &[u8]) -> Result<(), String> {
        let ours = matches!(
            self.contender,
            Contender::Forebay | Contender::ForebayUring | Contender::ForebayEpoll
        );
        let peers = Answer::new();
        let is_not_found = answer.starts_with(b"HTTP/1.1 404");
        if ours && is_not_found && !peers.equals_but_for_date(answer) {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("the gateway's 404 is not the peers': {answer}"));
        }
        Ok(())
    }

    fn failed(&self, reason: &str) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let tail = log.lines().rev().take(3).collect::<Vec<_>>().join(" | ");
        format!("{reason}; its last lines: {tail}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        stop(&mut self.main);
        if let Some(upstream) = &mut self.upstream {
            stop(upstream);
        }
        // What is left over lies in a temporary folder.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Asks politely, then insists.
fn stop(child: &mut Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    let end = Instant::now() + Duration::from_secs(2);
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > end {
            let _ = child.kill();
        }
        sleep(Duration::from_millis(5));
    }
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map_err(|error| error.to_string())
}

/// The answer to one request on a connection of its own, 200 or 404.
fn first_answer(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(text)?;
    stream.write_all(request).map_err(text)?;
    let mut answer = [0; 1024];
    let len = stream.read(&mut answer).map_err(text)?;
    let answer = &answer[..len];
    match answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
        Some(b"200" | b"404") => Ok(answer.to_vec()),
        _ => Err(format!("answered {:?}", String::from_utf8_lossy(answer))),
    }
}

fn spawn(mut command: Command, folder: &Path) -> Result<Child, String> {
    let log = fs::File::options().create(true).append(true).open(folder.join("log"));
    let log = log.map_err(|error| error.to_string())?;
    let error_log = log.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(log).stderr(error_log);
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| format!("{program}: {error}"))
}

fn nginx(folder: &Path, address: SocketAddr) -> Result<Command, String> {
    let file = folder.join("nginx.conf");
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let folder_text = folder.display().to_string();
    let text = include_str!("nginx.conf")
        .replace("@USER@", user)
        .replace("@FOLDER@", &folder_text)
        .replace("@ADDRESS@", &address.to_string())
        .replace("@TYPE@", load::answer::CONTENT_TYPE)
        .replace("@BODY@", load::answer::BODY);
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-e").arg(folder.join("log")).arg("-p").arg(folder);
    Ok(command)
}

fn forebay(
    programs: &Programs,
    folder: &Path,
    address: SocketAddr,
    backend: &str,
) -> Result<Command, String> {
    let file = folder.join("forebay.toml");
    let text = include_str!("forebay.toml")
        .replace("@FOLDER@", &folder.display().to_string())
        .replace("@ADDRESS@", &address.to_string())
        .replace("@BACKEND@", backend);
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut command = Command::new(&programs.forebay);
    command.arg("serve").arg("--config").arg(&file).env_remove("ENVIRONMENT");
    Ok(command)
}
