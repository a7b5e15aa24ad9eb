//! Plain HTTP beside gRPC: the files behind `download_url`, and health.

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::TryStreamExt;
use headers::{HeaderMapExt, Range};
use serde::Deserialize;
use tonic::Status;

use crate::{
    app::{Ailment, App},
    domain::{Error, with_causes},
    media::{
        ByteRange, ByteRangeSelection, LinkError, StorageError, StorageKey, StoredObject, select,
    },
};

use super::{error::RETRY_DELAY, health, stopping::until_stopped};

pub(super) fn router(app: App) -> Router {
    let health = health::router(app.health.clone());
    Router::new()
        .route("/media/{*path}", get(media))
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
    let is_call = format.as_bytes().starts_with(b"application/grpc");
    is_call.then(|| format.clone())
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
        Ok(key) => send(&app, &key, &headers)
            .await
            .unwrap_or_else(|error| refuse(&app, error)),
        Err(error @ LinkError::Unverifiable) => come_again(format!("{error}\n")),
        Err(error @ (LinkError::Expired | LinkError::Forged)) => {
            (StatusCode::FORBIDDEN, format!("{error}\n")).into_response()
        }
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

/// RFC 9110, 14.2 and 15.3.7: one range is answered with 206, several or a malformed one with the whole file.
async fn send(app: &App, key: &StorageKey, headers: &HeaderMap) -> Result<Response, StorageError> {
    let Some(asked) = headers.typed_get::<Range>() else {
        let object = app.storage.open_object(key, None).await?;
        return Ok(respond(app, key, object, StatusCode::OK));
    };
    let total = app.storage.head(key).await?.total_size;
    match select(&asked, total) {
        ByteRangeSelection::Whole => {
            let object = app.storage.open_object(key, None).await?;
            Ok(respond(app, key, object, StatusCode::OK))
        }
        ByteRangeSelection::Part(range) => send_part(app, key, range).await,
        ByteRangeSelection::Unsatisfiable => Ok(unsatisfiable(total)),
    }
}

async fn send_part(
    app: &App,
    key: &StorageKey,
    range: ByteRange,
) -> Result<Response, StorageError> {
    let object = app.storage.open_object(key, Some(range)).await?;
    let (first, end, total) = (
        object.range.start,
        object.range.end,
        object.facts.total_size,
    );
    let mut response = respond(app, key, object, StatusCode::PARTIAL_CONTENT);
    if let Ok(range) = headers::ContentRange::bytes(first..end, Some(total)) {
        response.headers_mut().typed_insert(range);
    }
    Ok(response)
}

fn respond(app: &App, key: &StorageKey, object: StoredObject, status: StatusCode) -> Response {
    let length = object.range.end - object.range.start;
    let fields = [
        (header::CONTENT_TYPE, key.content_type()),
        (header::CACHE_CONTROL, app.storage.cache_control(key)),
        (header::ACCEPT_RANGES, "bytes"),
        // A file is shown as what it is, never run as something else.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let file = object.stream.map_err(Error::from);
    let file = until_stopped(file, app.stopping.clone());
    let mut response = (status, fields, Body::from_stream(file)).into_response();
    response
        .headers_mut()
        .typed_insert(headers::ContentLength(length));
    response
}

fn unsatisfiable(total: u64) -> Response {
    let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    response
        .headers_mut()
        .typed_insert(headers::ContentRange::unsatisfied_bytes(total));
    response
}
