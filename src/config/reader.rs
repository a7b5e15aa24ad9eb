//! Turns what was written into typed values, key by key, and keeps everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::command::{self, GivenCommand};
use super::kind::{Kind, Literal};
use super::layer::{Given, Layers, Written};
use super::problem::{Problem, Problems, Source};
use super::settings::{ENTRIES, Entry};
use super::{Config, Loaded};
use crate::domain::Command;

/// Hands out one value for each setting; deserialising the whole at once would stop at the first mistake.
#[derive(Default)]
pub(super) struct Reader {
    given: BTreeMap<String, Vec<Given>>,
    sources: BTreeMap<&'static str, Source>,
    wrong: BTreeSet<&'static str>,
    problems: Vec<Problem>,
    commands: Vec<GivenCommand>,
    command_sources: BTreeMap<String, Source>,
}

impl Reader {
    /// A reader of `layers`, their problems included.
    pub(super) fn new(layers: Layers) -> Self {
        let mut given: BTreeMap<String, Vec<Given>> = BTreeMap::new();
        for value in layers.given {
            given.entry(value.key.clone()).or_default().push(value);
        }
        Self {
            given,
            problems: layers.problems,
            commands: layers.commands,
            ..Self::default()
        }
    }

    /// The value of `key`: the last good one given, else the default.
    pub(super) fn read<K: Kind>(&mut self, key: &str) -> K::Value {
        self.read_checked::<K>(key, |_, _| Ok(()))
    }

    /// Like [`Reader::read`], for a setting declared with a range.
    pub(super) fn read_within<K: Kind<Value: PartialOrd>>(&mut self, key: &str) -> K::Value {
        self.read_checked::<K>(key, |entry, value| {
            let Some((low, high)) = entry.range else {
                return Ok(());
            };
            let within = constant::<K>(low) <= *value && *value <= constant::<K>(high);
            if within {
                Ok(())
            } else {
                Err(format!("a value from {low} to {high}"))
            }
        })
    }

    /// The commands that make media, by name.
    pub(super) fn read_commands(&mut self) -> BTreeMap<String, Command> {
        let given = std::mem::take(&mut self.commands);
        let sources = given
            .iter()
            .map(|table| (table.name.clone(), table.source.clone()));
        self.command_sources.extend(sources);
        command::read(given, &mut self.problems)
    }

    /// The configuration with where each value and each command that is not the default came from; or what was wrong.
    pub(super) fn finish(self, config: Config) -> Result<Loaded, Problems> {
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        Ok(Loaded {
            config,
            sources: self.sources,
            command_sources: self.command_sources,
        })
    }

    /// Reports that settings contradict one another, unless one of them is wrong by itself.
    pub(super) fn contradiction(&mut self, keys: &[&'static str], expected: &str) {
        if keys.iter().any(|key| self.wrong.contains(key)) {
            return;
        }
        let keys = keys.iter().map(|key| (*key, self.source(key))).collect();
        self.problems.push(Problem::Contradiction {
            keys,
            expected: expected.to_owned(),
        });
    }

    fn source(&self, key: &str) -> Source {
        self.sources.get(key).cloned().unwrap_or(Source::Default)
    }

    fn read_checked<K: Kind>(
        &mut self,
        key: &str,
        check: impl Fn(&Entry, &K::Value) -> Result<(), String>,
    ) -> K::Value {
        let entry = entry(key);
        let mut value = entry
            .default
            .map_or_else(K::unset, |text| Some(constant::<K>(text)));
        for given in self.given.remove(key).unwrap_or_default() {
            let read =
                parse::<K>(&given.written).and_then(|read| check(entry, &read).map(|()| read));
            match read {
                Ok(read) => {
                    value = Some(read);
                    self.sources.insert(entry.key, given.source);
                }
                Err(expected) => self.reject(entry, given, expected),
            }
        }
        value.expect("a setting has a default or is optional")
    }

    fn reject(&mut self, entry: &Entry, given: Given, expected: String) {
        let found = match given.written {
            Written::Toml(literal) => literal,
            Written::Text(text) => Literal::Text(text),
        };
        self.wrong.insert(entry.key);
        self.problems.push(Problem::Value {
            key: entry.key.into(),
            source: given.source,
            expected,
            found: (!entry.secret).then(|| found.describe()),
        });
    }
}

/// Text from the environment or a flag may be the value itself or a TOML literal of it.
fn parse<K: Kind>(written: &Written) -> Result<K::Value, String> {
    match written {
        Written::Toml(literal) => K::read(literal),
        Written::Text(text) => {
            K::read(&Literal::Text(text.clone())).or_else(|expected| match Literal::parse(text) {
                Some(literal) => K::read(&literal),
                None => Err(expected),
            })
        }
    }
}

fn entry(key: &str) -> &'static Entry {
    ENTRIES
        .iter()
        .find(|entry| entry.key == key)
        .expect("only declared settings are read")
}

/// A value that stands in the declaration; a test reads them all.
fn constant<K: Kind>(text: &str) -> K::Value {
    Literal::parse(text)
        .and_then(|literal| K::read(&literal).ok())
        .expect("a declared value is of its setting's kind")
}
