//! The client that the library offers to other programs, over connections and servers that fail.

use std::collections::BTreeMap;
use std::time::Duration;

use atelier::client::{self, Client, DownloadError, JobEvents, RetryPolicy};
use atelier::rpc::proto::{
    CreateRequestRequest, DeleteJobRequest, GetJobRequest, JobStatus, ListFeaturesRequest,
    ListRequestsRequest, Media, OutputSettings, RequestStatus, WatchJobEvent, WatchJobResponse,
    WatchRequestEvent,
};
use atelier::server::Role;
use futures::TryStreamExt;
use tonic::Code;

use crate::support::client::{USER, request_for, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::proxy::{Fate, Relay, TcpProxy};
use crate::support::script::Script;
use crate::support::server::{TestServer, within};
use crate::support::watching::{revisions, statuses};

/// What the first connection of a download brings: more than one part of the file, and less than all of it.
const FIRST_BYTES: usize = 80_000;

on_both_databases! {
    async fn a_watch_outlives_a_restart_of_the_server(db: TestDatabase) {
        let first = TestServer::start_api(&db).await;
        let worker = first.beside(Role::Worker, &db, |_| ()).await;
        let script = Script::new(&["succeed"]).gated();
        let job = first.create_scripted(&script).await;
        let url = first.url();
        let mut events = connect(&url).await.watch_job(job.id, 0);
        let mut seen = vec![transition(&mut events).await.unwrap()];
        seen.push(transition(&mut events).await.unwrap());

        first.stop().await;
        script.open_gate();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        let second = worker.beside(Role::Api, &db, |config| config.server.listen = address).await;
        while let Some(event) = transition(&mut events).await {
            seen.push(event);
        }

        assert_eq!(revisions(&seen), [1, 2, 3]);
        assert_eq!(statuses(&seen).last(), Some(&JobStatus::Completed));
        assert_eq!(seen[2].media.len(), 1);
        worker.stop().await;
        second.stop().await;
    }

    async fn a_watch_whose_connection_is_cut_after_each_transition_loses_and_repeats_none(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let proxy = TcpProxy::start(&server.url(), None).await;
        let script = Script::new(&["transient", "succeed"]).gated();
        let job = server.create_scripted(&script).await;
        let mut events = connect(&proxy.url()).await.watch_job(job.id, 0);
        let mut seen = Vec::new();
        while let Some(event) = transition(&mut events).await {
            seen.push(event);
            proxy.cut();
            if seen.len() == 2 {
                script.open_gate();
            }
        }
        assert_eq!(revisions(&seen), [1, 2, 3, 4, 5]);
        assert_eq!(statuses(&seen).last(), Some(&JobStatus::Completed));
    }

    async fn a_watch_of_a_request_whose_connection_is_cut_tells_everything_of_all_jobs_once(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let proxy = TcpProxy::start(&server.url(), None).await;
        let script = Script::new(&["transient", "succeed"]).gated();
        let mut asked = scripted_request(server.scripted_feature().await, &script);
        asked.input.get_or_insert_default().variations = 2;
        let (request, jobs) = server.create(asked).await;
        let mut events = connect(&proxy.url()).await.watch_request(request.id, "");
        let mut seen = BTreeMap::<i64, Vec<i64>>::new();
        let mut ended = None;
        while let Some(event) = within(events.try_next()).await.unwrap() {
            if event.event() != WatchRequestEvent::Transition {
                continue;
            }
            let job = event.job.unwrap();
            seen.entry(job.id).or_default().push(job.revision);
            ended = event.request;
            proxy.cut();
            if seen.values().all(|revisions| revisions.len() >= 2) {
                script.open_gate();
            }
        }
        let all = jobs.iter().map(|job| (job.id, vec![1, 2, 3, 4, 5]));
        assert_eq!(seen, all.collect());
        assert_eq!(ended.unwrap().status(), RequestStatus::Completed);
        let refused = within(connect(&server.url()).await.watch_request(4_711, "").try_next()).await;
        assert_eq!(client::reason(&refused.unwrap_err()).as_deref(), Some("REQUEST_NOT_FOUND"));
    }

    async fn a_watch_of_several_requests_and_one_of_a_user_tell_everything_once_whatever_is_cut(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let proxy = TcpProxy::start(&server.url(), None).await;
        let client = connect(&proxy.url()).await;
        let mut of_user = client.watch_user(USER, "");
        let opened = within(of_user.try_next()).await.unwrap().unwrap();
        assert_eq!(opened.event(), WatchRequestEvent::Opened);
        let script = Script::new(&["transient", "succeed"]);
        let asked = scripted_request(server.scripted_feature().await, &script);
        let (first, _) = server.create(asked.clone()).await;
        let (second, _) = server.create(asked).await;
        let mut seen = Vec::new();
        let mut several = client.watch_requests(vec![first.id, second.id], "");
        while let Some(event) = within(several.try_next()).await.unwrap() {
            if event.event() == WatchRequestEvent::Transition {
                let job = event.job.unwrap();
                seen.push((job.request_id, job.revision));
                proxy.cut();
            }
        }
        let mut told = Vec::new();
        while told.len() < seen.len() {
            let event = within(of_user.try_next()).await.unwrap().unwrap();
            if event.event() == WatchRequestEvent::Transition {
                let job = event.job.unwrap();
                told.push((job.request_id, job.revision));
                proxy.cut();
            }
        }
        seen.sort_unstable();
        told.sort_unstable();
        let all = [first.id, second.id].into_iter().flat_map(|id| (1..=5).map(move |revision| (id, revision)));
        assert_eq!((&seen, &told), (&all.collect(), &seen));
    }

    async fn a_watch_of_a_deleted_job_ends_with_the_event_that_says_so(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        within(server.jobs().delete_job(DeleteJobRequest { id: job.id })).await.unwrap();
        let events = connect(&server.url()).await.watch_job(job.id, 1);
        let events: Vec<_> = within(events.try_collect()).await.unwrap();
        let kinds: Vec<_> = events.iter().map(|event| event.event()).collect();
        assert_eq!(kinds, [WatchJobEvent::Transition, WatchJobEvent::Deleted]);
    }

    async fn a_watch_starts_where_it_is_told_and_ends_at_once_when_there_is_no_more(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let job = server.create_scripted(&Script::new(&["succeed"])).await;
        server.ended(job.id).await;
        let client = connect(&server.url()).await;
        let late = within(client.watch_job(job.id, 1).try_collect::<Vec<_>>()).await;
        assert_eq!(revisions(&late.unwrap()), [2, 3]);
        let none = within(client.watch_job(job.id, 3).try_collect::<Vec<_>>()).await;
        assert_eq!(none.unwrap(), []);
        let ahead = within(client.watch_job(job.id, 4).try_collect::<Vec<_>>()).await;
        assert_eq!(client::reason(&ahead.unwrap_err()).as_deref(), Some("REVISION_AHEAD"));
    }

    async fn a_request_whose_answer_got_lost_is_created_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let feature = server.scripted_feature().await;
        let relay = Relay::start(server.channel(), vec![Fate::AnswerLost; 2]).await;
        let client = connect(&relay.url()).await;

        let created = within(client.requests().create_request(request_for(feature))).await;
        let created = created.unwrap().into_inner();

        assert_eq!(relay.calls().len(), 3);
        assert_eq!(requests(&server).await, [created.request.unwrap().id]);
        // Two requests stay two: each call has a key of its own.
        within(client.requests().create_request(request_for(feature))).await.unwrap();
        assert_eq!(requests(&server).await.len(), 2);
        // A key of the caller is sent as it is.
        let keyed = CreateRequestRequest { idempotency_key: "order-17".to_owned(), ..request_for(feature) };
        within(client.requests().create_request(keyed.clone())).await.unwrap();
        within(server.requests().create_request(keyed)).await.unwrap();
        assert_eq!(requests(&server).await.len(), 3);
    }

    async fn what_must_not_be_done_twice_is_sent_once(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let relay = Relay::start(server.channel(), vec![Fate::AnswerLost]).await;
        let client = connect(&relay.url()).await;
        let mut features = client.features();
        let created = features.create_feature(scripted_feature("once"));
        assert_eq!(within(created).await.unwrap_err().code(), Code::Unavailable);
        assert_eq!(relay.calls().len(), 1);
    }

    async fn the_wait_that_the_server_asks_for_is_kept(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        let retry_after = Duration::from_millis(700);
        let relay = Relay::start(server.channel(), vec![Fate::Refused { retry_after }; 2]).await;
        let client = connect(&relay.url()).await;
        let found = within(client.jobs().get_job(GetJobRequest { id: job.id, ..Default::default() })).await;
        assert_eq!(found.unwrap().into_inner().job.unwrap().id, job.id);
        let calls = relay.calls();
        assert_eq!(calls.len(), 3);
        for pair in calls.windows(2) {
            assert!(pair[1] - pair[0] >= retry_after, "{calls:?}");
        }
    }

    async fn a_server_that_stays_unavailable_is_given_up_at_the_deadline(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let retry_after = Duration::from_millis(100);
        let relay = Relay::start(server.channel(), vec![Fate::Refused { retry_after }; 1_000]).await;
        let policy = RetryPolicy { deadline: Duration::from_secs(1), ..RetryPolicy::default() };
        let client = Client::builder(&relay.url()).retry(policy).connect().await.unwrap();
        let refused = within(client.jobs().get_job(GetJobRequest { id: 1, ..Default::default() })).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "not yet"));
        assert!((2..=11).contains(&relay.calls().len()), "{:?}", relay.calls());

        let job = within(client.watch_job(1, 0).try_collect::<Vec<_>>()).await;
        assert_eq!(job.unwrap_err().code(), Code::Unavailable);
        let file = within(client.download(1)).await;
        assert!(matches!(file, Err(DownloadError::Refused(_))));
    }

    async fn a_stream_that_stays_silent_is_opened_again_and_given_up_at_the_deadline(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let media = picture(&server).await;
        let relay = Relay::start(server.channel(), vec![Fate::Unanswered]).await;
        let policy = RetryPolicy { longest_silence: Duration::from_millis(500), ..RetryPolicy::default() };
        let client = Client::builder(&relay.url()).retry(policy).connect().await.unwrap();
        let mut file = Vec::new();
        let download = within(client.download(media.id)).await.unwrap();
        within(download.write_to(&mut file)).await.unwrap();
        assert_eq!(file.len() as i64, media.file_size);

        let mute = Relay::start(server.channel(), vec![Fate::Unanswered; 1_000]).await;
        let policy = RetryPolicy { deadline: Duration::from_secs(2), ..policy };
        let client = Client::builder(&mute.url()).retry(policy).connect().await.unwrap();
        let Err(DownloadError::Refused(status)) = within(client.download(media.id)).await else {
            panic!("it was opened")
        };
        assert_eq!((status.code(), status.message()), (Code::Unavailable, "the stream fell silent"));
        assert!(mute.calls().len() >= 2, "{:?}", mute.calls());
    }

    async fn a_call_outlives_a_cut_connection(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let job = server.create_scripted(&Script::new(&[])).await;
        let proxy = TcpProxy::start(&server.url(), None).await;
        let client = connect(&proxy.url()).await;
        for _ in 0..5 {
            let found = within(client.jobs().get_job(GetJobRequest { id: job.id, ..Default::default() })).await;
            assert_eq!(found.unwrap().into_inner().job.unwrap().id, job.id);
            proxy.cut();
        }
    }

    async fn a_download_outlives_a_cut_connection_and_is_whole(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let media = picture(&server).await;
        assert!(media.file_size > FIRST_BYTES as i64, "{media:?}");
        let proxy = TcpProxy::start(&server.url(), Some(FIRST_BYTES)).await;
        let mut file = Vec::new();
        let download = within(connect(&proxy.url()).await.download(media.id)).await.unwrap();
        assert_eq!(download.media().sha256, media.sha256);
        let downloaded = within(download.write_to(&mut file)).await.unwrap();
        assert_eq!(downloaded.id, media.id);
        let stored = std::fs::read(stored(&server, &media)).unwrap();
        assert!(file == stored, "{} and {} bytes", file.len(), stored.len());
    }

    async fn a_file_that_was_changed_is_not_taken(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| config.catalogue.install_starter = true).await;
        let media = picture(&server).await;
        let mut content = std::fs::read(stored(&server, &media)).unwrap();
        *content.last_mut().unwrap() ^= 1;
        std::fs::write(stored(&server, &media), content).unwrap();
        let download = connect(&server.url()).await.download(media.id).await.unwrap();
        let refused = within(download.write_to(&mut Vec::new())).await.unwrap_err();
        assert!(matches!(refused, DownloadError::Corrupt { .. }), "{refused}");
    }

    async fn what_the_service_says_of_an_error_can_be_read(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let client = connect(&server.url()).await;
        let unknown = client.jobs().get_job(GetJobRequest { id: 4_711, ..Default::default() }).await.unwrap_err();
        assert_eq!(client::reason(&unknown).as_deref(), Some("JOB_NOT_FOUND"));
        assert_eq!(client::violations(&unknown), []);
        let wrong = client.requests().create_request(CreateRequestRequest::default()).await;
        let violations = client::violations(&wrong.unwrap_err());
        let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert!(fields.contains(&"user_id") && fields.contains(&"feature_id"), "{fields:?}");
        let nothing = client.download(4_711).await;
        let Err(DownloadError::Refused(status)) = nothing else { panic!("it was opened") };
        assert_eq!(client::reason(&status).as_deref(), Some("MEDIA_NOT_FOUND"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_call_ends_it_with_deadline_exceeded() {
    // Takes connections and says nothing.
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = connect(&format!("http://{}", mute.local_addr().unwrap())).await;
    for _ in 0..20 {
        let mut call = tonic::Request::new(GetJobRequest {
            id: 1,
            ..Default::default()
        });
        call.set_timeout(Duration::from_millis(20));
        let late = within(client.jobs().get_job(call)).await.unwrap_err();
        let expected = (Code::DeadlineExceeded, "no answer came in time");
        assert_eq!((late.code(), late.message()), expected);
    }
}

async fn connect(url: &str) -> Client {
    within(Client::connect(url)).await.unwrap()
}

/// The next transition; `None` at the end.
async fn transition(events: &mut JobEvents) -> Option<WatchJobResponse> {
    within(async {
        while let Some(event) = events.try_next().await.unwrap() {
            if event.event() == WatchJobEvent::Transition {
                return Some(event);
            }
        }
        None
    })
    .await
}

/// The ids of all requests.
async fn requests(server: &TestServer) -> Vec<i64> {
    let mut client = server.requests();
    let listed = client.list_requests(ListRequestsRequest::default());
    let listed = within(listed).await.unwrap().into_inner();
    listed.requests.iter().map(|request| request.id).collect()
}

/// A picture of the built-in provider, a large one.
async fn picture(server: &TestServer) -> Media {
    let features = server
        .features()
        .list_features(ListFeaturesRequest::default())
        .await;
    let feature = features.unwrap().into_inner().features[0].id;
    let mut asked = request_for(feature);
    let input = asked.input.get_or_insert_default();
    input.seed = Some(7);
    input.output = Some(OutputSettings {
        width: Some(2_160),
        height: Some(2_700),
        ..Default::default()
    });
    let (_, jobs) = server.create(asked).await;
    let mut ended = server.ended(jobs[0].id).await.transitions;
    ended.pop().unwrap().media.remove(0)
}

/// Where the file of a media is.
fn stored(server: &TestServer, media: &Media) -> std::path::PathBuf {
    let (_, key) = media.media_url.split_once("/media/").unwrap();
    server.media_folder().join(key)
}
