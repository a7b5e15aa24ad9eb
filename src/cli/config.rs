//! `atelier config`: the effective configuration, or the reference of all settings.

use std::process::ExitCode;

use clap::Args;

use super::{CommandResult, output};
use crate::config::{Config, Loaded};

/// What to show.
#[derive(Debug, Args)]
pub(super) struct ConfigArguments {
    /// Print a Markdown table of all settings instead
    #[arg(long)]
    pub reference: bool,
}

/// Prints the effective configuration as TOML, with the source of what is not the default.
pub(super) fn print_effective(loaded: &Loaded) -> CommandResult {
    output::print(&loaded.to_toml())?;
    Ok(ExitCode::SUCCESS)
}

/// Prints all settings; needs no valid configuration.
pub(super) fn print_reference() -> CommandResult {
    output::print(&Config::reference())?;
    for (kind, keys) in Config::provider_references() {
        output::print(&format!(
            "\nKeys of `[providers.NAME]` with `kind = \"{kind}\"`:\n\n{keys}"
        ))?;
    }
    let plan = Config::plan_reference();
    output::print(&format!("\nKeys of `[plans.NAME]`:\n\n{plan}"))?;
    Ok(ExitCode::SUCCESS)
}
