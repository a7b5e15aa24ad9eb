//! Where a database's URL leads, and what it never tells.

use std::process::Output;

use sea_orm::ConnectionTrait;

use crate::support::client::request_for;
use crate::support::database::{Backend, TestDatabase};
use crate::support::postgres::Cluster;
use crate::support::process::{Process, atelier, run};

#[tokio::test]
async fn a_password_that_is_not_percent_encoded_is_refused_by_every_command_and_shown_by_none() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    for separator in ["/", "#", "?"] {
        let url = format!("postgres://ann:hun{separator}ter2@127.0.0.1/atelier");
        for arguments in [
            &["config"][..],
            &["migrate", "status"],
            &["migrate", "up"],
            &["serve"],
        ] {
            let mut command = atelier(&db, arguments);
            command.args(["--set", &format!("database.url={url}")]);
            command.env("DATABASE_URL", &url);
            command.env("ATELIER__DATABASE__URL", &url);
            let output = run(command).await;
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert_eq!(
                said.matches("percent-encode the password").count(),
                3,
                "{said}"
            );
            assert!(!said.contains("hun") && !said.contains("ter2"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_password_is_not_shown_when_the_server_cannot_be_reached() {
    let db = TestDatabase::on_server("postgres://ann:hun%2Fter2@127.0.0.1:9/atelier".to_owned());
    for arguments in [&["migrate", "status"][..], &["serve"], &["config"]] {
        let mut command = atelier(&db, arguments);
        command.args([
            "--set",
            "database.connect_timeout=1ms",
            "--set",
            "log.filter=trace",
        ]);
        let output = run(command).await;
        let said = said(&output);
        assert!(
            said.contains("postgres://ann:<redacted>@127.0.0.1:9/atelier"),
            "{said}"
        );
        assert!(!said.contains("ter2"), "{said}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_refused_by_name() {
    let db = TestDatabase::on_server("postgres://127.0.0.1/atelier?sslmod=require".to_owned());
    let output = run(atelier(&db, &["migrate", "status"])).await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("\"sslmod\"") && said.contains("did you mean sslmode?"),
        "{said}"
    );
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused_by_name() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let name = format!("latin_{}", uuid::Uuid::new_v4().simple());
    let connection = db.connect().await;
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'");
    connection.execute_unprepared(&create).await.unwrap();

    let mut url = url::Url::parse(&db.url).unwrap();
    url.set_path(&name);
    for arguments in [&["migrate", "up"][..], &["serve"]] {
        let output = run(atelier(
            &TestDatabase::on_server(url.to_string()),
            arguments,
        ))
        .await;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("LATIN1") && said.contains("UTF8"), "{said}");
    }
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    connection.execute_unprepared(&drop).await.unwrap();
}

#[tokio::test]
async fn a_server_is_reached_over_its_socket_and_its_addresses() {
    let cluster = Cluster::with("unix_socket_directories = '{folder}'").await;
    let (folder, port) = (cluster.folder().display().to_string(), cluster.port());
    let encoded = folder.replace('/', "%2F");
    for url in [
        format!("postgres:///postgres?host={folder}&port={port}&user=postgres"),
        format!("postgresql://postgres@{encoded}:{port}/postgres"),
        format!(
            "postgres://postgres@nowhere.invalid:{port}/postgres?hostaddr=127.0.0.1&connect_timeout=9"
        ),
        format!(
            "postgres://localhost:{port}?user=postgres&dbname=postgres&sslmode=disable&options=-c%20geqo%3Doff"
        ),
    ] {
        let output = run(atelier(
            &TestDatabase::on_server(url.clone()),
            &["migrate", "up", "--set", "identity.provision_users=true"],
        ))
        .await;
        assert!(output.status.success(), "{url}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_session_takes_writes_where_the_url_asks_for_it() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let name = url::Url::parse(&db.url).unwrap().path()[1..].to_owned();
    for (writes, attributes, code) in [
        ("on", "any", 3),
        ("on", "read-write", 1),
        ("on", "primary", 1),
        ("off", "any", 3),
        ("off", "read-write", 3),
        ("off", "primary", 3),
    ] {
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = {writes}");
        let connection = db.connect().await;
        connection
            .execute_unprepared("SET default_transaction_read_only = off")
            .await
            .unwrap();
        connection.execute_unprepared(&set).await.unwrap();
        let url = format!("{}?target_session_attrs={attributes}", db.url);
        // It may take writes later, so it is waited for.
        let wait = ["--set", "database.connect_timeout=1ms"];
        let command = [&["migrate", "status"], &wait[..]].concat();
        let output = run(atelier(&TestDatabase::on_server(url), &command)).await;
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{attributes}: {said}");
        assert_eq!(
            said.contains("the server takes no writes"),
            code == 1,
            "{said}"
        );
    }
    let several = "postgres://127.0.0.1,127.0.0.2/atelier?target_session_attrs=read-write";
    let output = run(atelier(
        &TestDatabase::on_server(several.to_owned()),
        &["serve"],
    ))
    .await;
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("one host"), "{said}");
}

#[tokio::test]
async fn a_sqlite_path_with_a_percent_sign_or_a_question_mark_goes_where_the_text_says() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!(
        "sqlite://{}/50%25%20of%20what%3F/a.db",
        folder.path().display()
    );
    let db = TestDatabase::at(url, Backend::Sqlite);
    let server = Process::serve(&db, folder.path(), &[]).await;
    let feature = server.scripted_feature().await;
    server.create(request_for(feature)).await;
    assert!(folder.path().join("50% of what?/a.db").exists());
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
