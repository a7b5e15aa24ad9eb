//! What Atelier does: a folder for each noun, a file for each verb. Each verb writes to more than one table or has a side
//! effect; what several verbs of a noun share is in the noun's file.

mod api_key;
mod audit;
mod catalogue;
mod chore;
mod clock;
mod credit;
mod erasure;
mod feature;
mod gather;
mod health;
mod job;
mod media;
mod metrics;
mod plan;
mod queue;
mod rate;
mod request;
mod retention;
mod search;
mod secret;
mod share;
mod storage;
mod template;
mod trend;
mod upload;
mod watch;

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    billing::Billing,
    domain::{IntakeLimits, Keyring, Plans, Retention, TableName},
    events::Events,
    identity::ApiKeys,
    media::Storage,
    metrics::Metrics,
    provider::{Moderation, Registry, fetch::Fetcher},
    store::Store,
    traces::Traces,
};

pub use audit::Acting;
pub use catalogue::{ApplyOptions, CatalogueChange, ChangeKind, MadePreview};
pub use chore::Chore;
pub use clock::Clock;
pub use credit::Estimate;
pub use gather::Gathering;
pub use health::{Ailment, Health, Pulse};
pub use job::{Addressee, Diagnosis, Outlook, Outlooks, Untaken};
pub use media::{FoundMedia, Unpictured};
pub use plan::Limits;
pub use queue::{ANNOUNCE_INTERVAL, Crew, Queue, StoredFile, StoredOutput, WaitingReasons};
pub use rate::Allowance;
pub use request::{Accepted, Cancellation, Include, Included, ValidRequest, ignored_inputs};
pub use retention::{RetentionReport, RetentionRun, RunEnd};
pub use share::{OpenFile, OpenShare};
pub use storage::{Amiss, Check, Removal, RemovalMode, Sweep, Withheld};
pub use template::{Rendered, Trial};
pub use trend::Folded;
pub use upload::{Incoming, Receiving, UploadSettings};
pub use watch::{Kind, News, NewsStream, Patience, Reads};

/// The use cases, with the parts that they work with. A clone costs nothing and has the same ones; whoever exchanges a part
/// has an `App` of his own from then on.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub store: Store,
    /// Where the files of media are.
    pub storage: Storage,
    /// What seals page tokens and cursors.
    pub token_keys: Keyring,
    /// The keys of services.
    pub api_keys: ApiKeys,
    /// Wakes workers and watchers, here and on other replicas.
    pub events: Events,
    /// What watches read, which they do together.
    pub reads: Reads,
    /// What time it is; set by hand in tests.
    pub clock: Clock,
    /// The providers that this process is configured with. Others may run elsewhere.
    pub providers: Registry,
    /// Follows links of requests; `None` where they are not followed.
    pub links: Option<Fetcher>,
    /// What of the configuration the use cases go by.
    pub settings: Settings,
    /// What operators watch of this process.
    pub metrics: Metrics,
    /// Where what calls and jobs do is sent as spans.
    pub traces: Traces,
    /// What is written for many at once.
    pub gathering: Gathering,
    /// The files of users that are coming.
    pub receiving: Receiving,
    /// Who judges what users write, and what is made for them.
    pub moderation: Moderation,
    /// What is known to be wrong with this process.
    pub health: Health,
    /// Cancelled when the server is about to stop: it takes up no job any more, and health says so.
    pub draining: CancellationToken,
    /// Cancelled when the port closes: streams end then.
    pub stopping: CancellationToken,
}

impl From<Parts> for App {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for App {
    fn deref_mut(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.0)
    }
}

/// The part of the configuration that the use cases go by.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether this process runs jobs, and so knows whether its providers are ready.
    pub runs_jobs: bool,
    /// What a request may ask for where its feature sets no limit.
    pub intake: IntakeLimits,
    /// Attempts of a job before a transient error is final.
    pub max_attempts: i32,
    /// Who keeps the credits that jobs take.
    pub billing: Billing,
    /// What users may have at once and in a time.
    pub plans: Plans,
    /// How long what is kept.
    pub retention: Retention,
    /// Whether an unknown user id is inserted at first use.
    pub provision_users: bool,
    /// The user whose media may be published; `None` where there is none.
    pub system_user: Option<i64>,
    /// Jobs that run at once in all workers together; 0: as many as each lets.
    pub total_concurrency: u32,
    /// Identity's table of users.
    pub users: TableName,
    /// What users may give for their requests to work from.
    pub uploads: UploadSettings,
    /// A template with at least this score is trending.
    pub trend_threshold: i32,
    /// A watcher that heard nothing for so long gets a heartbeat.
    pub watch_heartbeat: Duration,
    /// Where clients and services find this server.
    pub url: Url,
    /// How often a watcher looks for itself, should a wake-up be lost.
    pub watch_poll: Duration,
    /// A running job is stalled whose lease ends within so long: its worker has not renewed it when it should have.
    pub stalled_below: Duration,
}
