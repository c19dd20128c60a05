//! `counts`: instructions per operation of the cases of `benches/wall`, counted by valgrind. They
//! do not move with the load of the machine, so they are what a change is held against.

mod baseline;
mod count;

use std::process::ExitCode;

use baseline::Baseline;

const USAGE: &str =
    "counts [--bless] [NAME…]   compare with, or rewrite, benches/counts/baseline.txt";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--run", name, batches] => count::run(name, batches),
        ["--help"] => {
            println!("{USAGE}");
            Ok(true)
        }
        ["--bless", ref names @ ..] => compare(names, true),
        ref names => compare(names, false),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("counts: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Counts the named cases, or all; true if none has grown.
fn compare(names: &[&str], bless: bool) -> Result<bool, String> {
    let mut baseline = Baseline::read()?;
    let mut fine = true;
    println!("| what | instructions | baseline | |\n| --- | --- | --- | --- |");
    for case in wall::cases::ALL {
        if !names.is_empty() && !names.contains(&case.name) {
            continue;
        }
        let counted = count::per_operation(case.name)?;
        let known = baseline.of(case.name);
        let verdict = baseline::verdict(counted, known);
        fine &= verdict != "grown";
        let known = known.map_or_else(|| "-".to_owned(), |known| format!("{known:.1}"));
        println!("| {} | {counted:.1} | {known} | {verdict} |", case.name);
        baseline.set(case.name, counted);
    }
    if bless {
        baseline.write()?;
        return Ok(true);
    }
    Ok(fine)
}
