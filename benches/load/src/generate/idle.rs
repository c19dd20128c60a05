//! What a connection costs that does nothing: open many, each after one answered request.

use std::net::SocketAddr;

use super::Watched;
use super::connection::{Connection, Script};
use load::system;

/// Prints the resident memory before the first and with the last of `count` connections.
pub fn run(
    address: SocketAddr,
    script: &Script,
    count: usize,
    watched: &[Watched],
) -> Result<(), String> {
    let resident = |process: &Watched| {
        system::resident_bytes(process.pid).map_err(|error| format!("a watched process: {error}"))
    };
    let before = watched.iter().map(resident).collect::<Result<Vec<_>, _>>()?;
    let open = |_| Connection::open(address, script).map_err(|error| error.to_string());
    let connections = (0..count).map(open).collect::<Result<Vec<_>, _>>()?;
    let mut line = format!("connections={}", connections.len());
    for (process, before) in watched.iter().zip(before) {
        let name = &process.name;
        line += &format!(" idle.{name}={before} rss.{name}={}", resident(process)?);
    }
    println!("{line}");
    Ok(())
}
