//! Turns what was written into typed values, key by key, and keeps everything that is wrong.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Entry;
use super::kind::{Kind, Literal};
use super::layer::{Given, Layers, Written};
use super::problem::{Problem, Problems, Source};
use super::settings::ENTRIES;
use super::{Config, Loaded};
use crate::domain::spelling::nearest;

/// Hands out one value for each setting; deserialising the whole at once would stop at the first mistake.
#[derive(Default)]
pub(super) struct Reader {
    given: BTreeMap<String, Vec<Given>>,
    tables: BTreeMap<String, Source>,
    sources: BTreeMap<String, Source>,
    wrong: BTreeSet<String>,
    problems: Vec<Problem>,
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
            tables: layers.tables,
            ..Self::default()
        }
    }

    /// The value of `key`: the last good one given, else the default.
    pub(super) fn read<K: Kind>(&mut self, key: &str) -> K::Value {
        let value = self.read_checked::<K>(key, entry(key), |_, _| Ok(()));
        value.expect("a setting has a default or is optional")
    }

    /// Like [`Reader::read`], for a setting declared with a range.
    pub(super) fn read_within<K: Kind<Value: PartialOrd>>(&mut self, key: &str) -> K::Value {
        let value = self.read_checked::<K>(key, entry(key), within::<K>);
        value.expect("a setting has a default or is optional")
    }

    /// The names of all tables of a section.
    pub(super) fn tables_of(&self, section: &str) -> Vec<String> {
        let name = |path: &String| Some(path.strip_prefix(section)?.strip_prefix('.')?.to_owned());
        self.tables.keys().filter_map(name).collect()
    }

    /// The value of a key of a table, which is named with its section; `None` if it must be there and is not, which is a problem by then.
    pub(super) fn read_of<K: Kind>(&mut self, table: &str, entry: &Entry) -> Option<K::Value> {
        self.read_in_table::<K>(table, entry, |_, _| Ok(()))
    }

    /// Like [`Reader::read_of`], for a key declared with a range.
    pub(super) fn read_of_within<K: Kind<Value: PartialOrd>>(
        &mut self,
        table: &str,
        entry: &Entry,
    ) -> Option<K::Value> {
        self.read_in_table::<K>(table, entry, within::<K>)
    }

    fn read_in_table<K: Kind>(
        &mut self,
        table: &str,
        entry: &Entry,
        check: impl Fn(&Entry, &K::Value) -> Result<(), String>,
    ) -> Option<K::Value> {
        let key = format!("{table}.{}", entry.key);
        let value = self.read_checked::<K>(&key, entry, check);
        if value.is_none()
            && !self.wrong.contains(&key)
            && let Err(expected) = K::read(&Literal::Other("nothing"))
        {
            self.refuse(table, key, expected);
        }
        value
    }

    /// Whether the value of this key is reported already.
    pub(super) fn is_wrong(&self, key: &str) -> bool {
        self.wrong.contains(key)
    }

    /// Reports that a table, or what is missing in it, is not as it must be.
    pub(super) fn refuse(&mut self, table: &str, key: String, expected: String) {
        let source = self.tables.get(table).cloned();
        self.problems.push(Problem::Value {
            key: key.into(),
            source: source.unwrap_or(Source::Default),
            expected,
            found: None,
        });
    }

    /// Takes what is left of a table; where it is known which keys there are, each other one is a problem.
    pub(super) fn finish_table(&mut self, table: &str, known: Option<&[Entry]>) {
        let prefix = format!("{table}.");
        let rest = self.given.extract_if(.., |key, _| key.starts_with(&prefix));
        let rest: Vec<_> = rest.flat_map(|(_, given)| given).collect();
        let Some(known) = known else {
            return;
        };
        self.problems.extend(rest.into_iter().map(|given| {
            let known = known.iter().map(|entry| format!("{prefix}{}", entry.key));
            Problem::Unknown {
                nearest: nearest(&given.key, known),
                name: given.key,
                source: given.source,
            }
        }));
    }

    /// The configuration with where each value that is not the default came from; or what was wrong.
    pub(super) fn finish(self, config: Config) -> Result<Loaded, Problems> {
        if !self.problems.is_empty() {
            return Err(Problems(self.problems));
        }
        Ok(Loaded {
            config,
            sources: self.sources,
        })
    }

    /// Reports that settings contradict one another, unless one of them is wrong by itself.
    pub(super) fn contradiction(&mut self, keys: &[&str], expected: &str) {
        if keys.iter().any(|key| self.wrong.contains(*key)) {
            return;
        }
        let sourced = |key: &&str| ((*key).to_owned(), self.source(key));
        let keys = keys.iter().map(sourced).collect();
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
        entry: &Entry,
        check: impl Fn(&Entry, &K::Value) -> Result<(), String>,
    ) -> Option<K::Value> {
        let mut value = entry
            .default
            .map_or_else(K::unset, |text| Some(constant::<K>(text)));
        for given in self.given.remove(key).unwrap_or_default() {
            let read = parse::<K>(&given.written)
                .map_err(|expected| whole_number(entry).unwrap_or(expected))
                .and_then(|read| check(entry, &read).map(|()| read));
            match read {
                Ok(read) => {
                    value = Some(read);
                    self.sources.insert(key.to_owned(), given.source);
                }
                Err(expected) => self.reject(entry, given, expected),
            }
        }
        value
    }

    fn reject(&mut self, entry: &Entry, given: Given, expected: String) {
        let found = match given.written {
            Written::Toml(literal) => literal,
            Written::Text(text) => Literal::Text(text),
        };
        self.wrong.insert(given.key.clone());
        self.problems.push(Problem::Value {
            key: given.key.into(),
            source: given.source,
            expected,
            found: Some(found.describe()).filter(|shown| !entry.secret && !may_hold_secret(shown)),
        });
    }
}

/// Whether there is a URL in it with what may be a password or a token.
fn may_hold_secret(shown: &str) -> bool {
    shown
        .split_once("://")
        .is_some_and(|(_, rest)| rest.contains(['@', '?']))
}

fn within<K: Kind<Value: PartialOrd>>(entry: &Entry, value: &K::Value) -> Result<(), String> {
    let Some((low, high)) = entry.range else {
        return Ok(());
    };
    if constant::<K>(low) <= *value && *value <= constant::<K>(high) {
        Ok(())
    } else {
        Err(format!("a value from {low} to {high}"))
    }
}

/// What is expected of a number with a range: its own bounds, and not those of its type.
fn whole_number(entry: &Entry) -> Option<String> {
    let (low, high) = entry.range?;
    (entry.kind == u32::NAME).then(|| format!("a whole number from {low} to {high}"))
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
