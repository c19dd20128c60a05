//! Every rule of the configuration: what is taken, what is refused, and what is said about it.

use super::*;
use forebay_core_dispatch::home::Retry;

const FILE: &str = "forebay.toml";
const FOLDER: &str = "/etc/forebay";

fn parse(text: &str) -> Result<Loaded, Vec<Diagnostic>> {
    Config::parse(text, Path::new(FILE), Path::new(FOLDER), None)
}

/// The configuration of a text that begins with the environment.
fn config(text: &str) -> Config {
    let text = format!("environment = \"production\"\n{text}");
    match parse(&text) {
        Ok(loaded) => loaded.config,
        Err(diagnostics) => panic!("{}", show(&diagnostics)),
    }
}

/// What is said about such a text, warnings included.
fn said(text: &str) -> String {
    let text = format!("environment = \"production\"\nnamespaces.production.name = \"p\"\n{text}");
    match parse(&text) {
        Ok(loaded) => show(&loaded.warnings),
        Err(diagnostics) => show(&diagnostics),
    }
}

fn show(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|it| format!("{it}\n")).collect()
}

/// The README's example is one that works, as it stands.
#[test]
fn the_example_of_the_readme_is_valid() {
    let readme = include_str!("../../README.md");
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let loaded = parse(example.expect("the README has an example")).map_err(|it| show(&it));
    assert_eq!(loaded.map(|it| show(&it.warnings)), Ok(String::new()));
}

/// Asserts that a text gets exactly one error, on its first line, with this key and words.
/// Warnings do not count.
#[track_caller]
fn refused(text: &str, key: &str, words: &str) {
    let said = said(text);
    let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).collect();
    let said = errors.join("\n");
    let start = format!("{FILE}:3: error: {key}: ");
    assert!(said.starts_with(&start), "{text}\n{said}");
    assert!(said.contains(words), "{text}\n{said}");
    assert_eq!(said.lines().count(), 1, "{text}\n{said}");
}

#[test]
fn the_built_in_configuration_is_the_one_that_is_promised() {
    let Loaded { config, warnings } = Config::built_in(None).expect("part of the program");
    assert_eq!(show(&warnings), "");
    assert_eq!(config.environment, "production");
    assert_eq!(config.dispatch.zones, ["do", "localhost", "127.0.0.1", "[::1]"]);
    let services = ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];
    assert_eq!(config.dispatch.services, services);
    assert_eq!(config.http.bind, [SocketAddr::from(([127, 0, 0, 1], 8787))]);
    let namespace = config.namespace().expect("production");
    assert_eq!(
        (namespace.name.as_str(), namespace.binding.as_str()),
        ("dotdo-production", "PRODUCTION")
    );
    for service in services {
        let worker = namespace.workers.iter().find(|worker| worker.service == service);
        assert_eq!(worker.expect("deployed").program, Program::Builtin(Kind::Demo));
    }
    assert_eq!(namespace.workers.len(), 8);
    let routes = config.dispatch.routes().expect("names were checked");
    assert_eq!(routes.home().as_bytes(), b"do");
}

/// A file with every key, at its default.
const COMPLETE: &str = include_str!("../../../../tests/vectors/config/complete.toml");

#[test]
fn a_file_with_every_key_is_taken() {
    let loaded = parse(COMPLETE).unwrap_or_else(|errors| panic!("{}", show(&errors)));
    let Config { reactor, log, dispatch, http, hbtp_bind, admin, namespaces, .. } = loaded.config;
    let backend = BackendChoice::Auto;
    assert_eq!(reactor, ReactorConfig { cores: 0, backend, buffers: 16 << 20, calls: 4096 });
    assert_eq!(log, LogConfig { level: LogLevel::Info, access: AccessLog::Off, query: false });
    assert!(dispatch.expose_errors && !dispatch.single_level);
    assert_eq!(http.limits, forebay_core_http1::Config::new(), "the file names the defaults");
    assert_eq!(http.max_connections, 10_000);
    assert_eq!(hbtp_bind, [SocketAddr::from(([127, 0, 0, 1], 8788))]);
    assert_eq!(admin, Some(AdminBind::Unix("/etc/forebay/run/admin.sock".into())));
    let names: Vec<&str> = namespaces.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["dotdo-development", "dotdo-production", "dotdo-staging"]);
    assert_eq!(namespaces[1].dir, Some("/etc/forebay/namespaces/production".into()));
    let expected = Worker {
        service: "gateway".into(),
        program: Program::Command(vec!["/etc/forebay/workers/gateway".into(), "--serve".into()]),
        cwd: Some("/etc/forebay/.".into()),
        env: vec![("LOG".into(), "info".into())],
        limits: WorkerConfig { min_instances: 1, ..WorkerConfig::DEFAULT },
        max_rss: 0,
    };
    assert_eq!(namespaces[1].workers, [expected]);
    // What this version does not serve is said, not swallowed.
    let warned: Vec<&str> = loaded.warnings.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(warned, ["listen.hbtp", "admin", "namespaces.production.dir"]);
}

#[test]
fn an_empty_file_has_every_default_but_the_environment() {
    let errors = show(&parse("").unwrap_err());
    assert_eq!(
        errors,
        format!(
            "{FILE}:1: error: environment: found nothing, allowed: a name here, or in the variable ENVIRONMENT\n"
        )
    );
    let config = config("");
    assert_eq!(config.dispatch.zones, ["do"]);
    assert_eq!(config.dispatch.path_services.as_deref().unwrap(), ["db", "auth", "schedule"]);
    assert_eq!(config.admin, None);
    assert!(config.hbtp_bind.is_empty());
    assert_eq!(config.namespace(), None);
}

#[test]
fn the_variable_wins_over_the_key_and_case_does_not_matter() {
    let text = "environment = \"staging\"\n[namespaces.Production]\nname = \"p\"";
    let with = |value| Config::parse(text, Path::new(FILE), Path::new(FOLDER), value).unwrap();
    let loaded = with(Some("PRODUCTION"));
    assert_eq!(loaded.config.environment, "production");
    assert_eq!(loaded.config.namespace().unwrap().name, "p");
    assert!(loaded.warnings.is_empty());
    let unset = with(Some(""));
    assert_eq!(unset.config.environment, "staging");
    assert_eq!(unset.config.namespace(), None);
    let warning = "environment: Namespace not found for environment: staging\n";
    assert_eq!(show(&unset.warnings), format!("{FILE}:1: warning: {warning}"));
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_lines() {
    let said = said(
        "colour = \"red\"\n[reactor]\ncores = -1\nbackend = \"select\"\n[dispatch]\nzones = [\"DO\", \"do\", \"do\"]\n\
         [listen.http]\nbind = [\"localhost:80\"]\nidle_timeout = 60\n",
    );
    let lines: Vec<&str> = said.lines().map(|line| line.strip_prefix(FILE).unwrap()).collect();
    let expected = [
        ":3: error: colour: found an unknown key, allowed: one of environment, run_dir, stop_delay, reactor, log, dispatch, listen, admin, defaults, namespaces",
        ":5: error: reactor.cores: found -1, allowed: an integer from 0 to 1024",
        ":6: error: reactor.backend: found \"select\", allowed: \"auto\", \"uring\", \"epoll\", \"kqueue\", \"iocp\"",
        ":8: error: dispatch.zones[0]: found \"DO\", allowed: ",
        ":8: error: dispatch.zones[2]: found \"do\", which came before, allowed: each one once",
        ":10: error: listen.http.bind[0]: found \"localhost:80\", allowed: an IP address and a port",
        ":11: error: listen.http.idle_timeout: found 60, allowed: a duration such as \"250ms\"",
    ];
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\n{expected}");
    }
}

#[test]
fn what_is_no_toml_is_reported_with_its_line() {
    let errors = parse("environment = \"a\"\n[dispatch\nzones = [\n").unwrap_err();
    assert!(!errors.is_empty());
    assert!(errors.iter().all(|it| it.line >= 2 && it.key.is_empty()), "{}", show(&errors));
    let twice = parse("environment = \"a\"\nenvironment = \"b\"\n").unwrap_err();
    assert_eq!((twice.len(), twice[0].line), (1, 2), "{}", show(&twice));
}

#[test]
fn services() {
    refused("dispatch.services = []", "dispatch.services", "1 to 4096");
    for wrong in ["", "A", "1a", "a-", "a_b", &"a".repeat(64)] {
        let text = format!("dispatch.services = [\"gateway\", \"{wrong}\"]");
        refused(&text, "dispatch.services[1]", "a lower-case letter");
    }
    let twice = "dispatch.services = [\"gateway\", \"gateway\"]";
    refused(twice, "dispatch.services[1]", "which came before");
    let many: Vec<String> = (0..4097).map(|index| format!("\"s{index}\"")).collect();
    let text =
        format!("dispatch = {{ services = [{}], default_service = \"gateway\" }}", many.join(","));
    refused(&text, "dispatch.services", "4097 elements");
    refused("dispatch.services = [1, \"gateway\"]", "dispatch.services[0]", "found 1");
}

#[test]
fn rules_name_services() {
    refused("dispatch.default_service = \"x\"", "dispatch.default_service", "dispatch.services");
    refused("dispatch.services = [\"x\"]", "dispatch.default_service", "which means \"gateway\"");
    refused("dispatch.path_services = [\"x\"]", "dispatch.path_services[0]", "dispatch.services");
    refused("dispatch.path_services = \"some\"", "dispatch.path_services", "\"all\", or an array");
    let shadowed = "dispatch.default_labels = [\"api\", \"db\"]";
    refused(shadowed, "dispatch.default_labels[1]", "its own rule would always win");
    refused("dispatch.default_labels = [\"a.b\"]", "dispatch.default_labels[0]", "one label");
    refused("dispatch.multi_level = \"all\"", "dispatch.multi_level", "\"leftmost\", \"single\"");
    refused("dispatch.expose_errors = 1", "dispatch.expose_errors", "true or false");
    let all = config("dispatch = { path_services = \"all\", multi_level = \"single\" }").dispatch;
    assert_eq!((all.path_services, all.single_level), (None, true));
    // A service called like the label that is the default: the label is not one.
    assert!(
        config("dispatch.services = [\"gateway\", \"api\"]").dispatch.default_labels.is_empty()
    );
}

#[test]
fn zones() {
    refused("dispatch.zones = []", "dispatch.zones", "1 to 16");
    let many: Vec<String> = (0..17).map(|index| format!("\"z{index}\"")).collect();
    refused(&format!("dispatch.zones = [{}]", many.join(",")), "dispatch.zones", "17 elements");
    for wrong in ["", "DO", "do.", "do:80", "a..b", "[::0]", "ä", "*.do"] {
        refused(&format!("dispatch.zones = [\"{wrong}\"]"), "dispatch.zones[0]", "a host name");
    }
}

#[test]
fn path_prefixes() {
    for wrong in ["", "/api", "api/", "//", "/a//b/", "/../", "/%61/"] {
        let text = format!("dispatch.path_prefix = \"{wrong}\"");
        refused(&text, "dispatch.path_prefix", "begins and ends with /");
    }
    assert_eq!(config("dispatch.path_prefix = \"/v1/\"").dispatch.path_prefix, "/v1/");
}

#[test]
fn listeners() {
    refused("listen.http.bind = []", "listen.http.bind", "with 0 elements");
    refused("listen.http.bind = \"127.0.0.1:80\"", "listen.http.bind", "an array of 1 to 64");
    refused("listen.http.bind = [\"1.2.3.4\"]", "listen.http.bind[0]", "a port");
    let twice = "listen.http.bind = [\"[::1]:1\", \"[::1]:1\"]";
    refused(twice, "listen.http.bind[1]", "which came before");
    refused("listen.http.max_fields = 129", "listen.http.max_fields", "from 1 to 128");
    refused("listen.http.max_head = \"2MiB\"", "listen.http.max_head", "from 256 to 1MiB");
    refused("listen.http.max_head = \"16KB\"", "listen.http.max_head", "64KiB");
    refused("listen.http.body_timeout = \"0s\"", "listen.http.body_timeout", "at least 10ms");
    refused("listen.http.body_timeout = \"721h\"", "listen.http.body_timeout", "at most 720h");
    refused("listen.http.half_close_grace = \"ever\"", "listen.http.half_close_grace", "250ms");
    refused("listen.ftp = {}", "listen.ftp", "one of http, hbtp");
    let limits = |text: &str| config(&format!("listen.http.{text}")).http.limits;
    assert_eq!(limits("half_close_grace = \"never\"").half_close_grace_ms, u32::MAX);
    assert_eq!(limits("half_close_grace = 0").half_close_grace_ms, 0);
    assert_eq!(limits("max_body = \"1GiB\"").body_len, 1 << 30);
    assert_eq!(limits("max_body = 0").body_len, u64::MAX);
    assert_eq!(limits("header_timeout = \"1500ms\"").header_timeout_ms, 1500);
    assert_eq!(limits("max_target = 1000").request_line_len, 1000);
}

#[test]
fn the_admin_interface_is_private() {
    refused("admin.bind = \"0.0.0.0:1\"", "admin.bind", "a loopback address");
    refused("admin.bind = \"127.0.0.1:1\"", "admin.bind", "together with token_file");
    refused("admin.bind = \"unix:\"", "admin.bind", "and a path");
    let config = config("admin = { bind = \"127.0.0.1:1\", token_file = \"token\" }");
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let token_file = "/etc/forebay/token".into();
    assert_eq!(config.admin, Some(AdminBind::Loopback { addr, token_file }));
}

#[test]
fn the_rest_of_the_top() {
    refused("stop_delay = 5", "stop_delay", "\"5s\"");
    refused("run_dir = 5", "run_dir", "a text");
    refused("reactor.calls = 0", "reactor.calls", "from 1 to");
    refused("reactor.buffers = \"1KiB\"", "reactor.buffers", "from 256KiB to 64GiB");
    refused("log.level = \"loud\"", "log.level", "\"info\"");
    refused("log.query = \"no\"", "log.query", "true or false");
    refused("namespaces.staging = 1", "namespaces.staging", "found 1, allowed: a table");
    let workers = "namespaces.production.workers";
    refused(&format!("{workers} = 1"), workers, "found 1, allowed: a table");
    assert_eq!(config("run_dir = \"\"").run_dir, None);
    assert_eq!(config("run_dir = \"run\"").run_dir, Some("/etc/forebay/run".into()));
    assert_eq!(
        config("log.access = \"a.log\"").log.access,
        AccessLog::File("/etc/forebay/a.log".into())
    );
    assert!(
        said("log.access = \"stdout\"").contains("warning: log.access: there is no access log")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_backend_of_another_system_is_an_error() {
    refused("reactor.backend = \"kqueue\"", "reactor.backend", "\"auto\", \"uring\", \"epoll\"");
}

fn worker(keys: &str) -> String {
    format!("namespaces.production.workers.db = {{ {keys} }}")
}

#[test]
fn a_worker_has_exactly_one_program() {
    let key = "namespaces.production.workers.db";
    refused(&worker(""), key, "neither command nor builtin");
    refused(&worker("command = [\"a\"], builtin = \"demo\""), key, "both command and builtin");
    refused(&worker("command = []"), &format!("{key}.command"), "an empty array");
    refused(&worker("command = \"a\""), &format!("{key}.command"), "an array of texts");
    refused(&worker("command = [\"\"]"), &format!("{key}.command[0]"), "the file to execute");
    refused(&worker("command = [\"a\", 1]"), &format!("{key}.command[1]"), "a text");
    refused(&worker("builtin = \"x\""), &format!("{key}.builtin"), "\"demo\", \"echo\"");
    refused(&worker("builtin = \"demo\", colour = 1"), &format!("{key}.colour"), "builtin");
    let program = |keys| config(&worker(keys)).namespaces[0].workers[0].program.clone();
    assert_eq!(program("builtin = \"echo\""), Program::Builtin(Kind::Echo));
    let command = |words: [&str; 2]| Program::Command(words.map(str::to_owned).into());
    assert_eq!(program("command = [\"node\", \"a/b.js\"]"), command(["node", "a/b.js"]));
    assert_eq!(program("command = [\"./w\", \"x\"]"), command(["/etc/forebay/./w", "x"]));
    assert_eq!(program("command = [\"/bin/w\", \"x\"]"), command(["/bin/w", "x"]));
}

#[test]
fn the_name_of_a_worker_is_that_of_a_service() {
    let text = "namespaces.production.workers.DB = { builtin = \"demo\" }";
    refused(text, "namespaces.production.workers.DB", "a lower-case letter");
    let unlisted = said("namespaces.production.workers.later = { builtin = \"demo\" }");
    let words = "warning: namespaces.production.workers.later: is none of dispatch.services";
    assert!(unlisted.contains(words), "{unlisted}");
}

#[test]
fn environments_differ_in_more_than_case() {
    let text = "[namespaces.staging]\n[namespaces.STAGING]\n";
    assert!(said(text).contains("whose name came before"), "{}", said(text));
}

#[test]
fn limits_of_a_worker() {
    let key = |name: &str| format!("namespaces.production.workers.db.{name}");
    for (name, wrong, words) in [
        ("max_instances", "0", "from 1 to 1024"),
        ("max_concurrency", "65536", "from 1 to 65535"),
        ("queue_len", "-1", "from 0 to 1048576"),
        ("queue_timeout", "\"0s\"", "at least 10ms"),
        ("request_timeout", "30", "a duration"),
        ("retry", "\"always\"", "\"none\", \"unsent\", \"idempotent\""),
        ("inline_body", "\"1GiB\"", "from 0 to 16MiB"),
        ("chunk", "0", "from 1 to 16MiB"),
        ("max_frame", "100", "from 64KiB to 1GiB"),
        ("auth", "\"yes\"", "true or false"),
        ("max_calls", "-1", "from 0"),
        ("restart", "{ factor = 0 }", "from 1 to 100"),
        ("restart", "{ jitter = 1.5 }", "a number from 0 to 1"),
        ("restart", "{ limit = 16 }", "from 1 to 15"),
        ("restart", "{ tries = 1 }", "one of base, factor, max, jitter, limit, window, cooldown"),
        ("env", "{ A = 1 }", "a text"),
    ] {
        let text = worker(&format!("builtin = \"demo\", {name} = {wrong}"));
        let said = said(&text);
        assert!(said.contains(&key(name)) && said.contains(words), "{text}\n{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let both = worker("builtin = \"demo\", min_instances = 2");
    refused(&both, "namespaces.production.workers.db", "min_instances at most max_instances");
    let both = worker("builtin = \"demo\", window = \"1KiB\"");
    refused(&both, "namespaces.production.workers.db", "chunk at most window");
}

#[test]
fn a_worker_has_the_defaults_but_for_its_own_keys() {
    let config = config(
        "[defaults.worker]\nmax_instances = 3\nretry = \"none\"\nidle_stop = 0\n\
         restart = { limit = 3, jitter = 0 }\n\
         [namespaces.production.workers.db]\nbuiltin = \"demo\"\nretry = \"idempotent\"\n\
         restart = { base = \"1s\", jitter = 0.25 }\n\
         [namespaces.production.workers.auth]\nbuiltin = \"demo\"\n",
    );
    let [auth, db] = &config.namespaces[0].workers[..] else { panic!("two workers") };
    assert_eq!((auth.limits.max_instances, auth.limits.retry), (3, Retry::Never));
    assert_eq!((auth.limits.restart.limit, auth.limits.restart.jitter_permille), (3, 0));
    assert_eq!(auth.limits.idle_stop, Duration::ZERO);
    assert_eq!((db.limits.max_instances, db.limits.retry), (3, Retry::Idempotent));
    let restart = db.limits.restart;
    assert_eq!((restart.limit, restart.jitter_permille), (3, 250));
    assert_eq!((restart.base, restart.factor), (Duration::from_secs(1), 2));
    // A program belongs to one worker.
    let key = "defaults.worker.command";
    assert!(
        said("defaults.worker.command = [\"a\"]")
            .contains(&format!("error: {key}: found an unknown key"))
    );
}

#[test]
fn a_namespace_without_a_name_has_one() {
    let namespace = &config("[namespaces.production]").namespaces[0];
    assert_eq!(
        (namespace.name.as_str(), namespace.binding.as_str()),
        ("forebay-production", "PRODUCTION")
    );
    refused("namespaces.staging.name = \"\"", "namespaces.staging.name", "not empty");
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Any lines: an answer, and every diagnostic inside the file.
        #[test]
        fn no_text_makes_it_panic(lines in prop::collection::vec(line(), 0..12)) {
            let text = lines.join("\n");
            let diagnostics = match parse(&text) {
                Ok(loaded) => {
                    prop_assert!(loaded.config.dispatch.routes().is_ok());
                    loaded.warnings
                }
                Err(diagnostics) => {
                    prop_assert!(diagnostics.iter().any(|it| it.severity == Severity::Error));
                    diagnostics
                }
            };
            prop_assert!(diagnostics.iter().all(|it| (1..=lines.len().max(1)).contains(&it.line)));
            prop_assert!(diagnostics.is_sorted_by_key(|it| it.line));
        }
    }

    /// A line of the complete file, a broken one, or anything.
    fn line() -> impl Strategy<Value = String> {
        let lines: Vec<String> = COMPLETE.lines().map(str::to_owned).collect();
        prop_oneof![
            5 => prop::sample::select(lines.clone()),
            2 => (prop::sample::select(lines), "[-0-9a-z\"\\[\\]{}]{0,6}").prop_map(|(line, value)| {
                let (key, _) = line.split_once('=').unwrap_or((&line, ""));
                format!("{key}= {value}")
            }),
            1 => "\\PC{0,20}",
        ]
    }
}
