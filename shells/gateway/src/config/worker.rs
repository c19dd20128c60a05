//! Namespaces and their workers.

use core::ops::RangeInclusive;
use core::time::Duration;

use forebay_core_dispatch::home::{FAILURES_MAX, Restart, Retry, WorkerConfig};
use forebay_core_route::name;

use super::reader::{Item, Section};
use super::{Namespace, Program, Worker};
use crate::builtin::Kind;

/// The shortest time that a limit may be: the resolution of timers.
const TIME_MIN: Duration = Duration::from_millis(10);
const INSTANCES: RangeInclusive<u16> = 1..=1024;
const CONCURRENCY: RangeInclusive<u16> = 1..=u16::MAX;
const QUEUE_LEN: RangeInclusive<u32> = 0..=1 << 20;
/// A body inside a call message, a part of one, and what may be underway.
const INLINE_BODY: RangeInclusive<u32> = 0..=16 << 20;
const CHUNK: RangeInclusive<u32> = 1..=16 << 20;
const WINDOW: RangeInclusive<u32> = 1..=1 << 30;
/// The longest head that a worker may send has to fit a frame.
const FRAME: RangeInclusive<u32> = 64 << 10..=1 << 30;
const RESTART_FACTOR: RangeInclusive<u32> = 1..=100;

const NAME_FORM: &str = "a table with the name of a service: a lower-case letter, then at most 62 \
                         lower-case letters, digits and hyphens, no hyphen at the end";
const PROGRAM_FORM: &str = "exactly one of command and builtin";

/// What every worker has unless it says otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    limits: WorkerConfig,
    max_rss: u64,
}

pub(super) fn defaults(section: &Section<'_, '_>) -> Defaults {
    let worker = section.section("worker");
    let shipped = Defaults { limits: WorkerConfig::DEFAULT, max_rss: 0 };
    let defaults = limits(&worker, &shipped);
    worker.finish();
    section.finish();
    defaults
}

/// All namespaces, by the name of their environment.
pub(super) fn namespaces(
    section: &Section<'_, '_>,
    defaults: &Defaults,
    services: &[String],
) -> Vec<Namespace> {
    let mut namespaces: Vec<Namespace> = Vec::new();
    for (environment, item) in section.entries() {
        let environment = environment.to_ascii_lowercase();
        if environment.is_empty() {
            item.refuse_since::<()>("without a name", "a table with the name of an environment");
        } else if namespaces.iter().any(|other| other.environment == environment) {
            item.refuse_since::<()>("whose name came before", "each environment once, in any case");
        } else if let Some(section) = item.section() {
            namespaces.push(namespace(environment, &section, defaults, services));
        }
    }
    namespaces
}

fn namespace(
    environment: String,
    section: &Section<'_, '_>,
    defaults: &Defaults,
    services: &[String],
) -> Namespace {
    let workers = section.section("workers");
    let mut list = Vec::new();
    for (service, item) in workers.entries() {
        if !name::is_service(service) {
            item.refuse_since::<()>(&format!("called {service:?}"), NAME_FORM);
            continue;
        }
        if !services.iter().any(|listed| listed == service) {
            item.warn("is none of dispatch.services, so no request reaches it");
        }
        list.extend(item.section().and_then(|section| worker(service, &section, defaults)));
    }
    let dir = section.item("dir").and_then(|item| {
        item.warn("deployed workers are not read from a folder in this version");
        item.path()
    });
    let name = section.read("name", format!("forebay-{environment}"), |item| item.non_empty_text());
    let binding =
        section.read("binding", environment.to_ascii_uppercase(), |item| item.non_empty_text());
    section.finish();
    Namespace { environment, name, binding, dir, workers: list }
}

fn worker(service: &str, section: &Section<'_, '_>, defaults: &Defaults) -> Option<Worker> {
    let program = program(section);
    let cwd = section.item("cwd").and_then(|item| item.path());
    let env = section.section("env");
    let env = env.entries().into_iter().filter_map(|(name, item)| variable(name, &item)).collect();
    let Defaults { limits, max_rss } = limits(section, defaults);
    section.finish();
    Some(Worker { service: service.to_owned(), program: program?, cwd, env, limits, max_rss })
}

fn program(section: &Section<'_, '_>) -> Option<Program> {
    let refuse = |found: &str| {
        section.report().error(section.span(), section.path(), found, PROGRAM_FORM);
        None
    };
    match (section.item("command"), section.item("builtin")) {
        (Some(command), None) => self::command(&command).map(Program::Command),
        (None, Some(builtin)) => {
            let choices = [Kind::Demo, Kind::Echo].map(|it| (it.name(), it));
            builtin.choice(&choices).map(Program::Builtin)
        }
        (Some(_), Some(_)) => refuse("both command and builtin"),
        (None, None) => refuse("neither command nor builtin"),
    }
}

/// The file to execute and its arguments. A file with a slash in its name is relative to the
/// configuration file, as every path is; another one is looked for in `PATH`.
fn command(item: &Item<'_, '_>) -> Option<Vec<String>> {
    const ALLOWED: &str = "an array of texts: the file to execute, then its arguments";
    const TEXT: &str = "a text without a zero byte";
    let elements = item.elements(ALLOWED)?;
    if elements.is_empty() {
        return item.refuse(ALLOWED);
    }
    let mut words = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        let word = element.text(TEXT)?;
        if word.contains('\0') || (index == 0 && word.is_empty()) {
            return element.refuse(if index == 0 { "the file to execute" } else { TEXT });
        }
        let is_file = index == 0 && word.contains('/');
        words.push(match is_file.then(|| element.relative(word).into_os_string().into_string()) {
            Some(Ok(path)) => path,
            Some(Err(_)) => return element.refuse("a file in a folder whose name is UTF-8"),
            None => word.to_owned(),
        });
    }
    Some(words)
}

fn variable(name: &str, item: &Item<'_, '_>) -> Option<(String, String)> {
    const ALLOWED: &str = "a text without a zero byte, under a name without = and zero byte";
    let value = item.text(ALLOWED)?;
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return item.refuse(ALLOWED);
    }
    Some((name.to_owned(), value.to_owned()))
}

/// The keys that a worker shares with `[defaults.worker]`.
fn limits(section: &Section<'_, '_>, base: &Defaults) -> Defaults {
    let mut limits = base.limits;
    limits.min_instances =
        section.read("min_instances", limits.min_instances, |item| item.int(0..=*INSTANCES.end()));
    limits.max_instances =
        section.read("max_instances", limits.max_instances, |item| item.int(INSTANCES));
    limits.max_concurrency =
        section.read("max_concurrency", limits.max_concurrency, |item| item.int(CONCURRENCY));
    limits.queue_len = section.read("queue_len", limits.queue_len, |item| item.int(QUEUE_LEN));
    times(section, &mut limits);
    limits.max_calls =
        section.read("max_calls", limits.max_calls, |item| item.int(0..=i64::MAX.unsigned_abs()));
    let max_rss = section.read("max_rss", base.max_rss, |item| {
        let size = item.size(0..=u64::MAX)?;
        if size > 0 {
            item.warn("resident memory is not watched in this version");
        }
        Some(size)
    });
    limits.restart = restart(&section.section("restart"), limits.restart);
    let retries =
        [("none", Retry::Never), ("unsent", Retry::Unsent), ("idempotent", Retry::Idempotent)];
    limits.retry = section.read("retry", limits.retry, |item| item.choice(&retries));
    for (name, range, value) in [
        ("inline_body", INLINE_BODY, &mut limits.inline_body),
        ("chunk", CHUNK, &mut limits.chunk),
        ("window", WINDOW, &mut limits.window),
        ("max_frame", FRAME, &mut limits.max_frame),
    ] {
        *value = section.read(name, *value, |item| item.size32(range));
    }
    limits.auth = section.read("auth", limits.auth, |item| item.bool());
    check_together(section, &limits);
    Defaults { limits, max_rss }
}

fn times(section: &Section<'_, '_>, limits: &mut WorkerConfig) {
    for (name, min, value) in [
        ("queue_timeout", TIME_MIN, &mut limits.queue_timeout),
        ("request_timeout", Duration::ZERO, &mut limits.request_timeout),
        ("stream_timeout", Duration::ZERO, &mut limits.stream_timeout),
        ("init_timeout", TIME_MIN, &mut limits.init_timeout),
        ("drain_timeout", Duration::ZERO, &mut limits.drain_timeout),
        ("shutdown_grace", Duration::ZERO, &mut limits.shutdown_grace),
        ("idle_stop", Duration::ZERO, &mut limits.idle_stop),
        ("ping_interval", Duration::ZERO, &mut limits.ping_interval),
        ("ping_timeout", TIME_MIN, &mut limits.ping_timeout),
    ] {
        *value = section.read(name, *value, |item| item.duration(min));
    }
}

fn restart(section: &Section<'_, '_>, base: Restart) -> Restart {
    let failures_max = u8::try_from(FAILURES_MAX).unwrap_or(u8::MAX);
    let restart = Restart {
        base: section.read("base", base.base, |item| item.duration(TIME_MIN)),
        factor: section.read("factor", base.factor, |item| item.int(RESTART_FACTOR)),
        max: section.read("max", base.max, |item| item.duration(TIME_MIN)),
        jitter_permille: section.read("jitter", base.jitter_permille, |item| item.permille()),
        limit: section.read("limit", base.limit, |item| item.int(1..=failures_max)),
        window: section.read("window", base.window, |item| item.duration(TIME_MIN)),
        cooldown: section.read("cooldown", base.cooldown, |item| item.duration(TIME_MIN)),
    };
    section.finish();
    restart
}

/// Limits that are allowed one by one and not together.
fn check_together(section: &Section<'_, '_>, limits: &WorkerConfig) {
    let WorkerConfig { min_instances, max_instances, chunk, window, .. } = limits;
    let refuse = |found: String, allowed: &str| {
        section.report().error(section.span(), section.path(), &found, allowed);
    };
    if min_instances > max_instances {
        let found = format!("min_instances {min_instances} and max_instances {max_instances}");
        refuse(found, "min_instances at most max_instances");
    }
    if chunk > window {
        refuse(format!("chunk {chunk} and window {window}"), "chunk at most window");
    }
}
