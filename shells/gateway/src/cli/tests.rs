//! The explanation of every routing vector, and of requests that no vector has.

use super::*;
use crate::config::Config;

const VECTORS: &str = include_str!("../../../../tests/vectors/route/decisions.tsv");

/// The shipped rules; one zone unless the setup says otherwise.
fn explainer(setup: &str) -> Explainer {
    let (name, value) = setup.split_once('=').unwrap_or((setup, ""));
    let services = ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];
    let deployed = services.iter().filter(|it| (name, value) != ("undeployed", **it));
    let workers: String = deployed.map(|it| format!("{it} = {{ builtin = \"echo\" }}\n")).collect();
    let rules = match name {
        "single" => "multi_level = \"single\"".to_owned(),
        "all" => "path_services = \"all\"".to_owned(),
        "zone" => format!("zones = [\"do\", \"{value}\"]"),
        _ => String::new(),
    };
    let environment = if name == "no-namespace" { "nowhere" } else { "production" };
    let text = format!(
        "environment = \"{environment}\"\n[dispatch]\n{rules}\n[namespaces.production.workers]\n{workers}"
    );
    let file = Path::new("test.toml");
    let loaded = Config::parse(&text, file, Path::new("/"), None).expect("a valid configuration");
    Explainer::new(&loaded.config).expect("valid names")
}

fn explain(setup: &str, line: &str) -> Explanation {
    explainer(setup).explain(&Request::parse(line.as_bytes()))
}

#[test]
fn routing_vectors() {
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [number, method, target, host, setup, expected] = columns[..] else {
            panic!("not a vector: {line}")
        };
        let explanation = explain(setup, &format!("{method} {target} {host}\n"));
        let Explanation { rule, service, status, violation, body, .. } = explanation;
        let rule = rule.unwrap_or("refused");
        let found = match service {
            _ if violation.is_some() => status.to_string(),
            Some(_) if status == 404 => "404 undeployed".to_owned(),
            Some(service) => format!("{service} {rule}"),
            None => format!("{status} {rule}"),
        };
        assert_eq!(found, expected, "{number}: {line}");
        assert_eq!(body.is_some(), status != 200, "{number}");
        count += 1;
    }
    assert_eq!(count, 86, "80 vectors, six of them in two setups");
}

#[test]
fn the_gateways_own_answers_come_with_their_body() {
    let explanation = explain("-", "GET /a/../test unknown.do:80");
    assert_eq!(explanation.path.as_deref(), Some("/test"));
    assert_eq!(
        explanation.body.as_deref(),
        Some(
            r#"{"error":"Service not found","message":"No worker found for unknown.do/test","available_services":["gateway","db","auth","schedule","webhooks","email","mcp","queue"]}"#
        )
    );
    let explanation = explain("undeployed=db", "GET / db.do");
    assert_eq!(
        explanation.body.as_deref(),
        Some(
            r#"{"error":"Service not deployed","message":"Worker \"db\" not found in production namespace","hint":"Service may not be deployed yet. Deploy via Deploy API."}"#
        )
    );
    let explanation = explain("no-namespace", "GET / db.do");
    assert_eq!(explanation.body.as_deref(), Some("Configuration error"));
}

#[test]
fn a_bad_request_is_refused_by_the_rule_that_it_breaks() {
    let long = format!("GET /{} db.do", "x".repeat(9000));
    let deep = format!("GET {} db.do", "/x".repeat(257));
    for (line, status, rule) in [
        ("CONNECT db.do:80 db.do", 501, "T1"),
        ("TRACE / db.do", 501, "L3"),
        ("GET /a#b db.do", 400, "T2"),
        ("GET /%zz db.do", 400, "T4"),
        ("GET / a@b", 400, "H3"),
        ("GET / ", 400, "H1"),
        ("GET /", 400, "H1"),
        ("GET", 400, "L1"),
        ("", 400, "L1"),
        (&long, 414, "T3"),
        (&deep, 400, "T1"),
    ] {
        let explanation = explain("-", line);
        assert_eq!((explanation.status, explanation.violation), (status, Some(rule)), "{line}");
        let message = format!("\"message\":\"{rule}\"}}");
        assert!(explanation.body.expect("an answer").ends_with(&message), "{line}");
        assert_eq!((explanation.rule, explanation.path), (None, None), "{line}");
    }
}

#[test]
fn no_part_can_smuggle_a_line_in() {
    for (target, host) in [("/x HTTP/1.1\r\nA: b", "db.do"), ("/", "db.do\r\nX: y"), ("/\n", "do")]
    {
        let request = Request { method: b"GET", target: target.as_bytes(), host: host.as_bytes() };
        let explanation = explainer("-").explain(&request);
        assert_eq!((explanation.status, explanation.violation), (400, Some("L6")));
    }
}

#[test]
fn a_line_of_the_input_is_three_parts() {
    let parts = |line: &'static [u8]| {
        let Request { method, target, host } = Request::parse(line);
        [method, target, host]
    };
    assert_eq!(parts(b"GET /x db.do\n"), [&b"GET"[..], b"/x", b"db.do"]);
    assert_eq!(parts(b"GET /x db.do, auth.do\r\n"), [&b"GET"[..], b"/x", b"db.do, auth.do"]);
    assert_eq!(parts(b"GET /x "), [&b"GET"[..], b"/x", b""]);
    assert_eq!(parts(b"GET /x\n"), [&b"GET"[..], b"/x", b""]);
    assert_eq!(parts(b"\n"), [&b""[..], b"", b""]);
}

#[test]
fn json_has_one_line_and_every_member() {
    let json = explain("-", "GET /\"\\\u{1} db.do\tx").json();
    assert!(!json.contains('\n'));
    let explanation = explain("-", "GET /api/db/x?y api.do");
    assert_eq!(
        explanation.json(),
        r#"{"method":"GET","target":"/api/db/x?y","host":"api.do","rule":"path","service":"db","path":"/api/db/x","status":200,"violation":null,"body":null}"#
    );
}

#[test]
fn text_says_why() {
    let text = explain("-", "GET /x/../health api.do").to_string();
    let expected = "GET /x/../health at api.do\n  rule     default: the host is a zone, or its first \
                    label means the default service\n  service  gateway\n  path     /health\n  \
                    status   200, or what the worker answers";
    assert_eq!(text, expected);
    let text = explain("-", "GET * do").to_string();
    assert!(text.contains("refused  by rule T1 of HTTP\n  status   400\n  body     {"), "{text}");
}

#[test]
fn the_command_line_is_sound() {
    Line::command().debug_assert();
    for words in ["forebay", "forebay serve", "forebay --config a", "forebay serve --config a"] {
        assert!(Line::try_parse_from(words.split(' ')).is_ok(), "{words}");
    }
    for words in
        ["forebay check", "forebay route", "forebay worker tea", "forebay --config a check b"]
    {
        assert!(Line::try_parse_from(words.split(' ')).is_err(), "{words}");
    }
    let help = Line::command().render_long_help().to_string();
    assert!(help.contains("Examples:") && !help.contains("worker"), "{help}");
}
