//! What a way through a worker adds to an answer that the server gives by itself: both by turns on
//! one server, so that whatever slows the machine down slows both.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::connection::{Connection, Script};

/// Requests of one kind in a row.
const TURN: usize = 16;

/// Prints the medians of both and their difference, in ns.
pub fn run(
    address: SocketAddr,
    direct: &Script,
    through: &Script,
    window: Duration,
) -> Result<(), String> {
    let open = |script| Connection::open(address, script).map_err(|error| error.to_string());
    let mut sides = [(open(direct)?, direct, Vec::new()), (open(through)?, through, Vec::new())];
    let end = Instant::now() + window;
    let mut input = vec![0; 1 << 16];
    while Instant::now() < end {
        for (connection, script, latencies) in &mut sides {
            for _ in 0..TURN {
                latencies.push(round_trip(connection, script, &mut input)?);
            }
        }
    }
    let [direct, through] = sides.map(|(.., latencies)| median(latencies));
    println!("direct={direct} p50={through} added={}", through.saturating_sub(direct));
    Ok(())
}

fn round_trip(
    connection: &mut Connection,
    script: &Script,
    input: &mut [u8],
) -> Result<u64, String> {
    connection.send(script)?;
    loop {
        if let Some(sent) = connection.receive(script, input)? {
            return Ok(sent.elapsed().as_nanos() as u64);
        }
    }
}

fn median(mut latencies: Vec<u64>) -> u64 {
    latencies.sort_unstable();
    latencies.get(latencies.len() / 2).copied().unwrap_or(0)
}
