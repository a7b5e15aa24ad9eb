//! What a link answers with: the file, the part of it that is asked for, or that the caller has it already (RFC 9110).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{TryStreamExt, stream};
use headers::{ContentLength, ContentRange, ETag, HeaderMapExt, IfNoneMatch, IfRange, Range};

use crate::{
    app::App,
    domain::{Error, SharedFile, with_causes},
    media::{
        ByteRange, ByteRangeSelection, StorageError, StorageKey, StoredObject, content_disposition,
        offer_shared, select,
    },
    rpc::stopping::until_stopped,
    store::{
        self,
        media::{LinkedBy, Told},
    },
};

/// A file that somebody may see.
pub(super) struct File<'a> {
    app: &'a App,
    key: StorageKey,
    /// What is sent of it; `None` for all.
    shared: Option<&'a SharedFile>,
    etag: Option<ETag>,
    /// What a browser calls it.
    disposition: Option<HeaderValue>,
    /// How long it may be kept.
    caching: String,
}

impl<'a> File<'a> {
    /// A file that is not asked for by a link.
    pub(super) async fn find(app: &'a App, key: StorageKey) -> Self {
        let linked = LinkedBy::Object(key.path());
        let told = store::media::told_of(app.store.reader(), linked).await;
        let told = told.unwrap_or_else(|error| {
            tracing::debug!(error = with_causes(&error), "cannot tell what a file is");
            None
        });
        Self::told_of(app, key, told, 0)
    }

    /// A file whose link still works for so many seconds.
    pub(super) fn of(app: &'a App, key: StorageKey, told: Told, remaining: i64) -> Self {
        Self::told_of(app, key, Some(told), remaining)
    }

    /// `told`: `None` while that cannot be read: the file can be had all the same.
    fn told_of(app: &'a App, key: StorageKey, told: Option<Told>, remaining: i64) -> Self {
        let name = told.as_ref().map(Told::file_name);
        let disposition = name.and_then(|name| content_disposition(&key, name).try_into().ok());
        Self {
            app,
            key,
            shared: None,
            etag: told.and_then(|told| etag(&told.sha256?)),
            disposition,
            // A link is meant for its holder alone, and what it opens never changes.
            caching: format!("private, max-age={remaining}, immutable"),
        }
    }

    /// A file that is shared, which anybody may keep for so many seconds. Its name tells nothing.
    pub(super) fn shared(
        app: &'a App,
        key: StorageKey,
        shared: &'a SharedFile,
        seconds: i64,
    ) -> Self {
        let name = format!("inline; filename=\"shared.{}\"", key.format());
        Self {
            app,
            key,
            shared: Some(shared),
            etag: etag(&shared.sha256),
            disposition: name.try_into().ok(),
            caching: format!("public, max-age={seconds}"),
        }
    }

    /// The file of an upload, whose link still works for so many seconds.
    pub(super) fn of_upload(app: &'a App, key: StorageKey, sha256: &str, remaining: i64) -> Self {
        Self {
            etag: etag(sha256),
            ..Self::told_of(app, key, None, remaining)
        }
    }

    /// One range is answered with 206, several or a malformed one with the whole file (14.2 and 15.3.7).
    pub(super) async fn send(&self, headers: &HeaderMap) -> Result<Response, StorageError> {
        let storage = &self.app.storage;
        if self.is_known_to(headers) {
            storage.head(&self.key).await?;
            return Ok(self.not_modified());
        }
        let asked = headers.typed_get::<Range>();
        let Some(asked) = asked.filter(|_| self.may_send_part(headers)) else {
            return self.send_whole().await;
        };
        let total = match self.shared {
            Some(shared) => shared.size,
            None => storage.head(&self.key).await?.total_size,
        };
        match select(&asked, total) {
            ByteRangeSelection::Whole => self.send_whole().await,
            ByteRangeSelection::Part(range) => self.send_part(range).await,
            ByteRangeSelection::Unsatisfiable => Ok(unsatisfiable(total)),
        }
    }

    fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let known = headers.typed_get::<IfNoneMatch>().zip(self.etag.as_ref());
        known.is_some_and(|(known, etag)| !known.precondition_passes(etag))
    }

    /// Whether a part fits what the caller has. No date does, as none was told.
    fn may_send_part(&self, headers: &HeaderMap) -> bool {
        match headers.typed_try_get::<IfRange>() {
            Ok(None) => true,
            Ok(Some(had)) => !had.is_modified(self.etag.as_ref(), None),
            Err(_) => false,
        }
    }

    fn not_modified(&self) -> Response {
        // Of a body that is known to be empty axum would tell the length, which is not the file's.
        let body = Body::from_stream(stream::empty::<Result<Bytes, Error>>());
        (StatusCode::NOT_MODIFIED, self.validity(), body).into_response()
    }

    async fn send_whole(&self) -> Result<Response, StorageError> {
        let object = self.offer(None).await?;
        Ok(self.respond(object, StatusCode::OK))
    }

    async fn send_part(&self, range: ByteRange) -> Result<Response, StorageError> {
        let object = self.offer(Some(range)).await?;
        let (part, total) = (object.range.clone(), object.facts.total_size);
        let mut response = self.respond(object, StatusCode::PARTIAL_CONTENT);
        if let Ok(range) = ContentRange::bytes(part, Some(total)) {
            response.headers_mut().typed_insert(range);
        }
        Ok(response)
    }

    async fn offer(&self, range: Option<ByteRange>) -> Result<StoredObject, StorageError> {
        let storage = &self.app.storage;
        match self.shared {
            Some(shared) => offer_shared(storage, &self.key, shared, range).await,
            None => storage.offer_object(&self.key, range).await,
        }
    }

    fn respond(&self, object: StoredObject, status: StatusCode) -> Response {
        let length = object.range.end - object.range.start;
        let fields = [
            (header::CONTENT_TYPE, self.key.content_type()),
            (header::ACCEPT_RANGES, "bytes"),
            // A file is shown as what it is, never run as something else.
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let file = object.stream.map_err(Error::from);
        let file = until_stopped(file, self.app.stopping.clone());
        let body = Body::from_stream(file);
        let mut response = (status, self.validity(), fields, body).into_response();
        let headers = response.headers_mut();
        headers.typed_insert(ContentLength(length));
        if let Some(disposition) = &self.disposition {
            headers.insert(header::CONTENT_DISPOSITION, disposition.clone());
        }
        response
    }

    /// How long the file may be kept, and how to ask for it again.
    fn validity(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(caching) = HeaderValue::from_str(&self.caching) {
            headers.insert(header::CACHE_CONTROL, caching);
        }
        if let Some(etag) = &self.etag {
            headers.typed_insert(etag.clone());
        }
        headers
    }
}

/// By the SHA-256 of what is sent.
fn etag(digest: &str) -> Option<ETag> {
    format!("\"{digest}\"").parse().ok()
}

pub(super) fn unsatisfiable(total: u64) -> Response {
    let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    let range = ContentRange::unsatisfied_bytes(total);
    response.headers_mut().typed_insert(range);
    response
}
