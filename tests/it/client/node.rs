//! The programs of `examples/node`. `scripts/web` installs and generates what they need.

use std::fs;
use std::path::Path;

use atelier::rpc::proto::ListRequestsRequest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::client::Client;
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::node::Node;
use crate::support::proxy::TcpProxy;
use crate::support::script::Script;
use crate::support::server::TestServer;
use crate::support::structure::structure;

/// What the first connection brings: all answers before the download and a part of it.
const FIRST_BYTES: usize = 80_000;

on_both_databases! {
    async fn node_makes_a_picture_and_reads_its_metadata_back_as_it_sent_it(db: TestDatabase) {
        let server = starter(&db).await;
        for program in ["generate.mjs", "generate_buf.mjs"] {
            let metadata = everything();
            let (folder, said) = made(program, &server.url(), &metadata).await;
            let told = said.iter().find_map(|line| line.strip_prefix("request ")?.split_once(": "));
            let told: Value = serde_json::from_str(told.unwrap().1).unwrap();
            assert_eq!(told, metadata, "{program}");
            assert_eq!(newest_metadata(&server).await, Some(structure(&metadata)), "{program}");
            assert!(image::load_from_memory(&picture(folder.path())).is_ok(), "{said:?}");
        }
    }

    async fn node_sees_every_transition_once_though_its_connection_breaks(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        server.scripted_feature().await;
        let proxy = TcpProxy::start(&server.url(), None).await;
        let script = Script::new(&["transient", "succeed"]).gated();
        let (address, out) = (proxy.url().replace("http://", ""), tempfile::tempdir().unwrap());
        let extra = script.json().to_string();
        let mut node = Node::start("generate.mjs", &[
            "--server", &address, "--out", out.path().to_str().unwrap(), "--extra", &extra, "Trà đá",
        ]);
        let mut said = node.until("2: JOB_STATUS_PROCESSING").await;
        proxy.cut();
        said.extend(node.until("opened again").await);
        script.open_gate();
        let (succeeded, rest) = node.ends().await;
        said.extend(rest);
        assert!(succeeded, "{said:#?}");
        let mut seen: Vec<_> = said.iter().filter_map(|line| line.split_once(": JOB_STATUS_")).collect();
        // Progress is told too, under the revision that it belongs to.
        seen.dedup_by_key(|(revision, _)| *revision);
        let revisions: Vec<_> = seen.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, ["1", "2", "3", "4", "5"], "{said:#?}");
        assert_eq!(seen[4].1, "COMPLETED 100%", "{said:#?}");
    }
}

// The rest asks nothing of the database, so SQLite is enough.

#[tokio::test(flavor = "multi_thread")]
async fn node_goes_on_with_a_download_where_it_broke() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = starter(&db).await;
    let proxy = TcpProxy::start(&server.url(), Some(FIRST_BYTES)).await;
    let (folder, said) = made("generate.mjs", &proxy.url(), &json!({})).await;
    let broke = said
        .iter()
        .position(|line| line.starts_with("opened again"));
    let completed = said
        .iter()
        .position(|line| line.starts_with("3: JOB_STATUS_COMPLETED"));
    assert!(broke > completed && completed.is_some(), "{said:#?}");
    let media = server.media_of(1).await;
    let original = media.iter().find(|media| media.id == 1).unwrap();
    let digest = Sha256::digest(picture(folder.path()));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, original.sha256);
}

#[tokio::test(flavor = "multi_thread")]
async fn node_is_told_which_fields_are_wrong() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let server = starter(&db).await;
    let address = server.url().replace("http://", "");
    for program in ["generate.mjs", "generate_buf.mjs"] {
        let out = tempfile::tempdir().unwrap();
        let arguments = [
            "--server",
            &address,
            "--out",
            out.path().to_str().unwrap(),
            " ",
        ];
        let (succeeded, said) = Node::start(program, &arguments).ends().await;
        assert!(!succeeded);
        let violation = "user_prompt: must not be empty";
        let refused = format!("VALIDATION_FAILED: {violation}");
        assert_eq!(said[said.len() - 2..], [refused.as_str(), violation]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_refuses_metadata_that_no_struct_can_hold() {
    let code = "import('./struct.mjs').then(({ struct }) => {
        for (const lost of [undefined, NaN, new Date(), new Map(), 1n, () => 1]) {
            try { struct({ lost }); console.log('taken'); } catch (error) { console.log(error.name); }
        }
    })";
    let (succeeded, said) = Node::start("--eval", &[code]).ends().await;
    assert!(succeeded);
    assert_eq!(said, ["TypeError"; 6]);
}

/// One of each that JSON knows, also empty.
fn everything() -> Value {
    json!({
        "order": "17", "empty": "", "lines": [1, -0.5, [], ["a", null]], "paid": false, "none": null,
        "address": { "city": "Hà Nội", "floor": 0, "more": {} },
    })
}

async fn starter(db: &TestDatabase) -> TestServer {
    TestServer::start_with(db, |config| config.catalogue.install_starter = true).await
}

/// Runs a program to its end, which must be good. Returns where the file is, and what was said.
async fn made(program: &str, url: &str, metadata: &Value) -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let address = url.replace("http://", "");
    let out = folder.path().to_str().unwrap();
    let metadata = metadata.to_string();
    let arguments = ["--server", &address, "--out", out, "--metadata", &metadata];
    let node = Node::start(program, &[&arguments[..], &["Trà đá"]].concat());
    let (succeeded, said) = node.ends().await;
    assert!(succeeded, "{said:#?}");
    (folder, said)
}

/// The original, which comes before what is made of it.
fn picture(folder: &Path) -> Vec<u8> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    fs::read(&files[0]).unwrap()
}

async fn newest_metadata(client: &Client) -> Option<prost_types::Struct> {
    let listed = client
        .requests()
        .list_requests(ListRequestsRequest::default())
        .await;
    listed.unwrap().into_inner().requests.remove(0).metadata
}
