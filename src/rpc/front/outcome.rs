//! What has become of a request.

use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use futures::{TryStreamExt, future};
use serde_json::Value;

use crate::{
    domain::{Error, MediaRole, Resource, WatchCursor},
    entity::job,
    media::{StorageError, StorageKey},
    rpc::{http, media::storage_key},
    store::{self, media::Shown},
};

use super::{
    Front, IGNORED, REQUEST,
    ask::Asked,
    refusal::{NAMES, Refusal, renamed},
};

/// A job that has completed, with its media.
pub(super) struct Made {
    pub(super) job: job::Model,
    pub(super) media: Vec<Shown>,
}

impl Front {
    /// What the jobs of a request have made, in order of variation, once they have ended: those that did make something.
    pub(super) async fn outcome(&self, request_id: i64) -> Result<Vec<Made>, Refusal> {
        let ended = tokio::time::timeout(self.settings.wait, self.end(request_id)).await;
        ended.map_err(|_| Refusal::unfinished(request_id))??;
        self.made(request_id).await
    }

    async fn end(&self, request_id: i64) -> Result<(), Refusal> {
        let cursor = WatchCursor::default();
        let news = self
            .app
            .watch_request(self.caller(), request_id, cursor)
            .await;
        let refuse = |error: Error| Refusal::from(error).of_request(request_id);
        let ended = news.map_err(refuse)?.try_for_each(|_| future::ok(()));
        ended.await.map_err(refuse)
    }

    /// The same of one that has ended. If it is nothing at all, why the first job made nothing.
    pub(super) async fn made(&self, request_id: i64) -> Result<Vec<Made>, Refusal> {
        let refuse = |error: Error| Refusal::from(error).of_request(request_id);
        let jobs = self.jobs(request_id).await.map_err(refuse)?;
        let ids = jobs.iter().map(|job| job.id);
        let media = store::media::of_jobs(self.app.store.reader(), ids).await;
        let mut media = media.map_err(refuse)?;
        let (made, empty): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .map(|job| Made {
                media: media.remove(&job.id).unwrap_or_default(),
                job,
            })
            .partition(|made| !made.outputs(None).is_empty());
        match empty.first() {
            Some(failed) if made.is_empty() => Err(Refusal::failed(&failed.job)),
            _ => Ok(made),
        }
    }

    /// Those that count of a live request.
    pub(super) async fn jobs(&self, request_id: i64) -> Result<Vec<job::Model>, Error> {
        let db = self.app.store.reader();
        let request = store::request::find(db, self.caller(), request_id).await?;
        if request.deleted_at.is_some() {
            return Err(Error::not_found(Resource::Request, request_id));
        }
        store::deletion::current_jobs(db, &request).await
    }

    /// A file as it is, or the part of it that the headers ask for.
    pub(super) async fn send(
        &self,
        media: &Shown,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let refuse = |error| Refusal::from(error).of_request(media.request_id);
        let key = key_of(media).map_err(refuse)?;
        let sent = http::send(&self.app, key, headers).await;
        let mut response = sent.map_err(|error| refuse(unreadable(media, error)))?;
        response
            .headers_mut()
            .insert(REQUEST, media.request_id.into());
        Ok(response)
    }
}

impl Made {
    /// The outputs, each in the format that was asked for where there is such a file.
    pub(super) fn outputs(&self, format: Option<&str>) -> Vec<&Shown> {
        let of_role = |role| self.media.iter().filter(move |media| media.role == role);
        let wanted = format.and_then(|name| name.parse().ok());
        let is_wanted =
            |media: &&Shown| key_of(media).is_ok_and(|key| Some(key.format()) == wanted);
        let converted: Vec<_> = of_role(MediaRole::Format).filter(is_wanted).collect();
        let originals: Vec<_> = of_role(MediaRole::Original).collect();
        match originals.iter().any(is_wanted) || converted.is_empty() {
            true => originals,
            false => converted,
        }
    }
}

/// What of a call had no effect, by the API's names.
pub(super) fn ignored(job: &job::Model) -> Vec<String> {
    let told = job.output_metadata.as_ref();
    let told = told.and_then(|told| told.get("ignored_inputs")?.as_array());
    let fields = told.into_iter().flatten().filter_map(Value::as_str);
    fields.map(str::to_owned).collect()
}

/// Tells it of an answer, by the call's own names.
pub(super) fn tell_ignored(response: &mut Response, made: &[Made], asked: &Asked) {
    let ignored = made.first().map(|made| ignored(&made.job));
    let names = ignored
        .into_iter()
        .flatten()
        .flat_map(|field| match &*field {
            "input.extra" => asked.further.clone(),
            field => vec![renamed(field, &[&NAMES], &[])],
        });
    let names: Vec<_> = names.collect();
    if let Ok(value) = HeaderValue::from_str(&names.join(","))
        && !names.is_empty()
    {
        response.headers_mut().insert(IGNORED, value);
    }
}

pub(super) fn key_of(media: &Shown) -> Result<StorageKey, Error> {
    storage_key(media)?.ok_or(Error::MediaContentMissing(media.id))
}

pub(super) fn unreadable(media: &Shown, error: StorageError) -> Error {
    match error {
        StorageError::NotFound { .. } => Error::MediaContentMissing(media.id),
        error => error.into(),
    }
}
