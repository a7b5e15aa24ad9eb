//! Errors as OpenAI's clients read them, with the reasons and the sentences that the calls of gRPC have.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response, sse},
};
use serde_json::{Value, json};
use tonic::Code;

use crate::{
    domain::{Error, JobStatus, MediaType, Reason, Resource, Violation},
    entity::job,
    rpc::error,
};

use super::{REQUEST, call};

/// Official clients repeat what fails, unless told not to.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The answer came before the media: no reason of ours, since nothing is wrong with the request.
const UNFINISHED: &str = "REQUEST_UNFINISHED";

/// What fields of requests are called here where they have another name; in a call about one media type only some of them.
type Name = (&'static str, &'static str);
pub(super) const NAMES: [Name; 15] = [
    ("user_id", "user"),
    ("feature_id", "model"),
    ("feature", "model"),
    ("template_id", "model"),
    ("template", "model"),
    ("user_prompt", "prompt"),
    ("idempotency_key", "Idempotency-Key"),
    ("input.variations", "n"),
    ("input.output.format", "output_format"),
    ("input.output.width", "size"),
    ("input.output.height", "size"),
    ("input.output.duration_seconds", "seconds"),
    ("input.output.aspect_ratio", "aspect_ratio"),
    ("input.lora_weights.weights", "lora_weights"),
    ("input.mask_url", "mask"),
];
/// The same for speech.
const SPOKEN: [Name; 2] = [
    ("user_prompt", "input"),
    ("input.output.format", "response_format"),
];

#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: String,
    param: Option<String>,
    message: String,
    /// The request that was made: a repetition would make another.
    request_id: Option<i64>,
    /// When to call again, if that may help.
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            param: None,
            message: message.into(),
            request_id: None,
            retry_after: None,
        }
    }

    /// The call cannot be read.
    pub(super) fn malformed(status: StatusCode, message: impl Into<String>) -> Self {
        let (reason, message) = (Reason::MalformedMessage, message.into());
        call::refused(Code::InvalidArgument, reason, &message);
        Self::new(status, reason.as_str(), message)
    }

    pub(super) fn too_large() -> Self {
        let reason = Reason::MessageTooLarge;
        call::refused(Code::ResourceExhausted, reason, "the message is too large");
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, reason.as_str(), "the message is too large")
    }

    pub(super) fn unknown(method: &Method, path: &str) -> Self {
        let message = format!("there is no {method} /v1{path} here");
        Self::new(
            StatusCode::NOT_FOUND,
            Reason::UnknownMethod.as_str(),
            message,
        )
    }

    pub(super) fn unfinished(request_id: i64) -> Self {
        let message = format!("request {request_id} is not finished, and goes on");
        Self::new(StatusCode::GATEWAY_TIMEOUT, UNFINISHED, message).of_request(request_id)
    }

    /// A video that is asked for before it is there.
    pub(super) fn not_yet(request_id: i64) -> Self {
        let status = StatusCode::NOT_FOUND;
        Self {
            status,
            ..Self::unfinished(request_id)
        }
    }

    /// What a request has made is not there any more.
    pub(super) fn gone(request_id: i64) -> Self {
        let message = format!("the media of request {request_id} is deleted");
        let reason = Reason::MediaNotFound.as_str();
        Self::new(StatusCode::NOT_FOUND, reason, message).of_request(request_id)
    }

    /// A file that its feature does not have made.
    pub(super) fn not_made(request_id: i64, what: &str) -> Self {
        let message = format!("request {request_id} has no {what}: its feature has none made");
        let reason = Reason::MediaNotFound.as_str();
        Self::new(StatusCode::NOT_FOUND, reason, message).of_request(request_id)
    }

    /// Why there is nothing of a job.
    pub(super) fn failed(job: &job::Model) -> Self {
        if job.status == JobStatus::Completed {
            return Self::gone(job.request_id);
        }
        let (code, message) = failure(job);
        let status = match code.as_str() {
            "PROVIDER_REJECTED_CONTENT" | "PROVIDER_REJECTED_INPUT" | "INPUT_UNREADABLE" => {
                StatusCode::BAD_REQUEST
            }
            "CANCELLED" => StatusCode::CONFLICT,
            "JOB_TIMED_OUT" => StatusCode::GATEWAY_TIMEOUT,
            "PROVIDER_UNAVAILABLE" | "PROVIDER_NOT_READY" | "STORAGE_UNAVAILABLE" => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            code if code.starts_with("PROVIDER_") => StatusCode::BAD_GATEWAY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &code, message).of_request(job.request_id)
    }

    pub(super) fn of_request(self, request_id: i64) -> Self {
        Self {
            request_id: Some(request_id),
            ..self
        }
    }

    /// With the names that fields have in such a call, in which these bring its first pictures.
    pub(super) fn of_call(error: Error, makes: MediaType, pictures: &[String]) -> Self {
        match makes {
            MediaType::Audio => Self::told(error, &[&SPOKEN, &NAMES], pictures),
            MediaType::Image | MediaType::Video => Self::told(error, &[&NAMES], pictures),
        }
    }

    fn told(error: Error, names: &[&[Name]], pictures: &[String]) -> Self {
        let (code, reason) = error::logged(&error);
        let (param, message) = match &error {
            Error::Validation(violations) | Error::ContentRejected(violations) => {
                let mut told: Vec<(String, &str)> = Vec::new();
                for Violation {
                    field, description, ..
                } in violations.iter()
                {
                    let name = renamed(field, names, pictures);
                    // What is wrong with it first says what to do.
                    if told.iter().all(|(known, _)| *known != name) {
                        told.push((name, description));
                    }
                }
                let sentences = told.iter().map(|(name, said)| format!("{name}: {said}"));
                let sentences: Vec<_> = sentences.collect();
                let first = told.first().map(|(name, _)| name.clone());
                (first, sentences.join("; "))
            }
            _ => (param(&error).map(str::to_owned), error.to_string()),
        };
        Self {
            param,
            retry_after: error::retry_delay(&error, code),
            ..Self::new(http_status(code), reason.as_str(), message)
        }
    }

    fn body(&self) -> Value {
        let kind = match self.status {
            StatusCode::FORBIDDEN => "permission_error",
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_client_error() => "invalid_request_error",
            _ => "server_error",
        };
        let mut error = json!({
            "message": self.message, "type": kind, "param": self.param, "code": self.code,
        });
        if let Some(id) = self.request_id {
            error["request_id"] = id.to_string().into();
        }
        error
    }

    /// For an answer that streams already.
    pub(super) fn event(&self) -> sse::Event {
        let data = json!({ "type": "error", "error": self.body() });
        sse::Event::default().event("error").data(data.to_string())
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::told(error, &[&NAMES], &[])
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.body() }));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        if let Some(id) = self.request_id {
            headers.insert(REQUEST, id.into());
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        } else if self.status == StatusCode::TOO_MANY_REQUESTS && self.retry_after.is_none() {
            // Its status alone would say that it passes.
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        } else if let Some(delay) = self.retry_after {
            // Whole seconds, and none too few.
            let seconds = delay.as_millis().div_ceil(1_000);
            let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The reason and the sentence of a job that failed or was cancelled.
pub(super) fn failure(job: &job::Model) -> (String, String) {
    let code = job.error_code.clone();
    let message = job.error_message.clone();
    match code {
        Some(code) => (code, message.unwrap_or_default()),
        None => (
            "CANCELLED".to_owned(),
            format!("request {} was cancelled", job.request_id),
        ),
    }
}

pub(super) fn renamed(field: &str, names: &[&[Name]], pictures: &[String]) -> String {
    let picture = field.strip_prefix("user_media_urls[");
    let index = picture.and_then(|it| it.strip_suffix(']')?.parse::<usize>().ok());
    if let Some(name) = index.and_then(|index| pictures.get(index)) {
        return name.clone();
    }
    let known = names.iter().flat_map(|names| names.iter());
    let known = known.clone().find(|(of, _)| *of == field);
    let name = match known {
        Some((_, name)) => *name,
        None => field.strip_prefix("input.").unwrap_or(field),
    };
    name.to_owned()
}

fn param(error: &Error) -> Option<&'static str> {
    match error {
        Error::NotNamed {
            resource: Resource::Feature | Resource::Template,
            ..
        }
        | Error::FeatureInactive(_)
        | Error::TemplateInactive(_) => Some("model"),
        Error::UserUnknown(_) | Error::UserNotAddable(_) => Some("user"),
        Error::IdempotencyKeyReused { .. } => Some("Idempotency-Key"),
        _ => None,
    }
}

/// The status by which clients know what kind of error it is, and whether to repeat the call.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_costs_more_than_there_is_is_not_to_be_repeated() {
        let short = Error::CreditsInsufficient {
            user_id: 7,
            needed: 14,
            available: 5,
        };
        let answer = Refusal::from(short).into_response();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()[SHOULD_RETRY], "false");
        assert!(!answer.headers().contains_key(header::RETRY_AFTER));
    }
}
