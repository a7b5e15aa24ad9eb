//! Attempts that end at the same time are recorded in one transaction, and each is told what has become of its job.

use std::collections::BTreeSet;
use std::time::Duration;

use atelier::domain::job::{AttemptEnd, Failure};
use atelier::domain::{JobInput, JobStatus, JsonMap, Reason, RequestStatus, sha256_hex};
use atelier::entity::{job, media};
use atelier::store::queue::{self, Lease};
use chrono::TimeDelta;
use futures::future::join_all;
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::json;

use crate::support::bench::{Bench, lease, output, overloaded};
use crate::support::database::{Backend, TestDatabase, on_both_databases};
use crate::support::server::within;

on_both_databases! {
    async fn jobs_that_complete_at_once_are_told_each_what_has_become_of_it(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let (whole, half) = (bench.request(3, 0).await, bench.request(2, 0).await);
        let claimed = bench.claim(5).await;
        let lost = Lease { token: "another".to_owned(), ..lease(&claimed[2]) };
        let leases: Vec<Lease> = claimed.iter().map(lease).collect();
        let attempts = [&leases[0], &leases[1], &leases[2], &lost, &leases[3], &leases[1]];
        let complete = |(place, lease): (usize, &Lease)| {
            let (bench, lease) = (&bench, lease.clone());
            let mut output = output(&lease);
            // The files of two are equal, as far as their user has them twice.
            let content = ["first", "same", "same", "lost", "other", "same"][place];
            output.file.inspected.facts.sha256 = sha256_hex(content.as_bytes());
            let metadata: JsonMap = json!({ "place": place }).as_object().unwrap().clone();
            async move { bench.app.complete_job(&lease, &[output], metadata).await.unwrap() }
        };
        let ended = within(join_all(attempts.into_iter().enumerate().map(complete))).await;

        let ids = |ended: &[Option<job::Model>]| ended.iter().map(|it| it.as_ref().map(|it| it.id)).collect::<Vec<_>>();
        let id = |place: usize| Some(claimed[place].id);
        assert_eq!(ids(&ended), [id(0), id(1), id(2), None, id(3), None]);
        for (place, told) in ended.iter().flatten().enumerate() {
            assert_eq!(bench.job(told.id).await, *told);
            let metadata = told.output_metadata.as_ref().unwrap();
            assert_eq!(metadata["place"], [0, 1, 2, 4][place]);
            assert_eq!((told.status, told.progress, told.lease_token.as_ref()), (JobStatus::Completed, 1.0, None));
            let events = bench.events(told.id).await;
            assert_eq!(events.last().unwrap().status, JobStatus::Completed);
            assert_eq!(events.len(), 3);
        }
        assert_eq!(bench.request_status(whole[0].request_id).await, RequestStatus::Completed);
        assert_eq!(bench.request_status(half[0].request_id).await, RequestStatus::Processing);
        let connection = db.connect().await;
        let media = media::Entity::find().order_by_asc(media::Column::Id).all(&connection);
        let media = media.await.unwrap();
        let made: Vec<_> = media.iter().map(|it| it.job_id).collect();
        assert_eq!(made, [id(0), id(1), id(2), id(3)]);
        let files: BTreeSet<_> = media.iter().map(|it| it.storage_key.clone().unwrap()).collect();
        assert_eq!(files.len(), 3, "one of the equal ones is kept: {files:?}");
        assert_eq!(media[1].storage_key, media[2].storage_key);
        assert_eq!(media[1].media_url, media[2].media_url);
        assert_gathered(&db, "status = 'completed'").await;
    }

    async fn tasks_that_are_submitted_at_once_are_noted_each(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(4, 0).await;
        let claimed = bench.claim(4).await;
        let mut leases: Vec<Lease> = claimed.iter().map(lease).collect();
        leases[2].token = "another".to_owned();
        let note = |(place, lease): (usize, Lease)| {
            let bench = &bench;
            let key = format!("key {place}");
            async move { bench.app.note_submission(&lease, "other", &key).await.unwrap() }
        };
        let noted = within(join_all(leases.into_iter().enumerate().map(note))).await;
        assert_eq!(noted, [true, true, false, true]);
        for (place, job) in claimed.iter().enumerate() {
            let job = bench.job(job.id).await;
            let key = noted[place].then(|| format!("key {place}"));
            assert_eq!(job.submission_key, key);
            assert_eq!(job.provider.as_deref(), Some(if noted[place] { "other" } else { "builtin" }));
        }
    }

    async fn jobs_that_fail_at_once_are_told_each_what_has_become_of_it(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = bench.request(4, 0).await;
        let claimed = bench.claim(4).await;
        let mut leases: Vec<Lease> = claimed.iter().map(lease).collect();
        leases[3].token = "another".to_owned();
        let fail = |(place, lease): (usize, Lease)| {
            let failure = Failure::new(Reason::ProviderRejectedInput, format!("Sentence {place}."));
            let failure = match place {
                0 => failure,
                _ => failure.with_detail(format!("detail {place}")),
            };
            let bench = &bench;
            async move { bench.app.end_attempt(&lease, &AttemptEnd::Fail(failure)).await.unwrap() }
        };
        let ended = within(join_all(leases.into_iter().enumerate().map(fail))).await;

        for (place, told) in ended.iter().enumerate().take(3) {
            let told = told.as_ref().unwrap();
            assert_eq!(bench.job(told.id).await, *told);
            assert_eq!((told.id, told.status), (claimed[place].id, JobStatus::Failed));
            assert_eq!(told.error_code.as_deref(), Some("PROVIDER_REJECTED_INPUT"));
            assert_eq!(told.error_message, Some(format!("Sentence {place}.")));
            assert_eq!(told.error_detail, (place > 0).then(|| format!("detail {place}")));
            assert_eq!(bench.events(told.id).await.len(), 3);
        }
        assert_eq!(ended[3], None);
        assert_eq!(bench.job(claimed[3].id).await.status, JobStatus::Processing);
        assert_eq!(bench.request_status(jobs[0].request_id).await, RequestStatus::Processing);
        assert_gathered(&db, "status = 'failed'").await;
    }

    async fn attempts_that_end_at_once_with_nothing_are_told_each_what_becomes_of_its_job(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(8, 0).await;
        let claimed = bench.claim(8).await;
        let retried = within(join_all(claimed.iter().map(|job| {
            let (bench, lease) = (&bench, lease(job));
            async move { bench.app.end_attempt(&lease, &overloaded(Duration::ZERO)).await.unwrap() }
        }))).await;
        assert!(retried.iter().all(Option::is_some));
        assert_gathered(&db, "revision = 3").await;

        let claimed = bench.claim(8).await;
        let mut leases: Vec<Lease> = claimed.iter().map(lease).collect();
        for (place, held) in leases.iter().enumerate() {
            assert!(bench.app.note_submission(held, "builtin", &format!("key {place}")).await.unwrap());
            assert!(queue::note_task(bench.app.store.writer(), held, "task").await.unwrap());
        }
        leases[4].token = "another".to_owned();
        let mut other: JobInput = serde_json::from_value(claimed[0].input_json.clone()).unwrap();
        (other.provider, other.prompt) = ("other".to_owned(), "It's \"another\" \u{1F3A8}".to_owned());
        let failure = |detail: Option<&str>| Failure {
            detail: detail.map(str::to_owned),
            ..Failure::new(Reason::ProviderNoOutput, "Nothing.")
        };
        let retry = |seconds, keep_task| {
            AttemptEnd::Retry { failure: failure(None), pause: Duration::from_secs(seconds), keep_task }
        };
        let ends = [
            AttemptEnd::Fail(failure(Some("why"))),
            retry(20, true),
            retry(0, false),
            AttemptEnd::HandBack { keep_task: true },
            retry(0, false),
            AttemptEnd::HandBack { keep_task: false },
            AttemptEnd::FallBack { failure: failure(Some("it is away")), input: Box::new(other.clone()) },
            AttemptEnd::Fail(failure(None)),
        ];
        let now = bench.app.clock.now();
        // The last one a second time, which comes too late.
        let calls = leases.iter().zip(&ends).chain([(&leases[7], &ends[1])]);
        let ended = within(join_all(calls.map(|(lease, end)| bench.app.end_attempt(lease, end)))).await;
        let mut ended: Vec<Option<job::Model>> = ended.into_iter().map(Result::unwrap).collect();
        assert_eq!((ended.pop(), ended[4].take()), (Some(None), None), "lost leases");
        assert_eq!(bench.job(claimed[4].id).await.lease_token, claimed[4].lease_token);

        let nothing = Some("PROVIDER_NO_OUTPUT");
        let (failed, pending) = (JobStatus::Failed, JobStatus::Pending);
        for (place, status, attempt, code, detail, keeps_task, cause) in [
            (0, failed, 2, nothing, Some("why"), true, None),
            (1, pending, 2, nothing, None, true, Some("retry")),
            (2, pending, 2, nothing, None, false, Some("retry")),
            (3, pending, 1, None, None, true, Some("hand_back")),
            (5, pending, 1, None, None, false, Some("hand_back")),
            (6, pending, 1, nothing, Some("it is away"), false, Some("fall_back")),
            (7, failed, 2, nothing, None, true, None),
        ] {
            let (told, before) = (ended[place].as_ref().unwrap(), &claimed[place]);
            assert_eq!(bench.job(before.id).await, *told);
            let fields = (told.status, told.attempt, told.error_code.as_deref(), told.error_detail.as_deref());
            assert_eq!(fields, (status, attempt, code, detail), "{place}");
            assert_eq!(told.lease_token, None);
            let task = (told.submission_key.clone(), told.provider_task_id.as_deref());
            let kept = (Some(format!("key {place}")), Some("task"));
            assert_eq!(task, if keeps_task { kept } else { (None, None) }, "{place}");
            let pause = TimeDelta::seconds(if place == 1 { 20 } else { 0 });
            assert_eq!(told.parked, place == 1);
            assert_eq!(told.run_after, if status == failed { before.run_after } else { now + pause }, "{place}");
            assert_eq!(told.completed_at, (status == failed).then_some(now));
            let falls_back = place == 6;
            assert_eq!(told.provider.as_deref(), Some(if falls_back { "other" } else { "builtin" }));
            let input = serde_json::to_value(&other).unwrap();
            assert_eq!(told.input_json, if falls_back { input } else { before.input_json.clone() });
            let last = bench.events(told.id).await.pop().unwrap();
            assert_eq!((last.revision, last.status, last.attempt), (5, status, attempt));
            assert_eq!(last.detail.unwrap().get("cause").and_then(|it| it.as_str()), cause, "{place}");
        }
        assert_gathered(&db, "revision = 5").await;
    }

    async fn an_end_that_the_database_refuses_costs_the_others_nothing(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(4, 0).await;
        let claimed = bench.claim(4).await;
        let mut other: JobInput = serde_json::from_value(claimed[0].input_json.clone()).unwrap();
        other.provider = "x".repeat(65);
        let failure = Failure::new(Reason::ProviderUnavailable, "Away.");
        let longer_than_its_column = AttemptEnd::FallBack { failure, input: Box::new(other) };
        let back = AttemptEnd::HandBack { keep_task: false };
        let ends = [&back, &back, &longer_than_its_column, &back];
        let calls = claimed.iter().zip(ends).map(|(job, end)| {
            let (bench, lease) = (&bench, lease(job));
            async move { bench.app.end_attempt(&lease, end).await }
        });
        let ended = within(join_all(calls)).await;
        for (place, (job, told)) in claimed.iter().zip(&ended).enumerate() {
            let is_refused = place == 2;
            assert_eq!(told.is_err(), is_refused, "{told:?}");
            let expected = if is_refused { JobStatus::Processing } else { JobStatus::Pending };
            assert_eq!(bench.job(job.id).await.status, expected);
        }
    }
}

/// In one, or in two if the first had begun when the others came.
async fn assert_gathered(db: &TestDatabase, events: &str) {
    if db.backend == Backend::Postgres {
        let gathered = format!(
            "SELECT (count(DISTINCT xmin::text) <= 2)::text FROM generation_job_events WHERE {events}"
        );
        assert_eq!(db.texts(&gathered).await, ["true"]);
    }
}
