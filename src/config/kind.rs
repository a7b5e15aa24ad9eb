//! How the text of a setting becomes a typed value, and back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;
use toml::de::DeValue;

/// What stands in for a secret wherever a configuration is shown.
pub(super) const REDACTED: &str = "<redacted>";

/// One way to write a value: what it accepts, what it says when it does not, and how it prints.
pub(super) trait Kind {
    /// The plain type that the configuration holds.
    type Value;

    /// Its name in the reference, such as "duration".
    const NAME: &'static str;

    /// Whether a value must never be shown.
    const SECRET: bool = false;

    /// The value that `literal` stands for; on failure what was expected instead ("a duration such as ...").
    fn read(literal: &Literal) -> Result<Self::Value, String>;

    /// The value as a TOML literal fit to be shown, `None` when it is not set.
    fn write(value: &Self::Value) -> Option<String>;

    /// Whether there is a value for what nobody sets.
    const OPTIONAL: bool = false;

    /// The value of what nobody sets and has no default; only optional kinds have one.
    fn unset() -> Option<Self::Value> {
        None
    }
}

/// A value as it was written, before its type is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Boolean(bool),
    Integer(i64),
    Text(String),
    List(Vec<Literal>),
    Table(BTreeMap<String, Literal>),
    /// A kind of value that no setting takes, by its TOML name.
    Other(&'static str),
}

impl Literal {
    /// Parses one TOML value, such as `"10s"` or `[1, 2]`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        DeValue::parse(text)
            .ok()
            .map(|value| Self::from(value.get_ref()))
    }

    /// The literal as TOML, for a message about it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(value) => quote(value),
            Self::List(values) => list(values.iter().map(Self::describe)),
            Self::Table(_) => "a table".to_owned(),
            Self::Other(name) => format!("a value of type {name}"),
        }
    }
}

impl From<&DeValue<'_>> for Literal {
    fn from(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Boolean(value) => Self::Boolean(*value),
            DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
                .map_or(Self::Other("integer beyond 64 bits"), Self::Integer),
            DeValue::String(value) => Self::Text(value.to_string()),
            DeValue::Array(values) => Self::List(
                values
                    .iter()
                    .map(|value| Self::from(value.get_ref()))
                    .collect(),
            ),
            DeValue::Table(values) => Self::Table(
                values
                    .iter()
                    .map(|(key, value)| (key.get_ref().to_string(), Self::from(value.get_ref())))
                    .collect(),
            ),
            other => Self::Other(other.type_str()),
        }
    }
}

/// `text` as a TOML string.
pub(super) fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Literals as a TOML list.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

impl Kind for bool {
    type Value = Self;
    const NAME: &'static str = "boolean";

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Boolean(value) => Ok(*value),
            _ => Err("true or false".to_owned()),
        }
    }

    fn write(value: &Self) -> Option<String> {
        Some(value.to_string())
    }
}

/// Whole numbers: the same rules for every width.
macro_rules! integer {
    ($($ty:ty: $expected:literal),+ $(,)?) => {$(
        impl Kind for $ty {
            type Value = Self;
            const NAME: &'static str = "integer";

            fn read(literal: &Literal) -> Result<Self, String> {
                match literal {
                    Literal::Integer(value) => Self::try_from(*value).ok(),
                    _ => None,
                }
                .ok_or_else(|| $expected.to_owned())
            }

            fn write(value: &Self) -> Option<String> {
                Some(value.to_string())
            }
        }
    )+};
}

integer! {
    i32: "a whole number",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number, not negative",
    usize: "a whole number, not negative",
}

impl Kind for String {
    type Value = Self;
    const NAME: &'static str = "text";

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(value) if !value.trim().is_empty() => Ok(value.clone()),
            _ => Err("text that is not empty".to_owned()),
        }
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(value))
    }
}

impl Kind for PathBuf {
    type Value = Self;
    const NAME: &'static str = "path";

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(value) if !value.is_empty() && !value.contains('\0') => Ok(value.into()),
            _ => Err("the path of a folder".to_owned()),
        }
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.to_string_lossy()))
    }
}

impl Kind for SecretString {
    type Value = Self;
    const NAME: &'static str = "secret";
    const SECRET: bool = true;

    fn read(literal: &Literal) -> Result<Self, String> {
        match literal {
            Literal::Text(value) if !value.trim().is_empty() => Ok(value.as_str().into()),
            _ => Err("text that is not empty".to_owned()),
        }
    }

    fn write(_value: &Self) -> Option<String> {
        Some(quote(REDACTED))
    }
}

impl<K: Kind> Kind for Option<K> {
    type Value = Option<K::Value>;
    const NAME: &'static str = K::NAME;
    const SECRET: bool = K::SECRET;
    const OPTIONAL: bool = true;

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        K::read(literal).map(Some)
    }

    fn write(value: &Self::Value) -> Option<String> {
        value.as_ref().and_then(K::write)
    }

    fn unset() -> Option<Self::Value> {
        Some(None)
    }
}

impl<K: Kind> Kind for Vec<K> {
    type Value = Vec<K::Value>;
    const NAME: &'static str = "list";
    const SECRET: bool = K::SECRET;

    fn read(literal: &Literal) -> Result<Self::Value, String> {
        match literal {
            Literal::List(items) => items.iter().map(K::read).collect(),
            _ => Err(format!("a TOML list of {}s", K::NAME)),
        }
    }

    fn write(value: &Self::Value) -> Option<String> {
        Some(list(value.iter().filter_map(K::write)))
    }
}

/// The words for the variants of an enum.
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Kind for $name {
            type Value = Self;
            const NAME: &'static str = "choice";

            fn read(literal: &Literal) -> Result<Self, String> {
                match literal {
                    $(Literal::Text(word) if word == $word => Ok(Self::$variant),)+
                    _ => Err(format!("one of {}", [$($word),+].map(quote).join(", "))),
                }
            }

            fn write(value: &Self) -> Option<String> {
                Some(quote(match value {
                    $(Self::$variant => $word,)+
                }))
            }
        }
    };
}

pub(super) use words;

/// A closed set of words, as an enum and as the way to write it.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_meta])* $variant),+
        }

        words!($name { $($variant = $word),+ });
    };
}

pub(super) use choices;

choices! {
    /// Where the media is kept.
    StorageBackend {
        /// In a folder of this machine.
        Local = "local",
        /// In a bucket of an S3-compatible service.
        S3 = "s3",
    }
}

choices! {
    /// For how long what is before a PostgreSQL server gives a session.
    Pooling {
        /// As long as a connection lasts: nothing is before it, or a pooler that keeps sessions.
        Session = "session",
        /// For one transaction.
        Transaction = "transaction",
    }
}

choices! {
    /// Who judges what users write and what is made for them.
    ModerationKind {
        /// Nobody.
        None = "none",
        /// A list of words.
        Words = "words",
        /// A service that speaks the protocol of OpenAI's moderations.
        OpenAi = "openai",
    }
}

choices! {
    /// Who keeps the credits that jobs take.
    BillingKind {
        /// Nobody.
        None = "none",
        /// The ledger in the database.
        Ledger = "ledger",
        /// Billing, a service of its own.
        Remote = "remote",
    }
}

choices! {
    /// Whether objects without a record are removed.
    StorageRemoval {
        /// They are removed.
        On = "on",
        /// They are only counted in the log.
        DryRun = "dry-run",
        /// Nobody looks for them.
        Off = "off",
    }
}

choices! {
    /// How a log line is written.
    LogFormat {
        /// Text on a terminal, JSON otherwise.
        Auto = "auto",
        /// One readable line an event.
        Text = "text",
        /// One JSON object an event.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_redacted() {
        let secret = SecretString::from("hunter2");
        assert_eq!(SecretString::write(&secret).unwrap(), "\"<redacted>\"");
    }

    #[test]
    fn a_whole_number_is_not_taken_from_text_or_from_below_zero() {
        assert!(u32::read(&Literal::Text("5".into())).is_err());
        assert!(u32::read(&Literal::Integer(-1)).is_err());
        assert_eq!(u32::read(&Literal::Integer(5)), Ok(5));
    }

    #[test]
    fn a_choice_lists_what_it_takes() {
        let expected = LogFormat::read(&Literal::Text("xml".into())).unwrap_err();
        assert_eq!(expected, r#"one of "auto", "text", "json""#);
    }

    #[test]
    fn toml_literals_keep_their_type() {
        assert_eq!(Literal::parse("0x10"), Some(Literal::Integer(16)));
        assert_eq!(Literal::parse("\"16\""), Some(Literal::Text("16".into())));
        assert_eq!(Literal::parse("1.5"), Some(Literal::Other("float")));
        assert_eq!(Literal::parse("ten"), None);
    }
}
