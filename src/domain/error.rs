//! What a use case can fail with.

use std::time::Duration;

use super::{
    Exceeded, Resource, Violations,
    outage::{KnownOutage, same, unavailable},
    with_causes,
};

/// Everything that a use case can fail with. `rpc::error` maps each to a gRPC status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the message break their rules: the caller corrects them and calls again.
    #[error("{0}")]
    Validation(Violations),
    /// Fields say what may not be here, as moderation judges.
    #[error("{0}")]
    ContentRejected(Violations),
    /// Nobody can be asked whether the content may be here. It holds the cause, for the log.
    #[error("whether this content may be here cannot be judged right now; try again later")]
    ModerationUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token was changed, or given out for another list.
    #[error("page_token does not belong to this list, filter and order; start again without one")]
    InvalidPageToken,
    /// The user's key stands for another payload: a new request takes a new key.
    #[error("idempotency_key {key:?} came before with another payload, for request {request_id}")]
    IdempotencyKeyReused {
        /// The caller's.
        key: String,
        /// The one that was made with the key.
        request_id: i64,
    },
    /// There is no such row that the caller may see, or it is deleted where a live one is needed.
    #[error("there is no {} {id}", .resource.noun())]
    NotFound {
        /// Of which kind the row is.
        resource: Resource,
        /// As the caller gave it.
        id: i64,
    },
    /// The same for a name.
    #[error("there is no {} {name:?}", .resource.noun())]
    NotNamed {
        /// Of which kind the row is.
        resource: Resource,
        /// As the caller gave it; of one that cannot be any row's what can be shown.
        name: String,
    },
    /// The row names no object, or the storage does not have it any more: one for the operator.
    #[error("the file of media {0} is gone from the storage")]
    MediaContentMissing(i64),
    /// A link is to be made to a media that has as many as may be: the caller ends one that is not needed.
    #[error("media {media_id} has {limit} links that lead to it, which is the most")]
    SharesTaken {
        /// Of the media.
        media_id: i64,
        /// How many there may be.
        limit: u64,
    },
    /// What a file tells of its making cannot be taken out: the caller shares it with that, or another.
    #[error(
        "the metadata of media {media_id} cannot be left out: {why}; it can be shared with show_recipe"
    )]
    MetadataStays {
        /// Of the media whose file it is.
        media_id: i64,
        /// For developers.
        why: String,
    },
    /// The caller gives a smaller file.
    #[error("the file has more than the {max} bytes that an upload may have")]
    UploadTooLarge {
        /// Bytes, as it is configured.
        max: u64,
    },
    /// The caller gives another file. It holds why, in words that everybody may read.
    #[error("the file cannot be taken: {0}")]
    UploadUnsupported(String),
    /// What came is not what the caller has said: it sends the file again.
    #[error("the file that came has {field} {found}, and not {said}")]
    UploadMismatch {
        /// `file_size` or `sha256`.
        field: &'static str,
        /// By the caller.
        said: String,
        /// Of what has come.
        found: String,
    },
    /// The user deletes uploads, or waits until those that nothing uses are removed.
    #[error("user {user_id} has as many uploads as he may: {limit} {most}")]
    UploadsFull {
        /// Whose they are.
        user_id: i64,
        /// `files`, `bytes` or `at_once`.
        limit: &'static str,
        /// As it is configured.
        most: u64,
    },
    /// The caller puts the file first, or asks for a new URL.
    #[error("{0}")]
    UploadIncomplete(&'static str),
    /// Names are unique among live features: the caller chooses another.
    #[error("a live feature is named {name:?}")]
    FeatureNameTaken {
        /// The one asked for, or that of the feature to undelete.
        name: String,
    },
    /// Names are unique among the live templates of a feature: the caller chooses another.
    #[error("a live template of feature {feature_id} is named {name:?}")]
    TemplateNameTaken {
        /// The feature that has both.
        feature_id: i64,
        /// The one asked for, or that of a template to undelete.
        name: String,
    },
    /// A request or a retry asks for a feature whose `is_active` is off.
    #[error("feature {0} takes no requests now")]
    FeatureInactive(i64),
    /// A request asks for a template whose `is_active` is off.
    #[error("template {0} takes no requests now")]
    TemplateInactive(i64),
    /// Identity does not have the user, see docs/domain.md#users; also told to a user who names another.
    #[error(
        "user {0} is unknown; it must exist before its first request, or the server be set to identity.provision_users"
    )]
    UserUnknown(i64),
    /// Users are to be added here, and the role has no right to.
    #[error(
        "user {0} is unknown, and the database does not let the service add users: it must exist before its first request, \
         or the operator give the right"
    )]
    UserNotAddable(i64),
    /// A cancellation comes too late: a worker has the job, and runs it to its end.
    #[error("job {0} is being processed; only pending jobs can be cancelled")]
    JobAlreadyProcessing(i64),
    /// A cancellation comes too late: the job has ended otherwise.
    #[error("job {id} has {status}; only pending jobs can be cancelled")]
    JobAlreadyFinished {
        /// Of the job.
        id: i64,
        /// `completed` or `failed`.
        status: &'static str,
    },
    /// A feature with live jobs that wait or run cannot be deleted, see docs/domain.md#soft-delete.
    #[error(
        "feature {id} has {pending} pending and {processing} processing jobs; it can be deleted when they have ended"
    )]
    FeatureInUse {
        /// Of the feature.
        id: i64,
        /// Live jobs of it that wait.
        pending: u64,
        /// Live jobs of it that run.
        processing: u64,
    },
    /// A feature's change would leave live templates with defaults that it does not allow any more.
    #[error(
        "the change leaves templates of feature {id} with defaults that it does not allow any more: {}; change these first, \
         or set allow_breaking", list(.templates)
    )]
    FeatureBreaksTemplates {
        /// Of the feature.
        id: i64,
        /// Of the templates, ascending.
        templates: Vec<i64>,
    },
    /// Another has changed the row: the caller reads it again and decides anew.
    #[error("{} {id} has changed since it was read; read it again for its new etag", .resource.noun())]
    EtagMismatch {
        /// Of which kind the row is.
        resource: Resource,
        /// Of the row.
        id: i64,
        /// The one that it has now.
        etag: String,
    },
    /// One of a batch cannot be done, and so none is.
    #[error("{entry}: {error}")]
    OfEntry {
        /// Path of the entry's field in the message.
        entry: String,
        /// What it fails with.
        error: Box<Error>,
    },
    /// What is to be brought back or retried belongs to a deleted feature.
    #[error("feature {0} is deleted; undelete it first")]
    FeatureDeleted(i64),
    /// What is to be brought back or retried belongs to a deleted request, or is one.
    #[error("request {0} is deleted; undelete it first")]
    RequestDeleted(i64),
    /// A job that waits, runs or has completed needs no successor.
    #[error("job {id} is {status}; only failed and cancelled jobs can be retried")]
    JobNotRetryable {
        /// Of the job.
        id: i64,
        /// `pending`, `processing` or `completed`.
        status: &'static str,
    },
    /// No job of it failed or was cancelled, or all that did were retried already.
    #[error("request {0} has no failed or cancelled job to retry")]
    RequestNotRetryable(i64),
    /// A download is to begin behind the end of the file.
    #[error("media {id} has {file_size} bytes, offset {offset} lies behind its end")]
    OffsetAhead {
        /// Of the media.
        id: i64,
        /// Bytes; the largest offset that is accepted.
        file_size: u64,
        /// Bytes, as the caller gave it.
        offset: u64,
    },
    /// The jobs asked for could only fail: this process has their provider, which lacks something.
    #[error("the generator {provider:?} of this feature cannot run here: {missing}")]
    ProviderNotReady {
        /// As the feature names it.
        provider: String,
        /// What it lacks, in words that follow "cannot run here:" and that everybody may read.
        missing: String,
    },
    /// The generator cannot be reached now: what is asked of it waits.
    #[error("the generator {provider:?} of this feature does not answer now: its jobs would wait")]
    ProviderAway {
        /// As the feature names it.
        provider: String,
    },
    /// A watch is to resume after a transition that has not been: the number is of another database.
    #[error(
        "job {job_id} is at revision {revision}, after_revision {after_revision} lies ahead of it"
    )]
    RevisionAhead {
        /// Of the job, which may be one of a watched request.
        job_id: i64,
        /// Of its last transition.
        revision: i64,
        /// As the caller, or the cursor, gave it.
        after_revision: i64,
    },
    /// It is away, overloaded, or refuses for now; the caller tries again.
    #[error("{}", unavailable(.0.as_ref()))]
    DatabaseUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Reading goes on; the caller tries again when the operator has made room.
    #[error("the database's disk is full: nothing can be written until there is room")]
    DatabaseFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is away or full; the caller tries again.
    #[error("the media storage cannot be reached right now")]
    StorageUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The call names the server otherwise than it is called: the caller, or the operator, sets that right.
    #[error("{host:?} is no name of this server")]
    HostNotAllowed {
        /// As the call has it; empty if it names none.
        host: String,
    },
    /// The call comes from a page that nobody has let in.
    #[error("pages of the origin {origin:?} may not call")]
    OriginNotAllowed {
        /// As the browser has it.
        origin: String,
    },
    /// The caller shows who it is.
    #[error("the call has no credentials: send `authorization: Bearer` and a token")]
    CredentialsMissing,
    /// What the caller shows is not believed.
    #[error("the credentials are not accepted: {0}")]
    CredentialsInvalid(&'static str),
    /// The caller gets a new token.
    #[error("the token has expired")]
    CredentialsExpired,
    /// The caller tries again: it may be who it says.
    #[error("the keys to check the token by cannot be had right now")]
    CredentialsUnverifiable(
        /// For operators.
        String,
    ),
    /// It is known who calls, and that he may not do this.
    #[error("{0}")]
    PermissionDenied(String),
    /// The user is given credits, or asks for less.
    #[error("{needed} credits are needed, and user {user_id} has {available}")]
    CreditsInsufficient {
        /// Who pays.
        user_id: i64,
        /// For all jobs together.
        needed: i64,
        /// What jobs do not hold yet.
        available: i64,
    },
    /// The caller comes again when it may, or asks for less.
    #[error(
        "the plan {:?} of user {} has {} {} at most", .0.plan, .0.user_id, .0.most, .0.quota.counted()
    )]
    QuotaExceeded(Exceeded),
    /// The operator configures the plan, or who makes tokens names another.
    #[error("there is no plan {0:?} here")]
    PlanUnknown(
        /// As the token or the request names it.
        String,
    ),
    /// The operator sets `billing.kind`.
    #[error("nobody keeps credits here: billing.kind is none")]
    BillingDisabled,
    /// Who wants to see or change more than a balance asks Billing itself.
    #[error("Billing keeps credits, and not this server: billing.kind is remote")]
    BillingElsewhere,
    /// The caller tries again. It holds the cause, for the log.
    #[error("nobody can be asked right now whether the user has the credits; try again later")]
    BillingUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Billing knows why, and the log.
    #[error("Billing does not take what user {user_id} would be charged")]
    BillingRefused {
        /// Who would pay.
        user_id: i64,
        /// In its own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller ends a watch that it does not need, or comes again.
    #[error("{limit} watches are open, which is the most for {whose}")]
    WatchesTaken {
        /// As it is configured.
        limit: usize,
        /// Who has so many.
        whose: &'static str,
    },
    /// The caller comes again when it may.
    #[error("the caller has made its {per_minute} {class} calls a minute")]
    RateLimited {
        /// Which calls.
        class: &'static str,
        /// As it is configured.
        per_minute: u32,
        /// When to come again.
        wait: Duration,
    },
    /// The caller looks what has become of its call, or gives more time. It holds whose time is over, for developers.
    #[error("{0}")]
    DeadlineExceeded(&'static str),
    /// The caller sends less beside its message.
    #[error("the headers of the call have {bytes} bytes, more than the {max} that are read")]
    MetadataTooLarge {
        /// As HTTP/2 counts them, RFC 9113, 6.5.2.
        bytes: usize,
        /// How many there may be.
        max: usize,
    },
    /// The caller tries again: the server waits for its database, or migrates it.
    #[error("the server is starting")]
    Starting,
    /// The caller tries again: another replica, or the next start, answers.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// A fault of ours. Clients learn nothing more of it; the log tells its causes.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error as that of an entry of a batch, where it is about the row that the entry names.
    pub fn of_entry(self, index: usize) -> Self {
        let field = match &self {
            Self::EtagMismatch { .. } => "etag",
            Self::NotFound { .. } | Self::RequestDeleted(_) => "id",
            _ => return self,
        };
        Self::OfEntry {
            entry: format!("entries[{index}].{field}"),
            error: Box::new(self),
        }
    }
}

/// Most identifiers that a message names.
const MOST_NAMED: usize = 20;

/// The identifiers, as many as a person reads.
fn list(ids: &[i64]) -> String {
    let named: Vec<String> = ids.iter().take(MOST_NAMED).map(i64::to_string).collect();
    let more = ids.len().saturating_sub(MOST_NAMED);
    match more {
        0 => named.join(", "),
        _ => format!("{} and {more} more", named.join(", ")),
    }
}

impl Error {
    /// [`Error::NotFound`], for where a query found no row.
    pub fn not_found(resource: Resource, id: i64) -> Self {
        Self::NotFound { resource, id }
    }

    /// [`Error::NotNamed`], for where a query found no row.
    pub fn not_named(resource: Resource, name: &str) -> Self {
        let shown = name.chars().filter(|c| !c.is_control());
        let name = shown.take(257).collect();
        Self::NotNamed { resource, name }
    }

    /// Whether the cause was logged when it began, so that nobody need be told of it again.
    pub fn is_known_outage(&self) -> bool {
        matches!(self, Self::DatabaseUnavailable(source) if source.is::<KnownOutage>())
    }

    /// Whether the same work may be recorded later, with nothing changed: the database is away, or has no room.
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::DatabaseUnavailable(_) | Self::DatabaseFull(_))
    }

    /// The same error of what was done for several callers, for another of them. What is no fault of the database is one of ours.
    pub fn for_another(&self) -> Self {
        match self {
            Self::DatabaseUnavailable(source) => Self::DatabaseUnavailable(same(source.as_ref())),
            Self::DatabaseFull(source) => Self::DatabaseFull(same(source.as_ref())),
            other => Self::internal(with_causes(other)),
        }
    }

    /// A fault of our own, with the words that the log shows.
    pub fn internal(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(fault.into())
    }
}
