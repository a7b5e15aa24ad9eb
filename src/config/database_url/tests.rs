//! What URLs of databases are read as, and which are refused.

use std::path::Path;

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
