//! `atelier backup`: a copy of the embedded database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::Misuse;
use super::{CommandResult, output};
use crate::config::Loaded;
use crate::{store, telemetry};

/// Where the copy goes.
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The file to write; it must not exist
    file: PathBuf,
}

/// Copies the configured database, beside a server or without one. Media are not in it: they are files of the storage.
pub(super) async fn run(arguments: BackupArguments, mut loaded: Loaded) -> CommandResult {
    if output::is_stream(&arguments.file) {
        return Err(Misuse("a backup is written to a file, not to standard output").into());
    }
    loaded.quieten();
    loaded.leave_database();
    telemetry::init(&loaded.config.log)?;
    let database = store::connect(&loaded.config.database, "atelier backup").await?;
    let copied = store::backup::copy(&database, &arguments.file).await;
    let closed = database.close().await;
    copied?;
    closed?;
    output::print(&format!("{}\n", arguments.file.display()))?;
    Ok(ExitCode::SUCCESS)
}
