//! The keys at the top of the file, the loops and the logs.

use core::ops::RangeInclusive;
use core::time::Duration;

use super::reader::Section;
use super::{
    AccessLog, BackendChoice, Config, LogConfig, LogLevel, ReactorConfig, dispatch, listen, worker,
};

/// Loops at most.
const CORES: RangeInclusive<u16> = 0..=1024;
/// Bytes of one core's receive pool.
const BUFFERS: RangeInclusive<u64> = 256 << 10..=64 << 30;
/// Calls of one core.
const CALLS: RangeInclusive<u32> = 1..=1 << 20;

/// Reads the whole file. Nothing only where the environment is missing, which is reported.
pub(super) fn read(root: &Section<'_, '_>, environment: Option<&str>) -> Option<Config> {
    let active = active_environment(root, environment);
    let run_dir = root.item("run_dir").filter(|item| !item.is_text(""));
    let run_dir = run_dir.and_then(|item| item.path());
    let stop_delay = root.read("stop_delay", Duration::ZERO, |item| item.duration(Duration::ZERO));
    let reactor = reactor(&root.section("reactor"));
    let log = log(&root.section("log"));
    let dispatch = dispatch::read(&root.section("dispatch"));
    let (http, hbtp_bind) = listen::read(&root.section("listen"));
    let admin = listen::admin(&root.section("admin"));
    let defaults = worker::defaults(&root.section("defaults"));
    let namespaces = worker::namespaces(&root.section("namespaces"), &defaults, &dispatch.services);
    let environment = active?;
    if !namespaces.iter().any(|namespace| namespace.environment == environment) {
        let message = format!("Namespace not found for environment: {environment}");
        let span = root.item("environment").map_or(0..0, |item| item.span());
        root.report().warning(span, "environment", &message);
    }
    Some(Config {
        environment,
        run_dir,
        stop_delay,
        reactor,
        log,
        dispatch,
        http,
        hbtp_bind,
        admin,
        namespaces,
    })
}

/// The environment in lower case: the variable, else the key.
fn active_environment(root: &Section<'_, '_>, variable: Option<&str>) -> Option<String> {
    let key = root.item("environment").map(|item| item.non_empty_text());
    match (variable, key) {
        (Some(variable), _) => Some(variable.to_ascii_lowercase()),
        (None, Some(key)) => key.map(|key| key.to_ascii_lowercase()),
        (None, None) => {
            let allowed = "a name here, or in the variable ENVIRONMENT";
            root.report().error(0..0, "environment", "nothing", allowed);
            None
        }
    }
}

fn reactor(section: &Section<'_, '_>) -> ReactorConfig {
    let backends = [
        ("auto", BackendChoice::Auto),
        ("uring", BackendChoice::Uring),
        ("epoll", BackendChoice::Epoll),
        ("kqueue", BackendChoice::Kqueue),
        ("iocp", BackendChoice::Iocp),
    ];
    let config = ReactorConfig {
        cores: section.read("cores", 0, |item| item.int(CORES)),
        backend: section.read("backend", BackendChoice::Auto, |item| {
            let choice = item.choice(&backends)?;
            if is_here(choice) {
                return Some(choice);
            }
            let here = backends.iter().filter(|(_, backend)| is_here(*backend));
            let names: Vec<String> = here.map(|(name, _)| format!("{name:?}")).collect();
            item.refuse_since("which this system does not have", &names.join(", "))
        }),
        buffers: section.read("buffers", 16 << 20, |item| item.size(BUFFERS)),
        calls: section.read("calls", 4096, |item| item.int(CALLS)),
    };
    section.finish();
    config
}

/// Whether a backend can exist on this system at all.
const fn is_here(backend: BackendChoice) -> bool {
    match backend {
        BackendChoice::Auto => true,
        BackendChoice::Uring | BackendChoice::Epoll => cfg!(target_os = "linux"),
        BackendChoice::Kqueue => cfg!(any(target_os = "macos", target_os = "freebsd")),
        BackendChoice::Iocp => cfg!(windows),
    }
}

fn log(section: &Section<'_, '_>) -> LogConfig {
    let levels = [
        ("off", LogLevel::Off),
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    let config = LogConfig {
        level: section.read("level", LogLevel::Info, |item| item.choice(&levels)),
        access: section.read("access", AccessLog::Off, |item| {
            let access = match item.text("\"off\", \"stdout\", or the name of a file")? {
                "off" => return Some(AccessLog::Off),
                "stdout" => AccessLog::Stdout,
                _ => AccessLog::File(item.path()?),
            };
            item.warn("there is no access log in this version: nothing is written");
            Some(access)
        }),
        query: section.read("query", false, |item| item.bool()),
    };
    section.finish();
    config
}
