//! API keys of services: made and taken back by the command, and taken wherever a token is.

use std::time::{Duration, Instant};

use atelier::config::Config;
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteFeatureRequest, ErrorReason, ListFeaturesRequest, WatchUserRequest,
    WatchUserResponse,
};
use atelier::server::Role;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::Value;
use tonic::{Code, Status, Streaming};

use crate::support::client::{Client, USER, request_for};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::identity::{asks, by, token};
use crate::support::process::{atelier, refused as failed, run};
use crate::support::refusal::{of_status, refusal};
use crate::support::server::{TestServer, within};

/// Within so long every server knows that a key is revoked.
const BOUND: Duration = Duration::from_secs(5);

on_both_databases! {
    async fn a_key_is_taken_by_grpc_grpc_web_and_the_front_and_may_what_its_scope_may(db: TestDatabase) {
        let (trusting, server) = pair(&db, takes_keys).await;
        let feature = trusting.scripted_feature().await;
        let shop = create(&db, &["shop"]).await;
        let asked = CreateRequestRequest { user_id: USER, ..request_for(feature) };
        server.requests().create_request(by(&shop, asked)).await.unwrap();
        let delete = DeleteFeatureRequest { id: feature, ..Default::default() };
        let denied = refusal(server.features().delete_feature(by(&shop, delete.clone())).await);
        denied.is(Code::PermissionDenied, ErrorReason::PermissionDenied);

        let url = format!("{}/v1/models", server.url());
        let listed = browser().get(url).header(AUTHORIZATION, format!("Bearer {shop}"));
        assert_eq!(within(listed.send()).await.unwrap().status(), 200);
        let path = "/generation.v1.FeatureService/ListFeatures";
        assert_eq!(web_status(&server, path, &shop).await, "0");
        let admin = create(&db, &["ops", "--scope", "admin"]).await;
        server.features().delete_feature(by(&admin, delete)).await.unwrap();
    }

    async fn with_keys_alone_nothing_else_is_believed(db: TestDatabase) {
        let (_trusting, server) = pair(&db, takes_keys).await;
        let key = create(&db, &["shop"]).await;
        let (rest, last) = key.split_at(key.len() - 1);
        let forged = format!("{rest}{}", if last == "0" { "1" } else { "0" });
        let unknown = key.replacen("atk_1_", "atk_4711_", 1);
        let list = async |call| refusal(server.features().list_features(call).await);
        let missing = list(tonic::Request::new(ListFeaturesRequest::default())).await;
        missing.is(Code::Unauthenticated, ErrorReason::CredentialsMissing);
        for wrong in [forged, unknown, token("admin", "ops"), "atk_1_".to_owned(), "a.b.c".to_owned()] {
            let refused = list(by(&wrong, ListFeaturesRequest::default())).await;
            refused.is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
        }
        server.features().list_features(by(&key, ListFeaturesRequest::default())).await.unwrap();
    }

    async fn a_server_that_is_not_told_to_takes_no_keys(db: TestDatabase) {
        let (_trusting, server) = pair(&db, asks).await;
        let key = create(&db, &["shop"]).await;
        let refused = refusal(server.features().list_features(by(&key, ListFeaturesRequest::default())).await);
        refused.is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
    }

    async fn a_revoked_key_is_refused_by_every_server_soon_and_its_watches_end(db: TestDatabase) {
        let (trusting, first) = pair(&db, takes_keys).await;
        let second = trusting.beside(Role::Api, &db, takes_keys).await;
        let (key, other) = (create(&db, &["shop"]).await, create(&db, &["press"]).await);
        let watched = watch(&first, &key).await;
        let on_second = watch(&second, &key).await;
        let mut others = watch(&second, &other).await;

        let told = key_command(&db, &["revoke", "1"]).await;
        assert!(told.contains("key 1") && told.contains("revoked"), "{told}");
        let revoked = Instant::now();
        for ended in [end(watched).await, end(on_second).await] {
            of_status(&ended).is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
        }
        for server in [&first, &second] {
            let refused = refusal(server.features().list_features(by(&key, ListFeaturesRequest::default())).await);
            refused.is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
            server.features().list_features(by(&other, ListFeaturesRequest::default())).await.unwrap();
        }
        assert!(revoked.elapsed() < BOUND, "{:?}", revoked.elapsed());
        let goes_on = tokio::time::timeout(Duration::from_millis(100), end_of(&mut others)).await;
        assert!(goes_on.is_err(), "{goes_on:?}");
    }

    async fn a_watch_ends_with_the_key_that_expires(db: TestDatabase) {
        let (_trusting, server) = pair(&db, takes_keys).await;
        let key = create(&db, &["shop", "--ttl", "3s"]).await;
        let ended = end(watch(&server, &key).await).await;
        of_status(&ended).is(Code::Unauthenticated, ErrorReason::CredentialsExpired);
        let refused = refusal(server.features().list_features(by(&key, ListFeaturesRequest::default())).await);
        refused.is(Code::Unauthenticated, ErrorReason::CredentialsExpired);
        assert!(key_command(&db, &["list"]).await.contains("expired"));
    }

    async fn idempotency_keys_are_of_the_name_and_not_of_the_key(db: TestDatabase) {
        let both = |config: &mut Config| {
            asks(config);
            takes_keys(config);
        };
        let (trusting, server) = pair(&db, both).await;
        let feature = trusting.scripted_feature().await;
        let ask = async |token: &str| {
            let asked = CreateRequestRequest { idempotency_key: "order-1".to_owned(), ..request_for(feature) };
            let made = server.requests().create_request(by(token, asked)).await;
            made.unwrap().into_inner().request.unwrap().id
        };
        let first = ask(&create(&db, &["shop"]).await).await;
        assert_eq!(ask(&create(&db, &["shop"]).await).await, first);
        assert_eq!(ask(&token("service", "shop")).await, first);
        assert_ne!(ask(&create(&db, &["press"]).await).await, first);
        assert_ne!(ask(&create(&db, &["shop", "--scope", "admin"]).await).await, first);
    }

    async fn a_known_key_holds_while_keys_cannot_be_read_and_an_unknown_one_may_come_again(db: TestDatabase) {
        let (_trusting, server) = pair(&db, takes_keys).await;
        let (known, unknown) = (create(&db, &["shop"]).await, create(&db, &["press"]).await);
        server.features().list_features(by(&known, ListFeaturesRequest::default())).await.unwrap();
        key_command(&db, &["revoke", "2"]).await;
        // Both are in sight now, and then nothing is.
        server.app().read_api_keys().await.unwrap();
        within(async {
            while server.app().api_keys.check(2).is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }).await;
        db.execute("ALTER TABLE generation_api_keys RENAME TO away").await;
        server.features().list_features(by(&known, ListFeaturesRequest::default())).await.unwrap();
        let refused = refusal(server.features().list_features(by(&unknown, ListFeaturesRequest::default())).await);
        refused.is(Code::Unavailable, ErrorReason::CredentialsUnverifiable);
        db.execute("ALTER TABLE away RENAME TO generation_api_keys").await;
        // A failure is remembered for a second.
        within(async {
            loop {
                let refused = refusal(server.features().list_features(by(&unknown, ListFeaturesRequest::default())).await);
                if refused.code == Code::Unauthenticated {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }).await;
    }

    async fn a_key_is_shown_once_and_kept_nowhere_and_its_use_is_noted(db: TestDatabase) {
        let (_trusting, server) = pair(&db, takes_keys).await;
        let told: Value = serde_json::from_str(&key_command(&db, &["create", "shop", "--json"]).await).unwrap();
        let key = told["key"].as_str().unwrap();
        let secret = key.strip_prefix("atk_1_").unwrap();
        assert_eq!((secret.len(), told["name"].as_str(), told["scope"].as_str()), (64, Some("shop"), Some("service")));
        let stored = db.texts("SELECT name || role || CAST(secret_id AS TEXT) FROM generation_api_keys").await;
        assert_eq!(stored, ["shopservice1"]);
        let listed = async || -> Value { serde_json::from_str(&key_command(&db, &["list", "--json"]).await).unwrap() };
        let before = listed().await;
        assert!(before[0]["last_use_time"].is_null() && before[0]["key"].is_null(), "{before}");
        assert!(!key_command(&db, &["list"]).await.contains(secret));
        let bytes: Vec<u8> = server.app().list_api_keys().await.unwrap().remove(0).tag;
        let tag: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_ne!(tag, secret);

        server.features().list_features(by(key, ListFeaturesRequest::default())).await.unwrap();
        server.app().note_key_uses().await.unwrap();
        let after = listed().await;
        assert!(after[0]["last_use_time"].is_string(), "{after}");
        assert_eq!(after[0]["state"], "active");
    }

    async fn what_the_command_cannot_do_it_says(db: TestDatabase) {
        TestServer::start_api(&db).await.stop().await;
        failed(&run(atelier(&db, &["key", "revoke", "7"])).await, &["there is no API key 7"]);
        for wrong in [&["key", "create", "two words"][..], &["key", "create", "shop", "--ttl", "0s"], &["key", "revoke", "0"]] {
            assert_eq!(run(atelier(&db, wrong)).await.status.code(), Some(2), "{wrong:?}");
        }
        let key = create(&db, &["shop"]).await;
        assert!(key.starts_with("atk_1_"), "{key}");
        // Once more changes nothing.
        let revoke = async || key_command(&db, &["revoke", "1"]).await;
        assert_eq!(revoke().await, revoke().await);
    }
}

fn takes_keys(config: &mut Config) {
    config.auth.api_keys = true;
}

/// One that trusts all and runs jobs, and one beside it that asks who calls.
async fn pair(db: &TestDatabase, change: impl Fn(&mut Config)) -> (TestServer, TestServer) {
    let trusting = TestServer::start(db).await;
    let settings = |config: &mut Config| {
        change(config);
        config.front.enabled = true;
    };
    let server = trusting.beside(Role::Api, db, settings).await;
    (trusting, server)
}

async fn create(db: &TestDatabase, arguments: &[&str]) -> String {
    let printed = key_command(db, &[&["create"], arguments].concat()).await;
    printed.trim_end().to_owned()
}

async fn key_command(db: &TestDatabase, arguments: &[&str]) -> String {
    let folder = format!("storage.folder={}", db.media.path().display());
    let settings = ["key", "--set", &folder];
    let output = run(atelier(db, &[&settings, arguments].concat())).await;
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn web_status(server: &TestServer, path: &str, key: &str) -> String {
    let call = browser()
        .post(format!("{}{path}", server.url()))
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .header(CONTENT_TYPE, "application/grpc-web+proto");
    let answer = within(call.body(vec![0; 5]).send()).await.unwrap();
    let at_once = answer.headers().get("grpc-status").cloned();
    at_once.map_or("0".to_owned(), |status| status.to_str().unwrap().to_owned())
}

async fn watch(client: &Client, key: &str) -> Streaming<WatchUserResponse> {
    let asked = WatchUserRequest {
        user_id: USER,
        ..Default::default()
    };
    let watched = client.requests().watch_user(by(key, asked)).await;
    watched.unwrap().into_inner()
}

async fn end(mut watched: Streaming<WatchUserResponse>) -> Status {
    within(end_of(&mut watched)).await
}

async fn end_of(watched: &mut Streaming<WatchUserResponse>) -> Status {
    loop {
        match watched.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the watch ended well"),
            Err(status) => return status,
        }
    }
}
