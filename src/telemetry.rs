//! Logs: one subscriber for the process, written to standard error.

mod one_line;

use std::io::{IsTerminal, stderr};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use one_line::{Escaped, write_field};

use crate::config::{LogConfig, LogFormat};

/// The driver's pool warns of connections that broke, in words that name lines of PostgreSQL's source. What matters of it is
/// told by whoever used the connection.
const QUIET: &str = "sqlx_core::pool=error";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.filter` is no list of directives, which a configuration that was loaded cannot have.
    #[error("the log filter is not valid")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Logging was started before, perhaps by a program that has a server within itself.
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
    let coloured = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(format!("{QUIET},{}", log.filter))?)
        // It would be told on standard error, and panic where that is closed.
        .log_internal_errors(false)
        .with_ansi(coloured);
    let is_text = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let builder = builder.with_writer(writer);
    if is_text {
        let fields = debug_fn(write_field).delimited(" ");
        builder.fmt_fields(fields).finish().try_init()?;
    } else {
        // What the span knows stands in it; the list would say it again.
        let builder = builder.json().with_span_list(false);
        builder.map_writer(Escaped).finish().try_init()?;
    }
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// A panic is one line of the log too: its words may be a client's.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let words = panic.payload_as_str().unwrap_or_default();
    let place = panic.location().map(ToString::to_string);
    tracing::error!(panic = words, place, "panicked");
}
