//! The private folder in which worker processes make their sockets.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder that only this user may enter; removed with all that is in it when the value is
/// dropped, if it was made here or left by a gateway that was killed.
#[derive(Debug)]
pub(super) struct RunDir {
    path: PathBuf,
    made_here: bool,
}

impl RunDir {
    /// Makes the folder, mode 0700.
    ///
    /// An empty `configured` path means `forebay-<pid>` in `XDG_RUNTIME_DIR`, or else in the
    /// temporary folder.
    ///
    /// # Errors
    /// When it cannot be made, or when one is there that belongs to somebody else or that others
    /// may enter.
    pub(super) fn new(configured: &Path) -> io::Result<Self> {
        let path = if configured.as_os_str().is_empty() {
            runtime_base().join(format!("forebay-{}", std::process::id()))
        } else {
            std::path::absolute(configured)?
        };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self { path, made_here: true }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                check(&path)?;
                // One with the number of this process is of a gateway that was killed.
                Ok(Self { path, made_here: configured.as_os_str().is_empty() })
            }
            Err(error) => Err(at(&path, &error)),
        }
    }

    /// Where it is, absolute.
    #[must_use]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if self.made_here {
            // Nothing can be done about a failure here, and the folder holds only dead sockets.
            let _left_behind = std::fs::remove_dir_all(&self.path);
        }
    }
}

fn runtime_base() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if !dir.is_empty() && Path::new(&dir).is_dir() => dir.into(),
        _ => std::env::temp_dir(),
    }
}

fn check(path: &Path) -> io::Result<()> {
    let meta = std::fs::symlink_metadata(path)?;
    let fault = if !meta.is_dir() {
        "is no folder"
    } else if meta.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if meta.permissions().mode() & 0o077 != 0 {
        "may be entered by others: its mode must be 0700"
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("{} {fault}", path.display())))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("forebay-test-{name}-{}", std::process::id()))
    }

    #[test]
    fn what_a_killed_gateway_left_is_taken_over_and_removed() {
        let path = runtime_base().join(format!("forebay-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        std::fs::write(path.join("old.sock"), "").unwrap();
        drop(RunDir::new(Path::new("")).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn the_folder_is_private_and_goes_with_the_value() {
        let path = scratch("run-dir");
        let dir = RunDir::new(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(path.join("left.sock"), "").unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let path = scratch("open-dir");
        DirBuilder::new().create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = RunDir::new(&path).unwrap_err();
        std::fs::remove_dir(&path).unwrap();
        assert!(error.to_string().contains("0700"), "{error}");
    }

    #[test]
    fn a_private_folder_of_the_user_is_kept() {
        let path = scratch("kept-dir");
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        drop(RunDir::new(&path).unwrap());
        assert!(path.is_dir());
        std::fs::remove_dir(&path).unwrap();
    }
}
