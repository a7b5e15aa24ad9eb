//! The page of `examples/web` in a real browser, on an origin that is not the server's.
//!
//! `scripts/web` installs the browser and builds the page. Tests never skip: where something is missing they fail and
//! say what.

mod flows;
pub(crate) mod page;
mod proxy;
mod site;

use atelier::rpc::proto::{
    CreateTemplateRequest, GenerationInput, JobStatus, ListJobsRequest, ListRequestsRequest,
    TemplateData,
};
use serde_json::{Value, json};

use crate::support::client::{Client, plain_template};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::script::Script;
use crate::support::server::TestServer;

use page::Page;
use proxy::Proxy;
use site::Site;

on_both_databases! {
    async fn a_page_sees_every_transition_once_though_its_connection_breaks(db: TestDatabase) {
        let site = Site::start().await;
        let server = serve(&db, &site).await;
        let proxy = Proxy::start(&server.url()).await;
        // The first attempt fails, so that much happens while the page is cut off.
        let script = held_up(&server, &["transient", "succeed"]).await;
        let mut page = Page::open("resume", &site.page(&proxy.url(), ""));

        let listed = page.tells("listed").await;
        assert_eq!(listed["features"], json!(["scripted"]));
        assert_eq!(listed["templates"], json!(["no style", "held_up"]));
        let refused = page.tells("refused").await;
        assert_eq!(refused["reason"], "VALIDATION_FAILED");
        assert_eq!(refused["fields"], json!(["user_prompt"]));

        page.tells("processing").await;
        proxy.cut();
        script.open_gate();
        server.reached(only_job(&server).await, JobStatus::Completed).await;
        proxy.mend();
        let finished = page.tells("finished").await;
        assert_eq!(finished["history"], json!([
            [1, "pending"], [2, "processing"], [3, "pending"], [4, "processing"], [5, "completed"],
        ]));
        assert!(finished["streams"].as_u64().unwrap() >= 2, "{finished}");
        page.closes().await;
    }

    async fn a_page_shows_a_picture_and_its_blurhash_before(db: TestDatabase) {
        let site = Site::start().await;
        let server = TestServer::start_with(&db, |config| {
            config.server.cors_origins = vec![site.origin()];
            config.catalogue.install_starter = true;
        }).await;
        let mut page = Page::open("picture", &site.page(&server.url(), ""));

        let blurred = page.tells("blurred").await;
        assert_eq!(blurred["loaded"], false, "{blurred}");
        assert!(blurred["colours"].as_u64().unwrap() > 16, "{blurred}");
        let shown = page.tells("shown").await;
        assert!(shown["width"].as_u64().unwrap() >= 1080, "{shown}");
        assert!(shown["colours"].as_u64().unwrap() > 16, "{shown}");

        let part = page.tells("part").await;
        assert_eq!(part["status"], 206, "{part}");
        assert_eq!(part["same"], true, "{part}");
        assert_eq!(part["accept_ranges"], "bytes", "{part}");
        assert_eq!(part["content_range"], format!("bytes 100-199/{}", part["size"]));
        page.closes().await;
    }
}

// The rest asks nothing of the database that the tests above and those of `watch` do not, so SQLite is enough.

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_answer_got_lost_is_the_same_when_it_is_made_again() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let site = Site::start().await;
    let server = serve(&db, &site).await;
    let script = held_up(&server, &["succeed"]).await;
    script.open_gate();
    let mut page = Page::open("lost", &site.page(&server.url(), ""));
    assert_eq!(page.tells("lost").await["reason"], "NO_ANSWER");
    page.tells("finished").await;
    page.closes().await;
    assert_eq!(stored_requests(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_keep_a_quiet_stream_and_tell_a_dead_one() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let site = Site::start().await;
    let server = serve(&db, &site).await;
    let proxy = Proxy::start(&server.url()).await;
    let script = held_up(&server, &["succeed"]).await;
    // Five heartbeats take longer than the silence after which the page gives a stream up.
    let mut page = Page::open("beat", &site.page(&proxy.url(), "&silence=4"));

    assert_eq!(page.tells("beaten").await["streams"], 1);
    proxy.freeze();
    page.tells("reopened").await;
    script.open_gate();
    let finished = page.tells("finished").await;
    assert_eq!(
        finished["history"],
        json!([[1, "pending"], [2, "processing"], [3, "completed"]])
    );
    page.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_learns_nothing_and_does_nothing() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let (site, foreign) = (Site::start().await, Site::start().await);
    let server = serve(&db, &site).await;
    server.scripted_feature().await;
    let mut page = Page::open("foreign", &foreign.page(&server.url(), ""));

    // The browser withholds the answer, so the page cannot know why.
    assert_eq!(
        page.tells("refused").await,
        json!({ "event": "refused", "reason": "NO_ANSWER", "fields": [] })
    );
    // What needs no leave is sent, with an answer that cannot be read; the server does not take it for a call.
    let unreadable = json!([0, 0, 0, "refused", "refused"]);
    assert_eq!(page.tells("blind").await["readings"], unreadable);
    let frame = page.tells("null_origin").await;
    assert_eq!(frame["origin"], "null");
    assert_eq!(frame["readings"], unreadable);
    page.closes().await;
    assert_eq!(stored_requests(&server).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_send_and_read_every_header_of_grpc_web() {
    let db = TestDatabase::create(Backend::Sqlite).await;
    let site = Site::start().await;
    let server = serve(&db, &site).await;
    server.scripted_feature().await;
    let mut page = Page::open("allowed", &site.page(&server.url(), ""));
    let answered = page.tells("answered").await;
    let exposed = ["grpc-status", "grpc-message", "grpc-status-details-bin"];
    assert_eq!(answered["exposed"], Value::from(exposed.as_slice()));

    // The same calls by which a foreign page reaches nothing: only the last is one.
    let called = page.tells("called").await;
    assert!(called["readings"][4].as_u64().unwrap() > 0, "{called}");
    page.closes().await;
    assert_eq!(stored_requests(&server).await, 1);
}

/// A server that pages of the site may call, with streams that are never silent for long.
async fn serve(db: &TestDatabase, site: &Site) -> TestServer {
    TestServer::start_with(db, |config| {
        config.server.cors_origins = vec![site.origin()];
        config.server.watch_heartbeat = std::time::Duration::from_secs(1);
    })
    .await
}

/// Adds a scripted feature with the template "held_up": its jobs wait until the gate is open.
async fn held_up(client: &Client, steps: &[&'static str]) -> Script {
    let script = Script::new(steps).gated();
    let feature = client.scripted_feature().await;
    let defaults = GenerationInput {
        extra: Some(script.extra()),
        ..Default::default()
    };
    let template_data = TemplateData {
        defaults: Some(defaults),
        ..Default::default()
    };
    client
        .add_template(CreateTemplateRequest {
            template_data: Some(template_data),
            ..plain_template(feature, "held_up")
        })
        .await;
    script
}

async fn only_job(client: &Client) -> i64 {
    let listed = client.jobs().list_jobs(ListJobsRequest::default()).await;
    let jobs = listed.unwrap().into_inner().jobs;
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    jobs[0].id
}

async fn stored_requests(client: &Client) -> usize {
    let everything = ListRequestsRequest::default();
    let listed = client.requests().list_requests(everything).await;
    listed.unwrap().into_inner().requests.len()
}
