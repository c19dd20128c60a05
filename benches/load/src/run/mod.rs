//! The runner: builds everyone, measures in interleaved, shuffled rounds, prints the tables.

mod measure;
mod report;
mod results;
mod rows;
mod server;
mod stats;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::flags::Flags;
use load::system;
use measure::Method;
use results::Results;
use rows::{ROWS, Row};
use server::{Contender, Programs};
pub use stats::{Shuffler, Spread};

/// Name of the package and program that measures in process, and of its row.
const WALL: &str = "wall";

const USAGE: &str = "\
load [--rounds 7] [--seconds 1] [--only ID,…] [--contenders NAME,…] [--quick] [--list]
     [--forebay PROGRAM] [--seed N] [--server-cpu 0] [--generator-cpu 1] [--write]

  --quick    3 rounds of 0.3 s: whether it runs, no figures to keep
  --only     these rows (--list names them), or `wall` for what is measured in process
  --write    puts the tables into benches/README.md as well";

/// Runs what the flags say.
pub fn main(flags: &Flags) -> Result<(), String> {
    if flags.is_set("help") {
        println!("{USAGE}");
        return Ok(());
    }
    if flags.is_set("list") {
        ROWS.iter().for_each(|row| println!("{}: {}", row.id, row.title));
        println!("{WALL}: in process, beside the libraries alone");
        return Ok(());
    }
    let (rows, with_wall) = chosen(flags)?;
    let quick = flags.is_set("quick");
    let rounds = flags.number("rounds", if quick { 3 } else { 7 })?;
    let method = method(flags, if quick { 0.3 } else { 1.0 })?;
    // The servers inherit this; the runner itself sleeps while they are measured.
    system::pin(flags.number("server-cpu", 0)?).map_err(|error| format!("pinning: {error}"))?;
    let mut text = String::new();
    if !rows.is_empty() {
        let results = measure_all(&rows, rounds, &method, flags);
        // What is left over lies in a temporary folder.
        let _ = std::fs::remove_dir_all(&method.programs.scratch);
        let results = results?;
        text += &format!("{rounds} rounds of {} s.\n\n", method.seconds);
        text += &report::markdown(&rows, &results);
    }
    if with_wall {
        text += &format!("\n{}", wall(if quick { &["3", "10"] } else { &["15", "20"] })?);
    }
    println!("{text}");
    if flags.is_set("write") {
        write_figures(&text)?;
    }
    Ok(())
}

/// The rows to measure, and whether what runs in process is measured too.
fn chosen(flags: &Flags) -> Result<(Vec<&'static Row>, bool), String> {
    if !flags.is_set("only") {
        return Ok((ROWS.iter().collect(), true));
    }
    let (wall, ids): (Vec<_>, Vec<_>) = flags.text("only")?.split(',').partition(|id| *id == WALL);
    let row = |id: &str| ROWS.iter().find(|row| row.id == id).ok_or(format!("no row {id}"));
    let rows = ids.into_iter().map(row).collect::<Result<_, _>>()?;
    Ok((rows, !wall.is_empty()))
}

/// The table of `benches/wall`.
fn wall(arguments: &[&str]) -> Result<String, String> {
    let generator = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(generator.with_file_name(WALL)).args(arguments).output();
    let output = output.map_err(|error| format!("wall: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Builds the peers and, unless one is given, the gateway.
fn method(flags: &Flags, seconds: f64) -> Result<Method, String> {
    let generator = std::env::current_exe().map_err(|error| error.to_string())?;
    let peers = generator.parent().ok_or("a program lies in a folder")?.to_owned();
    let benches = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("benches")?;
    cargo(benches, &["build", "--release", "--workspace", "--bins"])?;
    // No program needs this library; it is loaded into others.
    cargo(benches, &["build", "--release", "--package", "tally"])?;
    let forebay = if flags.is_set("forebay") {
        PathBuf::from(flags.text("forebay")?)
    } else {
        let root = benches.parent().ok_or("the repository")?;
        cargo(root, &["build", "--release", "--package", "forebay-gateway", "--bin", "forebay"])?;
        let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        target.unwrap_or_else(|| root.join("target")).join("release/forebay")
    };
    let scratch = std::env::temp_dir().join(format!("forebay-bench-{}", std::process::id()));
    let programs = Programs { peers, forebay, scratch };
    let generator_cpu = flags.number("generator-cpu", 1)?;
    Ok(Method { programs, generator, generator_cpu, seconds: flags.float("seconds", seconds)? })
}

pub fn cargo(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).current_dir(folder).args(arguments).arg("--quiet").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("cargo {} ended with {status}", arguments.join(" "))),
        Err(error) => Err(format!("cargo: {error}")),
    }
}

fn measure_all(
    rows: &[&Row],
    rounds: usize,
    method: &Method,
    flags: &Flags,
) -> Result<Results, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    let seed = flags.number("seed", now.subsec_nanos() as usize)?;
    eprintln!("order by seed {seed}");
    let mut shuffler = Shuffler::new(seed as u64);
    let mut results = Results::default();
    for round in 0..rounds {
        let mut rows = rows.to_vec();
        shuffler.shuffle(&mut rows);
        for row in rows {
            // Those of one row run next to each other, so that a ratio is about one stretch of
            // time.
            let mut contenders = contenders(row, flags);
            shuffler.shuffle(&mut contenders);
            for contender in contenders {
                measure_one(row, contender, round, method, &mut results);
            }
        }
        eprintln!("round {} of {rounds} done", round + 1);
    }
    Ok(results)
}

fn contenders(row: &Row, flags: &Flags) -> Vec<Contender> {
    let names = flags.text("contenders").unwrap_or("");
    let wanted = |contender: &&Contender| {
        names.is_empty() || names.split(',').any(|name| contender.name().contains(name))
    };
    row.contenders.iter().filter(wanted).copied().collect()
}

fn measure_one(
    row: &Row,
    contender: Contender,
    round: usize,
    method: &Method,
    results: &mut Results,
) {
    if results.failure(row, contender).is_some() {
        return;
    }
    match method.sample(contender, &row.load) {
        Ok(sample) => results.add(row, contender, round, sample),
        Err(reason) => {
            eprintln!("{} in {}: {reason}", contender.name(), row.id);
            results.fail(row, contender, reason);
        }
    }
}

/// Replaces what lies between the markers of `benches/README.md`.
fn write_figures(text: &str) -> Result<(), String> {
    const START: &str = "<!-- figures -->\n";
    const END: &str = "<!-- end of figures -->";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let old = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let (front, rest) = old.split_once(START).ok_or("benches/README.md has no start marker")?;
    let (_, back) = rest.split_once(END).ok_or("benches/README.md has no end marker")?;
    let new = format!("{front}{START}{text}{END}{back}");
    std::fs::write(&file, new).map_err(|error| error.to_string())
}
