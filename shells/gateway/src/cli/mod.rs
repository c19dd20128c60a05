//! The command line.

mod explain;
mod load;
mod print;

use std::ffi::OsString;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub use explain::{Explainer, Explanation, Request};
pub use load::Source;

use crate::builtin::Kind;
use crate::config::Loaded;

/// The status of a configuration that cannot be used (`EX_CONFIG` of sysexits).
pub const EXIT_CONFIG: u8 = 78;

const EXAMPLES: &str = "\
Examples:
  forebay                              serve the built-in demo on 127.0.0.1:8787
  curl -H 'Host: db.do' 127.0.0.1:8787/health
                                       ask its service `db`
  forebay --config forebay.toml        serve what a file says
  forebay check forebay.toml           every mistake in it, with line and key
  forebay route db.do /query           where that request would go, and why

Without --config, `forebay.toml` of the working folder is used if there is one, else the built-in
configuration. The variable ENVIRONMENT wins over the key `environment`.";

const ROUTE_EXAMPLES: &str = "\
Examples:
  forebay route api.do /api/db/query   rule, service, normalised path, status
  forebay route db.do '*' --method OPTIONS
  forebay route unknown.do /test --json
                                       the same as one line of JSON
  printf 'GET /query db.do\\n' | forebay route -
                                       a line of JSON for each line `METHOD TARGET HOST`; the
                                       host is the rest of the line and may be empty

In JSON, `rule` is configuration, subdomain, path, default or none, as far as the request got;
`status` is 200 where a worker would answer; `violation` is the number of the HTTP rule that the
request breaks; `body` is that of the gateway's own answer.";

#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    about = "One front door for services that run as processes",
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    args_conflicts_with_subcommands = true
)]
struct Line {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve requests until told to stop; so does `forebay` alone
    Serve(Choice),
    /// Report every mistake in a configuration file, with its line and key
    Check {
        /// The configuration file
        file: PathBuf,
    },
    /// Explain where a request would go, without sending it
    #[command(after_help = ROUTE_EXAMPLES)]
    Route(Route),
    /// Run a built-in worker, as the gateway does
    #[command(hide = true)]
    Worker {
        /// Which one
        #[arg(value_parser = builtin)]
        kind: Kind,
    },
}

#[derive(Debug, clap::Args)]
struct Choice {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Route {
    /// The host that the request names, as it would stand in `Host`; `-` reads lines from the input
    host: OsString,
    /// The target, as it would stand in the request line
    target: Option<OsString>,
    /// The method
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: OsString,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    choice: Choice,
}

/// Does what the command line says. `serve` is called with the configuration and where it came
/// from, `worker` to run a built-in worker in this process.
///
/// Prints which configuration is used before anything else. The status is 0, 1 if the output
/// cannot be written, 2 for a mistake on the command line, [`EXIT_CONFIG`] for a configuration that
/// cannot be used, or what `serve` and `worker` return.
pub fn main(
    serve: impl FnOnce(Loaded, &Source) -> ExitCode,
    worker: impl FnOnce(Kind) -> ExitCode,
) -> ExitCode {
    let line = Line::parse();
    let done = match line.command {
        None => self::serve(&line.choice, serve),
        Some(Command::Serve(choice)) => self::serve(&choice, serve),
        Some(Command::Check { file }) => check(&file),
        Some(Command::Route(route)) => self::route(&route),
        Some(Command::Worker { kind }) => Ok(worker(kind)),
    };
    match done {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = print::complaint(&error);
            ExitCode::FAILURE
        }
    }
}

fn builtin(name: &str) -> Result<Kind, String> {
    Kind::parse(name).ok_or_else(|| "there is demo and echo".to_owned())
}

fn serve(choice: &Choice, serve: impl FnOnce(Loaded, &Source) -> ExitCode) -> io::Result<ExitCode> {
    let source = Source::choose(choice.config.as_deref());
    match source.load() {
        Ok(loaded) => {
            print::line(format_args!("configuration: {source}"))?;
            print::diagnostics(&loaded.warnings)?;
            Ok(serve(loaded, &source))
        }
        Err(failure) => refuse(&failure),
    }
}

fn refuse(failure: &load::Failure) -> io::Result<ExitCode> {
    match failure {
        load::Failure::Unreadable(file, error) => {
            print::complaint(&format_args!("{}: {error}", file.display()))?;
        }
        load::Failure::Invalid(diagnostics) => print::diagnostics(diagnostics)?,
    }
    Ok(ExitCode::from(EXIT_CONFIG))
}

fn check(file: &Path) -> io::Result<ExitCode> {
    match Source::File(file.to_owned()).load() {
        Ok(Loaded { config, warnings }) => {
            print::diagnostics(&warnings)?;
            let workers = config.namespace().map_or(0, |namespace| namespace.workers.len());
            print::line(format_args!(
                "{}: valid, environment {}, {} services, {workers} workers, {} warnings",
                file.display(),
                config.environment,
                config.dispatch.services.len(),
                warnings.len(),
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => refuse(&failure),
    }
}

fn route(route: &Route) -> io::Result<ExitCode> {
    let from_input = route.host == "-" && route.target.is_none();
    let Some(target) = route.target.as_deref().or(from_input.then_some("".as_ref())) else {
        let mut command = Line::command();
        command
            .error(ErrorKind::MissingRequiredArgument, "`route` needs HOST and TARGET, or `-`")
            .exit();
    };
    let source = Source::choose(route.choice.config.as_deref());
    let loaded = match source.load() {
        Ok(loaded) => loaded,
        Err(failure) => return refuse(&failure),
    };
    let explainer = match Explainer::new(&loaded.config) {
        Ok(explainer) => explainer,
        Err(error) => {
            print::complaint(&error)?;
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    // What reads JSON wants nothing else on the output.
    let used = format_args!("configuration: {source}");
    if from_input || route.json {
        print::remark(used)?
    } else {
        print::line(used)?
    }
    if from_input {
        explain_lines(&explainer, io::stdin().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    let explanation = explainer.explain(&Request {
        method: route.method.as_encoded_bytes(),
        target: target.as_encoded_bytes(),
        host: route.host.as_encoded_bytes(),
    });
    if route.json {
        print::line(explanation.json())?
    } else {
        print::line(&explanation)?
    }
    Ok(ExitCode::SUCCESS)
}

/// Explains each line of the input in a line of JSON.
fn explain_lines(explainer: &Explainer, mut input: impl BufRead) -> io::Result<()> {
    let mut line = Vec::new();
    let mut output = print::Lines::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        output.add(explainer.explain(&Request::parse(&line)).json())?;
        line.clear();
    }
    output.finish()
}

#[cfg(test)]
mod tests;
