//! Where the parent connects: a socket file, or a named pipe on Windows (procwire section 3).

#[cfg(unix)]
mod lookout;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;

#[cfg(unix)]
pub(crate) use unix::{Listener, SocketFile, Stream, listen};
#[cfg(windows)]
pub(crate) use windows::{Listener, SocketFile, Stream, listen};

/// The name that every path ends with, before its extension: nobody can guess it.
fn name() -> io::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    let pid = std::process::id();
    Ok(format!("procwire-{pid}-{:032x}", u128::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_process_and_is_random() {
        let (one, other) = (name().unwrap(), name().unwrap());
        let prefix = format!("procwire-{}-", std::process::id());
        assert!(one.starts_with(&prefix), "{one}");
        assert_eq!(one.len(), prefix.len() + 32);
        assert_ne!(one, other);
    }
}
