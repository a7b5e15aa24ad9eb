//! Completes the errors that the gRPC library answers by itself, before any handler is asked: they lack the details that
//! this service promises.

use std::{borrow::Cow, collections::HashMap};

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
/// What is kept of the library's words, from their beginning and their end: they may name a field for every level of a
/// deep message, and say behind them what is wrong.
const MESSAGE_HEAD: usize = 300;
const MESSAGE_TAIL: usize = 200;

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
        "" => otherwise.into(),
        given => abridged(given),
    };
    call::refused(code, reason, &message);
    let mut details = ErrorDetails::new();
    details.set_error_info(reason.as_str(), REASON_DOMAIN, HashMap::new());
    let language = call::language();
    details.set_localized_message(language.tag(), reason.sentence(language, ""));
    Some(Status::with_error_details(
        code,
        message.into_owned(),
        details,
    ))
}

fn abridged(words: &str) -> Cow<'_, str> {
    if words.len() <= MESSAGE_HEAD + MESSAGE_TAIL {
        return words.into();
    }
    let head = &words[..words.floor_char_boundary(MESSAGE_HEAD)];
    let tail = &words[words.ceil_char_boundary(words.len() - MESSAGE_TAIL)..];
    format!("{head} ... {tail}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_long_words_the_beginning_and_the_end_are_kept() {
        assert_eq!(abridged("invalid wire type"), "invalid wire type");
        let deep = format!(
            "failed to decode: {}recursion limit reached",
            "Struct.fields: ".repeat(100)
        );
        let told = abridged(&deep);
        assert!(told.len() <= MESSAGE_HEAD + MESSAGE_TAIL + 5, "{told}");
        assert!(
            told.starts_with("failed to decode: Struct")
                && told.ends_with("recursion limit reached"),
            "{told}"
        );
        let letters = "ữ".repeat(400);
        assert!(
            abridged(&letters)
                .chars()
                .all(|letter| "ữ .".contains(letter))
        );
    }
}
