//! `atelier storage`: whose the media storage is, and what in it no record names.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CommandResult, output};
use crate::app::{App, Removal, RemovalMode, Sweep};
use crate::config::Loaded;
use crate::server::{open_app, removal};
use crate::telemetry;

/// What to do with the configured storage.
#[derive(Debug, Args)]
pub(super) struct StorageArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Tell whether the storage is this database's, and how many objects no record names
    Status,
    /// Make the storage this database's, and no other's: objects that it does not know are removed from then on
    Adopt,
    /// Remove the old objects that no record names, however many they are
    Clean {
        /// Tell how many would go, and remove none
        #[arg(long)]
        dry_run: bool,
    },
}

/// Works on the configured database and storage directly, beside a server or without one.
pub(super) async fn run(arguments: StorageArguments, mut loaded: Loaded) -> CommandResult {
    loaded.quieten();
    loaded.leave_database();
    telemetry::init(&loaded.config.log)?;
    let app = open_app(&loaded.config).await?;
    let removal = Removal {
        share: None,
        ..removal(&loaded.config)
    };
    let told = act(&app, &arguments.action, removal).await;
    let closed = app.store.close().await;
    let (code, text) = told?;
    closed?;
    output::print(&text)?;
    Ok(code)
}

async fn act(
    app: &App,
    action: &Action,
    removal: Removal,
) -> Result<(ExitCode, String), crate::domain::Error> {
    let mode = match action {
        Action::Adopt => {
            let adopted = app.adopt_storage().await?;
            let (place, id) = (app.storage.place(), adopted.id);
            let text = format!("{place} belongs to this database now, as installation {id}\n");
            return Ok((ExitCode::SUCCESS, text));
        }
        Action::Status | Action::Clean { dry_run: true } => RemovalMode::DryRun,
        Action::Clean { dry_run: false } => RemovalMode::On,
    };
    let sweep = match mode {
        RemovalMode::On => app.sweep_storage(&Removal { mode, ..removal }).await?,
        _ => app.survey_storage(removal.age).await?,
    };
    Ok(report(&sweep, mode))
}

/// What was found; a refusal is a failure.
fn report(sweep: &Sweep, mode: RemovalMode) -> (ExitCode, String) {
    let Sweep {
        objects,
        orphans,
        removed,
        withheld,
    } = sweep;
    let counts = format!("{objects} objects, {orphans} old ones without a record");
    match withheld {
        Some(why) if mode == RemovalMode::On || *orphans == 0 && *objects == 0 => (
            ExitCode::FAILURE,
            format!("{counts}; nothing is removed: {why}\n"),
        ),
        Some(why) => (
            ExitCode::SUCCESS,
            format!("{counts}; nothing is removed: {why}\n"),
        ),
        None => (ExitCode::SUCCESS, format!("{counts}, {removed} removed\n")),
    }
}
