//! `atelier storage`: whose the media storage is, and what in it no record names.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CommandResult, work_directly};
use crate::app::{App, Removal, RemovalMode, Sweep};
use crate::config::Loaded;
use crate::server::removal;

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
    /// Compare database and storage both ways, file by file; fails if something is amiss
    Check {
        /// Remove old objects that no record names, and have records whose files are gone promise them no more
        #[arg(long)]
        repair: bool,
    },
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
pub(super) async fn run(arguments: StorageArguments, loaded: Loaded) -> CommandResult {
    work_directly(loaded, async |app, config| {
        let configured = removal(config);
        let removal = match arguments.action {
            Action::Check { .. } => configured,
            _ => Removal {
                share: None,
                ..configured
            },
        };
        act(app, &arguments.action, removal).await
    })
    .await
}

async fn act(
    app: &App,
    action: &Action,
    removal: Removal,
) -> Result<(ExitCode, String), crate::domain::Error> {
    let mode = match action {
        Action::Check { repair } => return check(app, removal, *repair).await,
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

/// Lines of files that are amiss are told up to that.
const MOST_TOLD: usize = 100;

async fn check(
    app: &App,
    removal: Removal,
    repair: bool,
) -> Result<(ExitCode, String), crate::domain::Error> {
    let check = app.check_storage().await?;
    let mode = match repair {
        true => RemovalMode::On,
        false => RemovalMode::DryRun,
    };
    let share = removal.share.unwrap_or(100);
    let repaired = match repair && check.lost().next().is_some() {
        true => app.repair_storage(&check, share).await?,
        false => 0,
    };
    let sweep = match repair {
        true => app.sweep_storage(&Removal { mode, ..removal }).await?,
        false => app.survey_storage(removal.age).await?,
    };
    let (_, mut text) = report(&sweep, mode);
    let lost = check.lost().count();
    let (rows, other) = (check.rows, check.amiss.len() - lost);
    let _ = write!(
        text,
        "{rows} files in records, {lost} of them gone, {other} of another size"
    );
    let _ = match repair {
        true => writeln!(text, ", {repaired} records repaired"),
        false => writeln!(text),
    };
    for amiss in check.amiss.iter().take(MOST_TOLD) {
        let (kind, file) = (amiss.kind.noun(), &amiss.file);
        let found = amiss
            .found
            .map_or("gone".to_owned(), |size| format!("{size} bytes"));
        let said = file.file_size.unwrap_or_default();
        let _ = writeln!(
            text,
            "{kind} {}: {} ({said} bytes): {found}",
            file.id, file.storage_key
        );
    }
    let is_well = sweep.orphans == sweep.removed && other == 0 && lost as u64 == repaired;
    Ok((
        if is_well {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
        text,
    ))
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
