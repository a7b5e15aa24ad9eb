//! `atelier migrate`: the database schema.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Outcome, output};
use crate::config::Loaded;
use crate::{store, telemetry};

/// What to do with the schema.
#[derive(Debug, Args)]
pub struct MigrateArguments {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Debug, Subcommand)]
enum Direction {
    /// Apply what is missing
    Up {
        /// Apply at most this many migrations [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        steps: Option<u32>,
    },
    /// Take back the latest migrations with the data that they hold
    Down {
        /// How many migrations to take back
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
    },
    /// List the migrations and whether they are applied
    Status,
}

/// Changes or shows the schema of the configured database.
pub async fn run(arguments: MigrateArguments, mut loaded: Loaded) -> Outcome {
    loaded.quieten();
    telemetry::init(&loaded.config.log)?;
    let database = store::connect(&loaded.config.database, "atelier migrate").await?;
    let before = migration::status(&database).await?;
    match arguments.direction {
        Direction::Up { steps } => migration::up(&database, steps).await?,
        Direction::Down { steps } => migration::down(&database, steps).await?,
        Direction::Status => {
            output::print(&standing(&before))?;
            return Ok(ExitCode::SUCCESS);
        }
    }
    let after = migration::status(&database).await?;
    output::print(&changes(&before, &after))?;
    Ok(ExitCode::SUCCESS)
}

/// One line a migration.
fn standing(status: &[(String, bool)]) -> String {
    status
        .iter()
        .map(|(name, applied)| format!("{} {name}\n", if *applied { "applied" } else { "pending" }))
        .collect()
}

/// One line for each migration that stands otherwise than before.
fn changes(before: &[(String, bool)], after: &[(String, bool)]) -> String {
    let changed: String = after
        .iter()
        .filter(|migration| !before.contains(migration))
        .map(|(name, applied)| {
            format!(
                "{} {name}\n",
                if *applied { "applied" } else { "took back" }
            )
        })
        .collect();
    if changed.is_empty() {
        "nothing to do\n".to_owned()
    } else {
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(applied: [bool; 2]) -> Vec<(String, bool)> {
        ["m0001", "m0002"]
            .map(str::to_owned)
            .into_iter()
            .zip(applied)
            .collect()
    }

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        assert_eq!(
            changes(&status([true, false]), &status([true, true])),
            "applied m0002\n"
        );
        assert_eq!(
            changes(&status([true, true]), &status([false, false])),
            "took back m0001\ntook back m0002\n"
        );
        assert_eq!(
            changes(&status([true, true]), &status([true, true])),
            "nothing to do\n"
        );
    }

    #[test]
    fn the_status_lists_every_migration() {
        assert_eq!(
            standing(&status([true, false])),
            "applied m0001\npending m0002\n"
        );
    }
}
