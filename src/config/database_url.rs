//! Where the database is. The URL is read here and nowhere else: what the driver gets are the parts, so that it cannot find
//! another server in the text than we do, nor print a password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::kind::{Kind, Literal, REDACTED, quote};
use crate::domain::spelling::{hint, nearest};

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

/// A database in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqliteFile {
    /// Decoded; absolute, or relative to the working directory.
    pub path: PathBuf,
    /// Whether the file is made if it is not there.
    pub create: bool,
    /// SQLite's name of another way to reach files.
    pub vfs: Option<String>,
    text: String,
}

/// A PostgreSQL server with a role and a database, by libpq's names of connection parameters. What is not given is taken
/// from libpq's environment variables and password file.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresServer {
    parameters: BTreeMap<&'static str, String>,
}

/// What a parameter's value may be.
#[derive(Clone, Copy)]
enum Takes {
    Text,
    Number,
    OneOf(&'static [&'static str]),
    /// Nothing: libpq knows it, but not the driver.
    Nothing,
}

/// libpq's parameters. Of those that take one of few values, one is what the driver does anyway.
const PARAMETERS: &[(&str, Takes)] = &[
    ("host", Takes::Text),
    ("hostaddr", Takes::Text),
    ("port", Takes::Number),
    ("user", Takes::Text),
    ("password", Takes::Text),
    ("dbname", Takes::Text),
    (
        "sslmode",
        Takes::OneOf(&[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ]),
    ),
    ("sslrootcert", Takes::Text),
    ("sslcert", Takes::Text),
    ("sslkey", Takes::Text),
    ("application_name", Takes::Text),
    ("connect_timeout", Takes::Number),
    ("options", Takes::Text),
    (
        "target_session_attrs",
        Takes::OneOf(&["any", "read-write", "primary"]),
    ),
    ("statement-cache-capacity", Takes::Number),
    ("channel_binding", Takes::OneOf(&["disable", "prefer"])),
    ("client_encoding", Takes::OneOf(&["UTF8", "utf8", "auto"])),
    ("gssencmode", Takes::OneOf(&["disable", "prefer"])),
    ("fallback_application_name", Takes::Nothing),
    ("gssdelegation", Takes::Nothing),
    ("gsslib", Takes::Nothing),
    ("keepalives", Takes::Nothing),
    ("keepalives_count", Takes::Nothing),
    ("keepalives_idle", Takes::Nothing),
    ("keepalives_interval", Takes::Nothing),
    ("krbsrvname", Takes::Nothing),
    ("load_balance_hosts", Takes::Nothing),
    ("passfile", Takes::Nothing),
    ("replication", Takes::Nothing),
    ("require_auth", Takes::Nothing),
    ("requirepeer", Takes::Nothing),
    ("service", Takes::Nothing),
    ("ssl_max_protocol_version", Takes::Nothing),
    ("ssl_min_protocol_version", Takes::Nothing),
    ("sslcertmode", Takes::Nothing),
    ("sslcompression", Takes::Nothing),
    ("sslcrl", Takes::Nothing),
    ("sslcrldir", Takes::Nothing),
    ("sslnegotiation", Takes::Nothing),
    ("sslpassword", Takes::Nothing),
    ("sslsni", Takes::Nothing),
    ("tcp_user_timeout", Takes::Nothing),
];

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

impl SqliteFile {
    /// The way to the file as it is written: `sqlite://` and `sqlite:` mean the same.
    fn from_url(text: &str) -> Result<Self, String> {
        let without_slashes = text.strip_prefix("sqlite://");
        let rest = without_slashes.or_else(|| text.strip_prefix("sqlite:"));
        let rest = rest.unwrap_or_default();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.contains(":memory:") || query.contains("mode=memory") {
            return Err(
                "a database that outlives the process: a SQLite file or a PostgreSQL server"
                    .to_owned(),
            );
        }
        let decoded =
            decode(path).ok_or_else(|| "%25 for each % in the path of a SQLite file".to_owned())?;
        if decoded.trim_start_matches('/').is_empty() || decoded.starts_with("file:") {
            return Err(EXAMPLES.to_owned());
        }
        let mut file = Self {
            path: decoded.into(),
            create: true,
            vfs: None,
            text: text.to_owned(),
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            file.take(pair)?;
        }
        Ok(file)
    }

    fn take(&mut self, pair: &str) -> Result<(), String> {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            "%3F for each ? in the path of a SQLite file, and parameters that are written as name=value".to_owned()
        })?;
        match (name, value) {
            ("mode", "rwc") => self.create = true,
            ("mode", "rw") => self.create = false,
            ("cache", "private") => {}
            ("vfs", name) if !name.is_empty() => self.vfs = Some(name.to_owned()),
            ("mode", _) => return Err("mode=rwc or mode=rw: the service writes".to_owned()),
            ("cache", _) => return Err("cache=private: connections share no cache".to_owned()),
            ("immutable", _) => return Err("no immutable: the service writes".to_owned()),
            (name, _) => {
                let names = ["mode", "cache", "vfs"].map(str::to_owned);
                return Err(unknown(name, names.into_iter()));
            }
        }
        Ok(())
    }
}

impl PostgresServer {
    /// The parameter of this name in libpq, if it is given.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// All parameters that are given, by libpq's names.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parameters
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// `text` is what follows `postgres://`.
    fn from_url(text: &str) -> Result<Self, String> {
        let end = text.find(['/', '?', '#']).unwrap_or(text.len());
        let (authority, rest) = text.split_at(end);
        if authority.matches('@').count() > 1 || rest.contains(['@', '#']) {
            return Err(
                "a URL in which no password, name or value holds an unescaped @, /, ? or #: percent-encode the password \
                 (@ as %40, / as %2F, ? as %3F, # as %23)"
                    .to_owned(),
            );
        }
        let mut server = Self {
            parameters: BTreeMap::new(),
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        server.take_user(user)?;
        server.take_host(host)?;
        server.give("dbname", path.strip_prefix('/').unwrap_or_default())?;
        server.take_query(query)?;
        server.check()?;
        Ok(server)
    }

    fn take_user(&mut self, text: &str) -> Result<(), String> {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        self.give("user", user)?;
        self.give("password", password)
    }

    fn take_host(&mut self, text: &str) -> Result<(), String> {
        let port = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                self.give("host", address)?;
                rest.strip_prefix(':').unwrap_or(rest)
            }
            None if text.starts_with('[') => {
                return Err("an IPv6 address that is closed by ], such as [::1]:5432".to_owned());
            }
            None => {
                let (host, port) = text.split_once(':').unwrap_or((text, ""));
                self.give("host", host)?;
                port
            }
        };
        self.give("port", port)
    }

    fn take_query(&mut self, query: &str) -> Result<(), String> {
        let mut given = Vec::new();
        let pairs: Vec<_> = query.split('&').filter(|pair| !pair.is_empty()).collect();
        // What looks like another parameter may be the rest of it.
        let has_password = pairs.iter().any(|pair| pair.starts_with("password="));
        for pair in pairs {
            let known = pair.split_once('=').map(|(name, value)| {
                let known = PARAMETERS.iter().find(|(known, _)| *known == name);
                (name, known, value)
            });
            match known {
                Some((name, Some(_), _)) if given.contains(&name) => {
                    return Err(format!("a URL that gives the parameter {name} once"));
                }
                Some((name, Some((known, _)), value)) => {
                    given.push(name);
                    self.give(known, value)?;
                }
                Some((name, None, _)) if !has_password => {
                    let known = PARAMETERS
                        .iter()
                        .filter(|(_, takes)| !matches!(takes, Takes::Nothing));
                    return Err(unknown(name, known.map(|(name, _)| (*name).to_owned())));
                }
                Some(_) | None => {
                    return Err("known parameters, each written as name=value: percent-encode & and = in values, and the \
                                password"
                        .to_owned());
                }
            }
        }
        Ok(())
    }

    /// Takes a value as it stands in the URL; an empty one is as good as none.
    fn give(&mut self, name: &'static str, written: &str) -> Result<(), String> {
        if written.is_empty() {
            return Ok(());
        }
        let value = decode(written).ok_or_else(|| {
            format!("a {name} in which each % is written as %25: percent-encode it")
        })?;
        let takes = PARAMETERS.iter().find(|(known, _)| *known == name);
        match takes.map_or(Takes::Text, |(_, takes)| *takes) {
            Takes::Number if value.parse::<u16>().is_err() => {
                return Err(format!("a {name} from 0 to 65535"));
            }
            Takes::OneOf(values) if !values.contains(&value.as_str()) => {
                return Err(format!("a {name} that is one of {}", values.join(", ")));
            }
            Takes::Nothing => {
                return Err(format!(
                    "no parameter {name}, which this program does not support"
                ));
            }
            _ => {}
        }
        self.parameters.insert(name, value);
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let host = self.parameter("host").unwrap_or_default();
        if host.contains(',')
            || self
                .parameter("hostaddr")
                .is_some_and(|list| list.contains(','))
        {
            return Err("one host: name the primary, or an address that leads to it".to_owned());
        }
        // A name with such letters is another mistake in quoting, and would go to the name service in clear text.
        if !host.starts_with('/') && host.contains([' ', '/', '%', '[', ']']) {
            return Err("the host as a name, an IP address, or the folder of a socket".to_owned());
        }
        if let Some(address) = self.parameter("hostaddr") {
            if address.parse::<std::net::IpAddr>().is_err() {
                return Err("a hostaddr that is an IP address".to_owned());
            }
            if self.parameter("sslmode") == Some("verify-full") && !host.is_empty() {
                return Err(
                    "host or hostaddr with sslmode=verify-full: the certificate is checked against where we connect to"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    /// As a URL, with the password left out.
    fn redacted(&self) -> String {
        let encoded = |name| self.parameter(name).map(encode).unwrap_or_default();
        let mut url = String::from("postgres://");
        url.push_str(&encoded("user"));
        if self.parameter("password").is_some() {
            url.push(':');
            url.push_str(REDACTED);
        }
        if url.len() > "postgres://".len() {
            url.push('@');
        }
        match self.parameter("host") {
            Some(address) if address.contains(':') => url.push_str(&format!("[{address}]")),
            _ => url.push_str(&encoded("host")),
        }
        if let Some(port) = self.parameter("port") {
            url.push_str(&format!(":{port}"));
        }
        url.push('/');
        url.push_str(&encoded("dbname"));
        let shown = ["user", "password", "host", "port", "dbname"];
        let rest = self.parameters().filter(|(name, _)| !shown.contains(name));
        for (number, (name, value)) in rest.enumerate() {
            let separator = if number == 0 { '?' } else { '&' };
            url.push_str(&format!("{separator}{name}={}", encode(value)));
        }
        url
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

impl fmt::Debug for PostgresServer {
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

impl SqliteFile {
    /// The folder that the file lies in; `None` for one in the current folder.
    pub fn folder(&self) -> Option<&Path> {
        self.path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> PostgresServer {
        match url.parse() {
            Ok(DatabaseUrl::Postgres(server)) => server,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn file(url: &str) -> SqliteFile {
        match url.parse() {
            Ok(DatabaseUrl::Sqlite(file)) => file,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn refusal(url: &str) -> String {
        url.parse::<DatabaseUrl>().expect_err(url)
    }

    #[test]
    fn a_database_is_a_sqlite_file_or_a_postgresql_server() {
        for (url, backend) in [
            ("sqlite://data/atelier.db", DatabaseBackend::Sqlite),
            ("sqlite:data/a.db?mode=rwc", DatabaseBackend::Sqlite),
            (
                "postgres://u:p@localhost/atelier",
                DatabaseBackend::Postgres,
            ),
            (
                "postgresql:///atelier?host=/var/run/postgresql",
                DatabaseBackend::Postgres,
            ),
        ] {
            assert_eq!(
                url.parse::<DatabaseUrl>().unwrap().backend(),
                backend,
                "{url}"
            );
        }
        for url in [
            "",
            "mysql://localhost/a",
            "sqlite://",
            "sqlite:///",
            "sqlite::memory:",
            "sqlite:file:a.db",
            "data/atelier.db",
            "postgres:atelier",
        ] {
            assert!(url.parse::<DatabaseUrl>().is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_that_is_not_percent_encoded_is_refused_and_nothing_of_it_shown() {
        for url in [
            "postgres://ann:hun/ter2@db/atelier",
            "postgres://ann:hun?ter2@db/atelier",
            "postgres://ann:hun#ter2@db/atelier",
            "postgres://ann:12/ter2@db:5432/atelier",
            "postgres://ann:/ter2@db/atelier",
            "postgres://ann:?ter2@db/atelier",
            "postgres://ann:#ter2@db/atelier",
            "postgres://ann:ter2/@db/atelier",
            "postgres://ann:hun@ter2@db/atelier",
            "postgres://ann:hun@ter2/x@db/atelier",
            "postgres://ann:hun%ter2@db/atelier",
            "postgres://ann:hun%zzter2@db/atelier",
            "postgres://db/atelier?password=hun&ter2",
            "postgres://db/atelier?password=hun&ter2=x",
            "postgres://db/atelier?ter2=x&password=hun",
            "postgres://db/atelier?password=hun#ter2",
        ] {
            let refusal = refusal(url);
            assert!(refusal.contains("percent-encode"), "{url}: {refusal}");
            assert!(
                !refusal.contains("ter2") && !refusal.contains("hun"),
                "{url}: {refusal}"
            );
        }
        assert!(!refusal("postgres://ann:hunter2/db").contains("hunter2"));
    }

    #[test]
    fn a_percent_encoded_password_is_what_it_stands_for_and_is_never_shown() {
        let server =
            server("postgres://a%40b:p%2F%23%3F%40%25@db.example:5433/my%20db?sslmode=require");
        assert_eq!(server.parameter("user"), Some("a@b"));
        assert_eq!(server.parameter("password"), Some("p/#?@%"));
        assert_eq!(server.parameter("dbname"), Some("my db"));
        assert_eq!(
            server.redacted(),
            "postgres://a%40b:<redacted>@db.example:5433/my%20db?sslmode=require"
        );
        let in_query: DatabaseUrl = "postgres://db/atelier?user=ann&password=t0p"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{in_query:?}"),
            "postgres://ann:<redacted>@db/atelier"
        );
    }

    #[test]
    fn hosts_are_names_addresses_and_folders_of_sockets() {
        for (url, host, port) in [
            ("postgres://[::1]:5433/a", "::1", Some("5433")),
            ("postgres://u@[::1]/a", "::1", None),
            ("postgres://127.0.0.1/a", "127.0.0.1", None),
            (
                "postgres://%2Fvar%2Frun%2Fpostgresql/a",
                "/var/run/postgresql",
                None,
            ),
            (
                "postgres:///a?host=/var/run/postgresql&port=1",
                "/var/run/postgresql",
                Some("1"),
            ),
            ("postgres://localhost/a?host=/tmp", "/tmp", None),
        ] {
            let server = server(url);
            assert_eq!(server.parameter("host"), Some(host), "{url}");
            assert_eq!(server.parameter("port"), port, "{url}");
        }
        for url in [
            "postgres://one,two/a",
            "postgres://db:port/a",
            "postgres://db:70000/a",
            "postgres://my%20host/a",
            "postgres://db/a?hostaddr=db",
            "postgres://db/a?hostaddr=10.0.0.1&sslmode=verify-full",
        ] {
            refusal(url);
        }
        for url in ["postgres://u:p@[::1/x", "postgres://[::1:5432/x"] {
            assert!(
                refusal(url).contains("closed by ]"),
                "{url}: {}",
                refusal(url)
            );
        }
    }

    #[test]
    fn blanks_around_a_url_are_no_part_of_a_name() {
        for url in [
            "postgres://u:p@db/x ",
            "postgres://u:p@db/x\n",
            " postgres://u:p@db/x",
            "sqlite://x.db ",
        ] {
            assert!(refusal(url).contains("blanks"), "{url:?}: {}", refusal(url));
        }
    }

    #[test]
    fn unknown_parameters_and_those_that_nothing_here_supports_are_refused_by_name() {
        assert_eq!(
            refusal("postgres://db/a?ssl_mode=require"),
            "no parameter \"ssl_mode\": there is no such one; did you mean sslmode?"
        );
        assert!(refusal("postgres://db/a?sslcrl=x").contains("sslcrl"));
        assert!(refusal("postgres://db/a?sslmode=on").contains("verify-full"));
        assert!(refusal("postgres://db/a?channel_binding=require").contains("channel_binding"));
        assert!(refusal("postgres://db/a?target_session_attrs=standby").contains("read-write"));
        assert!(refusal("postgres://db/a?user=a&user=b").contains("once"));
        assert!(refusal("sqlite://a.db?journal_mode=off").contains("journal_mode"));
        let usual = "postgres://u@db/a?sslmode=verify-ca&sslrootcert=/ca.pem&sslcert=c&sslkey=k&application_name=x\
                     &connect_timeout=3&options=-c%20geqo%3Doff&target_session_attrs=read-write&hostaddr=10.0.0.1";
        assert_eq!(server(usual).parameter("options"), Some("-c geqo=off"));
    }

    #[test]
    fn a_sqlite_path_goes_where_the_text_says_or_is_refused() {
        for (url, path) in [
            ("sqlite:///data/a.db", "/data/a.db"),
            ("sqlite:/data/a.db", "/data/a.db"),
            ("sqlite://data/a.db?mode=rw", "data/a.db"),
            ("sqlite:///data/50%25.db", "/data/50%.db"),
            ("sqlite:///data/what%3F.db", "/data/what?.db"),
            ("sqlite:///data/a#b+c d.db", "/data/a#b+c d.db"),
        ] {
            assert_eq!(file(url).path, Path::new(path), "{url}");
        }
        for (url, expected) in [
            ("sqlite:///data/50%.db", "%25"),
            ("sqlite:///data/50%/a.db", "%25"),
            ("sqlite:///data/what?.db", "%3F"),
            ("sqlite://a.db?mode=ro", "writes"),
            ("sqlite://a.db?mode=memory", "outlives"),
            ("sqlite://a.db?cache=shared", "cache=private"),
            ("sqlite://a.db?immutable=1", "writes"),
        ] {
            assert!(refusal(url).contains(expected), "{url}: {}", refusal(url));
        }
    }
}
