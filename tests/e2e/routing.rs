//! Requests reach the service that their host and path name, unchanged.

use core::fmt::Write as _;

use forebay_tests::http::Client;

use crate::{DEMO, Setup, on_each_backend};

const SERVICES: [&str; 8] =
    ["gateway", "db", "auth", "schedule", "webhooks", "email", "mcp", "queue"];

fn every_service() -> String {
    SERVICES.iter().fold(String::new(), |mut text, service| {
        let _infallible =
            writeln!(text, "[namespaces.production.workers.{service}]\nbuiltin = \"demo\"");
        text
    })
}

/// The service that the demo worker says it is.
fn service(client: &mut Client, host: &str, target: &str) -> String {
    let answer = client.get(host, target);
    assert_eq!(answer.status, 200, "{host}{target}: {}", answer.text());
    let json: serde_json::Value =
        serde_json::from_slice(&answer.body).expect("the demo speaks JSON");
    json["service"].as_str().expect("a service has a name").to_owned()
}

#[test]
fn every_subdomain_path_and_default_rule_reaches_its_service() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, workers: &every_service(), ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        for (host, target, expected) in [
            ("gateway.do", "/x", "gateway"),
            ("db.do", "/query", "db"),
            ("auth.do", "/login", "auth"),
            ("schedule.do", "/jobs", "schedule"),
            ("webhooks.do", "/stripe", "webhooks"),
            ("email.do", "/send", "email"),
            ("mcp.do", "/tools", "mcp"),
            ("queue.do", "/messages", "queue"),
            ("api.do", "/api/db/query", "db"),
            ("api.do", "/api/auth/login", "auth"),
            ("api.do", "/api/schedule/jobs", "schedule"),
            ("api.do", "/api/notdb/something", "gateway"),
            ("api.do", "/x", "gateway"),
            ("do", "/x", "gateway"),
        ] {
            assert_eq!(service(&mut client, host, target), expected, "{host}{target}");
        }
    });
}

#[test]
fn what_has_no_service_is_told_so_byte_for_byte() {
    let gateway = DEMO.start();
    let mut client = Client::connect(gateway.addr());
    let unknown = client.get("unknown.do", "/test?q");
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.field("content-type"), Some("application/json"));
    assert_eq!(
        unknown.text(),
        r#"{"error":"Service not found","message":"No worker found for unknown.do/test","available_services":["gateway","db","auth","schedule","webhooks","email","mcp","queue"]}"#
    );
    let absent = client.get("db.do", "/");
    assert_eq!(absent.status, 404);
    assert_eq!(
        absent.text(),
        r#"{"error":"Service not deployed","message":"Worker \"db\" not found in production namespace","hint":"Service may not be deployed yet. Deploy via Deploy API."}"#
    );
}

#[test]
fn an_environment_without_namespace_answers_configuration_error() {
    let gateway = forebay_tests::gateway::Gateway::start_with(&DEMO.text(), |command| {
        command.env("ENVIRONMENT", "Staging");
    });
    let mut client = Client::connect(gateway.addr());
    for host in ["gateway.do", "unknown.do"] {
        let answer = client.get(host, "/");
        assert_eq!(answer.status, 500);
        assert_eq!(answer.field("content-type"), Some("text/plain;charset=UTF-8"));
        assert_eq!(answer.text(), "Configuration error");
    }
    gateway.expect_log("Namespace not found for environment: staging");
}

#[test]
fn each_environment_reaches_its_own_namespace() {
    let text = DEMO.text()
        + "[namespaces.staging]\nname = \"dotdo-staging\"\nbinding = \"STAGING\"\n\
           [namespaces.staging.workers.gateway]\nbuiltin = \"demo\"\n\
           [namespaces.development]\nname = \"dotdo-development\"\nbinding = \"DEVELOPMENT\"\n\
           [namespaces.development.workers.gateway]\nbuiltin = \"demo\"\n";
    for environment in ["production", "staging", "development"] {
        let gateway = forebay_tests::gateway::Gateway::start_with(&text, |command| {
            command.env("ENVIRONMENT", environment);
        });
        let answer = Client::connect(gateway.addr()).get("gateway.do", "/where");
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(json["environment"], environment);
    }
}

#[test]
fn fields_arrive_unchanged_and_hop_by_hop_ones_do_not() {
    on_each_backend(|backend| {
        let gateway = Setup { backend, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        client.send(
            "GET /a?b=%zz HTTP/1.1\r\nHost: gateway.do\r\nX-Custom:  One \r\nAuthorization: Bearer s3cret\r\n\
             x-custom: two\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\r\n",
        );
        let answer = client.answer();
        let json: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((&json["method"], &json["target"]), (&"GET".into(), &"/a?b=%zz".into()));
        let expected = serde_json::json!([
            ["Host", "gateway.do"],
            ["X-Custom", "One"],
            ["Authorization", "Bearer s3cret"],
            ["x-custom", "two"]
        ]);
        assert_eq!(json["headers"], expected);
        assert!(answer.field("date").is_some());
    });
}

#[test]
fn a_body_arrives_unchanged() {
    on_each_backend(|backend| {
        let workers = "[namespaces.production.workers.gateway]\nbuiltin = \"echo\"\n";
        let gateway = Setup { backend, workers, ..DEMO }.start();
        let mut client = Client::connect(gateway.addr());
        for len in [0, 1, 11, 4095, 4096, 65_535, 65_536, 65_537, 1_000_000] {
            let body: Vec<u8> =
                (0..len).map(|i: u32| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
            let answer = client.post("gateway.do", "/echo", &body);
            assert_eq!(answer.status, 200);
            assert!(answer.body == body, "a body of {len} bytes came back changed");
        }
    });
}
