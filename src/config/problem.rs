//! What is wrong with a configuration, and where it was written.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use crate::domain::spelling::hint;

/// Where the value of a setting comes from, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A TOML file; lines count from 1.
    File {
        /// As it was named.
        path: PathBuf,
        /// Where the key stands.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A command line flag, as it was given.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(flag) => write!(formatter, "flag {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// A value that the setting does not take. `found` is absent when it may be a secret.
    Value {
        /// The setting, as `section.key`, or a key of a provider, as `providers.NAME.key`.
        key: Cow<'static, str>,
        /// Who gave the value.
        source: Source,
        /// What the setting takes.
        expected: String,
        /// The value, as it was written.
        found: Option<String>,
    },
    /// A name that is no setting, with the nearest one that is.
    Unknown {
        /// As it was written.
        name: String,
        /// Who wrote it.
        source: Source,
        /// What was probably meant; `None` if nothing is like it.
        nearest: Option<String>,
    },
    /// Settings that do not go together; each with where it comes from.
    Contradiction {
        /// The settings, as `section.key`.
        keys: Vec<(String, Source)>,
        /// What they must be to each other.
        expected: String,
    },
    /// A file that cannot be read or is not TOML.
    File {
        /// As it was named.
        path: PathBuf,
        /// From 1; `None` where no line is to blame.
        line: Option<usize>,
        /// What the system or the parser says.
        cause: String,
    },
    /// A flag that is not `section.key=value`.
    Flag {
        /// Without the value, which may be a secret.
        flag: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                key,
                source,
                expected,
                found,
            } => {
                write!(formatter, "{key} ({source}): expected {expected}")?;
                found
                    .as_ref()
                    .map_or(Ok(()), |found| write!(formatter, ", found {found}"))
            }
            Self::Unknown {
                name,
                source,
                nearest,
            } => {
                write!(formatter, "{name} ({source}): there is no such setting")?;
                formatter.write_str(&hint(nearest.as_deref()))
            }
            Self::Contradiction { keys, expected } => {
                let keys: Vec<_> = keys
                    .iter()
                    .map(|(key, source)| format!("{key} ({source})"))
                    .collect();
                write!(formatter, "{}: {expected}", keys.join(" and "))
            }
            Self::File {
                path,
                line: Some(line),
                cause,
            } => write!(formatter, "{}:{line}: {cause}", path.display()),
            Self::File {
                path,
                line: None,
                cause,
            } => write!(formatter, "{}: {cause}", path.display()),
            Self::Flag { flag } => write!(formatter, "{flag}: expected --set section.key=value"),
        }
    }
}

/// Everything that is wrong with a configuration, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(formatter, "the configuration has a problem:")?,
            count => write!(formatter, "the configuration has {count} problems:")?,
        }
        self.0
            .iter()
            .try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
