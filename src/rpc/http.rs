//! Plain HTTP beside gRPC: the files behind `download_url`, what services tell of their tasks, and health.

mod file;
mod webhook;

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use tonic::Status;

use crate::{
    app::{Ailment, App},
    domain::with_causes,
    media::{LinkError, StorageError, StorageKey},
};

use super::{error::RETRY_DELAY, health};

use file::{File, unsatisfiable};

pub(super) fn router(app: App) -> Router {
    let health = health::router(app.health.clone());
    Router::new()
        .route("/media/{*path}", get(media))
        .route("/webhooks/{job_id}/{secret}", post(webhook::take))
        .with_state(app)
        .merge(health)
}

/// A path that neither gRPC nor plain HTTP knows, answered in the caller's own terms.
pub(super) async fn unknown(headers: HeaderMap) -> Response {
    if let Some(format) = grpc_format(&headers) {
        return refuse_call(Status::unimplemented("there is no such service"), format);
    }
    (StatusCode::NOT_FOUND, "there is nothing here\n").into_response()
}

/// The content type of a call, be it gRPC or grpc-web.
pub(super) fn grpc_format(headers: &HeaderMap) -> Option<HeaderValue> {
    let format = headers.get(header::CONTENT_TYPE)?;
    let kind = format.to_str().ok()?.split(';').next()?;
    let kind = kind.trim_ascii().to_ascii_lowercase();
    let rest = kind.strip_prefix("application/grpc")?;
    let rest = rest.strip_prefix("-web").unwrap_or(rest);
    let rest = rest.strip_prefix("-text").unwrap_or(rest);
    (rest.is_empty() || rest.starts_with('+')).then(|| format.clone())
}

/// An answer of headers alone, which both kinds of clients take where no message has come.
pub(super) fn refuse_call(status: Status, format: HeaderValue) -> Response {
    let mut answer = status.into_http::<Body>();
    answer.headers_mut().insert(header::CONTENT_TYPE, format);
    answer
}

/// The parts of a signed link beside its path.
#[derive(Deserialize)]
struct Signature {
    #[serde(default)]
    expires: i64,
    #[serde(default)]
    signature: String,
}

async fn media(
    State(app): State<App>,
    Path(path): Path<String>,
    Query(link): Query<Signature>,
    headers: HeaderMap,
) -> Response {
    let (expires, now) = (link.expires, app.clock.now());
    match app
        .storage
        .verify_link(&path, expires, &link.signature, now)
        .await
    {
        Ok(key) => {
            let file = File::find(&app, key, expires - now.timestamp()).await;
            let sent = file.send(&headers).await;
            sent.unwrap_or_else(|error| refuse(&app, error))
        }
        Err(error @ LinkError::Unverifiable) => come_again(format!("{error}\n")),
        Err(error @ (LinkError::Expired | LinkError::Forged)) => {
            (StatusCode::FORBIDDEN, format!("{error}\n")).into_response()
        }
    }
}

/// A file, or the part of it that the headers ask for.
pub(super) async fn send(
    app: &App,
    key: StorageKey,
    headers: &HeaderMap,
) -> Result<Response, StorageError> {
    match File::find(app, key, 0).await.send(headers).await {
        Err(StorageError::OutOfRange { total, .. }) => Ok(unsatisfiable(total)),
        sent => sent,
    }
}

fn refuse(app: &App, error: StorageError) -> Response {
    match error {
        StorageError::NotFound { .. } => {
            (StatusCode::NOT_FOUND, "the file is gone\n").into_response()
        }
        StorageError::OutOfRange { total, .. } => unsatisfiable(total),
        StorageError::Settings { .. } | StorageError::Failed { .. } => {
            // A storage that is away is told of once.
            if !app.health.ailments().contains(&Ailment::StorageAway) {
                tracing::warn!(error = with_causes(&error), "cannot send a file");
            }
            come_again("the media storage cannot be reached right now\n".to_owned())
        }
    }
}

/// What passes by itself: 503 with when to ask again.
pub(super) fn come_again(words: String) -> Response {
    let when = [(header::RETRY_AFTER, RETRY_DELAY.as_secs())];
    (StatusCode::SERVICE_UNAVAILABLE, when, words).into_response()
}
