//! What a use case can fail with, and the reasons by which clients know it.

use std::time::Duration;

use super::{Exceeded, Language, Violations, with_causes};

/// What a lookup may miss, and what a name may belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A row of `generation_features`.
    Feature,
    /// A row of `generation_templates`.
    Template,
    /// A row of `generation_requests`.
    Request,
    /// A row of `generation_jobs`.
    Job,
    /// A row of `generation_media`.
    Media,
    /// A row of `generation_erasures`.
    Erasure,
    /// A row of `generation_shares`.
    Share,
    /// A row of `generation_uploads`.
    Upload,
    /// A row of `generation_workers`.
    Worker,
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
            Self::Erasure => "erasure",
            Self::Share => "share",
            Self::Upload => "upload",
            Self::Worker => "worker",
        }
    }
}

/// The database is known to be away: nobody has tried to reach it for this call. It holds the cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct KnownOutage(pub String);

/// The database is there, and does not do what it is asked to for now: a sentence for callers, and the cause for the log.
#[derive(Clone, Debug, thiserror::Error)]
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

/// What callers are told.
fn unavailable(cause: &(dyn std::error::Error + Send + Sync + 'static)) -> &'static str {
    match cause.downcast_ref::<Hindrance>() {
        Some(hindrance) => hindrance.sentence,
        None => "the database cannot be reached right now",
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

/// A cause once more; of one that cannot be copied, its words.
fn same(
    cause: &(dyn std::error::Error + Send + Sync + 'static),
) -> Box<dyn std::error::Error + Send + Sync> {
    if let Some(outage) = cause.downcast_ref::<KnownOutage>() {
        return Box::new(outage.clone());
    }
    match cause.downcast_ref::<Hindrance>() {
        Some(hindrance) => Box::new(hindrance.clone()),
        None => with_causes(cause).into(),
    }
}

/// The documented reasons of `error_reason.proto`, by their names there without the prefix.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString, strum::EnumIter,
)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Fields of the message break their rules, which a BadRequest lists.
    ValidationFailed,
    /// The page token was changed, or belongs to another list, filter or order.
    InvalidPageToken,
    /// The idempotency key came before with another payload.
    IdempotencyKeyReused,
    /// There is no such feature, or it is deleted where a live one is needed.
    FeatureNotFound,
    /// There is no such template, it is deleted, or it belongs to another feature.
    TemplateNotFound,
    /// There is no such request that the caller may see, or it is deleted where a live one is needed.
    RequestNotFound,
    /// There is no such job that the caller may see, or it is deleted where a live one is needed.
    JobNotFound,
    /// There is no such media that the caller may see.
    MediaNotFound,
    /// There is no such erasure.
    ErasureNotFound,
    /// The file of the media is gone from the storage.
    MediaContentMissing,
    /// A live feature has the name.
    FeatureNameTaken,
    /// A live template of the feature has the name.
    TemplateNameTaken,
    /// The feature takes no requests now.
    FeatureInactive,
    /// The template takes no requests now.
    TemplateInactive,
    /// Identity does not know the user.
    UserUnknown,
    /// A worker runs the job, and only pending jobs can be cancelled.
    JobAlreadyProcessing,
    /// The job has completed or failed, and only pending jobs can be cancelled.
    JobAlreadyFinished,
    /// The revision or cursor to resume from is higher than the job's.
    RevisionAhead,
    /// The database cannot be reached or takes no writes for now; call again.
    DatabaseUnavailable,
    /// The media storage cannot be reached or is full. Of a job too.
    StorageUnavailable,
    /// The server stops; call again.
    ShuttingDown,
    /// A fault of the server, of which its log tells more. Of a job too.
    Internal,
    /// Of a job: the provider ended without an output.
    ProviderNoOutput,
    /// Of a job: an output cannot be read, or is of another type than the feature's.
    ProviderInvalidOutput,
    /// Of a job: the provider could not be reached, or no worker had it for as long as a job may wait.
    ProviderUnavailable,
    /// Of a job: the provider's content policy refuses the prompt or a picture.
    ProviderRejectedContent,
    /// Of a job: the provider does not accept an input, which the message names.
    ProviderRejectedInput,
    /// Of a job: the provider may have taken the task, and asking again could pay twice.
    ProviderOutcomeUnknown,
    /// Of a job: the provider failed; its words are in the detail.
    ProviderFailed,
    /// Of a job: its worker, of an older release, does not have the provider.
    ProviderNotConfigured,
    /// Of a job: an output has more bytes, pixels or frames, or lasts longer, than the server allows.
    OutputTooLarge,
    /// Of a job: an attempt took longer than the server, or the provider, allows.
    JobTimedOut,
    /// Of a job: its worker vanished at the last attempt, or stopped while it ran a deleted job.
    WorkerLost,
    /// The bytes of the call are not the method's message.
    MalformedMessage,
    /// The message is larger than the server takes.
    MessageTooLarge,
    /// There is no such service or method.
    UnknownMethod,
    /// The message is compressed in a way that the server does not know.
    UnsupportedCompression,
    /// The feature has jobs that wait or run, so it cannot be deleted.
    FeatureInUse,
    /// The change of a feature would leave templates with defaults that it does not allow any more.
    FeatureBreaksTemplates,
    /// The row has changed since the etag was read.
    EtagMismatch,
    /// The row belongs to a feature that is deleted.
    FeatureDeleted,
    /// The row belongs to a request that is deleted, or is one.
    RequestDeleted,
    /// The job waits, runs or has completed; only failed and cancelled jobs can be retried.
    JobNotRetryable,
    /// No job of the request has failed or been cancelled that was not retried already.
    RequestNotRetryable,
    /// The download's offset lies behind the end of the file.
    OffsetAhead,
    /// The provider needs what is not installed on the server. Of a job too.
    ProviderNotReady,
    /// Of a job: the provider took more memory, disk space or output than it may.
    ProviderLimitExceeded,
    /// The disk of the database is full; reading goes on.
    DatabaseFull,
    /// Of a job: a picture that the request brings by a link cannot be had; the message says which and why.
    InputUnreadable,
    /// As many watches are open as the server keeps.
    WatchesTaken,
    /// The call names the server by a host that is not one of its own.
    HostNotAllowed,
    /// The call comes from a page of an origin that is not let in.
    OriginNotAllowed,
    /// What was asked for, or what was made, may not be here. Of a job too.
    ContentRejected,
    /// Nobody can be asked whether content may be here.
    ModerationUnavailable,
    /// The call does not show who makes it.
    CredentialsMissing,
    /// The token that the call brings is not believed.
    CredentialsInvalid,
    /// The token that the call brings has expired.
    CredentialsExpired,
    /// The keys to check the token by cannot be had; call again.
    CredentialsUnverifiable,
    /// The caller may not do this.
    PermissionDenied,
    /// The caller has made as many calls of a kind as it may in a minute.
    RateLimited,
    /// The user has fewer credits than the jobs cost.
    CreditsInsufficient,
    /// Nobody keeps credits here.
    BillingDisabled,
    /// The user's plan leaves no room for the request, for now.
    QuotaExceeded,
    /// No plan is called as the user's token, or the request, calls it.
    PlanUnknown,
    /// Billing, which keeps the credits, does not answer; call again.
    BillingUnavailable,
    /// Billing charges this user nothing.
    BillingRefused,
    /// There is no such share that the caller may see.
    ShareNotFound,
    /// As many links lead to the media as may.
    SharesTaken,
    /// The file's recipe and other metadata cannot be taken out of it.
    MetadataNotRemovable,
    /// There is no such upload that the caller may see.
    UploadNotFound,
    /// The file has more bytes than an upload may have.
    UploadTooLarge,
    /// The file is of no type that is taken, or damaged.
    UploadUnsupported,
    /// What came is not what the caller has said of it.
    UploadMismatch,
    /// The user has as many uploads, or bytes of them, as he may.
    UploadsFull,
    /// Nothing has come by the URL of an upload, or its time is over.
    UploadIncomplete,
    /// The time that the caller gives, or the server, is over.
    DeadlineExceeded,
    /// The headers of the call are more than the server reads.
    MetadataTooLarge,
    /// Of a job: it had not started in time.
    StartDeadlineExceeded,
    /// There is no such worker.
    WorkerNotFound,
}

impl Reason {
    /// The name in `ErrorInfo.reason` and in `generation_jobs.error_code`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Of an error, or of a job with its own message: the sentence for users in their language.
    pub fn sentence(self, language: Language, message: &str) -> String {
        let said = language.say(self.wording(), |_| Some(message.to_owned()));
        said.unwrap_or_default()
    }
}
