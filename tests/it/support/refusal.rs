//! What every error of the API owes its caller.

use std::collections::{BTreeSet, HashMap};

use atelier::rpc::proto::{ErrorReason, ViolationDetail, ViolationDetails, ViolationReason};
use prost::Message;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};

/// Most field violations that an error lists; how many there are stands in its metadata.
const MAX_LISTED: usize = 32;

/// An error that keeps the rules of `error_reason.proto`.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub code: Code,
    pub reason: ErrorReason,
    pub metadata: HashMap<String, String>,
    /// Paths of the fields that break their rules, in order.
    pub fields: Vec<String>,
    /// What is wrong with each of them.
    pub descriptions: Vec<String>,
}

/// Reads an error and holds it against the rules.
pub(crate) fn refusal<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Refusal {
    of_status(&outcome.expect_err("the call succeeded"))
}

pub(crate) fn of_status(status: &Status) -> Refusal {
    let details = status.get_error_details();
    let info = details
        .error_info()
        .unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "generation", "{status:?}");
    assert!(!status.message().is_empty(), "{status:?}");
    let reason = ErrorReason::from_str_name(&format!("ERROR_REASON_{}", info.reason))
        .unwrap_or_else(|| panic!("{} is not documented", info.reason));
    let refusal = Refusal {
        code: status.code(),
        reason,
        metadata: info.metadata.clone(),
        fields: fields(&details),
        descriptions: descriptions(&details),
    };
    let said = details.localized_message();
    assert!(
        said.is_some_and(|said| !said.message.is_empty()),
        "{status:?}"
    );
    assert_eq!(
        details_of_violations(status).len(),
        refusal.fields.len(),
        "{status:?}"
    );
    let of_fields = [ErrorReason::ValidationFailed, ErrorReason::ContentRejected];
    let invalid = of_fields.contains(&reason);
    assert_eq!(invalid, !refusal.fields.is_empty(), "{status:?}");
    if invalid {
        let listed = refusal.fields.len();
        let count: usize = refusal.metadata["violations"].parse().unwrap();
        assert_eq!(listed, count.min(MAX_LISTED), "{status:?}");
    }
    refusal
}

fn fields(details: &ErrorDetails) -> Vec<String> {
    let Some(request) = details.bad_request() else {
        return Vec::new();
    };
    for violation in &request.field_violations {
        assert!(!violation.description.is_empty(), "{violation:?}");
        // Every rule of the contract is of a kind that programs know.
        let reason =
            ViolationReason::from_str_name(&format!("VIOLATION_REASON_{}", violation.reason));
        let untold = [ViolationReason::Unspecified, ViolationReason::Invalid];
        assert!(
            reason.is_some_and(|reason| !untold.contains(&reason)),
            "{violation:?}"
        );
        assert!(
            violation
                .localized_message
                .as_ref()
                .is_some_and(|said| !said.message.is_empty()),
            "{violation:?}"
        );
    }
    let violations = request.field_violations.iter();
    violations
        .map(|violation| violation.field.clone())
        .collect()
}

/// What programs read of each violation.
pub(crate) fn details_of_violations(status: &Status) -> Vec<ViolationDetail> {
    let whole = pb::Status::decode(status.details()).unwrap();
    let url = "type.googleapis.com/generation.v1.ViolationDetails";
    let details = whole.details.iter().find(|detail| detail.type_url == url);
    let details = details.map(|detail| ViolationDetails::decode(&detail.value[..]).unwrap());
    details.unwrap_or_default().violations
}

fn descriptions(details: &ErrorDetails) -> Vec<String> {
    let violations = details
        .bad_request()
        .map(|request| &request.field_violations);
    let violations = violations.into_iter().flatten();
    violations
        .map(|violation| violation.description.clone())
        .collect()
}

impl Refusal {
    #[track_caller]
    pub(crate) fn is(&self, code: Code, reason: ErrorReason) -> &Self {
        assert_eq!((self.code, self.reason), (code, reason), "{self:?}");
        self
    }

    /// Asserts a part of the metadata that belongs to the reason.
    #[track_caller]
    pub(crate) fn with(&self, key: &str, value: impl ToString) -> &Self {
        assert_eq!(self.metadata.get(key), Some(&value.to_string()), "{self:?}");
        self
    }

    /// Asserts what is said of a field, once.
    #[track_caller]
    pub(crate) fn says(&self, field: &str, description: &str) {
        let told = self.fields.iter().zip(&self.descriptions);
        let of_field = told.filter(|(told, _)| *told == field);
        let said: Vec<_> = of_field.map(|(_, said)| said.as_str()).collect();
        assert_eq!(said, [description], "{field}");
    }

    /// Asserts a failed validation of exactly these fields, in any order.
    #[track_caller]
    pub(crate) fn of_fields<const N: usize>(&self, fields: [&str; N]) {
        self.is(Code::InvalidArgument, ErrorReason::ValidationFailed);
        let found: BTreeSet<&str> = self.fields.iter().map(String::as_str).collect();
        assert_eq!(found, BTreeSet::from(fields));
    }
}
