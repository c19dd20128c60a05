//! Workers that come with the binary, so that a gateway has somebody to serve from the first
//! minute. They are ordinary workers, written with `forebay-worker` alone: the gateway starts its
//! own binary again as `forebay worker <kind>`.

mod demo;
mod echo;

use std::process::ExitCode;

use forebay_worker::{Builder, Client};

/// Which built-in worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Shows what a service can do: health, echo as JSON, streams, uploads, failures.
    Demo,
    /// Answers 200 with the request's body.
    Echo,
}

impl Kind {
    /// The kind of this name in a configuration or on the command line.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "demo" => Some(Self::Demo),
            "echo" => Some(Self::Echo),
            _ => None,
        }
    }

    /// The name in a configuration and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Echo => "echo",
        }
    }

    fn worker(self) -> Builder {
        match self {
            Self::Demo => demo::worker(),
            Self::Echo => echo::worker(),
        }
    }
}

/// Runs a built-in worker in this process, on this thread, until its parent ends it. Speaks
/// Procwire on stdin and stdout; the status is 1 when it could not start.
#[must_use]
pub fn run(kind: Kind) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let started = match runtime {
        Ok(runtime) => runtime.block_on(serve(kind.worker())),
        Err(error) => Err(error.to_string()),
    };
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(worker = kind.name(), %error, "a built-in worker could not start");
            ExitCode::FAILURE
        }
    }
}

async fn serve(worker: Builder) -> Result<(), String> {
    let client: Client = worker.start().await.map_err(|error| error.to_string())?;
    client.wait_for_shutdown().await;
    Ok(())
}
