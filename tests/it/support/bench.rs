//! The use cases without executor and transport, at a time of the test's choice.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use atelier::domain::{Keyring, Purpose};
use atelier::{
    app::{App, Clock, Settings, StoredFile, StoredOutput},
    config::Config,
    domain::{
        Actor, Caller, Checks, FeatureDraft, FeatureProperties, GenerationInput, IntakeLimits,
        JsonMap, MediaRole, MediaType, Names, Reason, RequestDraft, RequestStatus, TemplateData,
        TemplateDraft,
        job::{AttemptEnd, Capability, Failure},
        sha256_hex,
    },
    entity::{job, job_event},
    events::Events,
    media::{Facts, Inspected, LinkSettings, Storage, StorageKey, StorageSettings},
    store::{self, Store, queue::Lease},
};
use chrono::{DateTime, TimeDelta, Utc};
use codec::Format;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::support::database::TestDatabase;

pub(crate) const LEASE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub app: App,
    pub feature_id: i64,
    /// Since pauses were last ended, as an executor does by itself.
    time_passed: AtomicBool,
    media: Arc<TempDir>,
}

impl Bench {
    pub(crate) async fn new(db: &TestDatabase) -> Self {
        Self::at(&db.url, Config::default().database.max_connections).await
    }

    /// The same with a URL of its own for the database, and so many connections at most.
    pub(crate) async fn at(url: &str, connections: u32) -> Self {
        Self::open(url, connections, None).await
    }

    pub(crate) fn media_folder(&self) -> &Path {
        self.media.path()
    }

    /// What a write leaves behind that a crash cuts off.
    pub(crate) fn unfinished_object(&self) -> PathBuf {
        let folder = self.media.path().join("jobs/000/000/001");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a-0.png#1");
        std::fs::write(&file, "half").unwrap();
        file
    }

    /// One more on the same media, with another database.
    pub(crate) async fn beside(&self, db: &TestDatabase) -> Self {
        let connections = Config::default().database.max_connections;
        Self::open(&db.url, connections, Some(self.media.clone())).await
    }

    async fn open(url: &str, connections: u32, media: Option<Arc<TempDir>>) -> Self {
        let mut config = Config::default();
        config.database.url = url.parse().unwrap();
        config.database.max_connections = connections;
        let database = store::connect(&config.database, "a test").await.unwrap();
        migration::up(&database, None).await.unwrap();
        database.close().await.unwrap();
        let store = Store::open(&config.database, "a test").await.unwrap();
        let media = media.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        let links = LinkSettings {
            server_url: "http://127.0.0.1:1".parse().unwrap(),
            public_url: None,
            signing_key: None,
            lifetime: Duration::from_secs(60),
        };
        let folder = media.path().to_owned();
        let app = App::from(atelier::app::Parts {
            store,
            storage: Storage::open(&StorageSettings::Local { folder }, links).unwrap(),
            token_keys: Keyring::new(Purpose::Tokens),
            api_keys: atelier::identity::ApiKeys::default(),
            events: Events::default(),
            reads: atelier::app::Reads::default(),
            clock: Clock::manual(DateTime::from_timestamp(1_800_000_000, 0).unwrap()),
            providers: atelier::provider::Registry::default(),
            metrics: atelier::metrics::Metrics::default(),
            traces: atelier::traces::Traces::default(),
            gathering: atelier::app::Gathering::default(),
            receiving: atelier::app::Receiving::default(),
            moderation: atelier::provider::Moderation::Off,
            links: None,
            settings: Settings {
                runs_jobs: true,
                intake: IntakeLimits {
                    prompt_chars: 100,
                    variations: 16,
                },
                max_attempts: 2,
                billing: atelier::billing::Billing::Off,
                plans: atelier::domain::Plans::default(),
                retention: atelier::domain::Retention::default(),
                provision_users: true,
                system_user: Some(9),
                total_concurrency: 0,
                users: atelier::domain::TableName::unqualified("users"),
                uploads: atelier::app::UploadSettings {
                    limits: atelier::domain::UploadLimits {
                        file_bytes: 1 << 20,
                        files: 10,
                        bytes: 1 << 24,
                        types: vec![MediaType::Image, MediaType::Video, MediaType::Audio],
                    },
                    reading: atelier::media::Limits {
                        max_bytes: 1 << 20,
                        max_pixels: 1 << 22,
                        max_frames: 100,
                        max_length: Duration::from_secs(60),
                        max_duration: Duration::from_secs(60),
                    },
                    keeps_location: false,
                    idle: Duration::from_secs(24 * 60 * 60),
                    url_ttl: Duration::from_secs(15 * 60),
                },
                trend_threshold: 50,
                watch_heartbeat: Duration::from_secs(10),
                watch_poll: Duration::from_secs(1),
                stalled_below: Duration::from_secs(5),
                url: "http://127.0.0.1:1".parse().unwrap(),
            },
            health: atelier::app::Health::default(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
        });
        app.read_keys().await.unwrap();
        let feature_id = app
            .acting(Actor::local())
            .create_feature(feature(), Checks::default(), false)
            .await
            .unwrap()
            .id;
        Self {
            app,
            feature_id,
            time_passed: AtomicBool::new(false),
            media,
        }
    }

    pub(crate) async fn request(&self, variations: i32, priority: i32) -> Vec<job::Model> {
        self.request_by(Caller::TrustedService, variations, priority)
            .await
    }

    /// A request of user 1.
    pub(crate) async fn request_by(
        &self,
        caller: Caller,
        variations: i32,
        priority: i32,
    ) -> Vec<job::Model> {
        let mut draft = self.draft("x");
        draft.input.batch_size = variations;
        draft.priority = priority;
        let checks = Checks::default();
        let created = self.app.create_request(caller, draft, &checks);
        created.await.unwrap().1
    }

    /// A asked of user 1 for one picture.
    pub(crate) fn draft(&self, prompt: &str) -> RequestDraft {
        RequestDraft {
            user_id: 1,
            project_id: None,
            feature_id: self.feature_id,
            template_id: None,
            feature: String::new(),
            template: String::new(),
            user_prompt: prompt.to_owned(),
            user_media_urls: Vec::new(),
            input: GenerationInput::default(),
            metadata: JsonMap::new(),
            priority: 0,
            schedule: atelier::domain::Schedule::default(),
            idempotency_key: String::new(),
            client: None,
            trace: atelier::domain::Trace::default(),
            preview: None,
            plan: None,
        }
    }

    pub(crate) async fn claim(&self, slots: u32) -> Vec<job::Model> {
        self.claim_as(slots, &[drawing()]).await
    }

    /// Claims for a worker that can run this.
    pub(crate) async fn claim_as(
        &self,
        slots: u32,
        capabilities: &[Capability],
    ) -> Vec<job::Model> {
        if self.time_passed.swap(false, Ordering::Relaxed) {
            self.app.unpark_due_jobs().await.unwrap();
        }
        self.claim_ready(slots, capabilities).await
    }

    /// The same of what is in the queue by now: nobody looks whose pause has ended.
    pub(crate) async fn claim_ready(
        &self,
        slots: u32,
        capabilities: &[Capability],
    ) -> Vec<job::Model> {
        let claimed = self.app.claim_jobs("worker", slots, LEASE, capabilities);
        claimed.await.unwrap()
    }

    /// Ends the attempt of a claimed job with one file.
    pub(crate) async fn complete(&self, job: &job::Model) -> Option<job::Model> {
        let (lease, outputs) = (lease(job), [output(&lease(job))]);
        let completed = self.app.complete_job(&lease, &outputs, JsonMap::new());
        completed.await.unwrap()
    }

    /// A template without any data.
    pub(crate) async fn template(&self) -> i64 {
        let draft = TemplateDraft {
            feature_id: self.feature_id,
            name: "plain".to_owned(),
            names: Names::default(),
            description: String::new(),
            data: TemplateData::default(),
            preview_url: String::new(),
            preview_media_id: None,
            tags: Vec::new(),
            is_active: true,
            order_index: 0,
            trend_start: None,
            trend_end: None,
        };
        let acting = self.app.acting(Actor::local());
        let created = acting.create_template(draft, Checks::default(), false);
        created.await.unwrap().id
    }

    pub(crate) async fn job(&self, id: i64) -> job::Model {
        store::job::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
    }

    pub(crate) async fn request_status(&self, id: i64) -> RequestStatus {
        store::request::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
            .status
    }

    pub(crate) async fn events(&self, id: i64) -> Vec<job_event::Model> {
        let db = self.app.store.reader();
        let events = store::job_event::after(db, &[(id, 0)].into(), 100).await;
        events.unwrap().remove(&(id, 0)).unwrap_or_default()
    }

    pub(crate) fn pass(&self, seconds: i64) -> DateTime<Utc> {
        self.app.clock.advance(TimeDelta::seconds(seconds));
        self.time_passed.store(true, Ordering::Relaxed);
        self.app.clock.now()
    }
}

/// What jobs of the bench need.
pub(crate) fn drawing() -> Capability {
    capability("builtin")
}

/// To make pictures with this provider.
pub(crate) fn capability(provider: &str) -> Capability {
    Capability {
        provider: provider.to_owned(),
        category: MediaType::Image,
    }
}

pub(crate) fn ids(jobs: &[job::Model]) -> Vec<i64> {
    jobs.iter().map(|job| job.id).collect()
}

pub(crate) fn feature() -> FeatureDraft {
    FeatureDraft {
        name: "bench".to_owned(),
        names: Names::default(),
        description: String::new(),
        category: Some(MediaType::Image),
        system_prompt: String::new(),
        properties: FeatureProperties::default(),
        preview_url: String::new(),
        preview_media_id: None,
        icon_url: String::new(),
        is_active: true,
        order_index: 0,
    }
}

pub(crate) fn lease(job: &job::Model) -> Lease {
    Lease {
        job_id: job.id,
        token: job.lease_token.clone().unwrap(),
    }
}

pub(crate) fn overloaded(pause: Duration) -> AttemptEnd {
    AttemptEnd::Retry {
        failure: Failure::new(Reason::ProviderUnavailable, "Overloaded."),
        pause,
        keep_task: false,
    }
}

/// So many more like this job.
pub(crate) async fn backlog(db: &TestDatabase, count: usize, like: i64) {
    db.execute(&format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
         INSERT INTO generation_jobs (request_id, user_id, feature_id, category, input_json, provider, run_after)
         SELECT job.request_id, job.user_id, job.feature_id, job.category, '{{}}', job.provider, job.run_after
         FROM generation_jobs AS job CROSS JOIN n WHERE job.id = {like}"
    ))
    .await;
}

/// A file that an attempt has stored, and that is equal to no other.
pub(crate) fn output(lease: &Lease) -> StoredOutput {
    let inspected = Inspected {
        facts: Facts {
            format: Format::Png,
            file_size: 1,
            sha256: sha256_hex(lease.token.as_bytes()),
            size: Some((1, 1)),
            duration: None,
            frame_rate: None,
            video_codec: None,
            sound: None,
        },
        blurhash: "L".to_owned(),
        tiny_preview: String::new(),
        undecoded: None,
        damaged: None,
    };
    StoredOutput {
        file: StoredFile {
            key: StorageKey::for_output(lease.job_id, &lease.token, 0, Format::Png),
            role: MediaRole::Original,
            inspected,
            thumbnail_size: None,
            recipe_not_embedded: None,
        },
        seed: None,
        metadata: JsonMap::new(),
        derived: Vec::new(),
    }
}
