//! What the service says in the details of an error.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt;

/// One field of a message that breaks its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, such as `input.seed`.
    pub field: String,
    /// What is wrong with it, and what was expected, in English.
    pub description: String,
    /// The kind of rule that it breaks, a name of `ViolationReason` without its prefix, such as `TOO_LONG`.
    pub reason: String,
    /// A sentence for a user, in the language that the call's `accept-language` metadata asks for.
    pub message: String,
}

/// The reason of an error, a name of `ErrorReason` without its prefix, such as `JOB_NOT_FOUND`. `None` when the error is not
/// of the service: the connection broke, or the time that the caller gave has passed.
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The fields that an INVALID_ARGUMENT complains of, at most 32 of them; empty for all other errors.
pub fn violations(status: &Status) -> Vec<Violation> {
    let request = status.get_details_bad_request();
    let violations = request.into_iter().flat_map(|it| it.field_violations);
    violations
        .map(|violation| Violation {
            field: violation.field,
            description: violation.description,
            reason: violation.reason,
            message: violation
                .localized_message
                .map_or_else(String::new, |it| it.message),
        })
        .collect()
}

/// How long the service asks to wait before calling again, if it does.
pub fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic::Code;
    use tonic_types::{ErrorDetails, FieldViolation, LocalizedMessage};

    use super::*;

    #[test]
    fn the_details_of_an_error_are_read() {
        let mut details = ErrorDetails::new();
        details.set_error_info("VALIDATION_FAILED", "generation", HashMap::new());
        details.set_bad_request(vec![FieldViolation {
            reason: "OUT_OF_RANGE".to_owned(),
            localized_message: Some(LocalizedMessage::new("vi", "Phải từ 0 trở lên.")),
            ..FieldViolation::new("input.seed", "must not be negative")
        }]);
        details.set_retry_info(Some(Duration::from_secs(1)));
        let status = Status::with_error_details(Code::InvalidArgument, "no", details);
        assert_eq!(reason(&status).as_deref(), Some("VALIDATION_FAILED"));
        let expected = Violation {
            field: "input.seed".to_owned(),
            description: "must not be negative".to_owned(),
            reason: "OUT_OF_RANGE".to_owned(),
            message: "Phải từ 0 trở lên.".to_owned(),
        };
        assert_eq!(violations(&status), [expected]);
        assert_eq!(retry_delay(&status), Some(Duration::from_secs(1)));
    }

    #[test]
    fn an_error_of_the_connection_has_no_details() {
        let status = Status::unknown("transport error");
        assert_eq!(reason(&status), None);
        assert_eq!(violations(&status), []);
        assert_eq!(retry_delay(&status), None);
    }
}
