//! Who calls, and what becomes of calls by nobody, by users and by services.

use std::time::Duration;

use atelier::config::Config;
use atelier::rpc::proto::{
    CountRequestsRequest, CreateRequestRequest, ErrorReason, Feature, GetFeatureRequest,
    GetTemplateRequest, ListFeaturesRequest, ListRequestsRequest, ListTemplatesRequest,
    UpdateFeatureRequest, WatchRequestEvent, WatchUserRequest,
};
use atelier::server::Role;
use prost_types::FieldMask;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::client::{USER, plain_template, request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::http::browser;
use crate::support::identity::{asks, brief, by, expired, token};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn what_nobody_is_known_to_ask_is_refused_and_what_is_signed_otherwise_is_not(db: TestDatabase) {
        let (_trusting, server) = pair(&db).await;
        let refused = refusal(server.features().list_features(ListFeaturesRequest::default()).await);
        refused.is(Code::Unauthenticated, ErrorReason::CredentialsMissing);
        let late = by(&expired("admin", "ops"), ListFeaturesRequest::default());
        let refused = refusal(server.features().list_features(late).await);
        refused.is(Code::Unauthenticated, ErrorReason::CredentialsExpired);
        let foreign = by("a.b.c", ListFeaturesRequest::default());
        let refused = refusal(server.features().list_features(foreign).await);
        refused.is(Code::Unauthenticated, ErrorReason::CredentialsInvalid);
        let admin = by(&token("admin", "ops"), ListFeaturesRequest::default());
        server.features().list_features(admin).await.unwrap();

        for (path, status) in [("/livez", 200), ("/readyz", 200), ("/media/x.png", 403), ("/webhooks/1/x", 404)] {
            let url = format!("{}{path}", server.url());
            let call = match path.starts_with("/webhooks") {
                true => browser().post(url),
                false => browser().get(url),
            };
            assert_eq!(within(call.send()).await.unwrap().status(), status, "{path}");
        }
        for (path, expected) in [
            ("/grpc.health.v1.Health/Check", "0"),
            ("/generation.v1.FeatureService/ListFeatures", "16"),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "16"),
        ] {
            let formats = ["application/grpc-web+proto", "application/grpc-web-text"];
            // What is not our own knows no text.
            let own = if path.contains("generation") { 2 } else { 1 };
            for format in formats.into_iter().take(own) {
                let call = browser().post(format!("{}{path}", server.url())).header(CONTENT_TYPE, format);
                let body = if format.ends_with("text") { "AAAAAAA=".into() } else { vec![0; 5] };
                let answer = within(call.body(body).send()).await.unwrap();
                let at_once = answer.headers().get("grpc-status").cloned();
                let told = at_once.map_or("0".to_owned(), |status| status.to_str().unwrap().to_owned());
                assert_eq!(told, expected, "{path} {format}");
            }
        }
    }

    async fn the_front_takes_tokens_too(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        trusting.scripted_feature().await;
        let url = format!("{}/v1/models", server.url());
        let refused = within(browser().get(&url).send()).await.unwrap();
        assert_eq!(refused.status(), 401);
        assert_eq!(refused.headers()[WWW_AUTHENTICATE], "Bearer");
        let told: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
        assert_eq!(told["error"]["code"], "CREDENTIALS_MISSING");

        let user = token("user", "7");
        let listed = within(browser().get(&url).header(AUTHORIZATION, format!("Bearer {user}")).send()).await.unwrap();
        assert_eq!(listed.status(), 200);
        let draw = async |body: Value| {
            let call = browser().post(format!("{}/v1/images/generations", server.url()));
            let call = call.header(AUTHORIZATION, format!("Bearer {user}")).header(CONTENT_TYPE, "application/json");
            within(call.body(body.to_string()).send()).await.unwrap()
        };
        let denied = draw(json!({ "model": "scripted", "prompt": "a", "user": "8" })).await;
        assert_eq!(denied.status(), 403);
        let drawn = draw(json!({ "model": "scripted", "prompt": "a" })).await;
        assert_eq!(drawn.status(), 200, "{:?}", drawn.text().await);
        let counted = trusting.requests().count_requests(CountRequestsRequest { user_id: 7, ..Default::default() }).await;
        assert_eq!(counted.unwrap().into_inner().total, 1);
    }

    async fn a_user_is_shown_what_is_offered_and_nothing_else_of_the_catalogue(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let shown = trusting.scripted_feature().await;
        let template = trusting.add_template(plain_template(shown, "plain")).await.id;
        let hidden = trusting.add_feature(scripted_feature("hidden")).await.id;
        let of_hidden = trusting.add_template(plain_template(hidden, "plain")).await.id;
        let off = UpdateFeatureRequest {
            feature: Some(Feature { id: hidden, ..Default::default() }),
            update_mask: Some(FieldMask { paths: vec!["is_active".to_owned()] }),
            ..Default::default()
        };
        trusting.features().update_feature(off).await.unwrap();
        let (user, service) = (token("user", "7"), token("service", "shop"));

        let listed = server.features().list_features(by(&user, ListFeaturesRequest::default())).await;
        let ids: Vec<_> = listed.unwrap().into_inner().features.iter().map(|it| it.id).collect();
        assert_eq!(ids, [shown]);
        let listed = server.templates().list_templates(by(&user, ListTemplatesRequest::default())).await;
        let ids: Vec<_> = listed.unwrap().into_inner().templates.iter().map(|it| it.id).collect();
        assert_eq!(ids, [template]);
        let all = server.templates().list_templates(by(&service, ListTemplatesRequest::default())).await;
        assert_eq!(all.unwrap().into_inner().templates.len(), 2);

        let feature = |id, name: &str| GetFeatureRequest { id, feature: name.to_owned(), ..Default::default() };
        for (asked, reason) in [(feature(hidden, ""), ErrorReason::FeatureNotFound), (feature(0, "hidden"), ErrorReason::FeatureNotFound)] {
            server.features().get_feature(by(&service, asked.clone())).await.unwrap();
            refusal(server.features().get_feature(by(&user, asked)).await).is(Code::NotFound, reason);
        }
        let named = |id, name: &str| GetTemplateRequest { id, template: name.to_owned(), ..Default::default() };
        for asked in [named(of_hidden, ""), named(0, "hidden/plain")] {
            server.templates().get_template(by(&service, asked.clone())).await.unwrap();
            refusal(server.templates().get_template(by(&user, asked)).await).is(Code::NotFound, ErrorReason::TemplateNotFound);
        }
        for asked in [ListFeaturesRequest { show_deleted: true, ..Default::default() }, ListFeaturesRequest { is_active: Some(false), ..Default::default() }] {
            refusal(server.features().list_features(by(&user, asked)).await).is(Code::InvalidArgument, ErrorReason::ValidationFailed);
        }
    }

    async fn a_user_need_not_say_who_he_is_and_cannot_be_another(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let feature = trusting.scripted_feature().await;
        let user = token("user", "7");
        let asked = |user_id, project_id| CreateRequestRequest { user_id, project_id, ..request_for(feature) };
        let made = server.requests().create_request(by(&user, asked(0, None))).await.unwrap();
        assert_eq!(made.into_inner().request.unwrap().user_id, USER);
        let denied = refusal(server.requests().create_request(by(&user, asked(8, None))).await);
        denied.is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        let listed = ListRequestsRequest { user_id: 8, ..Default::default() };
        let denied = refusal(server.requests().list_requests(by(&user, listed)).await);
        denied.is(Code::PermissionDenied, ErrorReason::PermissionDenied);
        let refused = refusal(server.requests().create_request(by(&user, asked(7, Some(3)))).await);
        assert_eq!(refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed).fields, ["project_id"]);
        let service = token("service", "shop");
        let made = server.requests().create_request(by(&service, asked(8, Some(3)))).await.unwrap();
        assert_eq!(made.into_inner().request.unwrap().user_id, 8);
    }

    async fn a_page_token_and_a_cursor_are_for_the_caller_who_got_them(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let feature = trusting.scripted_feature().await;
        trusting.add_feature(scripted_feature("another")).await;
        trusting.create(request_for(feature)).await;
        let (owner, other, service) = (token("user", "7"), token("user", "8"), token("service", "shop"));
        let list = async |token: &str, page_token: &str| {
            let asked = ListFeaturesRequest { page_size: 1, page_token: page_token.to_owned(), ..Default::default() };
            server.features().list_features(by(token, asked)).await
        };
        let first = list(&owner, "").await.unwrap().into_inner();
        let second = list(&owner, &first.next_page_token).await.unwrap().into_inner();
        assert_ne!(second.features[0].id, first.features[0].id);
        let watch = async |token: &str, cursor: &str| {
            let asked = WatchUserRequest { user_id: 7, cursor: cursor.to_owned(), ..Default::default() };
            let mut watch = server.requests().watch_user(by(token, asked)).await?.into_inner();
            within(watch.message()).await
        };
        let cursor = watch(&owner, "").await.unwrap().unwrap().cursor;
        assert_ne!(watch(&owner, &cursor).await.unwrap().unwrap().event(), WatchRequestEvent::Opened);
        for stranger in [&other, &service] {
            let refused = refusal(list(stranger, &first.next_page_token).await);
            refused.is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        }
        refusal(watch(&service, &cursor).await).of_fields(["cursor"]);
    }

    async fn keys_of_clients_are_told_apart_and_those_of_before_hold_for_all(db: TestDatabase) {
        let (trusting, server) = pair(&db).await;
        let feature = trusting.scripted_feature().await;
        let asked = |key: &str| CreateRequestRequest { idempotency_key: key.to_owned(), ..request_for(feature) };
        let ask = async |token: &str, key: &str| {
            let made = server.requests().create_request(by(token, asked(key))).await;
            made.unwrap().into_inner().request.unwrap().id
        };
        let (shop, press, user) = (token("service", "shop"), token("service", "press"), token("user", "7"));
        let first = ask(&shop, "order-1").await;
        assert_eq!(ask(&shop, "order-1").await, first);
        let second = ask(&press, "order-1").await;
        let third = ask(&user, "order-1").await;
        assert!(first != second && second != third && first != third);

        let before = trusting.create(asked("order-0")).await.0.id;
        for client in [&shop, &press, &user] {
            assert_eq!(ask(client, "order-0").await, before);
        }
        let other = CreateRequestRequest { user_prompt: "another".to_owned(), ..asked("order-0") };
        let refused = refusal(server.requests().create_request(by(&shop, other)).await);
        refused.is(Code::InvalidArgument, ErrorReason::IdempotencyKeyReused).with("idempotency_key", "order-0");
    }

    async fn a_stream_of_the_front_ends_with_the_token(db: TestDatabase) {
        let trusting = TestServer::start_api(&db).await;
        let server = trusting.beside(Role::Api, &db, |config| {
            asks(config);
            config.front.enabled = true;
        }).await;
        trusting.scripted_feature().await;
        let short = brief("user", "7", Duration::from_secs(2));
        let call = browser().post(format!("{}/v1/images/generations", server.url()));
        let call = call.header(AUTHORIZATION, format!("Bearer {short}")).header(CONTENT_TYPE, "application/json");
        let body = json!({ "model": "scripted", "prompt": "a", "stream": true }).to_string();
        // Nobody works here, so nothing else is told.
        let told = within(async { call.body(body).send().await.unwrap().text().await.unwrap() }).await;
        assert!(told.contains("event: error\n") && told.contains("CREDENTIALS_EXPIRED"), "{told}");
    }

    async fn a_watch_ends_with_the_token(db: TestDatabase) {
        let (_trusting, server) = pair(&db).await;
        let short = brief("user", "7", Duration::from_secs(2));
        let watched = server.requests().watch_user(by(&short, WatchUserRequest::default())).await;
        let mut watched = watched.unwrap().into_inner();
        let ended = within(async {
            loop {
                match watched.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("the watch ended well"),
                    Err(status) => break status,
                }
            }
        })
        .await;
        let ended = crate::support::refusal::of_status(&ended);
        ended.is(Code::Unauthenticated, ErrorReason::CredentialsExpired);
    }
}

/// One that trusts all and runs jobs, and one beside it that asks who calls.
async fn pair(db: &TestDatabase) -> (TestServer, TestServer) {
    let trusting = TestServer::start(db).await;
    let settings = |config: &mut Config| {
        asks(config);
        config.front.enabled = true;
    };
    let server = trusting.beside(Role::Api, db, settings).await;
    (trusting, server)
}
