//! The one place where an error of the domain becomes a gRPC status.

use std::{collections::HashMap, time::Duration};

use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, LocalizedMessage, StatusExt, pb};

use super::{call, proto};
use crate::domain::{Error, Language, Reason, Resource, Violation, Violations, with_causes};

/// `domain` of every `google.rpc.ErrorInfo` that this service sends.
pub const REASON_DOMAIN: &str = "generation";
const VIOLATION_DETAILS: &str = "type.googleapis.com/generation.v1.ViolationDetails";
/// When to call again after a fault that passes.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(1);
/// When to call again for a watch: others end when what they watch does.
const WATCH_RETRY_DELAY: Duration = Duration::from_secs(10);

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason) = logged(&error);
        let mut details = ErrorDetails::new();
        details.set_error_info(reason.as_str(), REASON_DOMAIN, metadata(&error));
        let language = call::language();
        details.set_localized_message(language.tag(), reason.sentence(language, ""));
        if let Some(delay) = retry_delay(&error, code) {
            details.set_retry_info(Some(delay));
        }
        if let Error::CreditsInsufficient { user_id, .. } = &error {
            // Without a time to call again: none makes it enough.
            details.add_quota_failure_violation(format!("user:{user_id}"), error.to_string());
        }
        if let Error::QuotaExceeded(exceeded) = &error {
            let subject = format!("user:{}", exceeded.user_id);
            details.add_quota_failure_violation(subject, error.to_string());
        }
        let (Error::Validation(violations) | Error::ContentRejected(violations)) = &error else {
            return Self::with_error_details(code, error.to_string(), details);
        };
        let told = violations.iter().map(|it| field_violation(it, language));
        details.set_bad_request(told.collect::<Vec<_>>());
        let status = Self::with_error_details(code, error.to_string(), details);
        with_violation_details(status, violations)
    }
}

/// When to call again, if that may help.
pub(super) fn retry_delay(error: &Error, code: Code) -> Option<Duration> {
    match error {
        Error::WatchesTaken { .. } => Some(WATCH_RETRY_DELAY),
        Error::RateLimited { wait, .. } => Some(*wait),
        Error::QuotaExceeded(exceeded) => exceeded.wait,
        _ => (code == Code::Unavailable).then_some(RETRY_DELAY),
    }
}

/// What callers are told of an error, which is logged as told.
pub(super) fn logged(error: &Error) -> (Code, Reason) {
    let (code, reason) = classify(error);
    log(error, code, reason);
    (code, reason)
}

fn field_violation(violation: &Violation, language: Language) -> FieldViolation {
    let sentence = violation.sentence(language);
    FieldViolation {
        field: violation.field.clone(),
        description: violation.description.clone(),
        reason: violation.flaw.as_str().to_owned(),
        localized_message: Some(LocalizedMessage::new(language.tag(), sentence)),
    }
}

/// Adds the detail of our own, for which the library has no place.
fn with_violation_details(status: Status, violations: &Violations) -> Status {
    let details = proto::ViolationDetails {
        violations: violations.iter().map(violation_detail).collect(),
    };
    let Ok(mut whole) = pb::Status::decode(status.details()) else {
        return status;
    };
    whole.details.push(Any {
        type_url: VIOLATION_DETAILS.to_owned(),
        value: details.encode_to_vec(),
    });
    let bytes = whole.encode_to_vec().into();
    Status::with_details(status.code(), status.message(), bytes)
}

pub(super) fn violation_detail(violation: &Violation) -> proto::ViolationDetail {
    let bounds = violation.bounds.clone();
    proto::ViolationDetail {
        min: bounds.min,
        max: bounds.max,
        allowed: bounds.allowed,
        found: bounds.found,
    }
}

/// Every error is logged here, once. The causes of our own faults are told here and nowhere else.
fn log(error: &Error, code: Code, reason: Reason) {
    let (shown, name) = (call::code_name(code), reason.as_str());
    let causes = || with_causes(error);
    match error {
        Error::Internal(_) => {
            tracing::error!(
                code = shown,
                reason = name,
                error = causes(),
                "internal error"
            );
        }
        // The guard tells each host and origin once.
        Error::HostNotAllowed { .. } | Error::OriginNotAllowed { .. } => {}
        _ if error.is_known_outage() => {
            tracing::debug!(
                code = shown,
                reason = name,
                "refused while the database is away"
            );
        }
        Error::ModerationUnavailable(_) => {
            // In the service's own words.
            tracing::debug!(error = causes(), "why nobody can judge");
            call::refused(code, reason, &error.to_string());
        }
        Error::BillingRefused { .. } => call::refused(code, reason, &causes()),
        // Once for all calls the log has it as what ails the server.
        Error::DatabaseUnavailable(_)
        | Error::DatabaseFull(_)
        | Error::StorageUnavailable(_)
        | Error::BillingUnavailable(_) => {
            call::refused(code, reason, &causes());
        }
        _ => call::refused(code, reason, &error.to_string()),
    }
}

fn classify(error: &Error) -> (Code, Reason) {
    match error {
        Error::Validation(_) => (Code::InvalidArgument, Reason::ValidationFailed),
        Error::ContentRejected(_) => (Code::InvalidArgument, Reason::ContentRejected),
        Error::ModerationUnavailable(_) => (Code::Unavailable, Reason::ModerationUnavailable),
        Error::InvalidPageToken => (Code::InvalidArgument, Reason::InvalidPageToken),
        Error::IdempotencyKeyReused { .. } => (Code::InvalidArgument, Reason::IdempotencyKeyReused),
        Error::NotFound { resource, .. } | Error::NotNamed { resource, .. } => {
            (Code::NotFound, not_found(*resource))
        }
        Error::MediaContentMissing(_) => (Code::NotFound, Reason::MediaContentMissing),
        Error::SharesTaken { .. } => (Code::ResourceExhausted, Reason::SharesTaken),
        Error::MetadataStays { .. } => (Code::FailedPrecondition, Reason::MetadataNotRemovable),
        Error::FeatureNameTaken { .. } => (Code::AlreadyExists, Reason::FeatureNameTaken),
        Error::TemplateNameTaken { .. } => (Code::AlreadyExists, Reason::TemplateNameTaken),
        Error::FeatureInactive(_) => (Code::FailedPrecondition, Reason::FeatureInactive),
        Error::TemplateInactive(_) => (Code::FailedPrecondition, Reason::TemplateInactive),
        Error::UserUnknown(_) | Error::UserNotAddable(_) => {
            (Code::FailedPrecondition, Reason::UserUnknown)
        }
        Error::JobAlreadyProcessing(_) => (Code::FailedPrecondition, Reason::JobAlreadyProcessing),
        Error::JobAlreadyFinished { .. } => (Code::FailedPrecondition, Reason::JobAlreadyFinished),
        Error::FeatureInUse { .. } => (Code::FailedPrecondition, Reason::FeatureInUse),
        Error::FeatureBreaksTemplates { .. } => {
            (Code::FailedPrecondition, Reason::FeatureBreaksTemplates)
        }
        Error::EtagMismatch { .. } => (Code::Aborted, Reason::EtagMismatch),
        Error::OfEntry { error, .. } => classify(error),
        Error::FeatureDeleted(_) => (Code::FailedPrecondition, Reason::FeatureDeleted),
        Error::RequestDeleted(_) => (Code::FailedPrecondition, Reason::RequestDeleted),
        Error::JobNotRetryable { .. } => (Code::FailedPrecondition, Reason::JobNotRetryable),
        Error::RequestNotRetryable(_) => (Code::FailedPrecondition, Reason::RequestNotRetryable),
        Error::OffsetAhead { .. } => (Code::OutOfRange, Reason::OffsetAhead),
        Error::ProviderNotReady { .. } => (Code::FailedPrecondition, Reason::ProviderNotReady),
        Error::ProviderAway { .. } => (Code::Unavailable, Reason::ProviderUnavailable),
        Error::RevisionAhead { .. } => (Code::OutOfRange, Reason::RevisionAhead),
        Error::DatabaseUnavailable(_) | Error::Starting => {
            (Code::Unavailable, Reason::DatabaseUnavailable)
        }
        Error::DatabaseFull(_) => (Code::Unavailable, Reason::DatabaseFull),
        Error::StorageUnavailable(_) => (Code::Unavailable, Reason::StorageUnavailable),
        Error::ShuttingDown => (Code::Unavailable, Reason::ShuttingDown),
        Error::WatchesTaken { .. } => (Code::ResourceExhausted, Reason::WatchesTaken),
        Error::HostNotAllowed { .. } => (Code::PermissionDenied, Reason::HostNotAllowed),
        Error::OriginNotAllowed { .. } => (Code::PermissionDenied, Reason::OriginNotAllowed),
        Error::RateLimited { .. } => (Code::ResourceExhausted, Reason::RateLimited),
        Error::CredentialsMissing => (Code::Unauthenticated, Reason::CredentialsMissing),
        Error::CredentialsInvalid(_) => (Code::Unauthenticated, Reason::CredentialsInvalid),
        Error::CredentialsExpired => (Code::Unauthenticated, Reason::CredentialsExpired),
        Error::CredentialsUnverifiable(_) => (Code::Unavailable, Reason::CredentialsUnverifiable),
        Error::CreditsInsufficient { .. } => (Code::ResourceExhausted, Reason::CreditsInsufficient),
        Error::QuotaExceeded(_) => (Code::ResourceExhausted, Reason::QuotaExceeded),
        Error::PlanUnknown(_) => (Code::FailedPrecondition, Reason::PlanUnknown),
        Error::BillingDisabled | Error::BillingElsewhere => {
            (Code::FailedPrecondition, Reason::BillingDisabled)
        }
        Error::BillingUnavailable(_) => (Code::Unavailable, Reason::BillingUnavailable),
        Error::BillingRefused { .. } => (Code::FailedPrecondition, Reason::BillingRefused),
        Error::UploadTooLarge { .. } => (Code::InvalidArgument, Reason::UploadTooLarge),
        Error::UploadUnsupported(_) => (Code::InvalidArgument, Reason::UploadUnsupported),
        Error::UploadMismatch { .. } => (Code::InvalidArgument, Reason::UploadMismatch),
        Error::UploadsFull { .. } => (Code::ResourceExhausted, Reason::UploadsFull),
        Error::UploadIncomplete(_) => (Code::FailedPrecondition, Reason::UploadIncomplete),
        Error::DeadlineExceeded(_) => (Code::DeadlineExceeded, Reason::DeadlineExceeded),
        Error::MetadataTooLarge { .. } => (Code::ResourceExhausted, Reason::MetadataTooLarge),
        Error::PermissionDenied(_) => (Code::PermissionDenied, Reason::PermissionDenied),
        Error::Internal(_) => (Code::Internal, Reason::Internal),
    }
}

fn not_found(resource: Resource) -> Reason {
    match resource {
        Resource::Feature => Reason::FeatureNotFound,
        Resource::Template => Reason::TemplateNotFound,
        Resource::Request => Reason::RequestNotFound,
        Resource::Job => Reason::JobNotFound,
        Resource::Media => Reason::MediaNotFound,
        Resource::Erasure => Reason::ErasureNotFound,
        Resource::Share => Reason::ShareNotFound,
        Resource::Upload => Reason::UploadNotFound,
        Resource::Worker => Reason::WorkerNotFound,
    }
}

/// The metadata key of what was not found or has changed.
fn id_key(resource: Resource) -> &'static str {
    match resource {
        Resource::Feature => "feature_id",
        Resource::Template => "template_id",
        Resource::Request => "request_id",
        Resource::Job => "job_id",
        Resource::Media => "media_id",
        Resource::Erasure => "erasure_id",
        Resource::Share => "share_id",
        Resource::Upload => "upload_id",
        Resource::Worker => "worker_id",
    }
}

/// What the reason speaks of, as `error_reason.proto` documents it.
fn metadata(error: &Error) -> HashMap<String, String> {
    let pairs = match error {
        Error::OfEntry { entry, error } => {
            let mut pairs = metadata(error);
            pairs.insert("entry".to_owned(), entry.clone());
            return pairs;
        }
        Error::Validation(violations) | Error::ContentRejected(violations) => {
            vec![("violations", violations.count().to_string())]
        }
        Error::IdempotencyKeyReused { key, request_id } => {
            vec![
                ("idempotency_key", key.clone()),
                ("request_id", request_id.to_string()),
            ]
        }
        Error::NotFound { resource, id } => vec![(id_key(*resource), id.to_string())],
        Error::EtagMismatch { resource, id, etag } => {
            vec![(id_key(*resource), id.to_string()), ("etag", etag.clone())]
        }
        Error::FeatureInUse {
            id,
            pending,
            processing,
        } => vec![
            ("feature_id", id.to_string()),
            ("pending_jobs", pending.to_string()),
            ("processing_jobs", processing.to_string()),
        ],
        Error::FeatureBreaksTemplates { id, templates } => vec![
            ("feature_id", id.to_string()),
            ("templates", templates.len().to_string()),
        ],
        Error::OffsetAhead {
            id,
            file_size,
            offset,
        } => vec![
            ("media_id", id.to_string()),
            ("file_size", file_size.to_string()),
            ("offset", offset.to_string()),
        ],
        Error::MediaContentMissing(id) => vec![("media_id", id.to_string())],
        Error::SharesTaken { media_id, limit } => vec![
            ("media_id", media_id.to_string()),
            ("limit", limit.to_string()),
        ],
        Error::MetadataStays { media_id, .. } => vec![("media_id", media_id.to_string())],
        Error::FeatureNameTaken { name } | Error::NotNamed { name, .. } => {
            vec![("name", name.clone())]
        }
        Error::TemplateNameTaken { feature_id, name } => {
            vec![
                ("name", name.clone()),
                ("feature_id", feature_id.to_string()),
            ]
        }
        Error::FeatureInactive(id) | Error::FeatureDeleted(id) => {
            vec![("feature_id", id.to_string())]
        }
        Error::TemplateInactive(id) => vec![("template_id", id.to_string())],
        Error::UserUnknown(user_id)
        | Error::UserNotAddable(user_id)
        | Error::BillingRefused { user_id, .. } => vec![("user_id", user_id.to_string())],
        Error::JobAlreadyProcessing(id) => vec![("job_id", id.to_string())],
        Error::RequestDeleted(id) | Error::RequestNotRetryable(id) => {
            vec![("request_id", id.to_string())]
        }
        Error::JobAlreadyFinished { id, status } | Error::JobNotRetryable { id, status } => {
            vec![("job_id", id.to_string()), ("status", (*status).to_owned())]
        }
        Error::RevisionAhead {
            job_id,
            revision,
            after_revision,
        } => vec![
            ("job_id", job_id.to_string()),
            ("revision", revision.to_string()),
            ("after_revision", after_revision.to_string()),
        ],
        Error::ProviderNotReady { provider, .. } | Error::ProviderAway { provider } => {
            vec![("provider", provider.clone())]
        }
        Error::CreditsInsufficient {
            user_id,
            needed,
            available,
        } => vec![
            ("user_id", user_id.to_string()),
            ("needed", needed.to_string()),
            ("available", available.to_string()),
        ],
        Error::WatchesTaken { limit, .. } => vec![("limit", limit.to_string())],
        Error::RateLimited {
            class, per_minute, ..
        } => vec![
            ("class", (*class).to_owned()),
            ("per_minute", per_minute.to_string()),
        ],
        Error::QuotaExceeded(exceeded) => vec![
            ("user_id", exceeded.user_id.to_string()),
            ("plan", exceeded.plan.clone()),
            ("limit", exceeded.quota.as_str().to_owned()),
            ("value", exceeded.most.to_string()),
        ],
        Error::PlanUnknown(plan) => vec![("plan", plan.clone())],
        Error::UploadTooLarge { max } => vec![("max_bytes", max.to_string())],
        Error::UploadMismatch { field, said, found } => vec![
            ("field", (*field).to_owned()),
            ("said", said.clone()),
            ("found", found.clone()),
        ],
        Error::UploadsFull {
            user_id,
            limit,
            most,
        } => vec![
            ("user_id", user_id.to_string()),
            ("limit", (*limit).to_owned()),
            ("value", most.to_string()),
        ],
        Error::MetadataTooLarge { bytes, max } => {
            vec![("bytes", bytes.to_string()), ("max_bytes", max.to_string())]
        }
        Error::HostNotAllowed { host } => vec![("host", host.clone())],
        Error::OriginNotAllowed { origin } => vec![("origin", origin.clone())],
        Error::InvalidPageToken
        | Error::DatabaseUnavailable(_)
        | Error::DatabaseFull(_)
        | Error::StorageUnavailable(_)
        | Error::ModerationUnavailable(_)
        | Error::CredentialsMissing
        | Error::CredentialsInvalid(_)
        | Error::CredentialsExpired
        | Error::CredentialsUnverifiable(_)
        | Error::PermissionDenied(_)
        | Error::BillingDisabled
        | Error::BillingElsewhere
        | Error::BillingUnavailable(_)
        | Error::Starting
        | Error::ShuttingDown
        | Error::UploadUnsupported(_)
        | Error::UploadIncomplete(_)
        | Error::DeadlineExceeded(_)
        | Error::Internal(_) => Vec::new(),
    };
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A log that the test reads.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_fault_is_logged_with_its_cause_in_json_and_told_without_it() {
        let lines = Lines::default();
        let log = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || log.clone())
            .finish();
        let status = tracing::subscriber::with_default(subscriber, || {
            Status::from(Error::DatabaseUnavailable("connection refused".into()))
        });

        let line = lines.0.lock().unwrap();
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(
            line["fields"]["error"],
            "the database cannot be reached right now: connection refused"
        );
        assert_eq!(line["fields"]["code"], "UNAVAILABLE");
        assert_eq!(line["fields"]["reason"], "DATABASE_UNAVAILABLE");
        assert_eq!(status.message(), "the database cannot be reached right now");
    }
}
