//! Leases, pauses and priorities of the queue, by a clock that the test moves.

use std::time::Duration;

use atelier::{
    app::{App, AttemptEnd, Clock, Settings},
    config::Config,
    domain::{
        Caller, FeatureDraft, FeatureProperties, GenerationInput, IntakeLimits, JsonMap, Reason,
        RequestDraft, job::Failure,
    },
    entity::{JobStatus, MediaType, RequestStatus, job, job_event},
    events::Events,
    media::{LinkSettings, Storage, StorageSettings},
    store::{
        self, Store,
        queue::{Lease, Report},
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::database::{TestDatabase, on_both_databases};

const LEASE: Duration = Duration::from_secs(30);

/// The use cases without executor and transport, at a time of the test's choice.
struct Bench {
    app: App,
    feature_id: i64,
    _media: TempDir,
}

impl Bench {
    async fn new(db: &TestDatabase) -> Self {
        let mut config = Config::default();
        config.database.url = db.url.parse().unwrap();
        let store = Store::open(&config.database).await.unwrap();
        migration::up(store.writer(), None).await.unwrap();
        let media = tempfile::tempdir().unwrap();
        let links = LinkSettings {
            server_url: "http://127.0.0.1:1".parse().unwrap(),
            public_url: None,
            signing_key: None,
            lifetime: Duration::from_secs(60),
        };
        let folder = media.path().to_owned();
        let app = App {
            store,
            storage: Storage::open(&StorageSettings::Local { folder }, links).unwrap(),
            events: Events::default(),
            clock: Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap()),
            settings: Settings {
                intake: IntakeLimits {
                    prompt_chars: 100,
                    variations: 16,
                },
                max_attempts: 2,
                provision_users: true,
                trend_threshold: 50,
                watch_heartbeat: Duration::from_secs(10),
                watch_poll: Duration::from_secs(1),
            },
            stopping: CancellationToken::new(),
        };
        let feature_id = app.create_feature(feature()).await.unwrap().id;
        Self {
            app,
            feature_id,
            _media: media,
        }
    }

    async fn request(&self, variations: i32, priority: i32) -> Vec<job::Model> {
        let draft = RequestDraft {
            user_id: 1,
            project_id: None,
            feature_id: self.feature_id,
            template_id: None,
            user_prompt: "x".to_owned(),
            user_media_urls: Vec::new(),
            input: GenerationInput {
                batch_size: variations,
                ..GenerationInput::default()
            },
            metadata: JsonMap::new(),
            priority,
            idempotency_key: String::new(),
        };
        self.app
            .create_request(Caller::TrustedService, draft)
            .await
            .unwrap()
            .1
    }

    async fn claim(&self, slots: u32) -> Vec<job::Model> {
        self.app.claim_jobs("worker", slots, LEASE).await.unwrap()
    }

    async fn job(&self, id: i64) -> job::Model {
        store::job::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
    }

    async fn request_status(&self, id: i64) -> RequestStatus {
        store::request::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
            .status
    }

    async fn events(&self, id: i64) -> Vec<job_event::Model> {
        store::job_event::after(self.app.store.reader(), id, 0)
            .await
            .unwrap()
    }

    fn pass(&self, seconds: i64) -> DateTime<Utc> {
        self.app.clock.advance(TimeDelta::seconds(seconds));
        self.app.clock.now()
    }
}

fn feature() -> FeatureDraft {
    FeatureDraft {
        name: "bench".to_owned(),
        description: String::new(),
        category: Some(MediaType::Image),
        system_prompt: String::new(),
        properties: FeatureProperties::default(),
        preview_url: String::new(),
        icon_url: String::new(),
        is_active: true,
        order_index: 0,
    }
}

fn lease(job: &job::Model) -> Lease {
    Lease {
        job_id: job.id,
        token: job.lease_token.clone().unwrap(),
    }
}

fn overloaded(pause: Duration) -> AttemptEnd {
    AttemptEnd::Retry {
        failure: Failure::new(Reason::ProviderUnavailable, "Overloaded."),
        pause,
        keep_task: false,
    }
}

on_both_databases! {
    async fn the_highest_priority_goes_first_and_the_oldest_among_equals(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let low = bench.request(1, -5).await.remove(0).id;
        let first = bench.request(1, 0).await.remove(0).id;
        let second = bench.request(1, 0).await.remove(0).id;
        let high = bench.request(1, 7).await.remove(0).id;
        let taken: Vec<i64> = bench.claim(10).await.iter().map(|job| job.id).collect();
        assert_eq!(taken, [high, first, second, low]);
    }

    async fn an_expired_lease_is_rescued_once_and_its_worker_can_change_nothing_any_more(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let old = lease(&bench.claim(1).await[0]);
        bench.pass(29);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0, "the lease still holds");
        bench.pass(2);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
        assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0, "rescued once");
        let rescued = bench.job(job.id).await;
        assert_eq!((rescued.status, rescued.attempt), (JobStatus::Pending, 1));
        assert_eq!(rescued.error_code.as_deref(), Some("WORKER_LOST"));

        assert_eq!(bench.app.complete_job(&old, &[], JsonMap::new()).await.unwrap(), None);
        let late = bench.app.end_attempt(&old, &AttemptEnd::HandBack { keep_task: false }).await.unwrap();
        assert_eq!(late, None);
        assert_eq!(bench.job(job.id).await, rescued);
    }

    async fn a_heartbeat_keeps_the_lease(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let held = lease(&bench.claim(1).await[0]);
        let report = Report { progress: 0.5, message: Some("drawing".to_owned()), preview: None };
        for _ in 0..5 {
            let now = Some(bench.pass(25));
            let db = bench.app.store.writer();
            assert!(store::queue::heartbeat(db, &held, LEASE, report.clone(), now).await.unwrap());
            assert_eq!(bench.app.rescue_jobs().await.unwrap(), 0);
        }
        let job = bench.job(held.job_id).await;
        assert_eq!((job.progress, job.progress_message.as_deref()), (0.5, Some("drawing")));
        assert_eq!(job.revision, 2, "progress is no transition");
    }

    async fn a_worker_lost_at_every_attempt_fails_the_job(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        for _ in 0..2 {
            assert_eq!(bench.claim(1).await.len(), 1);
            bench.pass(31);
            assert_eq!(bench.app.rescue_jobs().await.unwrap(), 1);
        }
        let job = bench.job(job.id).await;
        assert_eq!((job.status, job.error_code.as_deref()), (JobStatus::Failed, Some("WORKER_LOST")));
        assert_eq!(bench.request_status(job.request_id).await, RequestStatus::Failed);
        assert!(bench.claim(1).await.is_empty());
    }

    async fn a_retry_waits_for_its_pause(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let claimed = bench.claim(1).await.remove(0);
        let pause = Duration::from_millis(16_500);
        let queued = bench.app.end_attempt(&lease(&claimed), &overloaded(pause)).await.unwrap().unwrap();
        assert_eq!(queued.status, JobStatus::Pending);
        assert_eq!(queued.run_after, bench.app.clock.now() + TimeDelta::milliseconds(16_500));
        bench.pass(16);
        assert!(bench.claim(1).await.is_empty(), "too early");
        bench.pass(1);
        assert_eq!(bench.claim(1).await[0].attempt, 2);
    }

    async fn a_job_handed_back_loses_no_attempt_and_runs_again_at_once(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        bench.request(1, 0).await;
        let claimed = bench.claim(1).await.remove(0);
        let end = AttemptEnd::HandBack { keep_task: false };
        let back = bench.app.end_attempt(&lease(&claimed), &end).await.unwrap().unwrap();
        assert_eq!((back.status, back.attempt), (JobStatus::Pending, 0));
        assert_eq!(bench.claim(1).await[0].attempt, 1);
    }

    async fn every_transition_leaves_an_event_with_a_dense_revision(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let job = bench.request(1, 0).await.remove(0);
        let claimed = bench.claim(1).await.remove(0);
        bench.app.end_attempt(&lease(&claimed), &overloaded(Duration::ZERO)).await.unwrap();
        let claimed = bench.claim(1).await.remove(0);
        bench.app.complete_job(&lease(&claimed), &[], JsonMap::new()).await.unwrap().unwrap();
        let trail: Vec<_> =
            bench.events(job.id).await.into_iter().map(|event| (event.revision, event.status, event.attempt)).collect();
        assert_eq!(
            trail,
            [
                (1, JobStatus::Pending, 0),
                (2, JobStatus::Processing, 1),
                (3, JobStatus::Pending, 1),
                (4, JobStatus::Processing, 2),
                (5, JobStatus::Completed, 2),
            ]
        );
    }

    async fn the_request_sums_up_its_jobs_after_each_transition(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let jobs = bench.request(3, 0).await;
        let request_id = jobs[0].request_id;
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Pending);
        let claimed = bench.claim(1).await.remove(0);
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Processing);
        let failure = AttemptEnd::Fail(Failure::new(Reason::ProviderFailed, "No."));
        bench.app.end_attempt(&lease(&claimed), &failure).await.unwrap();
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Processing, "two wait");
        bench.app.cancel_job(Caller::TrustedService, jobs[1].id).await.unwrap();
        let claimed = bench.claim(1).await.remove(0);
        bench.app.complete_job(&lease(&claimed), &[], JsonMap::new()).await.unwrap();
        assert_eq!(bench.request_status(request_id).await, RequestStatus::Completed);
    }

    async fn no_job_is_claimed_twice_by_workers_that_claim_at_once(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        for _ in 0..5 {
            bench.request(16, 0).await;
        }
        let claims = (0..10).map(|_| bench.claim(16));
        let mut taken: Vec<i64> =
            futures::future::join_all(claims).await.into_iter().flatten().map(|job| job.id).collect();
        while let Some(more) = Some(bench.claim(16).await).filter(|more| !more.is_empty()) {
            taken.extend(more.iter().map(|job| job.id));
        }
        taken.sort_unstable();
        let before = taken.len();
        taken.dedup();
        assert_eq!((before, taken.len()), (80, 80));
    }

    async fn orphaned_objects_are_removed_and_named_ones_stay(db: TestDatabase) {
        let bench = Bench::new(&db).await;
        let key = atelier::media::StorageKey::for_output(1, "t", 0, atelier::domain::Format::Png);
        bench.app.storage.put(&key, "x".into()).await.unwrap();
        // Objects have the time of the computer, which lies before the clock of the test.
        assert_eq!(bench.app.remove_orphans(Duration::from_secs(100 * 365 * 86_400)).await.unwrap(), 0);
        assert_eq!(bench.app.remove_orphans(Duration::ZERO).await.unwrap(), 1);
        assert!(bench.app.storage.head(&key).await.is_err());
    }
}
