//! What a use case can fail with, and the reasons by which clients know it.

use super::Violations;

/// What a lookup may miss, and what a name may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    Feature,
    Template,
    Request,
    Job,
    Media,
}

impl Resource {
    /// The noun in messages and, with "_id", in error metadata.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Template => "template",
            Self::Request => "request",
            Self::Job => "job",
            Self::Media => "media",
        }
    }
}

/// The database is known to be away: nobody has tried to reach it for this call. It holds the cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct KnownOutage(pub String);

/// The database is there, and does not do what it is asked to for now: a sentence for callers, and the cause for the log.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Hindrance {
    /// Without a full stop, and without a name of the database's.
    pub sentence: &'static str,
    /// What the database says.
    pub cause: String,
}

/// Everything that a use case can fail with. `rpc::error` maps each to a gRPC status.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Validation(Violations),
    #[error("page_token does not belong to this list, filter and order; start again without one")]
    InvalidPageToken,
    #[error("idempotency_key {key:?} came before with another payload, for request {request_id}")]
    IdempotencyKeyReused { key: String, request_id: i64 },
    #[error("there is no {} {id}", .resource.noun())]
    NotFound { resource: Resource, id: i64 },
    #[error("the file of media {0} is gone from the storage")]
    MediaContentMissing(i64),
    #[error("a live feature is named {name:?}")]
    FeatureNameTaken { name: String },
    #[error("a live template of feature {feature_id} is named {name:?}")]
    TemplateNameTaken { feature_id: i64, name: String },
    #[error("feature {0} takes no requests now")]
    FeatureInactive(i64),
    #[error("template {0} takes no requests now")]
    TemplateInactive(i64),
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
    #[error("job {0} is being processed; only pending jobs can be cancelled")]
    JobAlreadyProcessing(i64),
    #[error("job {id} has {status}; only pending jobs can be cancelled")]
    JobAlreadyFinished { id: i64, status: &'static str },
    #[error(
        "feature {id} has {pending} pending and {processing} processing jobs; it can be deleted when they have ended"
    )]
    FeatureInUse {
        id: i64,
        pending: u64,
        processing: u64,
    },
    #[error("{} {id} has changed since it was read; read it again for its new etag", .resource.noun())]
    EtagMismatch {
        resource: Resource,
        id: i64,
        /// The one that it has now.
        etag: String,
    },
    #[error("feature {0} is deleted; undelete it first")]
    FeatureDeleted(i64),
    #[error("request {0} is deleted; undelete it first")]
    RequestDeleted(i64),
    #[error("job {id} is {status}; only failed and cancelled jobs can be retried")]
    JobNotRetryable { id: i64, status: &'static str },
    #[error("request {0} has no failed or cancelled job to retry")]
    RequestNotRetryable(i64),
    #[error("media {id} has {file_size} bytes, offset {offset} lies behind its end")]
    OffsetAhead {
        id: i64,
        file_size: u64,
        offset: u64,
    },
    #[error("the generator {provider:?} of this feature cannot run here: {missing}")]
    ProviderNotReady { provider: String, missing: String },
    #[error(
        "job {job_id} is at revision {revision}, after_revision {after_revision} lies ahead of it"
    )]
    RevisionAhead {
        job_id: i64,
        revision: i64,
        after_revision: i64,
    },
    #[error("{}", unavailable(.0.as_ref()))]
    DatabaseUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the database's disk is full: nothing can be written until there is room")]
    DatabaseFull(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the media storage cannot be reached right now")]
    StorageUnavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The caller tries again: the server waits for its database, or migrates it.
    #[error("the server is starting")]
    Starting,
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What callers are told.
fn unavailable(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> &'static str {
    match cause.downcast_ref::<Hindrance>() {
        Some(hindrance) => hindrance.sentence,
        None => "the database cannot be reached right now",
    }
}

impl Error {
    pub fn not_found(resource: Resource, id: i64) -> Self {
        Self::NotFound { resource, id }
    }

    /// Whether the cause was logged when it began, so that nobody need be told of it again.
    pub fn is_known_outage(&self) -> bool {
        matches!(self, Self::DatabaseUnavailable(source) if source.is::<KnownOutage>())
    }

    /// Whether the same work may be recorded later, with nothing changed: the database is away, or has no room.
    pub fn is_of_database(&self) -> bool {
        matches!(self, Self::DatabaseUnavailable(_) | Self::DatabaseFull(_))
    }

    /// A fault of our own, with the words that the log shows.
    pub fn internal(fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(fault.into())
    }
}

/// The documented reasons of `error_reason.proto`, by their names there without the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    ValidationFailed,
    InvalidPageToken,
    IdempotencyKeyReused,
    FeatureNotFound,
    TemplateNotFound,
    RequestNotFound,
    JobNotFound,
    MediaNotFound,
    MediaContentMissing,
    FeatureNameTaken,
    TemplateNameTaken,
    FeatureInactive,
    TemplateInactive,
    UserUnknown,
    JobAlreadyProcessing,
    JobAlreadyFinished,
    RevisionAhead,
    DatabaseUnavailable,
    StorageUnavailable,
    ShuttingDown,
    Internal,
    ProviderNoOutput,
    ProviderInvalidOutput,
    ProviderUnavailable,
    ProviderRejectedContent,
    ProviderRejectedInput,
    ProviderOutcomeUnknown,
    ProviderFailed,
    ProviderNotConfigured,
    OutputTooLarge,
    JobTimedOut,
    WorkerLost,
    MalformedMessage,
    MessageTooLarge,
    UnknownMethod,
    UnsupportedCompression,
    FeatureInUse,
    EtagMismatch,
    FeatureDeleted,
    RequestDeleted,
    JobNotRetryable,
    RequestNotRetryable,
    OffsetAhead,
    ProviderNotReady,
    ProviderLimitExceeded,
    DatabaseFull,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
