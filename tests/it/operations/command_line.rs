//! The commands that are no servers.

use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::database::schema::MIGRATIONS;
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::server::within;

const PROCESSES: usize = 10;

on_both_databases! {
    async fn migrations_go_up_and_down_and_tell_where_they_stand(db: TestDatabase) {
        let migrate = async |arguments: &[&str]| {
            let output = run(migrate_command(&db, arguments)).await;
            let told = text(&output.stdout);
            let code = if told.contains("pending") { 3 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{output:?}");
            told
        };
        let standing = async || {
            let lines = migrate(&["status"]).await;
            let first_words = lines.lines().map(|line| line.split(' ').next().unwrap().to_owned());
            first_words.collect::<Vec<_>>()
        };
        assert_eq!(standing().await, ["pending"; MIGRATIONS as usize]);
        migrate(&["up", "--steps", "1"]).await;
        let mut first = ["pending"; MIGRATIONS as usize];
        first[0] = "applied";
        assert_eq!(standing().await, first);
        migrate(&["up"]).await;
        assert_eq!(standing().await, ["applied"; MIGRATIONS as usize]);
        assert_eq!(migrate(&["up"]).await, "nothing to do\n");
        migrate(&["down", "--yes"]).await;
        let mut all_but_the_last = ["applied"; MIGRATIONS as usize];
        all_but_the_last[MIGRATIONS as usize - 1] = "pending";
        assert_eq!(standing().await, all_but_the_last);
        migrate(&["up"]).await;
        let told = migrate(&["down", "--yes", "--steps", &MIGRATIONS.to_string()]).await;
        let names = migration::MIGRATIONS.iter().rev().map(|migration| migration.name);
        let in_the_order_of_the_work: String = names.map(|name| format!("took back {name}\n")).collect();
        assert_eq!(told, in_the_order_of_the_work);
        assert_eq!(standing().await, ["pending"; MIGRATIONS as usize]);
    }

    async fn ten_processes_that_migrate_at_the_same_moment_all_succeed(db: TestDatabase) {
        let processes: Vec<_> = (0..PROCESSES)
            .map(|_| {
                let mut command = migrate_command(&db, &["up"]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let mut said = String::new();
        for process in processes {
            let ended = tokio::task::spawn_blocking(|| process.wait_with_output());
            let output: Output = within(ended).await.unwrap().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            said.push_str(&text(&output.stdout));
        }
        assert!(said.contains("applied"), "{said}");
        let status = run(atelier(&db, &["migrate", "status"])).await;
        assert_eq!(text(&status.stdout).matches("applied").count(), MIGRATIONS as usize);
    }
}

/// Whatever only looks, or works on what is there, makes no database and leaves nothing behind.
#[tokio::test]
async fn a_command_that_looks_at_a_database_makes_none() {
    use crate::support::database::{Backend, TestDatabase};
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("new/missing.db");
    let url = |mode| format!("sqlite://{}{mode}", missing.display());
    let catalogue = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(catalogue.path(), "features = []").unwrap();
    let catalogue = catalogue.path().to_str().unwrap();
    let media = format!("storage.folder={}", folder.path().display());
    for (code, words, arguments) in [
        (3, "pending m0001_domain\n", &["migrate", "status"][..]),
        (3, "m0001_domain", &["migrate", "status", "--json"]),
        (
            0,
            "CREATE TABLE generation_jobs",
            &["migrate", "up", "--dry-run"],
        ),
        (1, "there is no database", &["migrate", "down", "--yes"]),
        (1, "there is no database", &["storage", "status"]),
        (1, "there is no database", &["storage", "clean"]),
        (1, "there is no database", &["storage", "adopt"]),
        (1, "there is no database", &["backup", "copy.db"]),
        (1, "there is no database", &["catalogue", "export"]),
        (
            1,
            "there is no database",
            &["catalogue", "apply", "--dry-run", catalogue],
        ),
        (
            1,
            "does not answer",
            &["health", "--url", "http://127.0.0.1:9"],
        ),
        (0, "missing.db", &["config"]),
    ] {
        for mode in ["", "?mode=rw"] {
            let db = TestDatabase::at(url(mode), Backend::Sqlite);
            let output = run(atelier(&db, &[arguments, &["--set", &media]].concat())).await;
            let told = text(&[&output.stdout[..], &output.stderr[..]].concat());
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
            assert!(told.contains(words), "{arguments:?}: {told}");
            assert_eq!(
                std::fs::read_dir(folder.path()).unwrap().count(),
                0,
                "{arguments:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_names_every_problem_and_exits_with_two() {
    use crate::support::database::{Backend, TestDatabase};
    let db = TestDatabase::create(Backend::Sqlite).await;
    let mut command = atelier(&db, &["serve", "--listen", "0.0.0.0:50051"]);
    command.args(["--set", "executor.lease=soon"]);
    command.env("ATELIER__SERVER__LISTENN", "x");
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(2));
    let complaint = text(&output.stderr);
    for key in [
        "server.listen",
        "executor.lease",
        "ATELIER__SERVER__LISTENN",
    ] {
        assert!(complaint.contains(key), "{key} is not in:\n{complaint}");
    }
}

#[tokio::test]
async fn a_server_without_its_database_says_why_and_exits_with_one() {
    use crate::support::database::{Backend, TestDatabase};
    let db = TestDatabase::create(Backend::Sqlite).await;
    let mut command = atelier(&db, &["serve"]);
    // Nothing listens on the discard port.
    let nowhere = "postgres://nobody:a-password@127.0.0.1:9/nothing";
    command.args(["--set", "database.connect_timeout=1s"]);
    command.args([
        "--set",
        &format!("database.url={nowhere}"),
        "--database-url",
        nowhere,
    ]);
    let output = run(command).await;
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("cannot connect to the database"),
        "{complaint}"
    );
    assert!(complaint.contains("1 s of waiting"), "{complaint}");
    assert!(complaint.contains("Connection refused"), "{complaint}");
    assert!(!complaint.contains("a-password"), "{complaint}");
}

#[tokio::test]
async fn what_is_wrong_from_the_start_exits_with_two_and_what_fails_with_one() {
    use crate::support::database::{Backend, TestDatabase};
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let missing = missing.to_str().unwrap();
    let db = TestDatabase::create(Backend::Sqlite).await;
    let short_key = "storage.signing_key=short";
    let secret = "auth.secret=a-secret-of-32-bytes-for-tests-xx";
    for (code, arguments) in [
        (0, &["--help"][..]),
        (0, &["config"]),
        (2, &[]),
        (2, &["paint"]),
        (2, &["config", "--sett", "a"]),
        (2, &["generate"]),
        (2, &["generate", "x", "--timeout", "soon"]),
        (2, &["generate", "x", "--var", "no value"]),
        (2, &["generate", "-sale"]),
        (2, &["generate", "x", "--negative-prompt", "--json"]),
        (2, &["backup", "-"]),
        (2, &["generate", "x", "--server", "ftp://127.0.0.1"]),
        (2, &["health", "--url", "ftp://127.0.0.1"]),
        (2, &["health", "--set", "server.listen=127.0.0.1:0"]),
        (1, &["token", "--set", secret]),
        (1, &["token", "--user", "7"]),
        (0, &["token", "--user", "7", "--set", secret]),
        (0, &["token", "--scope", "admin", "--set", secret]),
        (
            1,
            &["token", "--user", "7", "--scope", "admin", "--set", secret],
        ),
        (2, &["config", "--set", "executor.lease=soon"]),
        (2, &["config", "--set", "executor.leese=1s"]),
        (2, &["config", "--set", "database.url=mysql://a/b"]),
        (2, &["serve", "--set", "storage.backend=s3"]),
        (2, &["serve", "--set", short_key]),
        (1, &["generate", "x", "--server", "http://127.0.0.1:9"]),
        (1, &["health", "--url", "http://127.0.0.1:9"]),
        (1, &["recipe", missing]),
        (1, &["catalogue", "apply", missing]),
        (1, &["migrate", "down"]),
    ] {
        let output = run(atelier(&db, arguments)).await;
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    }
    let mut configured = Command::new(env!("CARGO_BIN_EXE_atelier"));
    configured.args(["config", "--config", missing]);
    assert_eq!(run(configured).await.status.code(), Some(2));
}

#[tokio::test]
async fn what_cannot_be_shown_is_a_failure() {
    use crate::support::database::{Backend, TestDatabase};
    let db = TestDatabase::create(Backend::Sqlite).await;
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["generate", "--help"],
        &["help", "serve"],
        &["config"],
        &["config", "--reference"],
        &["providers"],
    ] {
        let mut command = atelier(&db, arguments);
        command.stdout(File::create("/dev/full").unwrap());
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let ended = tokio::task::spawn_blocking(|| child.wait_with_output());
        let output = within(ended).await.unwrap().unwrap();
        refused(
            &output,
            &["cannot write to standard output", "No space left"],
        );
    }
    // Who asks for nothing gets the help as what is wrong, on standard error.
    let mut command = atelier(&db, &["catalogue"]);
    command.stdout(File::create("/dev/full").unwrap());
    let status = command.stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}

/// A change of the schema that makes a table of users where there is none.
fn migrate_command(db: &TestDatabase, arguments: &[&str]) -> Command {
    let settings = ["--set", "identity.provision_users=true"];
    atelier(db, &[&["migrate"], arguments, &settings].concat())
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
