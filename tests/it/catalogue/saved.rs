//! A catalogue that goes through standard input and output, and one as people's editors save it.

use std::io::Write;
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::process::{atelier, refused, run};
use crate::support::server::within;

const STARTER: &str = include_str!("../../../catalogue/starter.toml");

on_both_databases! {
    async fn a_catalogue_goes_through_standard_output_and_input(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        let applied = apply(&db, &folder, STARTER.as_bytes()).await;
        assert!(!said(&applied).contains("unchanged"), "{applied:?}");
        let streamed = export(&db, &folder, &["-"]).await;
        assert_eq!(streamed, export(&db, &folder, &[]).await);
        assert!(!folder.path().join("-").exists());
        assert_unchanged(&apply(&db, &folder, streamed.as_bytes()).await);
    }

    async fn what_an_editor_does_to_a_catalogue_is_no_change(db: TestDatabase) {
        let folder = tempfile::tempdir().unwrap();
        apply(&db, &folder, STARTER.as_bytes()).await;
        let exported = export(&db, &folder, &["-"]).await;
        assert!(exported.contains("\"\"\"\n"), "it has texts of several lines");
        for text in [STARTER, &exported] {
            let lines = text.replace('\n', "\r\n");
            for saved in [lines.clone(), format!("\u{feff}{text}"), format!("\u{feff}{lines}")] {
                assert_unchanged(&apply(&db, &folder, saved.as_bytes()).await);
            }
        }
        let utf16: Vec<u8> = format!("\u{feff}{STARTER}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        refused(&apply(&db, &folder, &utf16).await, &["cannot read -: it is UTF-16; save it as UTF-8"]);
        let latin = b"[[features]]\nname = \"caf\xe9\"\n";
        refused(&apply(&db, &folder, latin).await, &["cannot read -: it is not UTF-8"]);
    }
}

/// Applies what comes by standard input.
async fn apply(db: &TestDatabase, folder: &TempDir, text: &[u8]) -> Output {
    let mut command = atelier(db, &["catalogue", "apply", "-"]);
    command.args(settings(folder)).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_vec();
    let ended = tokio::task::spawn_blocking(move || {
        input.write_all(&text).unwrap();
        drop(input);
        child.wait_with_output()
    });
    within(ended).await.unwrap().unwrap()
}

async fn export(db: &TestDatabase, folder: &TempDir, file: &[&str]) -> String {
    let mut command = atelier(db, &[&["catalogue", "export"], file].concat());
    command.args(settings(folder)).current_dir(folder);
    let output = run(command).await;
    said(&output)
}

fn settings(folder: &TempDir) -> [String; 4] {
    let media = folder.path().join("media");
    let set = || "--set".to_owned();
    let users = "identity.provision_users=true".to_owned();
    [
        set(),
        format!("storage.folder={}", media.display()),
        set(),
        users,
    ]
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn assert_unchanged(output: &Output) {
    let said = said(output);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("0 created, 0 changed, "), "{said}");
}
