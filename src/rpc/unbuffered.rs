//! Tells proxies to pass streams on as they come: nginx would otherwise keep what comes until it is much, or all (docs/proxies.md).

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE},
    middleware::Next,
    response::Response,
};

use super::access;

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const OF_EVENTS: &[u8] = b"text/event-stream";

/// Marks the answers of rpcs that stream, and those of events.
pub(super) async fn mark(call: Request, next: Next) -> Response {
    let streams = access::streams(call.uri().path());
    let mut answer = next.run(call).await;
    if streams || has_events(answer.headers()) {
        let unbuffered = HeaderValue::from_static("no");
        answer.headers_mut().insert(BUFFERING, unbuffered);
    }
    answer
}

fn has_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(OF_EVENTS))
}
