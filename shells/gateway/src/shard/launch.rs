//! How instances are started: commands, environment, tokens, and where their sockets may lie.

use core::fmt::Write as _;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use forebay_core_dispatch::{InstanceId, StartFailure};
use forebay_reactor::Remote;

use super::mail::{Mail, Mailbox};
use crate::config::{self, Config};
use crate::process::{Program, Start, Starter};

/// What a core needs to start instances.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    starter: Starter,
    /// By the position of the service.
    programs: Arc<[Option<Arc<Program>>]>,
    /// By the position of the service: whether its connection begins with a token.
    auth: Arc<[bool]>,
    /// Folders in which a worker's socket may lie.
    folders: Arc<[PathBuf]>,
    mailbox: Mailbox,
    bell: Remote,
}

impl Launch {
    /// How the workers of the active namespace are started.
    pub(super) fn new(
        config: &Config,
        run_dir: &Path,
        starter: Starter,
        (mailbox, bell): (Mailbox, Remote),
    ) -> io::Result<Self> {
        let services = &config.dispatch.services;
        let mut programs: Vec<Option<Arc<Program>>> = vec![None; services.len()];
        let mut auth = vec![false; services.len()];
        if let Some(namespace) = config.namespace() {
            for worker in &namespace.workers {
                let position = services.iter().position(|service| *service == worker.service);
                let Some(position) = position else { continue };
                programs[position] = Some(Arc::new(program(config, namespace, worker, run_dir)?));
                auth[position] = worker.limits.auth;
            }
        }
        let folders = [run_dir.to_owned(), std::env::temp_dir()].into();
        Ok(Self { starter, programs: programs.into(), auth: auth.into(), folders, mailbox, bell })
    }

    /// A fresh token for an instance of this service, if its connection begins with one: 64
    /// hexadecimal digits.
    pub(super) fn token(&self, service: u16) -> Option<String> {
        if !self.auth.get(usize::from(service)).is_some_and(|auth| *auth) {
            return None;
        }
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has random bytes");
        Some(bytes.iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        }))
    }

    /// Orders an instance; the process arrives as mail.
    pub(super) fn start(
        &self,
        core: u8,
        instance: InstanceId,
        service: u16,
        token: Option<&str>,
    ) -> io::Result<()> {
        let program = self.programs.get(usize::from(service)).and_then(Option::as_ref);
        let program = program.ok_or(io::ErrorKind::NotFound)?;
        let env = token.map(|token| ("PROCWIRE_TOKEN".into(), OsString::from(token)));
        let (mailbox, bell) = (self.mailbox.clone(), self.bell.clone());
        let done = Box::new(move |process: io::Result<_>| {
            let mut mail = Mail::Started { instance, process };
            // The starter has all the time in the world, and the core takes its mail at every turn.
            while let Err(back) = mailbox.put(mail) {
                mail = back;
                bell.wake();
                std::thread::yield_now();
            }
            bell.wake();
        });
        let order = Start { program: Arc::clone(program), env: env.into_iter().collect(), done };
        self.starter.start(order).map_err(|_| {
            tracing::error!(core, "the thread that starts processes has ended");
            io::Error::from_raw_os_error(rustix::io::Errno::AGAIN.raw_os_error())
        })
    }

    /// The path of a worker's socket, if it may lie there.
    pub(super) fn allowed<'p>(&self, path: &'p [u8]) -> Option<&'p Path> {
        let path = Path::new(OsStr::from_bytes(path));
        let plain = path.components().all(|part| match part {
            Component::RootDir | Component::Normal(_) => true,
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => false,
        });
        let inside = self.folders.iter().any(|folder| path.starts_with(folder));
        (plain && inside).then_some(path)
    }
}

/// Why a start failed, for a person.
pub(super) fn reason(failure: StartFailure, text: &str) -> String {
    match failure {
        StartFailure::Spawn(error) => {
            format!("exec failed: {}", io::Error::from_raw_os_error(error))
        }
        StartFailure::Connect(error) => {
            format!("connect failed: {}", io::Error::from_raw_os_error(error))
        }
        other if text.is_empty() => other.to_string(),
        StartFailure::Reported => text.to_owned(),
        other => format!("{other}: {text}"),
    }
}

fn program(
    config: &Config,
    namespace: &config::Namespace,
    worker: &config::Worker,
    run_dir: &Path,
) -> io::Result<Program> {
    let command = match &worker.program {
        config::Program::Command(command) => command.iter().map(OsString::from).collect(),
        config::Program::Builtin(builtin) => {
            vec![std::env::current_exe()?.into(), "worker".into(), builtin.name().into()]
        }
    };
    let base = [
        ("XDG_RUNTIME_DIR", run_dir.as_os_str()),
        ("ENVIRONMENT", OsStr::new(&config.environment)),
        ("SERVICE_NAME", OsStr::new(&worker.service)),
        ("NAMESPACE", OsStr::new(&namespace.name)),
        ("PROCWIRE_MODULE_NAME", OsStr::new(&worker.service)),
    ];
    let base = base.map(|(key, value)| (OsString::from(key), value.to_owned()));
    let own = worker.env.iter().map(|(key, value)| (key.into(), value.into()));
    Ok(Program { command, cwd: worker.cwd.clone(), env: base.into_iter().chain(own).collect() })
}
