//! The `forebay` binary.

use std::process::ExitCode;

use forebay_gateway::{builtin, cli, serve};

fn main() -> ExitCode {
    cli::main(|loaded, _source| serve::run(loaded), builtin::run)
}
