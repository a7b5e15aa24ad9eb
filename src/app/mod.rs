//! What Atelier does, one file a use case: each writes to more than one table or has a side effect.

mod announce_capabilities;
mod apply_catalogue;
mod cancel_job;
mod cancel_request;
mod changed_jobs;
mod claim_jobs;
mod clock;
mod complete_job;
mod create_feature;
mod create_request;
mod create_template;
mod delete_feature;
mod delete_job;
mod delete_media;
mod delete_request;
mod delete_template;
mod end_attempt;
mod export_catalogue;
mod fail_unclaimed_jobs;
mod find_media;
mod fold_search;
mod fold_trends;
mod follow_job;
mod health;
mod install_catalogue;
mod pulse;
mod record_template_view;
mod render_template;
mod rescue_jobs;
mod retry_job;
mod retry_request;
mod sweep_storage;
mod undelete_feature;
mod undelete_job;
mod undelete_media;
mod undelete_request;
mod undelete_template;
mod update_feature;
mod update_template;
mod validate_request;
mod waiting_reason;
mod watch;
mod watch_job;
mod watch_request;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    domain::{IntakeLimits, TableName},
    events::Events,
    media::Storage,
    provider::Registry,
    store::Store,
};

pub use announce_capabilities::ANNOUNCE_INTERVAL;
pub use apply_catalogue::{ApplyOptions, CatalogueChange, ChangeKind};
pub use cancel_request::Cancellation;
pub use clock::Clock;
pub use complete_job::{StoredFile, StoredOutput};
pub use create_request::Accepted;
pub use end_attempt::AttemptEnd;
pub use find_media::FoundMedia;
pub use fold_trends::Folded;
pub use health::{Ailment, Health};
pub use pulse::Pulse;
pub use render_template::{Rendered, Trial};
pub use sweep_storage::{Removal, RemovalMode, Sweep, Withheld};
pub use validate_request::ValidRequest;
pub use waiting_reason::WaitingReasons;
pub use watch::News;
pub use watch_job::JobUpdate;
pub use watch_request::RequestUpdate;

/// The parts that the use cases work with. Clones share them.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub storage: Storage,
    pub events: Events,
    pub clock: Clock,
    /// The providers of this process; none where it runs no jobs, and so cannot tell whether those that do are ready.
    pub providers: Registry,
    pub settings: Settings,
    /// What is known to be wrong with this process.
    pub health: Health,
    /// Cancelled when the server is about to stop: it takes up no job any more, and health says so.
    pub draining: CancellationToken,
    /// Cancelled when the port closes: streams end then.
    pub stopping: CancellationToken,
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub intake: IntakeLimits,
    /// Attempts of a job before a transient error is final.
    pub max_attempts: i32,
    /// Whether an unknown user id is inserted at first use.
    pub provision_users: bool,
    /// Identity's table of users.
    pub users: TableName,
    /// A template with at least this score is trending.
    pub trend_threshold: i32,
    /// A watcher that heard nothing for so long gets a heartbeat.
    pub watch_heartbeat: Duration,
    /// How often a watcher looks for itself, should a wake-up be lost.
    pub watch_poll: Duration,
}
