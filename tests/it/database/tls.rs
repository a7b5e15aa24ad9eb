//! Connections to PostgreSQL over TLS.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::database::{Backend, TestDatabase};
use crate::support::postgres::Cluster;
use crate::support::process::{atelier, refused, run};

/// Two authorities, of which the first has issued the server's certificate, for `localhost`.
const CERTIFICATES: &str = "
    set -e
    new='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
    for authority in authority other; do
        openssl req -x509 $new -days 2 -subj /CN=$authority -keyout $authority.key -out $authority.crt
    done
    openssl req $new -subj /CN=localhost -keyout server.key -out server.csr
    echo subjectAltName=DNS:localhost >extensions
    openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 \\
        -extfile extensions -out server.crt
";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_spoken_to_as_secretly_as_the_url_asks_for() {
    let cluster = secured().await;
    let file = |name: &str| format!("sslrootcert={}/{name}.crt", cluster.folder().display());
    let (authority, other) = (file("authority"), file("other"));
    for (host, parameters, refusal) in [
        (
            "127.0.0.1",
            "sslmode=disable".to_owned(),
            Some("no encryption"),
        ),
        ("127.0.0.1", String::new(), None),
        ("127.0.0.1", "sslmode=require".to_owned(), None),
        ("127.0.0.1", format!("sslmode=verify-ca&{authority}"), None),
        (
            "localhost",
            format!("sslmode=verify-full&{authority}"),
            None,
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&{authority}"),
            Some("certificate"),
        ),
        (
            "localhost",
            format!("sslmode=verify-full&{other}"),
            Some("certificate"),
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&{other}"),
            Some("certificate"),
        ),
        (
            "localhost",
            "sslmode=verify-full".to_owned(),
            Some("certificate"),
        ),
    ] {
        let url = format!(
            "postgres://postgres@{host}:{}/postgres?{parameters}",
            cluster.port()
        );
        let db = TestDatabase::on_server(url.clone());
        // None of this passes by waiting.
        let patient = ["--set", "database.connect_timeout=10m"];
        let output = run(atelier(
            &db,
            &[&["migrate", "status"], &patient[..]].concat(),
        ))
        .await;
        match refusal {
            Some(words) => refused(&output, &[words]),
            None => assert_eq!(output.status.code(), Some(3), "{url}: {output:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_refused_at_once_where_the_url_asks_for_it() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let secret = TestDatabase::on_server(format!("{}?sslmode=require", db.url));
    let patient = ["--set", "database.connect_timeout=10m"];
    let output = run(atelier(
        &secret,
        &[&["migrate", "status"], &patient[..]].concat(),
    ))
    .await;
    refused(&output, &["TLS"]);
}

/// A server that admits nobody without TLS.
async fn secured() -> Cluster {
    let mut cluster = Cluster::with("").await;
    let mut making = Command::new("sh");
    // The server reads no other's key.
    let owner = std::fs::metadata(cluster.folder()).unwrap();
    making
        .args(["-c", CERTIFICATES])
        .current_dir(cluster.folder())
        .uid(owner.uid())
        .gid(owner.gid());
    let made = run(making).await;
    assert!(made.status.success(), "{made:?}");
    let folder = cluster.folder().display();
    let settings = format!(
        "ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'"
    );
    cluster.reconfigure("hostssl all all 127.0.0.1/32 trust", &settings);
    cluster
}
