//! What must not be committed: paths of one machine, registries that only one machine knows.

use super::Finding;
use super::source::Source;

/// Each in two halves, so that this file does not find itself.
const PATHS: [(&str, &str); 6] = [
    ("/wo", "rk/"),
    ("/ro", "ot/"),
    ("/ho", "me/"),
    ("/tmp/fore", "bay/"),
    ("../sha", "red"),
    ("/Us", "ers/"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
const NPM: &str = "https://registry.npmjs.org/";

pub(super) fn check(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (one, two) in PATHS {
            let path = format!("{one}{two}");
            if starts_word(line, &path) {
                let text = format!("`{path}` is a path of one machine");
                findings.push(Finding::new(&file.path, index + 1, "leak", text));
            }
        }
        if let Some(registry) = foreign_registry(&file.path, line) {
            let text = format!("`{registry}` is not the public registry");
            findings.push(Finding::new(&file.path, index + 1, "leak", text));
        }
    }
    findings
}

/// Whether `path` occurs where a path starts, not inside a longer one (`/a/work/` is no leak).
fn starts_word(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | ')')))
    })
}

/// A source of packages that is none of the public ones.
fn foreign_registry<'a>(path: &str, line: &'a str) -> Option<&'a str> {
    let quoted = |line: &'a str| line.split('"').nth_back(1);
    let line = line.trim();
    let foreign = match path.rsplit('/').next().unwrap_or_default() {
        "Cargo.lock" if line.starts_with("source = ") => !line.contains(CRATES_IO),
        "package-lock.json" if line.starts_with("\"resolved\"") => !line.contains(NPM),
        "config.toml" if path.contains(".cargo/") => {
            line.starts_with("replace-with")
                || line.starts_with("registry")
                || line.starts_with("[source")
        }
        // `registry=`, `@scope:registry=`; other keys have the word in them, too.
        ".npmrc" => line.split('=').next().is_some_and(|key| key.trim().ends_with("registry")),
        _ => false,
    };
    foreign.then(|| quoted(line).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::{PATHS, check};

    fn count(path: &str, text: &str) -> usize {
        check(&Source::new(path, text.to_owned())).len()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for (one, two) in PATHS {
            assert_eq!(count("a.md", &format!("see {one}{two}x")), 1, "{one}{two}");
        }
        assert_eq!(count("a.md", &format!("GET /a{}{} HTTP/1.1", "/wo", "rk/")), 0);
    }

    #[test]
    fn only_public_registries_are_known() {
        assert_eq!(count("Cargo.lock", "source = \"registry+https://mirror.example/index\""), 1);
        let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(count("fuzz/Cargo.lock", public), 0);
        let npm = "\"resolved\": \"https://mirror.example/a.tgz\",";
        assert_eq!(count("shells/node/package-lock.json", npm), 1);
        assert_eq!(count("a/.npmrc", "@scope:registry = https://mirror.example"), 1);
        assert_eq!(count("a/.npmrc", "omit-lockfile-registry-resolved=true"), 0);
        assert_eq!(count(".cargo/config.toml", "replace-with = \"mirror\""), 1);
        assert_eq!(count(".cargo/config.toml", "[alias]"), 0);
    }
}
