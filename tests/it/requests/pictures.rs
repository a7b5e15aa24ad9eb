//! Pictures that requests bring by links, for a provider that takes them.

use std::time::Duration;

use atelier::app::{Removal, RemovalMode};
use atelier::config::{Config, ProviderConfig, ScriptedConfig};
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteRequestRequest, ErrorReason, JobError, JobStatus, RetryJobRequest,
};
use futures::TryStreamExt;
use tonic::Code;

use crate::support::client::{request_for, scripted_feature};
use crate::support::database::{TestDatabase, on_both_databases};
use crate::support::link_host::{LinkHost, SIZE};
use crate::support::refusal::refusal;
use crate::support::server::{TestServer, within};

on_both_databases! {
    async fn a_link_is_followed_once_and_kept_with_the_request(db: TestDatabase) {
        let (host, server) = (LinkHost::start().await, following(&db).await);
        let (request, jobs) = server.create(bringing(&server, &host, "picture", 2).await).await;
        for job in &jobs {
            server.completed(job.id).await;
            let media = server.media_of(job.id).await.remove(0);
            assert_eq!((media.width, media.height), (SIZE.0 as i32, SIZE.1 as i32));
        }
        assert_eq!(host.asked().len(), 1);

        assert_eq!(kept(&server).await, 1);
        let deleted = DeleteRequestRequest { id: request.id, ..Default::default() };
        server.requests().delete_request(deleted).await.unwrap();
        sweep(&server).await;
        assert_eq!(kept(&server).await, 1, "a deleted request may come back");
        db.execute("DELETE FROM generation_requests").await;
        sweep(&server).await;
        assert_eq!(kept(&server).await, 0);
    }

    async fn variations_that_run_at_the_same_time_fetch_a_link_once(db: TestDatabase) {
        let host = LinkHost::start().await;
        let server = following_with(&db, 4).await;
        let (_, jobs) = server.create(bringing(&server, &host, "picture", 4).await).await;
        for job in &jobs {
            server.completed(job.id).await;
        }
        assert_eq!(host.asked().len(), 1);
    }

    async fn a_retry_works_when_the_link_is_gone(db: TestDatabase) {
        let (host, server) = (LinkHost::start().await, following(&db).await);
        let mut asked = bringing(&server, &host, "picture", 1).await;
        asked.input.as_mut().unwrap().extra =
            Some(crate::support::structure::structure(&serde_json::json!({ "scripted": { "steps": ["fail"] } })));
        let (_, jobs) = server.create(asked).await;
        server.ended(jobs[0].id).await;
        drop(host);
        let retried = server.jobs().retry_job(RetryJobRequest { id: jobs[0].id }).await.unwrap();
        let retried = retried.into_inner().job.unwrap();
        server.ended(retried.id).await;
        // It fails as it is told to, and not for want of the picture.
        assert_eq!(error(&server, retried.id).await.code, "PROVIDER_FAILED");
    }

    async fn a_link_that_leads_to_no_picture_fails_the_job_with_its_field_and_host(db: TestDatabase) {
        let (host, server) = (LinkHost::start().await, following(&db).await);
        for (path, words) in [("page", "leads to no media of the type that is needed"), ("gone", "has expired")] {
            let (_, jobs) = server.create(bringing(&server, &host, &format!("{path}?secret"), 1).await).await;
            server.ended(jobs[0].id).await;
            let error = error(&server, jobs[0].id).await;
            assert_eq!(error.code, "INPUT_UNREADABLE");
            let said = error.message;
            assert!(said.starts_with("user_media_urls[0]: the link to 127.0.0.1 ") && said.contains(words), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
        let mut asked = bringing(&server, &host, "picture", 1).await;
        asked.user_media_urls = vec![host.at("127.0.0.2", "picture").into()];
        let refused = refusal(within(server.requests().create_request(asked)).await);
        refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed);
        let forbidden = "leads to an address that this server does not fetch from";
        refused.says("user_media_urls[0]", &format!("must be another link: the link to 127.0.0.2 {forbidden}"));
    }

    async fn where_links_are_not_followed_a_request_with_them_is_refused(db: TestDatabase) {
        let host = LinkHost::start().await;
        let server = TestServer::start_with(&db, |config| {
            take_pictures(config);
            config.server.public_url = Some("https://atelier.example".parse().unwrap());
        })
        .await;
        let mut asked = bringing(&server, &host, "picture", 1).await;
        asked.user_media_urls.push("https://a.example/x.png".to_owned());
        let refused = refusal(within(server.requests().create_request(asked)).await);
        refused.is(Code::InvalidArgument, ErrorReason::ValidationFailed);
        refused.of_fields(["user_media_urls[0]", "user_media_urls[1]"]);
        refused.says("user_media_urls[0]", "must be left out: links are not followed by this server");
        assert_eq!(host.asked().len(), 0);
    }
}

pub(super) fn take_pictures(config: &mut Config) {
    let scripted = ScriptedConfig {
        folder: std::env::temp_dir(),
        pictures: true,
        limits: Default::default(),
    };
    let provider = ProviderConfig::Scripted(scripted);
    config.providers.insert("scripted".to_owned(), provider);
}

/// One job at a time, so that the second finds what the first has kept.
async fn following(db: &TestDatabase) -> TestServer {
    following_with(db, 1).await
}

async fn following_with(db: &TestDatabase, concurrency: usize) -> TestServer {
    TestServer::start_with(db, |config| {
        take_pictures(config);
        config.executor.concurrency = concurrency;
        config.fetch.allow = vec!["127.0.0.1".parse().unwrap()];
    })
    .await
}

pub(super) async fn bringing(
    server: &TestServer,
    host: &LinkHost,
    path: &str,
    variations: i32,
) -> CreateRequestRequest {
    let name = format!("from-{}", path.split('?').next().unwrap());
    let feature = server.add_feature(scripted_feature(&name)).await;
    let mut asked = request_for(feature.id);
    asked.user_media_urls = vec![host.link(path).into()];
    asked.input.get_or_insert_default().variations = variations;
    asked
}

/// Files that requests brought.
async fn kept(server: &TestServer) -> usize {
    let objects: Vec<_> = server.app().storage.list().try_collect().await.unwrap();
    let inputs = objects.iter().map(|object| object.key.path());
    inputs.filter(|path| path.starts_with("inputs/")).count()
}

/// Removes what no record names, all of which is ours.
async fn sweep(server: &TestServer) {
    let all = Removal {
        age: Duration::ZERO,
        mode: RemovalMode::On,
        share: None,
    };
    server.app().adopt_storage().await.unwrap();
    server.app().sweep_storage(&all).await.unwrap();
}

async fn error(server: &TestServer, job: i64) -> JobError {
    let job = server.job(job).await;
    assert_eq!(job.status(), JobStatus::Failed);
    job.error.unwrap()
}
