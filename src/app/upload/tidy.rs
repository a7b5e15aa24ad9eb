//! Uploads that nothing uses go after a while.

use chrono::TimeDelta;

use crate::{
    app::{App, RemovalMode},
    domain::Error,
    store::{self, queue},
};

/// Most uploads, and URLs, that are looked at in one go.
const BATCH: u64 = 200;
/// Most of them at one time; the others wait for the next.
const BATCHES: usize = 20;

impl App {
    /// Removes uploads that nobody has given, and no live request has named, for the configured time; their objects too where
    /// objects are removed. What is used is not looked at again for as long. Counts those that are gone.
    ///
    /// # Errors
    /// What the database fails with; some may be gone by then.
    pub async fn remove_idle_uploads(&self, mode: RemovalMode) -> Result<usize, Error> {
        let (reader, writer) = (self.store.reader(), self.store.writer());
        let now = queue::time(reader, self.clock.queue()).await?;
        for _ in 0..BATCHES {
            if store::upload::forget_tickets(writer, now, BATCH).await? < BATCH {
                break;
            }
        }
        let idle = TimeDelta::from_std(self.settings.uploads.idle).unwrap_or(TimeDelta::MAX);
        let Some(since) = now.checked_sub_signed(idle) else {
            return Ok(0);
        };
        let (mut removed, mut may_remove) = (0, None);
        for _ in 0..BATCHES {
            let uploads = store::upload::idle_since(writer, since, BATCH).await?;
            if uploads.is_empty() {
                break;
            }
            let ids = uploads.iter().map(|upload| upload.id);
            let used = store::upload::used_since(writer, ids, since).await?;
            for upload in uploads {
                if used.contains(&upload.id) {
                    store::upload::renew(writer, upload.id, now).await?;
                } else if store::upload::delete_idle(writer, upload.id, since).await? {
                    removed += 1;
                    if may_remove.is_none() {
                        may_remove = Some(mode == RemovalMode::On && self.owns_storage().await);
                    }
                    if may_remove == Some(true) {
                        self.remove_object_of(&upload).await;
                    }
                }
            }
        }
        Ok(removed)
    }
}
