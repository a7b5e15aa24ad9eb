//! Logs: one subscriber for the process, written to standard error.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogConfig, LogFormat};

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("the log filter is not valid")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("this process logs already")]
    Twice(#[from] TryInitError),
}

/// Starts logging to standard error.
pub fn init(log: &LogConfig) -> Result<(), TelemetryError> {
    init_with(log, stderr)
}

/// Starts logging to `writer`, for a command that shares standard error with its own output.
pub fn init_with<W>(log: &LogConfig, writer: W) -> Result<(), TelemetryError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let terminal = stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&log.filter)?)
        .with_writer(writer)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()));
    match log.format {
        LogFormat::Auto if terminal => builder.finish().try_init()?,
        LogFormat::Text => builder.finish().try_init()?,
        LogFormat::Auto | LogFormat::Json => builder.json().finish().try_init()?,
    }
    Ok(())
}
