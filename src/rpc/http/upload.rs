//! A file that is put to a URL of CreateUploadUrl, by browsers and whoever else cannot stream up over gRPC.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::TryStreamExt;
use serde_json::json;
use tonic::Code;

use crate::{
    app::App,
    domain::{Error, Reason, Resource},
    media::{StorageKey, Ticket},
    rpc::{call, error::logged, upload::ticket},
};

use super::RETRY_DELAY;

/// What is not signed, or known to be too large, is not even read.
pub(super) async fn take(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let ticket = match ticket(&app, &token) {
        Ok(ticket) => ticket,
        Err(error) => return refuse(error),
    };
    match put(&app, &ticket, request).await {
        Ok(answer) => answer,
        Err(error) => refuse(error),
    }
}

async fn put(app: &App, ticket: &Ticket, request: Request) -> Result<Response, Error> {
    if app.storage.incoming_key(ticket).is_some() {
        // Such tokens are for the bucket, which would not know of it.
        return Err(Error::UploadIncomplete("files are put to the bucket"));
    }
    check_head(ticket, &request)?;
    let upload = match app.put_before(ticket).await? {
        Some(before) => before,
        None => {
            let mut incoming = app.begin_upload(ticket.announced.clone()).await?;
            let mut body = request.into_body().into_data_stream();
            while let Some(bytes) = body.try_next().await.map_err(|_| broken_off())? {
                incoming.push(&bytes).await?;
            }
            app.keep_upload(incoming, Some(ticket)).await?
        }
    };
    call::note(Resource::Upload, upload.id);
    let key = StorageKey::from_path(&upload.storage_key).map_err(Error::internal)?;
    let answer = json!({
        "id": upload.id.to_string(), "url": app.storage.object_url(&key), "damaged": upload.damaged,
    });
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Checks what the call says before its body comes.
fn check_head(ticket: &Ticket, request: &Request) -> Result<(), Error> {
    let header = |name| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let length = header(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if let Some(length) = length {
        let said = ticket.announced.file_size.unwrap_or_default();
        if length != said {
            return Err(Error::UploadMismatch {
                field: "file_size",
                said: said.to_string(),
                found: length.to_string(),
            });
        }
    }
    let said = ticket.format.content_type();
    match header(header::CONTENT_TYPE) {
        Some(found) if found.trim().eq_ignore_ascii_case(said) => Ok(()),
        found => Err(Error::UploadMismatch {
            field: "content_type",
            said: said.to_owned(),
            found: found.unwrap_or("none").to_owned(),
        }),
    }
}

fn broken_off() -> Error {
    Error::UploadIncomplete("the file broke off; put it again")
}

/// An error as JSON, with the reasons of the contract.
fn refuse(error: Error) -> Response {
    let (code, reason) = logged(&error);
    let status = match reason {
        _ if code == Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::ValidationFailed => StatusCode::FORBIDDEN,
        Reason::UploadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Reason::UploadUnsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::UploadIncomplete => StatusCode::GONE,
        Reason::UploadsFull => StatusCode::INSUFFICIENT_STORAGE,
        _ if code == Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let said = reason.sentence(call::language(), "");
    let answer =
        json!({ "reason": reason.as_str(), "message": error.to_string(), "sentence": said });
    let mut answer = (status, Json(answer)).into_response();
    if code == Code::Unavailable {
        answer.headers_mut().insert(
            header::RETRY_AFTER,
            HeaderValue::from(RETRY_DELAY.as_secs()),
        );
    }
    answer
}
