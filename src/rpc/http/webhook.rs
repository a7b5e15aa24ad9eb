//! What services tell of their tasks.

use axum::{
    Json,
    body::to_bytes,
    extract::{Path, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::{
    app::{App, Untaken},
    domain::with_causes,
    provider::Forged,
    rpc::http::come_again,
};

/// What is not addressed to a job that waits is not even read.
pub(super) async fn take(
    State(app): State<App>,
    Path((job_id, secret)): Path<(i64, String)>,
    request: Request,
) -> Response {
    let addressee = match app.addressee(job_id, &secret).await {
        Ok(Some(addressee)) => addressee,
        Ok(None) => return (StatusCode::NOT_FOUND, "no task waits here\n").into_response(),
        Err(error) => return unkept(job_id, &error),
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, addressee.max_bytes()).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the call is too long\n").into_response();
    };
    match app.take_webhook(addressee, parts.headers, body).await {
        // Some services take no other status for a yes.
        Ok(None) => StatusCode::OK.into_response(),
        Ok(Some(answer)) => Json(answer).into_response(),
        Err(Untaken::Other(error)) => unkept(job_id, &error),
        Err(Untaken::Forged(forged)) => refuse(job_id, &forged),
    }
}

fn refuse(job_id: i64, forged: &Forged) -> Response {
    tracing::warn!(job_id, error = %forged, "a webhook is refused");
    match forged {
        Forged::NoKeys(_) => come_again("the service's keys cannot be had right now\n".to_owned()),
        forged => (StatusCode::UNAUTHORIZED, format!("{forged}\n")).into_response(),
    }
}

fn unkept(job_id: i64, error: &crate::domain::Error) -> Response {
    tracing::warn!(job_id, error = with_causes(error), "cannot take a webhook");
    come_again("the database cannot be reached right now\n".to_owned())
}
