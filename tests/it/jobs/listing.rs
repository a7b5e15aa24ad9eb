//! ListJobs, CountJobs and ListJobEvents: what a job shows of itself, and of what happened to it.

use atelier::rpc::proto::{
    CountJobsRequest, CountJobsResponse, CreateRequestRequest, DeleteJobRequest, ErrorReason, Job,
    JobError, JobEvent, JobEventCause, JobStatus, ListJobEventsRequest, ListJobEventsResponse,
    ListJobsRequest, MediaType, RetryJobRequest,
};
use atelier::server::Role;
use tonic::{Code, Status};

use crate::support::client::{USER, scripted_feature, scripted_request};
use crate::support::database::on_both_databases;
use crate::support::refusal::refusal;
use crate::support::script::Script;
use crate::support::server::TestServer;

on_both_databases! {
    async fn each_filter_shows_what_it_names_newest_first(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("studio-1".to_owned());
        }).await;
        let script = Script::new(&["succeed"]);
        let feature = server.scripted_feature().await;
        let (_, ours) = server.create(CreateRequestRequest {
            project_id: Some(3), ..scripted_request(feature, &script)
        }).await;
        let mut sound = scripted_feature("sound");
        sound.category = MediaType::Audio.into();
        let sound = server.add_feature(sound).await.id;
        let failing = Script::new(&["fail"]);
        let (_, theirs) = server.create(CreateRequestRequest {
            user_id: USER + 1, ..scripted_request(sound, &failing)
        }).await;
        let (picture, song) = (server.ended(ours[0].id).await.job, server.ended(theirs[0].id).await.job);
        server.stop().await;
        let other = TestServer::start_api(&db).await;

        let all = ListJobsRequest::default;
        for (filter, expected) in [
            (all(), vec![&song, &picture]),
            (ListJobsRequest { request_id: song.request_id, ..all() }, vec![&song]),
            (ListJobsRequest { user_id: USER, ..all() }, vec![&picture]),
            (ListJobsRequest { project_id: 3, ..all() }, vec![&picture]),
            (ListJobsRequest { project_id: 4, ..all() }, vec![]),
            (ListJobsRequest { feature_id: sound, ..all() }, vec![&song]),
            (ListJobsRequest { category: MediaType::Image.into(), ..all() }, vec![&picture]),
            (ListJobsRequest { category: MediaType::Video.into(), ..all() }, vec![]),
            (ListJobsRequest { statuses: vec![JobStatus::Failed.into()], ..all() }, vec![&song]),
            (ListJobsRequest { worker_id: "studio-1".to_owned(), ..all() }, vec![&song, &picture]),
            (ListJobsRequest { worker_id: "studio-%".to_owned(), ..all() }, vec![]),
            (ListJobsRequest { worker_id: "studio-1".to_owned(), statuses: vec![JobStatus::Completed.into()], ..all() }, vec![&picture]),
        ] {
            let found: Vec<i64> = list(&other, filter.clone()).await.iter().map(|job| job.id).collect();
            let expected: Vec<i64> = expected.iter().map(|job| job.id).collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    }

    async fn a_filter_out_of_its_bounds_is_refused_with_all_the_others(db: TestDatabase) {
        let server = TestServer::start_api(&db).await;
        let wrong = ListJobsRequest {
            page_size: -1, request_id: -1, user_id: -1, project_id: -1, feature_id: -1, category: 99, statuses: vec![99],
            worker_id: "x".repeat(65), ..Default::default()
        };
        refusal(server.jobs().list_jobs(wrong).await).of_fields([
            "page_size", "request_id", "user_id", "project_id", "feature_id", "worker_id", "category", "statuses[0]",
        ]);
        for worker_id in ["\0", "a\u{7}b", "a\u{85}b"] {
            let wrong = ListJobsRequest { worker_id: worker_id.to_owned(), ..Default::default() };
            refusal(server.jobs().list_jobs(wrong).await).of_fields(["worker_id"]);
        }
        // Sixty-four characters, whatever their bytes, and none that means something to a database.
        let longest = ListJobsRequest { worker_id: "ế".repeat(63) + "'", ..Default::default() };
        assert_eq!(list(&server, longest).await, []);
    }

    async fn a_count_tells_every_status_of_what_the_filter_names(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("studio-1".to_owned());
        }).await;
        let feature = server.scripted_feature().await;
        let mut sound = scripted_feature("sound");
        sound.category = MediaType::Audio.into();
        let sound = server.add_feature(sound).await.id;
        let (succeeding, failing) = (Script::new(&[]), Script::new(&["fail"]));
        let (_, made) = server.create(CreateRequestRequest {
            project_id: Some(3), ..scripted_request(feature, &succeeding)
        }).await;
        let (_, failed) = server.create(CreateRequestRequest {
            user_id: USER + 1, ..scripted_request(sound, &failing)
        }).await;
        for job in made.iter().chain(&failed) {
            server.ended(job.id).await;
        }
        let retried = server.jobs().retry_job(RetryJobRequest { id: failed[0].id }).await.unwrap();
        server.ended(retried.into_inner().job.unwrap().id).await;
        server.stop().await;
        let server = TestServer::start_api(&db).await;
        server.create(scripted_request(feature, &succeeding)).await;

        let all = CountJobsRequest::default;
        // The superseded one counts, as it is listed.
        let counts = |pending, completed, failed| CountJobsResponse {
            total: pending + completed + failed, pending, completed, failed, ..Default::default()
        };
        for (filter, expected) in [
            (all(), counts(1, 1, 2)),
            (CountJobsRequest { request_id: failed[0].request_id, ..all() }, counts(0, 0, 2)),
            (CountJobsRequest { user_id: USER, ..all() }, counts(1, 1, 0)),
            (CountJobsRequest { project_id: 3, ..all() }, counts(0, 1, 0)),
            (CountJobsRequest { feature_id: sound, ..all() }, counts(0, 0, 2)),
            (CountJobsRequest { category: MediaType::Image.into(), ..all() }, counts(1, 1, 0)),
            (CountJobsRequest { category: MediaType::Video.into(), ..all() }, counts(0, 0, 0)),
            (CountJobsRequest { worker_id: "studio-1".to_owned(), ..all() }, counts(0, 1, 2)),
        ] {
            assert_eq!(count(&server, filter.clone()).await, expected, "{filter:?}");
        }
        server.jobs().delete_job(DeleteJobRequest { id: made[0].id }).await.unwrap();
        assert_eq!(count(&server, all()).await, counts(1, 0, 2));
        assert_eq!(count(&server, CountJobsRequest { show_deleted: true, ..all() }).await, counts(1, 1, 2));
        let wrong = CountJobsRequest {
            request_id: -1, user_id: -1, project_id: -1, feature_id: -1, category: 99, worker_id: "x".repeat(65),
            ..Default::default()
        };
        refusal(server.jobs().count_jobs(wrong).await).of_fields([
            "request_id", "user_id", "project_id", "feature_id", "category", "worker_id",
        ]);
    }

    async fn a_list_shows_of_each_job_all_but_its_input(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("studio-1".to_owned());
        }).await;
        let feature = server.scripted_feature().await;
        for steps in [["succeed"], ["fail"]] {
            let script = Script::new(&steps);
            let (_, jobs) = server.create(scripted_request(feature, &script)).await;
            server.ended(jobs[0].id).await;
        }
        // The last, since its provider is left alone for as long as it asks.
        let waiting = Script::new(&["rate_limit"]);
        let (_, jobs) = server.create(scripted_request(feature, &waiting)).await;
        let (waiting, _) = (jobs[0].id, server.reached(jobs[0].id, JobStatus::Processing).await);
        let mut watch = server.watch_after(waiting, 2).await;
        assert_eq!(watch.transition().await.unwrap().revision, 3);

        let listed = list(&server, ListJobsRequest::default()).await;
        let [waiting, failed, completed] = &listed[..] else { panic!("{listed:?}") };
        for job in &listed {
            assert_eq!(*job, Job { input: None, ..server.job(job.id).await });
            assert_eq!((job.attempt, job.max_attempts, job.worker_id.as_str()), (1, 3, "studio-1"));
            assert!(job.create_time.is_some() && job.update_time.is_some() && job.start_time.is_some());
        }
        assert_eq!(code(waiting), "PROVIDER_UNAVAILABLE");
        let next = waiting.next_attempt_time.unwrap();
        assert!(next.seconds >= waiting.update_time.unwrap().seconds + 3_000, "{waiting:?}");
        assert_eq!(waiting.end_time, None);
        assert_eq!((code(failed), failed.next_attempt_time), ("PROVIDER_FAILED", None));
        assert!(!failed.error.as_ref().unwrap().message.is_empty() && failed.end_time.is_some());
        assert_eq!((completed.error.clone(), completed.progress), (None, 1.0));
        assert!(!completed.output_metadata.as_ref().unwrap().fields.is_empty());
    }

    async fn the_audit_trail_tells_every_transition_with_its_cause(db: TestDatabase) {
        let server = TestServer::start_with(&db, |config| {
            config.executor.worker_id = Some("studio-1".to_owned());
        }).await;
        let script = Script::new(&["transient", "succeed"]);
        let job = server.create_scripted(&script).await;
        let job = server.ended(job.id).await.job;

        let trail = events(&server, of_job(job.id)).await.unwrap();
        assert_eq!(trail.next_page_token, "");
        let told: Vec<_> = trail.events.iter()
            .map(|event| (event.revision, event.status(), event.attempt, event.cause(), event.worker_id.as_str()))
            .collect();
        let nothing = JobEventCause::Unspecified;
        assert_eq!(told, [
            (1, JobStatus::Pending, 0, nothing, ""),
            (2, JobStatus::Processing, 1, nothing, "studio-1"),
            (3, JobStatus::Pending, 1, JobEventCause::Retry, "studio-1"),
            (4, JobStatus::Processing, 2, nothing, "studio-1"),
            (5, JobStatus::Completed, 2, nothing, "studio-1"),
        ]);
        let retried = &trail.events[2];
        let JobError { code, message, detail } = retried.error.clone().unwrap();
        assert_eq!((code.as_str(), detail.as_str()), ("PROVIDER_UNAVAILABLE", ""));
        assert!(!message.is_empty());
        assert!(retried.next_attempt_time.unwrap().seconds >= retried.create_time.unwrap().seconds);
        assert_eq!(trail.events.iter().filter(|event| event.next_attempt_time.is_some()).count(), 1);
        assert_eq!(trail.events[0].create_time, job.create_time);
        assert_eq!(trail.events[4].create_time, job.update_time);
        assert_eq!(trail.events[4].error, None);
        assert!(trail.events.iter().all(|event| event.job_id == job.id));
    }

    async fn a_handed_back_and_a_failed_job_say_why(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["fail"]).gated();
        let job = server.create_scripted(&script).await;
        server.reached(job.id, JobStatus::Processing).await;
        server.stop().await;
        let server = TestServer::start(&db).await;
        script.open_gate();
        server.ended(job.id).await;

        let trail = events(&server, of_job(job.id)).await.unwrap().events;
        let causes: Vec<_> = trail.iter().map(JobEvent::cause).collect();
        let nothing = JobEventCause::Unspecified;
        assert_eq!(causes, [nothing, nothing, JobEventCause::HandBack, nothing, nothing]);
        assert_eq!(trail[4].error.as_ref().unwrap().code, "PROVIDER_FAILED");
        assert_eq!((trail[2].attempt, trail[4].attempt), (0, 1), "the attempt counts");
    }

    async fn pages_of_an_audit_trail_join_without_gaps(db: TestDatabase) {
        let server = TestServer::start(&db).await;
        let script = Script::new(&["transient", "succeed"]);
        let feature = server.scripted_feature().await;
        let mut ended = Vec::new();
        for _ in 0..2 {
            let (_, jobs) = server.create(scripted_request(feature, &script)).await;
            ended.push(server.ended(jobs[0].id).await.job.id);
        }
        for page_size in [1, 2, 4, 5, 6] {
            let (mut revisions, mut page_token) = (Vec::new(), String::new());
            loop {
                let page = ListJobEventsRequest { job_id: ended[0], page_size, page_token, ..Default::default() };
                let page = events(&server, page).await.unwrap();
                revisions.extend(page.events.iter().map(|event| event.revision));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            assert_eq!(revisions, [1, 2, 3, 4, 5], "by {page_size}");
        }
        let first = ListJobEventsRequest { page_size: 2, ..of_job(ended[0]) };
        let token = events(&server, first).await.unwrap().next_page_token;
        for (job_id, page_token) in [(ended[1], token.clone()), (ended[0], "x".to_owned()), (ended[0], token + "A")] {
            let wrong = ListJobEventsRequest { page_token, ..of_job(job_id) };
            refusal(events(&server, wrong).await).is(Code::InvalidArgument, ErrorReason::InvalidPageToken);
        }
    }

    async fn an_audit_trail_needs_a_job(db: TestDatabase) {
        let server = TestServer::start_as(Role::Api, &db, |_| ()).await;
        refusal(events(&server, of_job(4_711)).await)
            .is(Code::NotFound, ErrorReason::JobNotFound)
            .with("job_id", 4_711);
        for job_id in [0, -1, i64::MIN] {
            let wrong = ListJobEventsRequest { page_size: -1, ..of_job(job_id) };
            refusal(events(&server, wrong).await).of_fields(["job_id", "page_size"]);
        }
    }
}

async fn count(server: &TestServer, filter: CountJobsRequest) -> CountJobsResponse {
    let counted = server.jobs().count_jobs(filter).await;
    counted.unwrap().into_inner()
}

async fn list(server: &TestServer, filter: ListJobsRequest) -> Vec<Job> {
    let listed = server.jobs().list_jobs(filter).await;
    listed.unwrap().into_inner().jobs
}

fn code(job: &Job) -> &str {
    job.error.as_ref().map_or("", |error| &error.code)
}

fn of_job(job_id: i64) -> ListJobEventsRequest {
    ListJobEventsRequest {
        job_id,
        ..Default::default()
    }
}

async fn events(
    server: &TestServer,
    request: ListJobEventsRequest,
) -> Result<ListJobEventsResponse, Status> {
    let listed = server.jobs().list_job_events(request).await;
    Ok(listed?.into_inner())
}
