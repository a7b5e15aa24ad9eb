//! Settings in the environment, and those whose value stands in a file that a variable names.

use std::ffi::OsString;
use std::path::PathBuf;

use super::layer::{Given, Layers};
use super::plan;
use super::problem::{Problem, Source};
use super::provider;
use super::settings::ENTRIES;
use crate::domain::spelling::nearest;

/// The names of settings in the environment begin with this. A single underscore would take in the variables that
/// orchestrators set for a service called atelier, such as `ATELIER_PORT`.
const PREFIX: &str = "ATELIER__";

/// Where tables of providers and plans are in the environment.
const TABLES: [(&str, &str); 2] = [
    (provider::SECTION, "ATELIER__PROVIDERS__"),
    (plan::SECTION, "ATELIER__PLANS__"),
];

/// The name by which hosting platforms pass a database; `ATELIER__DATABASE__URL` wins over it.
const DATABASE_URL: &str = "DATABASE_URL";

/// What the variable of a secret ends with when it names a file that holds it, as orchestrators mount them.
const IN_FILE: &str = "_FILE";

impl Layers {
    /// Takes every variable that is a setting. One that is empty is how compose files and shells leave it unset; not the
    /// database's: another than the one that was meant would be used in silence.
    pub(super) fn read_environment(&mut self, environment: &[(OsString, OsString)]) {
        let mut variables: Vec<_> = environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value)))
            .filter(|(name, value)| {
                let of_database = *name == DATABASE_URL || *name == variable_of("database.url");
                let ours = name.starts_with(PREFIX)
                    || key_of_file(name).is_some()
                    || misspelt_setting(name).is_some();
                of_database || ours && !value.is_empty()
            })
            .collect();
        variables.sort_by_key(|(name, _)| (!name.starts_with(DATABASE_URL), *name));
        for (name, value) in &variables {
            let source = Source::Environment((*name).to_owned());
            let text = value.to_string_lossy().into_owned();
            if let Some(key) = key_of_variable(name) {
                self.add(Given::text(&key, source, text));
            } else if let Some(key) = key_of_file(name) {
                let other = name.strip_suffix(IN_FILE).unwrap_or_default();
                match variables.iter().any(|(name, _)| *name == other) {
                    true => self.problems.push(twice(key, source, other)),
                    false => self.read_secret(key, source, text.into()),
                }
            } else {
                self.problems.push(unknown(name, source));
            }
        }
    }

    /// Takes what stands in a file; the end of its last line is the editor's.
    fn read_secret(&mut self, key: String, source: Source, path: PathBuf) {
        let problem = |cause| Problem::File {
            path: path.clone(),
            line: None,
            cause: format!("{key} ({source}): {cause}"),
        };
        match std::fs::read_to_string(&path) {
            Ok(content) if content.trim().is_empty() => {
                self.problems.push(problem("the file is empty".to_owned()));
            }
            Ok(content) => {
                let secret = content.trim_end_matches(['\r', '\n']).to_owned();
                self.add(Given::text(&key, source, secret));
            }
            Err(error) => self
                .problems
                .push(problem(format!("cannot be read: {error}"))),
        }
    }
}

fn twice(key: String, source: Source, other: &str) -> Problem {
    Problem::Value {
        key: key.into(),
        source,
        expected: format!("{other} not to be set as well"),
        found: None,
    }
}

fn unknown(name: &str, source: Source) -> Problem {
    let likeliest = || nearest(name, ENTRIES.iter().map(|entry| variable_of(entry.key)));
    Problem::Unknown {
        nearest: misspelt_setting(name).or_else(likeliest),
        name: name.to_owned(),
        source,
    }
}

/// The environment variable that sets `key`.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_uppercase())
}

fn key_of_variable(name: &str) -> Option<String> {
    if name == DATABASE_URL {
        return Some("database.url".to_owned());
    }
    for (section, prefix) in TABLES {
        let rest = name.strip_prefix(prefix);
        if let Some((table, key)) = rest.and_then(|rest| rest.split_once("__")) {
            return Some(format!("{section}.{table}.{key}").to_lowercase());
        }
    }
    let mut keys = ENTRIES.iter().map(|entry| entry.key);
    let key = keys.find(|key| variable_of(key) == name);
    key.map(str::to_owned)
}

/// The secret whose file the variable names.
fn key_of_file(name: &str) -> Option<String> {
    let key = key_of_variable(name.strip_suffix(IN_FILE)?)?;
    let is_secret = |key: &String| ENTRIES.iter().any(|it| it.key == *key && it.secret);
    Some(key).filter(is_secret)
}

/// The variable of the setting that `name` is, but for a single underscore where two belong.
fn misspelt_setting(name: &str) -> Option<String> {
    let single = |name: &str| name.replace("__", "_");
    ENTRIES
        .iter()
        .map(|entry| variable_of(entry.key))
        .find(|variable| variable != name && single(variable) == single(name))
}
