use std::time::Duration;

use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt};

use crate::{domain::Error, media::StorageKey, store};

use super::App;

const BATCH: usize = 500;

impl App {
    /// Removes objects that no media row names and that are older than `age`: what attempts left behind that lost their
    /// lease, or their server, between storing and committing. Returns how many.
    pub async fn remove_orphans(&self, age: Duration) -> Result<usize, Error> {
        let oldest = self.clock.now() - TimeDelta::from_std(age).unwrap_or(TimeDelta::MAX);
        self.storage.remove_unfinished(oldest).await?;
        let mut old = self
            .storage
            .list()
            .try_filter(|object| std::future::ready(object.last_modified < oldest))
            .map_ok(|object| object.key)
            .try_chunks(BATCH)
            .boxed();
        let mut removed = 0;
        while let Some(keys) = old.next().await {
            removed += self
                .remove_unknown(keys.map_err(|error| Error::from(error.1))?)
                .await?;
        }
        Ok(removed)
    }

    async fn remove_unknown(&self, keys: Vec<StorageKey>) -> Result<usize, Error> {
        let paths = keys.iter().map(|key| key.path().to_owned()).collect();
        let known = store::media::known_storage_keys(self.store.reader(), paths).await?;
        let unknown: Vec<_> = keys
            .iter()
            .filter(|key| !known.contains(key.path()))
            .collect();
        for key in &unknown {
            self.storage.delete(key).await?;
        }
        Ok(unknown.len())
    }
}
