//! The use cases without executor and transport, at a time of the test's choice.

use std::time::Duration;

use atelier::{
    app::{App, AttemptEnd, Clock, Settings},
    config::Config,
    domain::{
        Caller, Checks, FeatureDraft, FeatureProperties, GenerationInput, IntakeLimits, JsonMap,
        Reason, RequestDraft, job::Failure,
    },
    entity::{MediaType, RequestStatus, job, job_event},
    events::Events,
    media::{LinkSettings, Storage, StorageSettings},
    store::{self, Store, queue::Lease},
};
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::database::TestDatabase;

pub const LEASE: Duration = Duration::from_secs(30);

pub struct Bench {
    pub app: App,
    pub feature_id: i64,
    _media: TempDir,
}

impl Bench {
    pub async fn new(db: &TestDatabase) -> Self {
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
            providers: atelier::provider::Registry::default(),
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
        let feature_id = app
            .create_feature(feature(), Checks::default())
            .await
            .unwrap()
            .id;
        Self {
            app,
            feature_id,
            _media: media,
        }
    }

    pub async fn request(&self, variations: i32, priority: i32) -> Vec<job::Model> {
        self.request_by(Caller::TrustedService, variations, priority)
            .await
    }

    /// A request of user 1.
    pub async fn request_by(
        &self,
        caller: Caller,
        variations: i32,
        priority: i32,
    ) -> Vec<job::Model> {
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
        self.app.create_request(caller, draft).await.unwrap().1
    }

    pub async fn claim(&self, slots: u32) -> Vec<job::Model> {
        self.app.claim_jobs("worker", slots, LEASE).await.unwrap()
    }

    pub async fn job(&self, id: i64) -> job::Model {
        store::job::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
    }

    pub async fn request_status(&self, id: i64) -> RequestStatus {
        store::request::find(self.app.store.reader(), Caller::TrustedService, id)
            .await
            .unwrap()
            .status
    }

    pub async fn events(&self, id: i64) -> Vec<job_event::Model> {
        store::job_event::after(self.app.store.reader(), id, 0)
            .await
            .unwrap()
    }

    pub fn pass(&self, seconds: i64) -> DateTime<Utc> {
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

pub fn lease(job: &job::Model) -> Lease {
    Lease {
        job_id: job.id,
        token: job.lease_token.clone().unwrap(),
    }
}

pub fn overloaded(pause: Duration) -> AttemptEnd {
    AttemptEnd::Retry {
        failure: Failure::new(Reason::ProviderUnavailable, "Overloaded."),
        pause,
        keep_task: false,
    }
}
