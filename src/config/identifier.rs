//! Names and expressions that have a syntax of their own.

use tracing_subscriber::EnvFilter;

use super::kind::{Kind, Literal, quote};

/// The columns and log lines that carry a worker's name hold this many characters.
pub const WORKER_ID_CHARS: usize = 64;

/// The name of a worker.
pub struct WorkerId;

/// The name of a bucket.
pub struct BucketName;

/// A path within a folder or bucket.
pub struct StoragePrefix;

/// A filter of log events in the syntax of `tracing_subscriber::EnvFilter`.
pub struct LogFilter;

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
