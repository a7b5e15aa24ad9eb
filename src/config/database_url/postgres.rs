//! The URL of a PostgreSQL database, as libpq reads it.

use std::{collections::BTreeMap, fmt};

use super::{decode, encode, unknown};
use crate::config::kind::REDACTED;

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
    pub(super) fn from_url(text: &str) -> Result<Self, String> {
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
    pub(super) fn redacted(&self) -> String {
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

impl fmt::Debug for PostgresServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.redacted())
    }
}
