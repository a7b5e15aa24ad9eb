//! Shows the configuration: the effective values as TOML, and all settings as a Markdown table.

use std::fmt::Write as _;

use super::command;
use super::layer::variable_of;
use super::problem::Source;
use super::settings::{ENTRIES, Entry};
use super::{Config, Loaded};

impl Loaded {
    /// The effective configuration as TOML. Each value that is not the default says where it comes from; secrets are
    /// redacted.
    pub fn to_toml(&self) -> String {
        let mut toml = String::new();
        let mut section = "";
        for (entry, value) in self.config.written() {
            let (own_section, key) = entry.key.split_once('.').unwrap_or_default();
            if own_section != section {
                let gap = if section.is_empty() { "" } else { "\n" };
                let _ = writeln!(toml, "{gap}[{own_section}]");
                section = own_section;
            }
            let _ = match (value, self.sources.get(entry.key)) {
                (Some(value), None | Some(Source::Default)) => writeln!(toml, "{key} = {value}"),
                (Some(value), Some(source)) => writeln!(toml, "{key} = {value} # {source}"),
                (None, _) => writeln!(toml, "# {key} is not set"),
            };
        }
        for (name, command) in &self.config.exec.commands {
            toml.push('\n');
            toml.push_str(&command::write(
                name,
                command,
                self.command_sources.get(name),
            ));
        }
        toml
    }
}

impl Config {
    /// All settings as a Markdown table: the settings of docs/configuration.md.
    pub fn reference() -> String {
        let mut table = String::from("| Setting | Type | Default | Meaning |\n|---|---|---|---|\n");
        for entry in ENTRIES {
            let _ = writeln!(
                table,
                "| `{}` | {} | {} | {} |",
                entry.key,
                kind(entry),
                entry
                    .default
                    .map_or_else(|| "not set".to_owned(), |default| format!("`{default}`")),
                meaning(entry.doc),
            );
        }
        let example = variable_of("executor.job_timeout");
        let _ = write!(
            table,
            "\nIn the environment a setting is called `ATELIER__SECTION__KEY`: `{example}=5m`. On the command line it is \
             `--set section.key=value`.\n"
        );
        table
    }
}

fn kind(entry: &Entry) -> String {
    match entry.range {
        Some((low, high)) => format!("{}, {low} to {high}", entry.kind).replace('"', ""),
        None => entry.kind.to_owned(),
    }
}

/// A doc comment as a table cell.
fn meaning(doc: &str) -> String {
    doc.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
