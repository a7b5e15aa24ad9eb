//! Deleting and undeleting features, rival changes of them, and finding them by text.

use std::time::Duration;

use atelier::entity::{feature, template};
use atelier::rpc::proto::{
    CreateFeatureRequest, DeleteFeatureRequest, ErrorReason, Feature, FeatureProperties,
    ListFeaturesRequest, ListTemplatesRequest, Template, UndeleteFeatureRequest,
};
use chrono::{DateTime, Utc};
use futures::future::join_all;
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DatabaseConnection, EntityTrait, TransactionTrait,
};
use serde_json::json;
use tonic::Code;

use crate::support::client::{plain_template, request_for, scripted_feature, scripted_request};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::refusal::refusal;
use crate::support::samples::full_feature;
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::structure::structure;

on_both_databases! {
    async fn a_name_that_a_live_feature_has_is_taken_for_an_update_too(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        server.add_feature(scripted_feature("poster")).await;
        let banner = server.add_feature(scripted_feature("banner")).await;
        let renamed = Feature { name: "poster".to_owned(), ..banner.clone() };
        refusal(server.update_feature(renamed, &["name"]).await)
            .is(Code::AlreadyExists, ErrorReason::FeatureNameTaken)
            .with("name", "poster");
        // Its own name is not taken from it, and what changes nothing makes no new version.
        assert_eq!(server.update_feature(banner.clone(), &["name"]).await.unwrap(), banner);
        assert_eq!(server.update_feature(banner.clone(), &["*"]).await.unwrap(), banner);
    }

    async fn a_stale_etag_is_refused_and_of_two_changes_with_the_same_one_wins(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let old = server.add_feature(scripted_feature("poster")).await;
        let rivals = (0..8).map(|number| {
            let server = &server;
            let given = Feature { description: format!("rival {number}"), ..old.clone() };
            async move { server.update_feature(given, &["description"]).await }
        });
        let outcomes = within(join_all(rivals)).await;
        let (winners, losers): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((winners.len(), losers.len()), (1, 7));
        let winner = winners.into_iter().next().unwrap().unwrap();
        for loser in losers {
            refusal(loser)
                .is(Code::Aborted, ErrorReason::EtagMismatch)
                .with("feature_id", old.id)
                .with("etag", &winner.etag);
        }
        refusal(server.delete_feature(old.id, &old.etag).await).is(Code::Aborted, ErrorReason::EtagMismatch);
        server.delete_feature(old.id, &winner.etag).await.unwrap();
    }

    async fn a_deleted_feature_is_hidden_and_comes_back_as_it_was(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let poster = server.add_feature(full_feature("poster")).await;
        let deleted = server.delete_feature(poster.id, "").await.unwrap();
        assert!(deleted.delete_time.is_some() && deleted.etag != poster.etag);
        assert_eq!(server.feature(poster.id).await, deleted);
        assert!(listed(&server, ListFeaturesRequest::default()).await.is_empty());
        let all = ListFeaturesRequest { show_deleted: true, ..Default::default() };
        assert_eq!(listed(&server, all).await, ["poster"]);
        // Again, and with whatever etag: it is deleted already.
        assert_eq!(server.delete_feature(poster.id, "stale").await.unwrap(), deleted);
        refusal(server.update_feature(poster.clone(), &["name"]).await)
            .is(Code::NotFound, ErrorReason::FeatureNotFound)
            .with("feature_id", poster.id);
        refusal(server.requests().create_request(request_for(poster.id)).await)
            .is(Code::NotFound, ErrorReason::FeatureNotFound);

        let live = server.undelete_feature(poster.id).await.unwrap();
        let expected = Feature { etag: live.etag.clone(), update_time: live.update_time, ..poster };
        assert_eq!(live, expected);
        assert_eq!(server.undelete_feature(live.id).await.unwrap(), live);
    }

    async fn templates_go_with_their_feature_and_exactly_those_come_back(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("poster")).await;
        let other = server.add_feature(scripted_feature("banner")).await;
        for name in ["gone", "ahead", "sale", "tet"] {
            server.add_template(plain_template(feature.id, name)).await;
        }
        server.add_template(plain_template(other.id, "sale")).await;
        // Two that were deleted by hand: one now, one by a clock that is ahead.
        let ahead = DateTime::<Utc>::from_timestamp(4_000_000_000, 123_456_000).unwrap();
        for (name, at) in [("gone", DateTime::UNIX_EPOCH), ("ahead", ahead)] {
            let id = template_named(&server, name).await.id;
            let deleted = template::ActiveModel { id: Set(id), deleted_at: Set(Some(at)), ..Default::default() };
            template::Entity::update(deleted).exec(&db.connect().await).await.unwrap();
        }

        let deleted = server.delete_feature(feature.id, "").await.unwrap();
        let sale = template_named(&server, "sale").await;
        assert_eq!(sale.delete_time, deleted.delete_time);
        assert_eq!(deleted.delete_time.map(|time| (time.seconds, time.nanos)), Some((4_000_000_000, 123_457_000)));
        assert_eq!(live_templates(&server).await, [(other.id, "sale".to_owned())]);

        server.undelete_feature(feature.id).await.unwrap();
        let expected = [(feature.id, "sale"), (feature.id, "tet"), (other.id, "sale")];
        let expected = expected.map(|(id, name)| (id, name.to_owned()));
        assert_eq!(live_templates(&server).await, expected);
        assert_ne!(template_named(&server, "sale").await.etag, sale.etag);
    }

    async fn a_feature_whose_name_is_taken_by_now_stays_deleted(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let first = server.add_feature(scripted_feature("poster")).await;
        server.add_template(plain_template(first.id, "sale")).await;
        server.delete_feature(first.id, "").await.unwrap();
        let second = server.add_feature(scripted_feature("poster")).await;
        refusal(server.undelete_feature(first.id).await)
            .is(Code::AlreadyExists, ErrorReason::FeatureNameTaken)
            .with("name", "poster");
        assert!(live_templates(&server).await.is_empty());

        server.delete_feature(second.id, "").await.unwrap();
        // Another program's template: the service makes none for a deleted feature.
        let sale = template_named(&server, "sale").await;
        let intruder = template::ActiveModel {
            feature_id: Set(first.id),
            name: Set("sale".to_owned()),
            template_data: Set(json!({})),
            ..Default::default()
        };
        template::Entity::insert(intruder).exec(&db.connect().await).await.unwrap();
        refusal(server.undelete_feature(first.id).await)
            .is(Code::AlreadyExists, ErrorReason::TemplateNameTaken)
            .with("name", "sale")
            .with("feature_id", first.id);
        assert!(server.feature(first.id).await.delete_time.is_some());
        assert!(sale.delete_time.is_some());
    }

    async fn a_feature_with_jobs_that_wait_or_run_is_in_use(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let (_, jobs) = server.create(request_for(feature)).await;
        refusal(server.delete_feature(feature, "").await)
            .is(Code::FailedPrecondition, ErrorReason::FeatureInUse)
            .with("feature_id", feature)
            .with("pending_jobs", 1)
            .with("processing_jobs", 0);

        let script = Script::new(&["succeed"]).gated();
        let worker = server.beside(atelier::server::Role::Worker, &db, |_| ()).await;
        let running = server.create(scripted_request(feature, &script)).await.1.remove(0);
        server.ended(jobs[0].id).await;
        script.wait_until_submitted(1).await;
        refusal(server.delete_feature(feature, "").await)
            .is(Code::FailedPrecondition, ErrorReason::FeatureInUse)
            .with("pending_jobs", 0)
            .with("processing_jobs", 1);
        script.open_gate();
        server.ended(running.id).await;
        server.delete_feature(feature, "").await.unwrap();
        worker.stop().await;
    }

    async fn a_deletion_and_requests_at_the_same_time_leave_no_job_behind(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for round in 0..6 {
            let feature = server.add_feature(scripted_feature(&format!("race_{round}"))).await.id;
            let requests = (0..4).map(|_| async {
                server.requests().create_request(request_for(feature)).await.map(|_| ())
            });
            let deletion = async { server.delete_feature(feature, "").await.map(|_| ()) };
            let (created, deleted) = within(futures::future::join(join_all(requests), deletion)).await;
            let accepted = created.iter().filter(|outcome| outcome.is_ok()).count();
            for refused in created.into_iter().filter(Result::is_err) {
                refusal(refused).is(Code::NotFound, ErrorReason::FeatureNotFound);
            }
            match deleted {
                Ok(()) => assert_eq!(accepted, 0, "round {round}"),
                Err(status) => {
                    refusal::<()>(Err(status)).is(Code::FailedPrecondition, ErrorReason::FeatureInUse);
                    assert!(accepted > 0, "round {round}");
                }
            }
        }
    }

    async fn features_are_found_by_text_in_name_or_description(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        for (name, description) in [("poster", "Big Pictures"), ("banner_50", "100% wide"), ("story", "a\\b! PHO\u{31b}\u{309}")] {
            let description = description.to_owned();
            server.add_feature(CreateFeatureRequest { description, ..scripted_feature(name) }).await;
        }
        for (text, expected) in [
            ("", vec!["poster", "banner_50", "story"]),
            ("POST", vec!["poster"]),
            ("big pic", vec!["poster"]),
            ("st", vec!["poster", "story"]),
            ("_", vec!["banner_50"]),
            ("%", vec!["banner_50"]),
            ("\\", vec!["story"]),
            ("!", vec!["story"]),
            ("! phở", vec!["story"]),
            ("pho", vec![]),
            ("'; --", vec![]),
        ] {
            let request = ListFeaturesRequest { text: text.to_owned(), ..Default::default() };
            assert_eq!(listed(&server, request).await, expected, "{text:?}");
        }
        for text in ["a\0b".to_owned(), "a\nb".to_owned(), "x".repeat(201)] {
            let request = ListFeaturesRequest { text, ..Default::default() };
            refusal(server.features().list_features(request).await).of_fields(["text"]);
        }
        let request = ListFeaturesRequest { text: "st".to_owned(), page_size: 1, ..Default::default() };
        let page = server.features().list_features(request.clone()).await.unwrap().into_inner();
        let other = ListFeaturesRequest { text: "s".to_owned(), page_token: page.next_page_token, ..request };
        refusal(server.features().list_features(other).await).is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
    }

    async fn nothing_unstorable_and_nothing_without_bounds_is_let_in(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = CreateFeatureRequest {
            name: "a\0".to_owned(),
            description: "a\0".to_owned(),
            system_prompt: "a\u{7}".to_owned(),
            properties: Some(FeatureProperties {
                provider: "a\nb".to_owned(),
                max_resolution: "\0".to_owned(),
                formats: vec!["png".to_owned(); 17],
                supported_aspect_ratios: vec!["1:1".to_owned(); 33],
                extra: Some(structure(&json!({ "a\0": 1 }))),
                ..Default::default()
            }),
            preview_url: "https://a.vn/\0".to_owned(),
            icon_url: "https://a.vn/\0".to_owned(),
            order_index: i32::MIN,
            ..scripted_feature("x")
        };
        refusal(server.features().create_feature(wrong).await).of_fields([
            "name",
            "description",
            "system_prompt",
            "properties.provider",
            "properties.max_resolution",
            "properties.formats",
            "properties.supported_aspect_ratios",
            "properties.extra",
            "preview_url",
            "icon_url",
            "order_index",
        ]);
        let unknown = CreateFeatureRequest {
            category: 999,
            properties: Some(FeatureProperties { max_batch_size: 1_001, ..Default::default() }),
            ..scripted_feature("x")
        };
        let refused = refusal(server.features().create_feature(unknown).await);
        refused.of_fields(["category", "properties.max_batch_size"]);
        refused.says("category", "must be a value of MediaType, got 999");
        let none = CreateFeatureRequest { category: 0, ..scripted_feature("x") };
        refusal(server.features().create_feature(none).await).says("category", "is required: image, video or audio");
        let delete = DeleteFeatureRequest { id: -1, etag: "\0".to_owned() };
        refusal(server.features().delete_feature(delete).await).of_fields(["id", "etag"]);
        let undelete = UndeleteFeatureRequest { id: 0 };
        refusal(server.features().undelete_feature(undelete).await).of_fields(["id"]);
        let id = 4_711;
        for refused in [
            refusal(server.delete_feature(id, "").await),
            refusal(server.undelete_feature(id).await),
            refusal(server.update_feature(Feature { id, ..Default::default() }, &[]).await),
        ] {
            refused.is(Code::NotFound, ErrorReason::FeatureNotFound).with("feature_id", id);
        }
    }

    async fn odd_properties_of_another_program_can_be_replaced(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.add_feature(scripted_feature("odd")).await;
        let odd = feature::ActiveModel {
            id: Set(feature.id),
            properties: Set(Some(json!({ "formats": "all of them" }))),
            ..Default::default()
        };
        feature::Entity::update(odd).exec(&db.connect().await).await.unwrap();
        let named = Feature { description: "x".to_owned(), ..feature.clone() };
        refusal(server.update_feature(named, &["description"]).await).of_fields(["feature.properties.extra.formats"]);
        let repaired = server.update_feature(feature.clone(), &["properties"]).await.unwrap();
        assert_eq!(repaired.properties, feature.properties);
    }
}

/// A request whose transaction is under way when the feature is deleted, in both orders.
#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_request_and_a_deletion_wait_for_each_other() {
    let db = TestDatabase::create(Backend::Postgres).await;
    let server = TestServer::start_api(&db).await;
    let (first, second) = (
        server.add_feature(scripted_feature("first")).await.id,
        server.add_feature(scripted_feature("second")).await.id,
    );
    server.create(request_for(second)).await;
    let (rival, observer) = (db.connect().await, db.connect().await);

    let deletion = rival.begin().await.unwrap();
    let lock = format!("SELECT 1 FROM generation_features WHERE id = {first} FOR UPDATE");
    deletion.execute_unprepared(&lock).await.unwrap();
    let client = server.requests();
    let request = tokio::spawn(async move {
        client
            .clone()
            .create_request(request_for(first))
            .await
            .map(|_| ())
    });
    until_someone_waits(&observer).await;
    let delete_first =
        format!("UPDATE generation_features SET deleted_at = NOW() WHERE id = {first}");
    deletion.execute_unprepared(&delete_first).await.unwrap();
    deletion.commit().await.unwrap();
    refusal(within(request).await.unwrap()).is(Code::NotFound, ErrorReason::FeatureNotFound);

    // As if a request were being stored: its foreign key holds the feature.
    let intake = rival.begin().await.unwrap();
    let hold = format!("SELECT 1 FROM generation_features WHERE id = {second} FOR KEY SHARE");
    intake.execute_unprepared(&hold).await.unwrap();
    let client = server.features();
    let request = DeleteFeatureRequest {
        id: second,
        etag: String::new(),
    };
    let deletion =
        tokio::spawn(async move { client.clone().delete_feature(request).await.map(|_| ()) });
    until_someone_waits(&observer).await;
    intake.commit().await.unwrap();
    refusal(within(deletion).await.unwrap())
        .is(Code::FailedPrecondition, ErrorReason::FeatureInUse);
}

/// A lock gives no signal to others, so it is looked for again and again.
async fn until_someone_waits(observer: &DatabaseConnection) {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                   AND datname = current_database()";
    within(async {
        while observer
            .execute_unprepared(waiting)
            .await
            .unwrap()
            .rows_affected()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

/// Names of the features on the list's first page.
async fn listed(server: &TestServer, request: ListFeaturesRequest) -> Vec<String> {
    let page = server.features().list_features(request).await.unwrap();
    let features = page.into_inner().features;
    features.into_iter().map(|feature| feature.name).collect()
}

async fn templates(server: &TestServer, show_deleted: bool) -> Vec<Template> {
    let request = ListTemplatesRequest {
        show_deleted,
        ..Default::default()
    };
    let page = server.templates().list_templates(request).await.unwrap();
    page.into_inner().templates
}

/// The first template with this name, deleted or not.
async fn template_named(server: &TestServer, name: &str) -> Template {
    let mut templates = templates(server, true).await.into_iter();
    templates.find(|template| template.name == name).unwrap()
}

async fn live_templates(server: &TestServer) -> Vec<(i64, String)> {
    let templates = templates(server, false).await.into_iter();
    let mut names: Vec<_> = templates
        .map(|template| (template.feature_id, template.name))
        .collect();
    names.sort();
    names
}
