//! The keys of the installation: one home, taken over, made once, rotated, never shown.

use std::fs;

use atelier::domain::Purpose;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::StatusCode;
use sha2::Sha256;
use tonic::Code;
use url::Url;

use crate::support::client::{USER, scripted_feature, scripted_request};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::process::{atelier, run};
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::{TestServer, configuration, within};
use crate::support::watching::step_of;
use atelier::config::Config;
use atelier::rpc::proto::{
    ErrorReason, GetMediaRequest, ListFeaturesRequest, Media, WatchRequestEvent,
};
use atelier::server::{Role, Server};

/// As an earlier version has left it.
const FOUND: [u8; 32] = [7; 32];

fn own_keys(config: &mut Config) {
    config.storage.signing_key = None;
}

on_both_databases! {
    async fn servers_that_start_at_once_have_one_key_and_none_lies_in_the_folder(db: TestDatabase) {
        TestServer::start_with(&db, own_keys).await.stop().await;
        let media = tempfile::tempdir().unwrap();
        let mut config = configuration(&db, media.path());
        own_keys(&mut config);
        let starts = (0..4).map(|_| Server::start(config.clone(), Role::Api));
        let servers = within(futures::future::join_all(starts)).await;
        for server in servers {
            let server = server.unwrap();
            for purpose in Purpose::ALL {
                let keys = server.app().list_keys(purpose).await.unwrap();
                assert_eq!(keys.len(), 1, "{}", purpose.name());
            }
            within(server.hand_back()).await;
        }
        assert!(!media.path().join(".signing-key").exists());
    }

    async fn a_key_found_in_the_folder_is_taken_over_once_and_its_links_still_work(db: TestDatabase) {
        let file = db.media.path().join(".signing-key");
        fs::write(&file, format!("{}\n", BASE64_URL_SAFE_NO_PAD.encode(FOUND))).unwrap();
        let server = TestServer::start_with(&db, own_keys).await;
        assert!(!file.exists());
        let media = picture(&server).await;
        let before = link_of_before(&media, &FOUND);
        let unknown = link_of_before(&media, &[8; 32]);
        assert_eq!(get(&before).await, StatusCode::OK);
        assert_eq!(get(&unknown).await, StatusCode::FORBIDDEN);
        assert_eq!(get(&media.download_url).await, StatusCode::OK);
        assert!(media.download_url.contains("&key=1&"), "{}", media.download_url);
        server.stop().await;

        // An older replica may have left it once more.
        fs::write(&file, BASE64_URL_SAFE_NO_PAD.encode(FOUND)).unwrap();
        let server = TestServer::start_with(&db, own_keys).await;
        assert!(!file.exists());
        assert_eq!(server.app().list_keys(Purpose::DownloadLinks).await.unwrap().len(), 1);
        let rebased = |link: &str| {
            let (link, url) = (Url::parse(link).unwrap(), server.url());
            format!("{url}{}?{}", link.path(), link.query().unwrap())
        };
        assert_eq!(get(&rebased(&before)).await, StatusCode::OK);
        assert_eq!(get(&rebased(&media.download_url)).await, StatusCode::OK);
    }

    async fn links_are_signed_by_a_new_key_and_older_ones_work_until_theirs_is_retired(db: TestDatabase) {
        let server = TestServer::start_with(&db, own_keys).await;
        let media = picture(&server).await;
        let rotated = secrets(&db, &["rotate", "download-links"]).await;
        assert!(rotated.contains("signed by key 2"), "{rotated}");
        // The running server takes it up by itself.
        let renewed = within(async {
            loop {
                let now = of(&server, media.id).await;
                if now.download_url.contains("&key=2&") {
                    return now;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        }).await;
        assert_eq!(get(&renewed.download_url).await, StatusCode::OK);
        assert_eq!(get(&media.download_url).await, StatusCode::OK);
        assert_ne!(media.download_url, renewed.download_url);

        secrets(&db, &["rotate", "download-links", "--retire-after", "0s"]).await;
        within(server.app().read_keys()).await.unwrap();
        for retired in [&media, &renewed] {
            assert_eq!(get(&retired.download_url).await, StatusCode::FORBIDDEN);
        }
        assert_eq!(get(&of(&server, media.id).await.download_url).await, StatusCode::OK);
    }

    async fn tokens_hold_as_long_as_the_key_that_sealed_them_and_watches_begin_anew_after_that(db: TestDatabase) {
        let server = TestServer::start_with(&db, own_keys).await;
        let request = picture(&server).await.request_id;
        server.add_feature(scripted_feature("another")).await;
        let list = async |page_token: &str| {
            let asked = ListFeaturesRequest { page_size: 1, page_token: page_token.to_owned(), ..Default::default() };
            server.features().list_features(asked).await
        };
        let token = list("").await.unwrap().into_inner().next_page_token;
        let mut watch = server.watch_request(request).await;
        let first = watch.next().await.unwrap().unwrap();
        let second = server.watch_request_after(request, &first.cursor).await.next().await.unwrap().unwrap();
        assert_eq!((step_of(&first).1, step_of(&second).1), (1, 2));
        let opened = server.watch_user(USER, "").await.next().await.unwrap().unwrap();

        secrets(&db, &["rotate", "tokens"]).await;
        within(server.app().read_keys()).await.unwrap();
        assert_eq!(list(&token).await.unwrap().into_inner().features.len(), 1);
        secrets(&db, &["rotate", "tokens", "--retire-after", "0s"]).await;
        within(server.app().read_keys()).await.unwrap();
        refusal(list(&token).await).is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        let again = server.watch_request_after(request, &second.cursor).await.next().await.unwrap().unwrap();
        assert_eq!(step_of(&again).1, 1);
        let anew = server.watch_user(USER, &opened.cursor).await.next().await.unwrap().unwrap();
        assert_eq!(anew.event(), WatchRequestEvent::Opened);
    }

    async fn keys_are_listed_without_what_they_are(db: TestDatabase) {
        let server = TestServer::start_with(&db, own_keys).await;
        secrets(&db, &["rotate", "tokens"]).await;
        let listed = secrets(&db, &["list"]).await;
        let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
        assert_eq!(words, [["download-links", "key", "1"], ["tokens", "key", "1"], ["tokens", "key", "2"], ["api-keys", "key", "1"]]);
        assert_eq!(listed.matches("retired").count(), 1, "{listed}");
        for purpose in Purpose::ALL {
            for key in server.app().list_keys(purpose).await.unwrap() {
                assert_eq!(key.secret.len(), 32);
                let hex: String = key.secret.iter().map(|byte| format!("{byte:02x}")).collect();
                assert!(!listed.contains(&hex) && !listed.contains(&BASE64_URL_SAFE_NO_PAD.encode(&key.secret)));
            }
        }
        let unknown = run(atelier(&db, &["secrets", "rotate", "nonsense"])).await;
        assert_eq!(unknown.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&unknown.stderr).contains("download-links"));
    }
}

async fn secrets(db: &TestDatabase, arguments: &[&str]) -> String {
    let folder = format!("storage.folder={}", db.media.path().display());
    let settings = ["secrets", "--set", &folder];
    let output = run(atelier(db, &[&settings, arguments].concat())).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn picture(server: &TestServer) -> Media {
    let feature = server.scripted_feature().await;
    let script = Script::new(&["succeed"]);
    let made = server.made(scripted_request(feature, &script)).await;
    made.media().remove(0)
}

async fn of(server: &TestServer, id: i64) -> Media {
    let request = GetMediaRequest {
        id,
        ..Default::default()
    };
    let found = server.media().get_media(request).await;
    found.unwrap().into_inner().media.unwrap()
}

/// A link as they were made while the key lay in the folder.
fn link_of_before(media: &Media, key: &[u8]) -> String {
    let url = Url::parse(&media.media_url).unwrap();
    let path = url.path().strip_prefix("/media/").unwrap();
    let expires = media.download_url_expire_time.unwrap().seconds;
    let message = format!("atelier media link v1\n{path}\n{expires}");
    let mac = Hmac::<Sha256>::new_from_slice(key)
        .unwrap()
        .chain_update(message);
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("{url}?expires={expires}&signature={signature}")
}

async fn get(link: &str) -> StatusCode {
    within(browser().get(link).send()).await.unwrap().status()
}
