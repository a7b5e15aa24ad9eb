//! Plain HTTP beside gRPC: the files behind `download_url`, uploads, what services tell of their tasks, and health.

mod file;
mod share;
mod upload;
mod webhook;

use axum::{
    Router,
    body::Body,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body::Frame;
use serde::Deserialize;
use tonic::{Code, Status};

use crate::{
    app::{Ailment, App},
    domain::{Caller, Error, with_causes},
    media::{LinkError, Linked, SignedLink, StorageError, StorageKey},
    store::{
        self,
        media::{LinkedBy, Told},
    },
};

use super::{error::RETRY_DELAY, front, health};

use file::{File, unsatisfiable};

pub(super) use share::address;
#[cfg(any(test, fuzzing))]
pub(super) use share::read_oembed;

/// The flags of a frame of grpc-web that holds trailers.
const OF_TRAILERS: u8 = 0x80;
/// Links to files begin with this path.
const MEDIA: &str = "/media/";

pub(super) fn router(app: App) -> Router {
    let health = health::router(app.health.clone());
    let media = Router::new()
        .route("/media/{*path}", get(media))
        .layer(middleware::map_response(guard_link));
    Router::new()
        .route("/uploads/{token}", put(upload::take))
        .route("/webhooks/{job_id}/{secret}", post(webhook::take))
        .merge(media)
        .merge(share::routes())
        .with_state(app)
        .merge(health)
}

/// A path that neither gRPC nor plain HTTP knows, answered in the caller's own terms.
pub(super) async fn unknown(uri: Uri, headers: HeaderMap) -> Response {
    if let Some(format) = grpc_format(&headers) {
        return refuse_call(Status::unimplemented("there is no such service"), format);
    }
    if uri.path().starts_with(share::SHARES) {
        return share::nowhere();
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

/// A call that no handler gets, refused in the caller's own terms: plain HTTP by this status.
pub(super) fn turn_away(error: Error, status: StatusCode, call: &Request) -> Response {
    if let Some(format) = grpc_format(call.headers()) {
        return refuse_call(Status::from(error), format);
    }
    match front::is_path(call.uri().path()) {
        true => (status, front::refuse(error)).into_response(),
        false => (status, format!("{error}\n")).into_response(),
    }
}

/// The end of an answer that has begun: trailers, or the frame that stands for them in an answer of grpc-web, which goes by the
/// content type. `None` for what no header can hold.
pub(super) fn last_frame(status: &Status, format: Option<&HeaderValue>) -> Option<Frame<Bytes>> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).ok()?;
    let Some(of_web) = format.and_then(of_web) else {
        return Some(Frame::trailers(trailers));
    };
    let lines = trailers.iter().map(|(name, value)| {
        let parts: [&[u8]; 4] = [name.as_ref(), b":", value.as_bytes(), b"\r\n"];
        parts.concat()
    });
    let lines = lines.collect::<Vec<_>>().concat();
    let length = u32::try_from(lines.len()).ok()?.to_be_bytes();
    let frame = [&[OF_TRAILERS], &length[..], &lines].concat();
    Some(Frame::data(match of_web.starts_with("-text") {
        true => BASE64_STANDARD.encode(frame).into(),
        false => frame.into(),
    }))
}

/// What such a frame tells of how the call has ended; `None` of any other part of an answer. It is a part by itself.
pub(super) fn code_in(part: &[u8], format: &HeaderValue) -> Option<Code> {
    let of_text = of_web(format)?.starts_with("-text");
    let read = |bytes: &[u8]| match of_text {
        true => BASE64_STANDARD.decode(bytes).ok(),
        false => Some(bytes.to_vec()),
    };
    // The flags come first: no message is decoded for them.
    if read(part.get(..4)?)?.first() != Some(&OF_TRAILERS) {
        return None;
    }
    let frame = read(part)?;
    let mut lines = frame.get(5..)?.split(|byte| *byte == b'\n');
    let code = lines.find_map(|line| line.strip_prefix(b"grpc-status:"))?;
    Some(Code::from_bytes(code.trim_ascii()))
}

/// What follows in the content type of grpc-web; `None` of another.
fn of_web(format: &HeaderValue) -> Option<&str> {
    format.to_str().ok()?.strip_prefix("application/grpc-web")
}

/// What every answer to a link says: a file is shown as what it is, runs nothing, and tells nobody the link that it came by.
/// Pages of any origin may show it, since the link alone says who may.
const PROTECTION: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; img-src 'self'; media-src 'self'; connect-src 'self'; style-src 'unsafe-inline'",
    ),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "cross-origin",
    ),
];

/// The parts of a signed link beside its path.
#[derive(Default, Deserialize)]
struct Signature {
    #[serde(default)]
    expires: i64,
    key: Option<i32>,
    #[serde(default)]
    signature: String,
}

async fn media(
    State(app): State<App>,
    uri: Uri,
    link: Result<Query<Signature>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    // What cannot be read is nobody's signature.
    let link = link.map(|Query(link)| link).unwrap_or_default();
    linked(&app, &uri, &link, &headers).await
}

/// Adds to an answer to a link what every one says.
fn protect(fields: &mut HeaderMap) {
    for (name, value) in PROTECTION {
        let field = fields.entry(name);
        field.or_insert(HeaderValue::from_static(value));
    }
}

async fn guard_link(mut answer: Response) -> Response {
    protect(answer.headers_mut());
    // Whether a link opens something may change at any time.
    let caching = answer.headers_mut().entry(header::CACHE_CONTROL);
    caching.or_insert(HeaderValue::from_static("private, no-store"));
    answer
}

async fn linked(app: &App, uri: &Uri, link: &Signature, headers: &HeaderMap) -> Response {
    let signed = SignedLink {
        // As it came: another spelling of it is not what was signed.
        path: uri.path().strip_prefix(MEDIA).unwrap_or_default(),
        expires: link.expires,
        key: link.key,
        signature: &link.signature,
    };
    let now = app.clock.now();
    let linked = match app.storage.verify_link(signed, now) {
        Ok(linked) => linked,
        Err(error @ LinkError::Unverifiable) => return come_again(format!("{error}\n")),
        Err(error @ (LinkError::Expired | LinkError::Forged)) => {
            return (StatusCode::FORBIDDEN, format!("{error}\n")).into_response();
        }
    };
    let remaining = link.expires - now.timestamp();
    let by = match &linked {
        Linked::Upload(id) => return send_upload(app, *id, remaining, headers).await,
        Linked::Media(id) => LinkedBy::Id(*id),
        Linked::Object(key) => LinkedBy::Object(key.path()),
    };
    let told = match store::media::told_of(app.store.reader(), by).await {
        Ok(told) => told.filter(Told::is_live),
        Err(error) => {
            tracing::debug!(error = with_causes(&error), "cannot tell what a link opens");
            return come_again("the database cannot be reached right now\n".to_owned());
        }
    };
    let key = told.as_ref().and_then(Told::storage_key);
    let key = key.and_then(|key| StorageKey::from_path(key).ok());
    let Some((key, told)) = key.zip(told) else {
        return gone();
    };
    let file = File::of(app, key, told, remaining);
    let sent = file.send(headers).await;
    sent.unwrap_or_else(|error| refuse(app, error))
}

async fn send_upload(app: &App, id: i64, remaining: i64, headers: &HeaderMap) -> Response {
    let everyone = Caller::TrustedService;
    let upload = match store::upload::find(app.store.reader(), everyone, id).await {
        Ok(upload) => upload,
        Err(Error::NotFound { .. }) => return gone(),
        Err(error) => {
            tracing::debug!(error = with_causes(&error), "cannot tell what a link opens");
            return come_again("the database cannot be reached right now\n".to_owned());
        }
    };
    let Ok(key) = StorageKey::from_path(&upload.storage_key) else {
        return gone();
    };
    let file = File::of_upload(app, key, &upload.sha256, remaining);
    let sent = file.send(headers).await;
    sent.unwrap_or_else(|error| refuse(app, error))
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, "the file is gone\n").into_response()
}

/// A file, or the part of it that the headers ask for.
pub(super) async fn send(
    app: &App,
    key: StorageKey,
    headers: &HeaderMap,
) -> Result<Response, StorageError> {
    match File::find(app, key).await.send(headers).await {
        Err(StorageError::OutOfRange { total, .. }) => Ok(unsatisfiable(total)),
        sent => sent,
    }
}

fn refuse(app: &App, error: StorageError) -> Response {
    match error {
        StorageError::NotFound { .. } => gone(),
        StorageError::OutOfRange { total, .. } => unsatisfiable(total),
        StorageError::Settings { .. }
        | StorageError::Failed { .. }
        | StorageError::ClockOff { .. } => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_what_ends_an_answer_of_grpc_web_and_from_nothing_else() {
        let status = Status::unavailable("grpc-status:0\r\n");
        for format in [
            "application/grpc-web+proto",
            "application/grpc-web-text+proto",
        ] {
            let format = HeaderValue::from_static(format);
            let last = last_frame(&status, Some(&format)).unwrap();
            let last = last.into_data().unwrap();
            assert_eq!(code_in(&last, &format), Some(Code::Unavailable));
            let message = [&[0, 0, 0, 0, 14], &b"grpc-status:2\n"[..]].concat();
            assert_eq!(code_in(&message, &format), None);
            let text = BASE64_STANDARD.encode(message);
            assert_eq!(code_in(text.as_bytes(), &format), None);
            assert_eq!(code_in(b"", &format), None);
            let plain = HeaderValue::from_static("application/grpc");
            assert_eq!(code_in(&last, &plain), None);
        }
    }
}
