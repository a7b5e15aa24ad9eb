//! The reasons by which clients know what a call or a job failed with.

use super::Language;

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
