//! Names and expressions that have a syntax of their own.

use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

use super::kind::{Kind, Literal, quote};
use crate::domain::TableName;

/// The columns and log lines that carry a worker's name hold this many characters.
pub(super) const WORKER_ID_CHARS: usize = 64;

/// The name of a worker.
pub(super) struct WorkerId;

/// The name of a bucket.
pub(super) struct BucketName;

/// A schema of a PostgreSQL database.
pub(super) struct SchemaName;

/// A table, with its schema or without.
pub(super) struct UsersTable;

/// A path within a folder or bucket.
pub(super) struct StoragePrefix;

/// What tokens are signed with; fewer bytes can be found by trying.
pub(super) struct TokenSecret;

impl Kind for TokenSecret {
    type Value = SecretString;
    const NAME: &'static str = "secret";
    const SECRET: bool = true;

    fn read(literal: &Literal) -> Result<SecretString, String> {
        match literal {
            Literal::Text(text) if text.trim().len() >= 32 => Ok(text.as_str().into()),
            _ => Err("at least 32 bytes, such as `openssl rand -hex 32` prints".to_owned()),
        }
    }

    fn write(value: &SecretString) -> Option<String> {
        SecretString::write(value)
    }
}

/// A filter of log events in the syntax of `tracing_subscriber::EnvFilter`.
pub(super) struct LogFilter;

/// A kind of text that a predicate accepts.
macro_rules! checked_text {
    ($kind:ty, $name:literal, $expected:literal, $accepts:expr) => {
        impl Kind for $kind {
            type Value = String;
            const NAME: &'static str = $name;

            fn read(literal: &Literal) -> Result<String, String> {
                let accepts: fn(&str) -> bool = $accepts;
                match literal {
                    Literal::Text(text) if accepts(text) => Ok(text.clone()),
                    _ => Err($expected.to_owned()),
                }
            }

            fn write(value: &String) -> Option<String> {
                Some(quote(value))
            }
        }
    };
}

checked_text!(
    WorkerId,
    "text",
    "1 to 64 printable characters without spaces",
    |text| {
        (1..=WORKER_ID_CHARS).contains(&text.chars().count())
            && text
                .chars()
                .all(|letter| !letter.is_whitespace() && !letter.is_control())
    }
);

checked_text!(
    SchemaName,
    "text",
    "the name of a schema: up to 63 letters, digits and underscores, not first a digit",
    is_identifier
);

impl Kind for UsersTable {
    type Value = TableName;
    const NAME: &'static str = "table";

    fn read(literal: &Literal) -> Result<TableName, String> {
        let Literal::Text(text) = literal else {
            return Err(TABLE_EXPECTED.to_owned());
        };
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text.as_str()),
        };
        match schema.into_iter().chain([name]).all(is_identifier) {
            true => Ok(TableName {
                schema: schema.map(str::to_owned),
                name: name.to_owned(),
            }),
            false => Err(TABLE_EXPECTED.to_owned()),
        }
    }

    fn write(value: &TableName) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

const TABLE_EXPECTED: &str =
    "a table as `name` or `schema.name`, in letters, digits and underscores";

/// What PostgreSQL takes without quotes, but in any case: it is quoted wherever it is used.
fn is_identifier(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

checked_text!(
    StoragePrefix,
    "path",
    "nothing, or names of lower-case letters, digits, hyphens and underscores with slashes between, such as staging/media",
    |text| {
        text.is_empty()
            || text.len() <= 200
                && text.split('/').all(|part| {
                    !part.is_empty()
                        && part.bytes().all(|byte| {
                            byte.is_ascii_lowercase()
                                || byte.is_ascii_digit()
                                || b"-_".contains(&byte)
                        })
                })
    }
);

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, the rules that other services share.
checked_text!(
    BucketName,
    "text",
    "a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens",
    |text| {
        (3..=63).contains(&text.len())
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
            })
            && !text.starts_with(['.', '-'])
            && !text.ends_with(['.', '-'])
    }
);

checked_text!(
    LogFilter,
    "log filter",
    r#"a level or a list of target=level, such as "info" or "warn,atelier=debug""#,
    |text| !text.trim().is_empty() && EnvFilter::try_new(text).is_ok()
);

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<K: Kind>(text: &str) -> bool {
        K::read(&Literal::Text(text.to_owned())).is_ok()
    }

    #[test]
    fn a_worker_id_fits_its_column() {
        assert!(accepts::<WorkerId>("render-3"));
        assert!(accepts::<WorkerId>(&"w".repeat(64)));
        for id in ["", "two words", "line\nbreak", &"w".repeat(65)] {
            assert!(!accepts::<WorkerId>(id), "{id:?}");
        }
    }

    #[test]
    fn a_log_filter_is_checked_when_it_is_read() {
        assert!(accepts::<LogFilter>("warn,atelier=debug"));
        assert!(!accepts::<LogFilter>(""));
        assert!(!accepts::<LogFilter>("atelier=loud"));
    }

    #[test]
    fn a_bucket_name_is_checked_when_it_is_read() {
        assert!(accepts::<BucketName>("media.example-1"));
        for name in ["ab", "Media", "a_b_c", "-media", "media/x"] {
            assert!(!accepts::<BucketName>(name), "{name}");
        }
    }
}
