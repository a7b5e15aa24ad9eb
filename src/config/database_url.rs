//! Where the database is. The URL is read here and nowhere else: what the driver gets are the parts, so that it cannot find
//! another server in the text than we do, nor print a password.

mod postgres;
mod sqlite;

use std::fmt;
use std::str::FromStr;

use super::kind::{Kind, Literal, quote};
use crate::domain::spelling::{hint, nearest};

pub use postgres::PostgresServer;
pub use sqlite::SqliteFile;

const EXAMPLES: &str = "sqlite://path/to/file.db or postgres://user:password@host/database";

/// Where the database is: a SQLite file or a PostgreSQL server. Its password never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite:` and a path.
    Sqlite(SqliteFile),
    /// `postgres://` or `postgresql://`, and what libpq takes there.
    Postgres(PostgresServer),
}

/// The databases that the service runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseBackend {
    /// Embedded: one file, one machine.
    Sqlite,
    /// A server, which any number of replicas share.
    Postgres,
}

impl DatabaseUrl {
    /// The database that the scheme names.
    pub fn backend(&self) -> DatabaseBackend {
        match self {
            Self::Sqlite(_) => DatabaseBackend::Sqlite,
            Self::Postgres(_) => DatabaseBackend::Postgres,
        }
    }

    /// The URL with `<redacted>` in place of its password.
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(file) => file.text.clone(),
            Self::Postgres(server) => server.redacted(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    /// What is wrong is told without any part of the text but names of parameters: anything else may be a password.
    fn from_str(text: &str) -> Result<Self, String> {
        // What was copied along would be a part of the name.
        if text.trim() != text {
            return Err("a URL without blanks or line breaks around it".to_owned());
        }
        match text.split_once(':') {
            Some(("sqlite", _)) => SqliteFile::from_url(text).map(Self::Sqlite),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => {
                PostgresServer::from_url(&rest[2..]).map(Self::Postgres)
            }
            _ => Err(EXAMPLES.to_owned()),
        }
    }
}

fn unknown(name: &str, known: impl Iterator<Item = String>) -> String {
    let hint = hint(nearest(name, known).as_deref());
    format!("no parameter {name:?}: there is no such one{hint}")
}

/// The text that percent-encoding stands for; `None` if it is not well formed, or not UTF-8, or cannot be passed on.
fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    let decoded = String::from_utf8(decoded).ok()?;
    (!decoded.contains('\0')).then_some(decoded)
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}

impl Kind for DatabaseUrl {
    type Value = Self;
    const NAME: &'static str = "database URL";
    const SECRET: bool = true;

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(text) => text.parse(),
            _ => Err(EXAMPLES.to_owned()),
        }
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.redacted()))
    }
}

#[cfg(test)]
mod tests;
