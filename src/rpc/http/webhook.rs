//! What services tell of their tasks.

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};

use crate::{app::App, domain::with_causes, rpc::http::come_again};

/// Most bytes of a call.
pub(super) const MAX_BODY: usize = 4 << 20;

pub(super) async fn take(
    State(app): State<App>,
    Path((job_id, secret)): Path<(i64, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let addressee = match app.addressee(job_id, &secret).await {
        Ok(Some(addressee)) => addressee,
        Ok(None) => return (StatusCode::NOT_FOUND, "no task waits here\n").into_response(),
        Err(error) => {
            tracing::warn!(error = with_causes(&error), "cannot take a webhook");
            return come_again("the database cannot be reached right now\n".to_owned());
        }
    };
    match app.take_webhook(addressee, headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(forged) => {
            tracing::warn!(job_id, error = %forged, "a webhook is refused");
            (StatusCode::UNAUTHORIZED, format!("{forged}\n")).into_response()
        }
    }
}
