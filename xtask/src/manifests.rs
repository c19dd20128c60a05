//! What cargo says about the packages of this repository.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::Program;

/// The packages of every workspace here, without what they depend on.
#[derive(Debug)]
pub(crate) struct Manifests {
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
    /// Packages of `fuzz/` and `benches/`, workspaces of their own.
    pub(crate) outside: Vec<Package>,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Relative to the root, with `/`.
    pub(crate) folder: String,
    /// Roots of crates, relative to the repository's root: library, binaries, tests, build script.
    pub(crate) roots: Vec<PathBuf>,
    /// Names of the binaries.
    pub(crate) binaries: Vec<String>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) features: Vec<String>,
    /// `package.metadata.forebay` of the manifest.
    pub(crate) metadata: Value,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) default_features: bool,
    /// Whether it is a package of this repository.
    pub(crate) ours: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
}

impl Manifests {
    /// # Errors
    /// When cargo cannot read a manifest: its own words.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let main = metadata(root, "Cargo.toml")?;
        let target =
            main["target_directory"].as_str().ok_or("cargo names no target folder")?.into();
        let mut outside = Vec::new();
        for manifest in ["fuzz/Cargo.toml", "benches/Cargo.toml"] {
            if root.join(manifest).is_file() {
                outside.extend(packages(root, &metadata(root, manifest)?));
            }
        }
        Ok(Self { target, packages: packages(root, &main), outside })
    }

    /// The crates under `core/`, in the order of their names.
    pub(crate) fn core(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.folder.starts_with("core/"))
    }

    /// The fuzz targets.
    pub(crate) fn fuzz_targets(&self) -> impl Iterator<Item = &str> {
        let fuzz = self.outside.iter().filter(|package| package.folder == "fuzz");
        fuzz.flat_map(|package| package.binaries.iter().map(String::as_str))
    }
}

impl Package {
    /// The bare-metal targets that this package promises to build for.
    pub(crate) fn bare_targets(&self) -> impl Iterator<Item = &str> {
        self.metadata["targets"].as_array().into_iter().flatten().filter_map(Value::as_str)
    }
}

fn metadata(root: &Path, manifest: &str) -> Result<Value, String> {
    let text = Program::cargo()
        .words("metadata --format-version 1 --no-deps --manifest-path")
        .arg(root.join(manifest))
        .read()?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata of {manifest}: {error}"))
}

fn packages(root: &Path, metadata: &Value) -> Vec<Package> {
    let list = metadata["packages"].as_array().into_iter().flatten();
    let mut packages: Vec<_> = list.map(|value| package(root, value)).collect();
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    packages
}

fn package(root: &Path, value: &Value) -> Package {
    let manifest = Path::new(text(&value["manifest_path"]));
    let folder = manifest.parent().expect("a manifest lies in a folder");
    let targets = || value["targets"].as_array().into_iter().flatten();
    let is_binary = |target: &&Value| target["kind"][0] == "bin";
    let dependencies = value["dependencies"].as_array().into_iter().flatten();
    Package {
        name: text(&value["name"]).to_owned(),
        folder: slashed(relative(root, folder)),
        roots: targets()
            .map(|target| relative(root, Path::new(text(&target["src_path"]))).to_owned())
            .collect(),
        binaries: targets()
            .filter(is_binary)
            .map(|target| text(&target["name"]).to_owned())
            .collect(),
        dependencies: dependencies.map(dependency).collect(),
        features: value["features"]
            .as_object()
            .map(|map| map.keys().cloned().collect())
            .unwrap_or_default(),
        metadata: value["metadata"]["forebay"].clone(),
    }
}

fn dependency(value: &Value) -> Dependency {
    Dependency {
        name: text(&value["name"]).to_owned(),
        kind: match value["kind"].as_str() {
            Some("dev") => Kind::Dev,
            Some("build") => Kind::Build,
            Some(_) | None => Kind::Normal,
        },
        default_features: value["uses_default_features"] != false,
        ours: value["path"].is_string(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// `path` with `/` on every system.
pub(crate) fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
