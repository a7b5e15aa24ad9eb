//! `atelier recipe`: how a file was made, as it tells itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use codec::provenance;

use super::{CommandResult, output};

/// Which file to ask.
#[derive(Debug, Args)]
pub(super) struct RecipeArguments {
    /// A file that Atelier made, - for standard input
    file: PathBuf,
}

/// Prints the recipe that stands in the file as JSON. Needs no configuration and no database.
pub(super) fn run(arguments: &RecipeArguments) -> CommandResult {
    let file = &arguments.file;
    let content =
        output::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let recipe = provenance::read(&content)
        .ok_or_else(|| format!("{} does not tell how it was made", file.display()))?;
    output::print(&format!("{}\n", serde_json::to_string_pretty(&recipe)?))?;
    Ok(ExitCode::SUCCESS)
}
