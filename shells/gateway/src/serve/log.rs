//! The event log, on standard error.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;

use crate::config::{LogConfig, LogLevel};

/// Sends events of the configured level to standard error, in colour only where a person looks.
pub(super) fn start(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .finish();
    // A test that has its own keeps it.
    let _kept = tracing::subscriber::set_global_default(subscriber);
}
