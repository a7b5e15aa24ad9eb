//! The places that settings are written in: a file, the environment, flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::kind::Literal;
use super::plan;
use super::problem::{Problem, Source};
use super::provider;
use super::settings::ENTRIES;
use crate::domain::{read_text, spelling::nearest};

/// The file that is read when no other is named and it exists.
const DEFAULT_FILE: &str = "atelier.toml";

/// Where commands stood before they had a kind.
const COMMANDS: &str = "exec";

/// What a process was started with, as far as it bears on the configuration. It may hold secrets, so it has no debug
/// output.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The file named on the command line, which must exist.
    pub file: Option<PathBuf>,
    /// The environment; variables that are no settings are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags in the order in which they apply.
    pub flags: Vec<Flag>,
}

/// A setting given on the command line.
#[derive(Clone)]
pub enum Flag {
    /// `--set section.key=value`: the part after `--set`.
    Set(String),
    /// A flag of its own for one key, such as `--listen`.
    Direct {
        /// As people write it, for the source of the value.
        flag: &'static str,
        /// The setting, as `section.key`.
        key: &'static str,
        /// The text after the flag.
        value: String,
    },
}

/// The text of a value: typed already, or still a string.
#[derive(Clone)]
pub(super) enum Written {
    Toml(Literal),
    Text(String),
}

/// One value given to one setting.
#[derive(Clone)]
pub(super) struct Given {
    pub key: String,
    pub source: Source,
    pub written: Written,
}

impl Given {
    pub(super) fn text(key: &str, source: Source, text: String) -> Self {
        Self {
            key: key.to_owned(),
            source,
            written: Written::Text(text),
        }
    }
}

/// All values in the order in which they apply, the last one wins, and what was wrong with where they stand.
#[derive(Default)]
pub(super) struct Layers {
    pub given: Vec<Given>,
    /// The tables of providers and plans, each named with its section: where it is begun.
    pub tables: BTreeMap<String, Source>,
    pub problems: Vec<Problem>,
}

impl Layers {
    /// Reads every layer; a value's type is not looked at yet.
    pub(super) fn collect(inputs: &Inputs) -> Self {
        let mut layers = Self::default();
        match &inputs.file {
            Some(path) => layers.read_file(path),
            None if Path::new(DEFAULT_FILE).exists() => layers.read_file(Path::new(DEFAULT_FILE)),
            None => {}
        }
        layers.read_environment(&inputs.environment);
        for flag in &inputs.flags {
            layers.read_flag(flag);
        }
        layers
    }

    fn read_file(&mut self, path: &Path) {
        let read = std::fs::read(path).map_err(|error| error.to_string());
        match read.and_then(|bytes| read_text(&bytes).map_err(|error| error.to_string())) {
            Ok(content) => self.read_toml(path, &content),
            Err(error) => self.problems.push(Problem::File {
                path: path.to_owned(),
                line: None,
                cause: format!("cannot be read: {error}"),
            }),
        }
    }

    pub(super) fn read_toml(&mut self, path: &Path, content: &str) {
        let (document, errors) = DeTable::parse_recoverable(content);
        let line_at = |offset: usize| {
            1 + content
                .bytes()
                .take(offset)
                .filter(|byte| *byte == b'\n')
                .count()
        };
        for error in errors {
            // The error's own display quotes the line, which may hold a secret.
            self.problems.push(Problem::File {
                path: path.to_owned(),
                line: error.span().map(|span| line_at(span.start)),
                cause: format!("is not valid TOML: {}", error.message()),
            });
        }
        for (section, values) in document.get_ref() {
            let source_at = |offset: usize| Source::File {
                path: path.to_owned(),
                line: line_at(offset),
            };
            match values.get_ref() {
                DeValue::Table(values) if is_section(section.get_ref()) => {
                    for (key, value) in values {
                        if let (plan::SECTION, DeValue::Table(table)) =
                            (&**section.get_ref(), value.get_ref())
                        {
                            self.read_table(
                                (plan::SECTION, key.get_ref()),
                                table,
                                (key.span().start, &source_at),
                            );
                            continue;
                        }
                        self.add(Given {
                            key: format!("{}.{}", section.get_ref(), key.get_ref()),
                            source: source_at(key.span().start),
                            written: Written::Toml(Literal::from(value.get_ref())),
                        });
                    }
                }
                DeValue::Table(tables) if section.get_ref() == provider::SECTION => {
                    self.read_providers(tables, &source_at);
                }
                DeValue::Table(tables) if section.get_ref() == COMMANDS => {
                    let moved = tables.keys().map(|name| Problem::Value {
                        key: format!("{COMMANDS}.{}", name.get_ref()).into(),
                        source: source_at(name.span().start),
                        expected: provider::in_place_of_command(name.get_ref()),
                        found: None,
                    });
                    self.problems.extend(moved);
                }
                _ => self.problems.push(unknown_section(
                    section.get_ref(),
                    source_at(section.span().start),
                )),
            }
        }
    }

    fn read_providers(&mut self, tables: &DeTable<'_>, source_at: &dyn Fn(usize) -> Source) {
        for (name, table) in tables {
            let begin = name.span().start;
            let name = name.get_ref();
            let DeValue::Table(values) = table.get_ref() else {
                let source = source_at(begin);
                self.problems.push(provider::no_table(name, source));
                continue;
            };
            self.read_table((provider::SECTION, name), values, (begin, source_at));
        }
    }

    /// Takes the keys of a table `[section.name]` that begins there.
    fn read_table(
        &mut self,
        (section, name): (&str, &str),
        values: &DeTable<'_>,
        (begin, source_at): (usize, &dyn Fn(usize) -> Source),
    ) {
        let table = format!("{section}.{name}");
        for (key, value) in values {
            self.given.push(Given {
                key: format!("{table}.{}", key.get_ref()),
                source: source_at(key.span().start),
                written: Written::Toml(Literal::from(value.get_ref())),
            });
        }
        let source = || source_at(begin);
        self.tables.entry(table).or_insert_with(source);
    }

    fn read_flag(&mut self, flag: &Flag) {
        match flag {
            Flag::Direct { flag, key, value } => {
                let source = Source::Flag((*flag).to_owned());
                self.add(Given::text(key, source, value.clone()));
            }
            Flag::Set(assignment) => match assignment.split_once('=') {
                Some((key, value)) if key.contains('.') => {
                    let source = Source::Flag(format!("--set {}", key.trim()));
                    self.add(Given::text(key.trim(), source, value.to_owned()));
                }
                // Only the part before the equals sign is repeated: what follows may be a secret.
                Some((key, _)) => self.problems.push(Problem::Flag {
                    flag: format!("--set {key}=..."),
                }),
                None => self.problems.push(Problem::Flag {
                    flag: "--set".to_owned(),
                }),
            },
        }
    }

    pub(super) fn add(&mut self, given: Given) {
        let (section, name) = given.key.split_once('.').unwrap_or_default();
        if ENTRIES.iter().any(|entry| entry.key == given.key) {
            self.given.push(given);
        } else if let (provider::SECTION | plan::SECTION, Some((name, _))) =
            (section, name.split_once('.'))
        {
            let table = self.tables.entry(format!("{section}.{name}"));
            table.or_insert_with(|| given.source.clone());
            self.given.push(given);
        } else if section == provider::SECTION {
            self.problems.push(provider::no_table(name, given.source));
        } else if section == plan::SECTION {
            self.problems.push(plan::no_table(name, given.source));
        } else {
            self.problems.push(Problem::Unknown {
                nearest: nearest(&given.key, ENTRIES.iter().map(|entry| entry.key)),
                name: given.key,
                source: given.source,
            });
        }
    }
}

fn is_section(name: &str) -> bool {
    sections().any(|section| section == name)
}

fn sections() -> impl Iterator<Item = &'static str> {
    ENTRIES
        .iter()
        .filter_map(|entry| entry.key.split('.').next())
}

fn unknown_section(name: &str, source: Source) -> Problem {
    let candidates = sections()
        .chain([provider::SECTION])
        .chain(ENTRIES.iter().map(|entry| entry.key));
    // A key outside any section is the likeliest slip: `listen = ...` above the first `[section]`.
    let homeless = ENTRIES
        .iter()
        .find(|entry| entry.key.split('.').nth(1) == Some(name));
    Problem::Unknown {
        name: name.to_owned(),
        source,
        nearest: homeless
            .map(|entry| entry.key.to_owned())
            .or_else(|| nearest(name, candidates)),
    }
}
