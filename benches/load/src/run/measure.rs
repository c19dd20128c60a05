//! One measurement: a fresh server, a fresh generator, its figures.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use super::rows::Load;
use super::server::{Contender, Programs, Server};

/// How each measurement is made.
#[derive(Debug)]
pub struct Method {
    pub programs: Programs,
    /// This program, started again as the generator.
    pub generator: PathBuf,
    pub generator_cpu: usize,
    pub seconds: f64,
}

/// What one measurement found; a figure that the row does not have is 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// CPU time per request, in ns: of the server, and of what works behind it.
    pub server_ns: f64,
    pub worker_ns: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    /// p50 of a direct answer on the same server, and what the way through a worker adds to it.
    pub direct_us: f64,
    pub added_us: f64,
    /// Resident bytes of the server at the end.
    pub resident: f64,
    /// Resident bytes of the server before the idle connections came, and for each of them.
    pub idle_resident: f64,
    pub per_connection: f64,
    /// Allocations of the server per request, and bytes it copied for each byte of a body that went
    /// through (there and back).
    pub allocations: f64,
    pub copies: f64,
}

impl Method {
    pub fn sample(&self, contender: Contender, load: &Load) -> Result<Sample, String> {
        let server = Server::start(contender, &self.programs, load)?;
        let watched = server.watch_list()?;
        let mut command = Command::new(&self.generator);
        command.arg("generate");
        let numbers = [
            ("--address", server.address.to_string()),
            ("--connections", load.connections.to_string()),
            ("--depth", load.depth.to_string()),
            ("--request", load.request.to_owned()),
            ("--cpu", self.generator_cpu.to_string()),
            ("--seconds", self.seconds.to_string()),
            ("--warm", (self.seconds / 4.0).to_string()),
            ("--watch", watched),
        ];
        numbers.iter().for_each(|(name, value)| {
            command.arg(name).arg(value);
        });
        if load.sleep {
            command.arg("--sleep");
        }
        if load.tally {
            command.arg("--tally").arg(&server.folder);
        }
        if load.added {
            command.arg("--added");
        }
        if load.idle {
            command.arg("--idle");
        }
        let output = command.output().map_err(|error| format!("the generator: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(read(&String::from_utf8_lossy(&output.stdout)))
    }
}

/// Reads the generator's `key=value` words; processes of one name add up.
fn read(line: &str) -> Sample {
    let mut sums: HashMap<&str, f64> = HashMap::new();
    for (key, value) in line.split_ascii_whitespace().filter_map(|word| word.split_once('=')) {
        *sums.entry(key).or_default() += value.parse::<f64>().unwrap_or(f64::NAN);
    }
    let sum = |key| sums.get(key).copied().unwrap_or(0.0);
    let requests = sum("requests").max(1.0);
    let connections = sum("connections").max(1.0);
    Sample {
        server_ns: sum("cpu.server") / requests,
        worker_ns: sum("cpu.worker") / requests,
        per_second: requests * 1e9 / sum("ns").max(1.0),
        p50_us: sum("p50") / 1e3,
        p99_us: sum("p99") / 1e3,
        direct_us: sum("direct") / 1e3,
        added_us: sum("added") / 1e3,
        resident: sum("rss.server"),
        idle_resident: sum("idle.server"),
        allocations: sum("allocations.server") / requests,
        copies: sum("copied.server") / requests / (2 * load::request::LARGE_LEN) as f64,
        per_connection: (sum("rss.server") - sum("idle.server")) / connections,
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn processes_of_one_name_add_up() {
        let sample =
            read("requests=10 ns=1000 p50=5 p99=6 cpu.server=40 rss.server=7 cpu.server=60");
        assert_eq!((sample.server_ns, sample.worker_ns), (10.0, 0.0));
        assert_eq!(sample.per_second, 1e7);
    }
}
