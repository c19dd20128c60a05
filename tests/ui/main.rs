//! Misuse that must not compile.
//!
//! Each sample beside this file has one line that ends in `//~ CODE`: the compiler must refuse that
//! line with that code, and nothing else in the file. The words of the compiler are not compared:
//! they change with its version.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates that samples use, by their folders.
const CRATES: [&str; 5] =
    ["core/frame", "core/http1", "core/procwire", "core/time", "shells/worker"];

/// Where samples are.
const SAMPLES: [&str; 3] = ["frame/*.rs", "http1/*.rs", "worker/*.rs"];

/// One refusal: sample, line (1-based), code.
type Refusal = (String, usize, String);

#[test]
fn misuse_does_not_compile() {
    let samples: Vec<_> = SAMPLES.iter().flat_map(|glob| samples(glob)).collect();
    let expected: BTreeSet<_> = samples.iter().map(|path| marked(path)).collect();
    let output = compile(&samples);
    let found: BTreeSet<_> = output.lines().filter_map(refusal).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    let surplus: Vec<_> = found.difference(&expected).collect();
    assert!(missing.is_empty(), "compiled, or refused elsewhere: {missing:?}\n{output}");
    assert!(surplus.is_empty(), "refused without a mark: {surplus:?}\n{output}");
}

fn samples(glob: &str) -> Vec<PathBuf> {
    let folder = glob.strip_suffix("/*.rs").expect("a glob of samples");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("ui").join(folder);
    let entries = fs::read_dir(&folder).expect("a folder of samples");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!paths.is_empty(), "no sample in {}", folder.display());
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a file").to_string_lossy().into_owned()
}

/// What the mark in a sample says.
fn marked(path: &Path) -> Refusal {
    let text = fs::read_to_string(path).expect("a readable sample");
    let mut marks = text.lines().enumerate().filter_map(|(index, line)| {
        line.split_once("//~ ").map(|(_, code)| (name(path), index + 1, code.to_owned()))
    });
    let mark = marks.next().unwrap_or_else(|| panic!("no mark in {}", path.display()));
    assert_eq!(marks.next(), None, "two marks");
    mark
}

/// Reads `folder/sample.rs:7:5: error[E0599]: ...`; an error without a code counts as `error`.
fn refusal(line: &str) -> Option<Refusal> {
    let (place, rest) = line.split_once(": error")?;
    let mut place = place.rsplitn(3, ':');
    let (_column, row, path) = (place.next()?, place.next()?, place.next()?);
    let code = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let code = code.map_or("error", |(code, _)| code);
    Some((name(Path::new(path)), row.parse().ok()?, code.to_owned()))
}

/// Checks all samples as programs of one package, in this workspace's target folder, where most of
/// what they need is there already. Returns what the compiler said.
fn compile(samples: &[PathBuf]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().expect("the root");
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let project = temporary.join("ui");
    fs::create_dir_all(&project).expect("a folder for the package");
    fs::write(project.join("Cargo.toml"), manifest(&root, samples)).expect("a manifest");
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).expect("the same versions");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--bins", "--keep-going", "--offline", "--message-format", "short"])
        .arg("--target-dir")
        .arg(temporary.parent().expect("the target folder"))
        .current_dir(&project)
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo starts");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn manifest(root: &Path, samples: &[PathBuf]) -> String {
    let mut text = String::from(
        "[workspace]\n[package]\nname = \"ui\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\
         [dependencies]\n",
    );
    for folder in CRATES {
        let package = folder.replace("core/", "forebay-core-").replace("shells/", "forebay-");
        text += &format!("{package} = {{ path = {:?} }}\n", root.join(folder));
    }
    for path in samples {
        text += &format!("[[bin]]\nname = {:?}\npath = {path:?}\n", name(path));
    }
    text
}

#[test]
fn refusals_are_read() {
    let line = "../ui/a/b.rs:7:5: error[E0599]: no method named `c`";
    assert_eq!(refusal(line), Some(("b".to_owned(), 7, "E0599".to_owned())));
    assert_eq!(refusal("x/b.rs:7:5: error: oh"), Some(("b".to_owned(), 7, "error".to_owned())));
    assert_eq!(refusal("error: could not compile `ui`"), None);
}
