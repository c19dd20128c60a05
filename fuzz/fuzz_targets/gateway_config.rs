//! Any text is a configuration or gets at least one error, and every diagnostic lies in the text.
#![no_main]

use std::path::Path;

use forebay_gateway::config::{Config, Severity};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let lines = text.split('\n').count();
    let diagnostics = match Config::parse(text, Path::new("fuzz.toml"), Path::new("/"), None) {
        Ok(loaded) => {
            loaded.config.dispatch.routes().expect("the names were checked");
            loaded.warnings
        }
        Err(diagnostics) => {
            assert!(diagnostics.iter().any(|it| it.severity == Severity::Error));
            diagnostics
        }
    };
    assert!(diagnostics.iter().all(|it| (1..=lines).contains(&it.line)));
});
