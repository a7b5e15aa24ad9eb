//! The domain and the contract know the same reasons.

use std::collections::BTreeSet;

use atelier::domain::{Flaw, Reason};
use atelier::rpc::proto::{ErrorReason, ViolationReason};
use strum::IntoEnumIterator;

/// The list of all reasons. One that is missing from it makes the match incomplete, and the test does not compile.
macro_rules! reasons {
    ($($reason:ident)+) => {{
        let _is_complete = |reason: Reason| match reason {
            $(Reason::$reason => (),)+
        };
        [$((Reason::$reason, ErrorReason::$reason),)+]
    }};
}

#[test]
fn every_reason_has_its_name_in_the_contract_and_the_contract_no_other() {
    let reasons = reasons! {
        ValidationFailed InvalidPageToken IdempotencyKeyReused FeatureNotFound TemplateNotFound RequestNotFound
        JobNotFound MediaNotFound MediaContentMissing FeatureNameTaken TemplateNameTaken FeatureInactive
        TemplateInactive UserUnknown JobAlreadyProcessing JobAlreadyFinished RevisionAhead DatabaseUnavailable
        DatabaseFull
        StorageUnavailable ShuttingDown Internal ProviderNoOutput ProviderInvalidOutput ProviderUnavailable
        ProviderRejectedContent ProviderRejectedInput ProviderOutcomeUnknown ProviderFailed ProviderNotConfigured
        OutputTooLarge JobTimedOut WorkerLost MalformedMessage MessageTooLarge UnknownMethod UnsupportedCompression
        FeatureInUse FeatureBreaksTemplates EtagMismatch FeatureDeleted RequestDeleted JobNotRetryable RequestNotRetryable OffsetAhead
        ProviderNotReady ProviderLimitExceeded InputUnreadable HostNotAllowed OriginNotAllowed WatchesTaken
        ContentRejected ModerationUnavailable
        CredentialsMissing CredentialsInvalid CredentialsExpired CredentialsUnverifiable PermissionDenied RateLimited
        CreditsInsufficient BillingDisabled QuotaExceeded PlanUnknown BillingUnavailable BillingRefused
        ShareNotFound SharesTaken MetadataNotRemovable ErasureNotFound
        UploadNotFound UploadTooLarge UploadUnsupported UploadMismatch UploadsFull UploadIncomplete
        DeadlineExceeded MetadataTooLarge StartDeadlineExceeded WorkerNotFound
    };
    for (reason, documented) in reasons {
        let name = format!("ERROR_REASON_{}", reason.as_str());
        assert_eq!(name, documented.as_str_name());
    }
    let known: BTreeSet<i32> = reasons
        .iter()
        .map(|(_, documented)| *documented as i32)
        .collect();
    let documented: BTreeSet<i32> = (1..1_000)
        .filter(|number| ErrorReason::try_from(*number).is_ok())
        .collect();
    assert_eq!(known, documented);
}

#[test]
fn every_flaw_has_its_name_in_the_contract_and_the_contract_no_other() {
    let known: BTreeSet<_> = Flaw::iter()
        .map(|flaw| format!("VIOLATION_REASON_{}", flaw.as_str()))
        .collect();
    let documented: BTreeSet<_> = (1..1_000)
        .filter_map(|number| ViolationReason::try_from(number).ok())
        .map(|reason| reason.as_str_name().to_owned())
        .collect();
    assert_eq!(known, documented);
}
