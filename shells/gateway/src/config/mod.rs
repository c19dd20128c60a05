//! The configuration: one TOML file, checked whole.
//!
//! [`Config::parse`] reads text and reports every mistake at once, each with its line, its key,
//! what was found and what is allowed. It reads no file and no variable: both are arguments.

mod diagnostic;
mod dispatch;
mod listen;
mod reader;
mod root;
mod units;
mod worker;

use core::net::SocketAddr;
use core::time::Duration;
use std::path::{Path, PathBuf};

use forebay_core_dispatch::home::WorkerConfig;

use crate::builtin::Kind;
use diagnostic::Report;
pub use diagnostic::{Diagnostic, Severity};
pub use dispatch::RouteTable;
use reader::Section;

/// Everything that a gateway needs to know before it starts.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct Config {
    /// The active environment, in lower case; what `ENVIRONMENT` says, if it says anything.
    pub environment: String,
    /// The private folder for sockets; `None`: one of our own, removed at exit.
    pub run_dir: Option<PathBuf>,
    /// From "not ready" to the end of accepting, when the gateway stops.
    pub stop_delay: Duration,
    /// The loops.
    pub reactor: ReactorConfig,
    /// What is logged.
    pub log: LogConfig,
    /// Zones, services, rules.
    pub dispatch: DispatchConfig,
    /// The HTTP/1.1 listeners.
    pub http: HttpConfig,
    /// Where HBTP is spoken; empty: nowhere.
    pub hbtp_bind: Vec<SocketAddr>,
    /// The admin interface, if there is one.
    pub admin: Option<AdminBind>,
    /// All namespaces, by the name of their environment.
    pub namespaces: Vec<Namespace>,
}

/// The loops of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct ReactorConfig {
    /// How many loops; 0: one for every CPU that this process may use.
    pub cores: u16,
    /// What drives them.
    pub backend: BackendChoice,
    /// The receive pool of one core in bytes.
    pub buffers: u64,
    /// Calls of one core at once.
    pub calls: u32,
}

/// What drives a loop. The names are those of the key `reactor.backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the values of one configuration key")]
pub enum BackendChoice {
    /// The best one that works here.
    #[default]
    Auto,
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
    /// kqueue.
    Kqueue,
    /// I/O completion ports.
    Iocp,
}

/// What is logged, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct LogConfig {
    /// The least important events that are logged on standard error.
    pub level: LogLevel,
    /// Where a line for every request goes.
    pub access: AccessLog,
    /// Whether the query stands in that line.
    pub query: bool,
}

/// How important an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the values of one configuration key")]
pub enum LogLevel {
    /// Nothing is logged.
    Off,
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the values of one configuration key")]
pub enum AccessLog {
    /// Nowhere.
    #[default]
    Off,
    /// To standard output.
    Stdout,
    /// To the end of this file.
    File(PathBuf),
}

/// Zones, services and the rules between them; every name was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct DispatchConfig {
    /// The zones, 1 to 16; the first is the home zone.
    pub zones: Vec<String>,
    /// The services, in the order in which a 404 lists them.
    pub services: Vec<String>,
    /// The service of zones themselves and of default labels.
    pub default_service: String,
    /// Leftmost labels that mean the default service.
    pub default_labels: Vec<String>,
    /// What stands before a service in a path.
    pub path_prefix: String,
    /// The services that can be reached by path; `None`: all.
    pub path_services: Option<Vec<String>>,
    /// Whether only hosts with one label below the zone have a subdomain.
    pub single_level: bool,
    /// Whether clients may read why a call failed.
    pub expose_errors: bool,
}

/// The HTTP/1.1 listeners and their limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct HttpConfig {
    /// Where they listen, at least one.
    pub bind: Vec<SocketAddr>,
    /// What one connection may send, and how long it may take.
    pub limits: forebay_core_http1::Config,
    /// Connections at once, counted over all cores.
    pub max_connections: u32,
}

/// Where the admin interface listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the forms of one configuration key")]
pub enum AdminBind {
    /// A Unix socket.
    Unix(PathBuf),
    /// A loopback address, and the file that holds the bearer token.
    Loopback {
        /// The address.
        addr: SocketAddr,
        /// The file.
        token_file: PathBuf,
    },
}

/// The workers of one environment.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct Namespace {
    /// The environment it belongs to, in lower case.
    pub environment: String,
    /// Its name, which workers see as `NAMESPACE`.
    pub name: String,
    /// The name under which other parts refer to it.
    pub binding: String,
    /// The folder of deployed workers, if there is one.
    pub dir: Option<PathBuf>,
    /// Its workers, by the name of their service.
    pub workers: Vec<Worker>,
}

/// What is deployed under a service's name.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data, built by hand in tests")]
pub struct Worker {
    /// The service.
    pub service: String,
    /// What an instance is started from.
    pub program: Program,
    /// Where an instance starts; `None`: where the gateway runs.
    pub cwd: Option<PathBuf>,
    /// Variables laid over the gateway's environment, by name.
    pub env: Vec<(String, String)>,
    /// Its limits and times.
    pub limits: WorkerConfig,
    /// Resident bytes above which an instance is replaced; 0: never.
    pub max_rss: u64,
}

/// What an instance is started from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two keys that say it")]
pub enum Program {
    /// The file to execute, then its arguments; never empty. A file with a slash in its name is
    /// absolute, one without is looked for in `PATH`.
    Command(Vec<String>),
    /// This binary, started again as that worker.
    Builtin(Kind),
}

/// A configuration that can be used, and what should be known about it.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "plain data")]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed and may not be meant.
    pub warnings: Vec<Diagnostic>,
}

impl Config {
    /// The configuration without a file. `environment` is the value of `ENVIRONMENT`.
    ///
    /// # Errors
    /// None in practice: the text is part of the program.
    pub fn built_in(environment: Option<&str>) -> Result<Loaded, Vec<Diagnostic>> {
        let text = include_str!("built_in.toml");
        let file = Path::new("built-in configuration");
        Self::parse(text, file, Path::new(""), environment)
    }

    /// Reads the text of a configuration file and checks all of it.
    ///
    /// `file` is what diagnostics name, `folder` what relative paths are relative to: its own.
    /// `environment` is the value of `ENVIRONMENT`, which wins over the key; empty counts as
    /// absent.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of lines, warnings included.
    pub fn parse(
        text: &str,
        file: &Path,
        folder: &Path,
        environment: Option<&str>,
    ) -> Result<Loaded, Vec<Diagnostic>> {
        let report = Report::new(file, folder, text);
        let (document, syntax_errors) = toml::de::DeTable::parse_recoverable(text);
        for error in &syntax_errors {
            report.syntax(error.span(), error.message());
        }
        if !syntax_errors.is_empty() {
            return Err(report.into_diagnostics());
        }
        let root = Section::root(&report, &document);
        let config = root::read(&root, environment.filter(|value| !value.is_empty()));
        root.finish();
        let diagnostics = report.into_diagnostics();
        match config {
            Some(config) if diagnostics.iter().all(|it| it.severity == Severity::Warning) => {
                Ok(Loaded { config, warnings: diagnostics })
            }
            Some(_) | None => Err(diagnostics),
        }
    }

    /// The namespace of the active environment; `None` if it has none, and then every request is
    /// answered with 500 `Configuration error`.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.environment == self.environment)
    }
}

#[cfg(test)]
mod tests;
