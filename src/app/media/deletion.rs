//! Deletion of media rows, one or several at once, and the way back; the files stay in the storage, see docs/domain.md#soft-delete.

use std::{
    collections::{BTreeMap, BTreeSet},
    slice,
};

use chrono::{DateTime, Utc};

use crate::{
    app::App,
    domain::{Caller, Entry, Error, Resource, by_id, check_etag},
    store::{self, Transaction, media::Shown},
};

impl App {
    /// Hides several media rows, or none. Those that are deleted already are returned as they are.
    pub async fn delete_media_rows(
        &self,
        caller: Caller,
        entries: &[Entry],
    ) -> Result<Vec<Shown>, Error> {
        self.set_media_deleted(caller, entries, true).await
    }

    /// Shows several deleted media rows again, or none. Live ones are returned as they are.
    pub async fn undelete_media_rows(
        &self,
        caller: Caller,
        entries: &[Entry],
    ) -> Result<Vec<Shown>, Error> {
        self.set_media_deleted(caller, entries, false).await
    }

    /// Hides one media row. One that is deleted already is returned as it is.
    pub async fn delete_media(&self, caller: Caller, id: i64) -> Result<Shown, Error> {
        self.set_one_deleted(caller, id, true).await
    }

    /// Shows one deleted media row again. A live one is returned as it is.
    pub async fn undelete_media(&self, caller: Caller, id: i64) -> Result<Shown, Error> {
        self.set_one_deleted(caller, id, false).await
    }

    async fn set_one_deleted(
        &self,
        caller: Caller,
        id: i64,
        deleted: bool,
    ) -> Result<Shown, Error> {
        let entry = Entry {
            id,
            ..Entry::default()
        };
        self.store
            .write(async |tx| {
                let entries = slice::from_ref(&entry);
                let deleted_requests = lock_requests(tx, caller, entries).await?;
                let change = (deleted, self.moment(tx).await?);
                set_deleted(tx, caller, &entry, &deleted_requests, change).await
            })
            .await
    }

    async fn set_media_deleted(
        &self,
        caller: Caller,
        entries: &[Entry],
        deleted: bool,
    ) -> Result<Vec<Shown>, Error> {
        self.store
            .write(async |tx| {
                let deleted_requests = lock_requests(tx, caller, entries).await?;
                let change = (deleted, self.moment(tx).await?);
                let mut done = BTreeMap::new();
                for (index, entry) in by_id(entries) {
                    let media = set_deleted(tx, caller, entry, &deleted_requests, change).await;
                    done.insert(index, media.map_err(|error| error.of_entry(index))?);
                }
                Ok(done.into_values().collect())
            })
            .await
    }
}

async fn set_deleted(
    tx: &Transaction,
    caller: Caller,
    Entry { id, etag }: &Entry,
    deleted_requests: &BTreeSet<i64>,
    (deleted, now): (bool, DateTime<Utc>),
) -> Result<Shown, Error> {
    let media = store::media::find(tx, caller, *id).await?;
    if media.deleted_at.is_some() == deleted {
        return Ok(media);
    }
    let version = media.updated_at.timestamp_micros();
    check_etag(Resource::Media, *id, version, etag)?;
    if deleted {
        store::media::delete(tx, &media, now).await?;
    } else if deleted_requests.contains(&media.request_id) {
        return Err(Error::RequestDeleted(media.request_id));
    } else {
        store::media::undelete(tx, &media, now).await?;
    }
    let media = store::media::find(tx, caller, *id).await?;
    match media.content_deleted_at {
        Some(_) if !deleted => Err(Error::MediaContentMissing(*id)),
        _ => Ok(media),
    }
}

/// Locks the requests of the media, in order, as their own deletion does. Those that are deleted.
async fn lock_requests(
    tx: &Transaction,
    caller: Caller,
    entries: &[Entry],
) -> Result<BTreeSet<i64>, Error> {
    let ids = entries.iter().map(|entry| entry.id);
    let media = store::media::find_all(tx, caller, ids).await?;
    let one_of_each: BTreeMap<i64, &Shown> = media.iter().map(|it| (it.request_id, it)).collect();
    let mut deleted = BTreeSet::new();
    for (id, media) in one_of_each {
        if store::request::lock(tx, media).await?.deleted_at.is_some() {
            deleted.insert(id);
        }
    }
    Ok(deleted)
}
