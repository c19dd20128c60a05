//! Counting: the same program with few and with many batches; the difference is the batches' alone.

use std::process::Command;

use wall::cases;

/// Runs so many batches of a case; tells on stdout how many operations that was.
pub fn run(name: &str, batches: &str) -> Result<bool, String> {
    let batches: usize = batches.parse().map_err(|_| "a number of batches".to_owned())?;
    let mut case = cases::named(name);
    let mut operations = 0;
    for _ in 0..batches {
        case.prepare();
        operations += case.run();
    }
    println!("{operations}");
    Ok(true)
}

/// Instructions per operation. Preparing a batch is counted with it, where a case has to.
pub fn per_operation(name: &str) -> Result<f64, String> {
    let (few, few_operations) = counted(name, 4)?;
    let (many, many_operations) = counted(name, 12)?;
    Ok((many - few) / (many_operations - few_operations))
}

/// Instructions of the whole program, and its operations.
fn counted(name: &str, batches: usize) -> Result<(f64, f64), String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    // Only what `run` does is collected, not what prepares it.
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]);
    command.arg("--toggle-collect=*wall*cases*Case*run*");
    let output = command.arg(own).args(["--run", name, &batches.to_string()]).output();
    let output = output.map_err(|error| format!("valgrind: {error}"))?;
    let (out, log) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let total = log.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match (total, out.trim().parse()) {
        (Some(total), Ok(operations)) => Ok((total, operations)),
        _ => Err(format!("{name}: {log}")),
    }
}
