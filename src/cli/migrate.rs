//! `atelier migrate`: the database schema.

use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use migration::{DatabaseConnection, Loss, Migrator, Standing, State};

use super::{CommandResult, exit, output};
use crate::config::Loaded;
use crate::server::{SchemaError, migrator};
use crate::{store, telemetry};

/// What to do with the schema.
#[derive(Debug, Args)]
pub(super) struct MigrateArguments {
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
        /// Print the SQL and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Take back the latest migrations with the data that they hold, after asking
    Down {
        /// How many migrations to take back
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        steps: u32,
        /// Do not ask; needed where there is no terminal to ask on
        #[arg(long)]
        yes: bool,
    },
    /// List the migrations: applied, pending, or newer than this program; exits with 3 while any is pending, with 1 where this
    /// program cannot work with a newer one
    Status {
        /// Print a JSON array of objects with name, state and least_program
        #[arg(long)]
        json: bool,
    },
}

/// Changes or shows the schema of the configured database.
pub(super) async fn run(arguments: MigrateArguments, mut loaded: Loaded) -> CommandResult {
    loaded.quieten();
    telemetry::init(&loaded.config.log)?;
    let migrator = migrator(&loaded.config);
    let (direction, name) = (arguments.direction, "atelier migrate");
    let database = match direction {
        Direction::Up { dry_run: true, .. } | Direction::Status { .. } => {
            store::connect_to_look(&loaded.config.database, name).await?
        }
        Direction::Down { .. } => {
            loaded.leave_database();
            store::connect(&loaded.config.database, name).await?
        }
        Direction::Up { .. } => store::connect(&loaded.config.database, name).await?,
    };
    let done = match direction {
        Direction::Up {
            steps,
            dry_run: true,
        } => plan(&migrator, &database, steps).await,
        Direction::Up { steps, .. } => up(&migrator, &database, steps).await,
        Direction::Down { steps, yes } => down(&migrator, &database, steps, yes).await,
        Direction::Status { json } => status(&migrator, &database, json).await,
    };
    // SQLite's write-ahead log goes with the last connection.
    let closed = database.close().await;
    let code = done?;
    closed?;
    Ok(code)
}

async fn up(
    migrator: &Migrator,
    database: &DatabaseConnection,
    steps: Option<u32>,
) -> CommandResult {
    let before = standing(migrator, database).await?;
    let done = migrator.up(database, steps).await;
    done.map_err(SchemaError::from)?;
    let after = standing(migrator, database).await?;
    let applied = after.iter().filter(|one| !before.contains(one));
    output::print(&lines("applied", applied.map(|one| one.name.as_str())))?;
    Ok(ExitCode::SUCCESS)
}

async fn plan(
    migrator: &Migrator,
    database: &DatabaseConnection,
    steps: Option<u32>,
) -> CommandResult {
    let planned = migrator.plan(database, steps).await;
    let planned = planned.map_err(SchemaError::from)?;
    let mut text = String::new();
    for (name, sql) in &planned {
        let _ = writeln!(text, "-- Migration {name}\n{sql}");
    }
    if planned.is_empty() {
        text.push_str("-- Nothing to do\n");
    }
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn down(
    migrator: &Migrator,
    database: &DatabaseConnection,
    steps: u32,
    yes: bool,
) -> CommandResult {
    let loss = migrator.rehearse_down(database, steps).await;
    let loss = loss.map_err(SchemaError::from)?;
    if !loss.migrations.is_empty() {
        write!(stderr(), "{}", told(&loss))?;
        if !yes && !output::agreed()? {
            return Err("nothing was taken back".into());
        }
        let done = migrator.down(database, steps).await;
        done.map_err(SchemaError::from)?;
    }
    let names = loss.migrations.iter().map(String::as_str);
    output::print(&lines("took back", names))?;
    Ok(ExitCode::SUCCESS)
}

async fn status(migrator: &Migrator, database: &DatabaseConnection, json: bool) -> CommandResult {
    let standing = standing(migrator, database).await?;
    let text = match json {
        true => format!("{}\n", as_json(&standing)),
        false => as_text(&standing),
    };
    output::print(&text)?;
    Migrator::newer(&standing).map_err(SchemaError::from)?;
    let pending = standing.iter().any(|one| one.state == State::Pending);
    Ok(match pending {
        true => ExitCode::from(exit::PENDING),
        false => ExitCode::SUCCESS,
    })
}

async fn standing(
    migrator: &Migrator,
    database: &DatabaseConnection,
) -> Result<Vec<Standing>, SchemaError> {
    Ok(migrator.status(database).await?)
}

fn as_text(standing: &[Standing]) -> String {
    let mut text = String::new();
    for one in standing {
        let _ = write!(text, "{} {}", one.state.word(), one.name);
        if one.state == State::Newer {
            let _ = match &one.least_program {
                Some(least) => write!(text, " (works with {least} and newer)"),
                None => write!(text, " (does not say what it works with)"),
            };
        }
        text.push('\n');
    }
    text
}

fn as_json(standing: &[Standing]) -> serde_json::Value {
    let object = |one: &Standing| {
        serde_json::json!({
            "name": one.name,
            "state": one.state.word(),
            "least_program": one.least_program,
        })
    };
    standing.iter().map(object).collect()
}

/// One line for each migration that something was done with.
fn lines<'a>(done: &str, names: impl Iterator<Item = &'a str>) -> String {
    let text: String = names.map(|name| format!("{done} {name}\n")).collect();
    match text.is_empty() {
        true => "nothing to do\n".to_owned(),
        false => text,
    }
}

/// What goes, before it does.
fn told(loss: &Loss) -> String {
    let mut text = format!(
        "Taking back {} deletes {} rows with their tables.\n",
        loss.migrations.join(", "),
        loss.rows()
    );
    for (table, rows) in &loss.tables {
        let _ = writeln!(text, "  table {table}: {rows} rows");
    }
    for (column, rows) in &loss.columns {
        let _ = writeln!(text, "  column {column}: {rows} values");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: &str, state: State, least_program: Option<&str>) -> Standing {
        Standing {
            name: name.to_owned(),
            state,
            least_program: least_program.map(str::to_owned),
        }
    }

    #[test]
    fn the_status_lists_every_migration() {
        let standing = [
            standing("m0001", State::Applied, Some("0.1.0")),
            standing("m0002", State::Pending, Some("0.1.0")),
            standing("m0003", State::Newer, Some("0.3.0")),
            standing("m0004", State::Newer, None),
        ];
        assert_eq!(
            as_text(&standing),
            "applied m0001\npending m0002\nnewer m0003 (works with 0.3.0 and newer)\n\
             newer m0004 (does not say what it works with)\n"
        );
        let json = as_json(&standing).to_string();
        assert!(json.contains(r#""state":"newer""#), "{json}");
    }

    #[test]
    fn what_is_done_is_told_in_the_order_of_the_work() {
        assert_eq!(
            lines("took back", ["m0002", "m0001"].into_iter()),
            "took back m0002\ntook back m0001\n"
        );
        assert_eq!(lines("applied", std::iter::empty()), "nothing to do\n");
    }
}
