//! What the peers that know no Procwire SDK share: the announcement and the frames of an echo.

use std::io::{self, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

/// Bytes of a frame's header: method, flags, request, length of the payload.
pub const HEADER_LEN: usize = 11;

/// Where the flags are.
pub const FLAGS: usize = 2;

/// The flags of a result.
pub const RESULT: u8 = 0x03;

/// The length of the payload that a header declares.
pub fn payload_len(header: &[u8]) -> usize {
    let len = header.get(7..HEADER_LEN).and_then(|len| len.try_into().ok());
    len.map_or(0, u32::from_be_bytes) as usize
}

/// Listens, and announces the one method `echo_raw`. The socket file goes with its folder.
pub fn announce() -> io::Result<UnixListener> {
    let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let path = base.join(format!("procwire-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path)?;
    let path = path.display();
    let mut stdout = io::stdout().lock();
    let methods = r#"{"echo_raw":{"id":1,"response":"result"}}"#;
    let schema = format!(r#"{{"methods":{methods},"events":{{}}}}"#);
    let params = format!(r#"{{"pipe":"{path}","schema":{schema},"version":"1.0.0"}}"#);
    writeln!(stdout, r#"{{"jsonrpc":"2.0","method":"$init","params":{params}}}"#)?;
    stdout.flush()?;
    Ok(listener)
}
