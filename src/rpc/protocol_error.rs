//! Completes the errors that the gRPC library answers by itself, before any handler is asked: they lack the details that
//! this service promises.

use std::collections::HashMap;

use axum::{
    http::{HeaderMap, HeaderName},
    response::Response,
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::domain::Reason;

use super::{call, error::REASON_DOMAIN};

const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// The encodings that the server knows, sent when the caller's is not among them.
const ACCEPTED_ENCODINGS: HeaderName = HeaderName::from_static("grpc-accept-encoding");
/// Bound on the library's words: they may name a field for every level of a deep message.
const MAX_MESSAGE_BYTES: usize = 500;

/// The answer, with the reason of its error. Answers that are fine, or complete, stay as they are.
pub(super) async fn complete(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.contains_key(DETAILS) {
        return response;
    }
    if let Some(status) = Status::from_header_map(headers).and_then(|bare| explain(&bare, headers))
    {
        // Fails only for a message that no header can hold, and then the answer stays as it was.
        let _ = status.add_header(headers);
    }
    response
}

/// What the library meant; `None` for what is not an error of the protocol.
fn explain(bare: &Status, headers: &HeaderMap) -> Option<Status> {
    let (code, reason, otherwise) = match bare.code() {
        // No handler fails without details, so the fault lies in what it was to be called with.
        Code::Internal => (
            Code::InvalidArgument,
            Reason::MalformedMessage,
            "the message cannot be read",
        ),
        Code::OutOfRange | Code::ResourceExhausted => (
            Code::ResourceExhausted,
            Reason::MessageTooLarge,
            "the message is too large",
        ),
        Code::Unimplemented if headers.contains_key(ACCEPTED_ENCODINGS) => (
            Code::Unimplemented,
            Reason::UnsupportedCompression,
            "the message is compressed in a way that the server does not know",
        ),
        Code::Unimplemented => (
            Code::Unimplemented,
            Reason::UnknownMethod,
            "there is no such method",
        ),
        _ => return None,
    };
    let message = match bare.message() {
        "" => otherwise,
        given => &given[..given.floor_char_boundary(MAX_MESSAGE_BYTES)],
    };
    call::refused(code, reason, message);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), REASON_DOMAIN, HashMap::new());
    let language = call::language();
    details.set_localized_message(language.tag(), reason.sentence(language, ""));
    Some(Status::with_error_details(code, message, details))
}
