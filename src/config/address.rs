//! Addresses: what the service listens on, links to, and connects to.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use url::Url;

use super::kind::{Kind, Literal, REDACTED, quote};

/// The loopback address and port that the service listens on.
pub struct ListenAddress;

impl Kind for ListenAddress {
    type Value = SocketAddr;
    const NAME: &'static str = "address";

    fn read(literal: &Literal) -> Result<SocketAddr, String> {
        let address: SocketAddr = text(literal)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| "an IP address with a port, such as 127.0.0.1:50051".to_owned())?;
        if address.ip().is_loopback() {
            Ok(address)
        } else {
            Err("a loopback address such as 127.0.0.1:50051 or [::1]:50051, because the service does not \
                 authenticate its callers yet"
                .to_owned())
        }
    }

    fn write(value: &SocketAddr) -> Option<String> {
        Some(quote(&value.to_string()))
    }
}

impl Kind for Url {
    type Value = Self;
    const NAME: &'static str = "URL";

    fn read(literal: &Literal) -> Result<Self, String> {
        text(literal)
            .and_then(web_url)
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .ok_or_else(|| {
                "an http or https URL without user, query or fragment, such as https://media.example.com".to_owned()
            })
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(value.as_str()))
    }
}

/// An origin that browsers may call from, or `*` for every one.
pub struct Origin;

impl Kind for Origin {
    type Value = String;
    const NAME: &'static str = "origin";

    fn read(literal: &Literal) -> Result<String, String> {
        text(literal)
            .filter(|text| {
                *text == "*"
                    || web_url(text).is_some_and(|url| url.origin().ascii_serialization() == *text)
            })
            .map(str::to_owned)
            .ok_or_else(|| {
                r#"a list of origins such as ["https://app.example.com"], or ["*"] for every one"#
                    .to_owned()
            })
    }

    fn write(value: &String) -> Option<String> {
        Some(quote(value))
    }
}

/// Where the database is: a SQLite file or a PostgreSQL server. Its password never shows in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// The databases that the service runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseBackend {
    Sqlite,
    Postgres,
}

impl DatabaseUrl {
    /// The URL with its password, for the driver alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The database that the scheme names.
    pub fn backend(&self) -> DatabaseBackend {
        if self.0.starts_with("sqlite:") {
            DatabaseBackend::Sqlite
        } else {
            DatabaseBackend::Postgres
        }
    }

    /// The URL with `<redacted>` in place of its password.
    pub fn redacted(&self) -> String {
        match self.backend() {
            DatabaseBackend::Sqlite => self.0.clone(),
            DatabaseBackend::Postgres => {
                Url::parse(&self.0).map_or_else(|_| REDACTED.to_owned(), redact)
            }
        }
    }
}

fn redact(mut url: Url) -> String {
    let is_secret = |name: &str| matches!(name, "password" | "sslpassword");
    if url.password().is_some() && url.set_password(Some(REDACTED)).is_err() {
        return REDACTED.to_owned();
    }
    if url.query_pairs().any(|(name, _)| is_secret(&name)) {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let shown = pairs
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { REDACTED } else { value }));
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.as_str().replace("%3Credacted%3E", REDACTED)
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = match text.split_once(':') {
            Some(("sqlite", rest)) if rest.contains(":memory:") || rest.contains("mode=memory") => {
                return Err(
                    "a database that outlives the process: a SQLite file or a PostgreSQL server"
                        .to_owned(),
                );
            }
            Some(("sqlite", rest)) => !rest.trim_start_matches('/').is_empty(),
            Some(("postgres" | "postgresql", rest)) => {
                rest.starts_with("//") && Url::parse(text).is_ok()
            }
            _ => false,
        };
        known.then(|| Self(text.to_owned())).ok_or_else(|| {
            "sqlite://path/to/file.db or postgres://user:password@host/database".to_owned()
        })
    }
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
        text(literal).unwrap_or_default().parse()
    }

    fn write(value: &Self) -> Option<String> {
        Some(quote(&value.redacted()))
    }
}

fn text(literal: &Literal) -> Option<&str> {
    match literal {
        Literal::Text(text) => Some(text),
        _ => None,
    }
}

fn web_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn literal(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn only_loopback_addresses_are_listened_on() {
        for address in ["127.0.0.1:0", "127.8.8.8:50051", "[::1]:50051"] {
            assert!(ListenAddress::read(&literal(address)).is_ok(), "{address}");
        }
        let expected = ListenAddress::read(&literal("0.0.0.0:50051")).unwrap_err();
        assert!(
            expected.contains("loopback") && expected.contains("authenticate"),
            "{expected}"
        );
        assert!(ListenAddress::read(&literal("localhost")).is_err());
    }

    #[test]
    fn a_database_is_a_sqlite_file_or_a_postgresql_server() {
        for url in [
            "sqlite://data/atelier.db",
            "sqlite:data/a.db?mode=rwc",
            "sqlite:///tmp/a.db",
        ] {
            assert_eq!(
                url.parse::<DatabaseUrl>().unwrap().backend(),
                DatabaseBackend::Sqlite,
                "{url}"
            );
        }
        for url in [
            "postgres://u:p@localhost/atelier",
            "postgresql:///atelier?host=/var/run/postgresql",
        ] {
            assert_eq!(
                url.parse::<DatabaseUrl>().unwrap().backend(),
                DatabaseBackend::Postgres,
                "{url}"
            );
        }
        for url in [
            "",
            "mysql://localhost/a",
            "sqlite://",
            "sqlite::memory:",
            "data/atelier.db",
            "postgres:atelier",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn a_database_password_is_never_shown() {
        let url: DatabaseUrl =
            "postgres://ann:s3cret@db.example:5432/atelier?password=t0p&sslmode=require"
                .parse()
                .unwrap();
        assert_eq!(
            url.redacted(),
            "postgres://ann:<redacted>@db.example:5432/atelier?password=<redacted>&sslmode=require"
        );
        assert!(!format!("{url:?}").contains("s3cret"));
        assert!(url.expose().contains("s3cret"));
    }

    #[test]
    fn an_origin_has_no_path_and_no_trailing_slash() {
        for origin in ["*", "https://app.example.com", "http://localhost:3000"] {
            assert!(Origin::read(&literal(origin)).is_ok(), "{origin}");
        }
        for origin in [
            "https://app.example.com/",
            "app.example.com",
            "ftp://a.example",
        ] {
            assert!(Origin::read(&literal(origin)).is_err(), "{origin}");
        }
    }
}
