//! What belongs to requests, read for all of them at once.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    app::App,
    domain::{Error, MediaMetadata, MediaNotes, MediaRole},
    entity::job,
    store,
};

/// What is told of requests beside themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Include {
    /// The jobs that count.
    pub jobs: bool,
    /// The media that share the request's fate.
    pub media: bool,
    /// The media to show the request by.
    pub cover: bool,
}

/// What belongs to a request, as far as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Included {
    /// In order of variation, without their inputs.
    pub jobs: Vec<job::Model>,
    /// In order of variation, output and role.
    pub media: Vec<store::media::Shown>,
    /// `None` also while there is none.
    pub cover: Option<store::media::Shown>,
}

impl App {
    /// What belongs to the requests, by their ids: one statement for each kind, however many requests there are.
    pub async fn include(
        &self,
        include: Include,
        request_ids: &[i64],
    ) -> Result<BTreeMap<i64, Included>, Error> {
        let db = self.store.reader();
        let mut all: BTreeMap<i64, Included> = BTreeMap::new();
        if include.jobs {
            for job in store::job::of_requests(db, request_ids).await? {
                all.entry(job.request_id).or_default().jobs.push(job);
            }
        }
        if include.media {
            let mut media = store::media::of_requests(db, request_ids).await?;
            media.sort_by_cached_key(place);
            for media in media {
                all.entry(media.request_id).or_default().media.push(media);
            }
        }
        if include.cover {
            for media in store::media::covers(db, request_ids).await? {
                let included = all.entry(media.request_id).or_default();
                included.cover = Some(media);
            }
        }
        Ok(all)
    }
}

/// Where a media comes among those of its request; what does not tell its place comes last.
fn place(media: &store::media::Shown) -> (i32, usize, bool, i64) {
    let notes = match &media.metadata {
        Some(Value::Object(metadata)) => MediaMetadata::read(metadata.clone()).notes,
        _ => MediaNotes::default(),
    };
    (
        notes.variation.unwrap_or(i32::MAX),
        notes.index.unwrap_or(usize::MAX),
        media.role != MediaRole::Original,
        media.id,
    )
}
