//! Rules about whole crates: lint header, layers, what belongs to each.

use std::collections::BTreeSet;

use super::source::Source;
use super::{Finding, Tree};
use crate::manifests::{Dependency, Kind, Manifests, Package};

/// What may depend on what: a core crate uses only crates of lower layers.
const LAYERS: [&[&str]; 4] = [
    &["time", "teleport", "teleport-derive"],
    &["frame", "flow", "route", "completion", "middleware", "cache"],
    &["procwire", "hbtp", "http1"],
    &["dispatch"],
];

/// Shells that may use other shells, and which.
const COMPOSERS: [(&str, &[&str]); 1] = [(
    "forebay-gateway",
    &["forebay-reactor", "forebay-worker", "forebay-middleware", "forebay-cache"],
)];

/// What core may take from outside.
const CORE_OUTSIDE: [&str; 10] = [
    "heapless",
    "bytemuck",
    "zerocopy",
    "bitflags",
    "httparse",
    "chacha20poly1305",
    "aes-gcm",
    "blake3",
    "subtle",
    "zeroize",
];

pub(super) fn check(tree: &Tree, manifests: &Manifests) -> Vec<Finding> {
    let mut findings = header(&tree.files, manifests);
    for package in &manifests.packages {
        findings.extend(layer(package));
        findings.extend(shell_edges(package));
    }
    for package in manifests.core() {
        findings.extend(outside(package));
        findings.extend(belongings(package, tree));
    }
    let targets: Vec<_> = manifests.fuzz_targets().collect();
    findings.extend(corpora(tree, &targets));
    findings
}

/// The attributes that open `lib.rs` are the same in every core crate.
fn header(files: &[Source], manifests: &Manifests) -> Vec<Finding> {
    let mut first: Option<(String, String)> = None;
    let mut findings = Vec::new();
    for package in manifests.core() {
        let path = format!("{}/src/lib.rs", package.folder);
        let Some(source) = files.iter().find(|file| file.path == path) else { continue };
        let own = inner_attributes(source);
        match &first {
            None => first = Some((path, own)),
            Some((model, header)) if *header != own => {
                let text = format!("the lint header differs from that of {model}");
                findings.push(Finding::new(&path, 1, "header", text));
            }
            Some(_) => {}
        }
    }
    findings
}

/// Everything in front of the first item, without blank lines and comments.
fn inner_attributes(source: &Source) -> String {
    let mut depth = 0_i32;
    let mut kept = Vec::new();
    for (code, text) in source.code.lines().zip(source.text.lines()) {
        let code = code.trim();
        if code.is_empty() {
            continue;
        }
        if depth == 0 && !code.starts_with("#![") {
            break;
        }
        let count = |open, close| -> i32 {
            code.chars().map(|c| i32::from(c == open) - i32::from(c == close)).sum()
        };
        depth += count('[', ']');
        kept.push(text.trim());
    }
    kept.join("\n")
}

/// Arrows between core crates go down only, and never to a shell.
fn layer(package: &Package) -> Vec<Finding> {
    let Some(own) = layer_of(&package.name) else { return Vec::new() };
    let ours = package.dependencies.iter().filter(|dependency| dependency.ours);
    let wrong = ours.filter(|dependency| match layer_of(&dependency.name) {
        Some(other) => dependency.kind != Kind::Dev && other >= own,
        // A dev-dependency on the suites' support is fine, one on a shell is not.
        None => dependency.name != "forebay-tests",
    });
    wrong.map(|dependency| edge(package, dependency)).collect()
}

/// No shell knows another, but those that compose.
fn shell_edges(package: &Package) -> Vec<Finding> {
    if !package.folder.starts_with("shells/") {
        return Vec::new();
    }
    let composes = COMPOSERS.iter().find(|(name, _)| *name == package.name);
    let allowed = composes.map_or([].as_slice(), |(_, names)| *names);
    let shells = package.dependencies.iter().filter(|dependency| {
        dependency.ours
            && dependency.kind != Kind::Dev
            && layer_of(&dependency.name).is_none()
            && !allowed.contains(&dependency.name.as_str())
    });
    shells.map(|dependency| edge(package, dependency)).collect()
}

fn edge(package: &Package, dependency: &Dependency) -> Finding {
    let text = format!("{} must not depend on {}", package.name, dependency.name);
    Finding::new(&format!("{}/Cargo.toml", package.folder), 0, "layer", text)
}

fn layer_of(name: &str) -> Option<usize> {
    let short = name.strip_prefix("forebay-core-")?;
    // A crate that the picture does not have is above all: it may use any, and none may use it.
    Some(LAYERS.iter().position(|layer| layer.contains(&short)).unwrap_or(LAYERS.len()))
}

/// Core takes few crates from outside, and none with its default features.
fn outside(package: &Package) -> Vec<Finding> {
    let manifest = format!("{}/Cargo.toml", package.folder);
    let mut findings = Vec::new();
    let outside = |dependency: &&Dependency| !dependency.ours && dependency.kind == Kind::Normal;
    for dependency in package.dependencies.iter().filter(outside) {
        let name = &dependency.name;
        if !CORE_OUTSIDE.contains(&name.as_str()) {
            let text = format!("`{name}` is not among what core may use");
            findings.push(Finding::new(&manifest, 0, "dependency", text));
        } else if dependency.default_features {
            let text = format!("`{name}` needs `default-features = false`: they may bring std");
            findings.push(Finding::new(&manifest, 0, "dependency", text));
        }
    }
    let std = package.features.iter().find(|feature| matches!(feature.as_str(), "std" | "alloc"));
    findings.extend(std.map(|feature| {
        let text = format!("core has no `{feature}` feature: std glue is a shell");
        Finding::new(&manifest, 0, "feature", text)
    }));
    findings
}

/// Each core crate has a README, vectors and a fuzz target, or its manifest says why not.
fn belongings(package: &Package, tree: &Tree) -> Vec<Finding> {
    let short = package.folder.trim_start_matches("core/");
    let used = format!("forebay_core_{}", short.replace('-', "_"));
    let excused = |key: &str| package.metadata[key].as_str().is_some_and(|why| !why.is_empty());
    let fuzzed = tree
        .files
        .iter()
        .any(|file| file.path.starts_with("fuzz/fuzz_targets/") && file.code.contains(&used));
    let readme = tree.has(&format!("{}/README.md", package.folder));
    let vectors = tree.has(&format!("tests/vectors/{short}/"));
    let wanted = [
        ("README.md", "no-readme", readme),
        ("fuzz target that uses it", "no-fuzz", fuzzed),
        ("tests/vectors folder", "no-vectors", vectors),
    ];
    let lacking = wanted.into_iter().filter(|(_, key, there)| !there && !excused(key));
    lacking
        .map(|(what, key, _)| {
            let text =
                format!("no {what}; `{key} = \"why\"` in package.metadata.forebay says why not");
            Finding::new(&format!("{}/Cargo.toml", package.folder), 0, "belongings", text)
        })
        .collect()
}

/// Each fuzz target has seeds, each folder of seeds a target.
fn corpora(tree: &Tree, targets: &[&str]) -> Vec<Finding> {
    const FOLDER: &str = "fuzz/corpus/";
    let finding = |text| Finding::new("fuzz/Cargo.toml", 0, "belongings", text);
    let seedless = targets.iter().filter(|name| !tree.has(&format!("{FOLDER}{name}/")));
    let seedless = seedless.map(|name| finding(format!("no seeds in {FOLDER}{name}/")));
    let folders = tree.paths.iter().filter_map(|path| path.strip_prefix(FOLDER)?.split('/').next());
    let strays: BTreeSet<_> = folders.filter(|name| !targets.contains(name)).collect();
    let strays = strays.into_iter().map(|name| finding(format!("no target for {FOLDER}{name}/")));
    seedless.chain(strays).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Tree;
    use super::super::source::Source;
    use super::{belongings, corpora, inner_attributes, layer, outside, shell_edges};
    use crate::manifests::{Dependency, Kind, Package};

    fn package(name: &str, folder: &str) -> Package {
        Package {
            name: name.to_owned(),
            folder: folder.to_owned(),
            roots: Vec::new(),
            binaries: Vec::new(),
            dependencies: Vec::new(),
            features: Vec::new(),
            metadata: json!({}),
        }
    }

    fn using(mut package: Package, name: &str, ours: bool) -> Package {
        let name = name.to_owned();
        package.dependencies.push(Dependency {
            name,
            kind: Kind::Normal,
            default_features: true,
            ours,
        });
        package
    }

    #[test]
    fn arrows_go_down() {
        let http1 = || package("forebay-core-http1", "core/http1");
        assert!(layer(&using(http1(), "forebay-core-flow", true)).is_empty());
        for name in ["forebay-core-procwire", "forebay-core-dispatch", "forebay-reactor"] {
            assert_eq!(layer(&using(http1(), name, true)).len(), 1, "{name}");
        }
        let worker = || package("forebay-worker", "shells/worker");
        assert_eq!(shell_edges(&using(worker(), "forebay-reactor", true)).len(), 1);
        assert!(shell_edges(&using(worker(), "forebay-core-procwire", true)).is_empty());
        let gateway = package("forebay-gateway", "shells/gateway");
        assert!(shell_edges(&using(gateway, "forebay-reactor", true)).is_empty());
    }

    #[test]
    fn core_takes_little_from_outside() {
        let core = || package("forebay-core-http1", "core/http1");
        assert_eq!(outside(&using(core(), "tokio", false)).len(), 1);
        let mut parser = using(core(), "httparse", false);
        assert_eq!(outside(&parser).len(), 1);
        parser.dependencies[0].default_features = false;
        assert!(outside(&parser).is_empty());
        parser.features.push("std".to_owned());
        assert_eq!(outside(&parser).len(), 1);
    }

    #[test]
    fn a_core_crate_has_its_belongings_or_says_why_not() {
        let bare = Tree { paths: Vec::new(), files: Vec::new() };
        let mut crate_ = package("forebay-core-a", "core/a");
        assert_eq!(belongings(&crate_, &bare).len(), 3);
        crate_.metadata = json!({ "no-fuzz": "no input", "no-vectors": "no format" });
        assert_eq!(belongings(&crate_, &bare).len(), 1);
        let target = Source::new("fuzz/fuzz_targets/b.rs", "use forebay_core_a::C;".to_owned());
        let paths = ["core/a/README.md", "tests/vectors/a/c.bin"].map(str::to_owned).to_vec();
        crate_.metadata = json!({});
        assert!(belongings(&crate_, &Tree { paths, files: vec![target] }).is_empty());
    }

    #[test]
    fn targets_and_corpora_go_together() {
        let paths = vec!["fuzz/corpus/a/1".to_owned(), "fuzz/corpus/b/1".to_owned()];
        let tree = Tree { paths, files: Vec::new() };
        assert!(corpora(&tree, &["a", "b"]).is_empty());
        assert_eq!(corpora(&tree, &["a"]).len(), 1);
        assert_eq!(corpora(&tree, &["a", "b", "c"]).len(), 1);
    }

    #[test]
    fn the_header_is_what_stands_in_front_of_the_first_item() {
        let text =
            "//! Doc.\n#![no_std]\n#![cfg_attr(\n    not(test),\n    deny(a)\n)]\n\nmod b;\n";
        let source = Source::new("core/a/src/lib.rs", text.to_owned());
        assert_eq!(inner_attributes(&source), "#![no_std]\n#![cfg_attr(\nnot(test),\ndeny(a)\n)]");
    }
}
