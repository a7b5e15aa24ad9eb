//! Shows the configuration: the effective values as TOML, and all settings as a Markdown table.

use std::fmt::Write as _;

use super::entry::Entry;
use super::environment::variable_of;
use super::kind::quote;
use super::plan;
use super::problem::Source;
use super::provider;
use super::settings::ENTRIES;
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
            toml.push_str(&self.line(entry.key, key, value));
        }
        for (name, provider) in &self.config.providers {
            let table = format!("{}.{name}", provider::SECTION);
            let _ = writeln!(toml, "\n[{table}]");
            let kind = ("kind", Some(quote(provider.kind())));
            let others = provider.written().into_iter();
            for (key, value) in [kind]
                .into_iter()
                .chain(others.map(|(entry, value)| (entry.key, value)))
            {
                toml.push_str(&self.line(&format!("{table}.{key}"), key, value));
            }
        }
        for (name, plan) in &self.config.named_plans {
            let table = plan::path(name);
            let _ = writeln!(toml, "\n[{table}]");
            for (entry, value) in plan::written(plan) {
                toml.push_str(&self.line(&format!("{table}.{}", entry.key), entry.key, value));
            }
        }
        toml
    }

    fn line(&self, path: &str, key: &str, value: Option<String>) -> String {
        match (value, self.sources.get(path)) {
            (Some(value), None | Some(Source::Default)) => format!("{key} = {value}\n"),
            (Some(value), Some(source)) => format!("{key} = {value} # {source}\n"),
            (None, _) => format!("# {key} is not set\n"),
        }
    }
}

impl Config {
    /// All settings as a Markdown table: the settings of docs/configuration.md.
    pub fn reference() -> String {
        let mut table = rows("Setting", ENTRIES);
        let example = variable_of("executor.job_timeout");
        let _ = write!(
            table,
            "\nIn the environment a setting is called `ATELIER__SECTION__KEY`: `{example}=5m`. On the command line it is \
             `--set section.key=value`.\n"
        );
        table
    }

    /// The keys of a provider's table as Markdown, by its kind, for each kind.
    pub fn provider_references() -> Vec<(&'static str, String)> {
        let kinds = provider::KINDS.iter();
        kinds
            .map(|(kind, entries)| (*kind, rows("Key", entries)))
            .collect()
    }

    /// The keys of a plan's table as Markdown.
    pub fn plan_reference() -> String {
        rows("Key", plan::ENTRIES)
    }

    /// The keys of every provider's table as Markdown, whatever its kind.
    pub fn provider_limits_reference() -> String {
        rows("Key", provider::ProviderLimits::ENTRIES)
    }
}

fn rows(title: &str, entries: &[Entry]) -> String {
    let mut table = format!("| {title} | Type | Default | Meaning |\n|---|---|---|---|\n");
    for entry in entries {
        let default = match entry.default {
            Some(default) => format!("`{default}`"),
            None if entry.optional => "not set".to_owned(),
            None => "required".to_owned(),
        };
        let (key, kind, meaning) = (entry.key, kind(entry), meaning(entry.doc));
        let _ = writeln!(table, "| `{key}` | {kind} | {default} | {meaning} |");
    }
    table
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
