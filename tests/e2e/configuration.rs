//! A configuration that cannot be used, and the commands that explain one.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use forebay_tests::program::forebay;

use crate::DEMO;

fn run(arguments: &[&str], config: &str, input: &str) -> Output {
    static NEXT: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("forebay-cli-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    std::fs::write(folder.join("forebay.toml"), config).expect("the folder is writable");
    let mut child = Command::new(forebay())
        .args(arguments)
        .current_dir(&folder)
        .env_remove("ENVIRONMENT")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    std::fs::remove_dir_all(&folder).expect("the folder is there");
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_mistake_is_told_with_its_line_and_key_and_status_78() {
    let config = "environment = \"production\"\n[dispatch]\nzones = [\"Do\"]\nwrong = 1\n\
                  [listen.http]\nheader_timeout = \"10\"\n\
                  [namespaces.production]\nname = \"p\"\nbinding = \"P\"\n\
                  [namespaces.production.workers.gateway]\nbuiltin = \"other\"\n";
    for arguments in [&["check", "forebay.toml"][..], &["serve"], &[]] {
        let output = run(arguments, config, "");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}: {errors}");
        for part in [
            "forebay.toml:3",
            "zones",
            "forebay.toml:4",
            "wrong",
            "forebay.toml:6",
            "forebay.toml:11",
            "other",
        ] {
            assert!(errors.contains(part), "{arguments:?}: `{part}` is missing in\n{errors}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_status_78() {
    let output = run(&["serve", "--config", "absent.toml"], "", "");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("absent.toml"));
}

#[test]
fn a_good_file_is_told_so() {
    let output = run(&["check", "forebay.toml"], &DEMO.text(), "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn route_explains_what_the_gateway_would_do() {
    let output = run(&["route", "db.do", "/x/../query?a", "--json"], &DEMO.text(), "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a line of JSON");
    assert_eq!(json["rule"], "subdomain");
    assert_eq!(json["service"], "db");
    assert_eq!(json["path"], "/query");
    assert_eq!(json["status"], 404, "it is not deployed");
}

#[test]
fn route_reads_lines() {
    let input = "GET /health gateway.do\nGET / \nTRACE / gateway.do\nGET /x a b\n";
    let output = run(&["route", "-"], &DEMO.text(), input);
    let lines: Vec<serde_json::Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let statuses: Vec<_> = lines.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(400), Some(501), Some(400)]);
}
