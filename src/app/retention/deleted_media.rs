//! The files of media that were deleted long ago. First the rows say that their files are given up, and only then these go:
//! what is cut off between is found by the next run.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};

use crate::{
    app::App,
    domain::{Deadline, Error},
    media::StorageKey,
    store::{self, queue, retention::Abandoned},
};

use super::{BATCH, Turn};

/// Files that are removed at once.
const AT_ONCE: usize = 8;
/// More refusals than that are an outage.
const MOST_REFUSED: usize = 10;

impl App {
    /// Gives up the next files, and removes those that are given up after the media `after`. False where nothing was left.
    pub(super) async fn remove_next_files(
        &self,
        turn: &mut Turn,
        deadline: &Deadline,
        after: &mut i64,
    ) -> Result<bool, Error> {
        let given_up = self.store.write(async |tx| {
            let now = queue::time(tx, self.clock.queue()).await?;
            store::retention::give_up_media(tx, deadline, now, BATCH).await
        });
        let (given_up, without_file) = given_up.await?;
        turn.done += without_file;
        let db = self.store.writer();
        let files = store::retention::given_up_media(db, *after, BATCH).await?;
        if !files.is_empty() {
            self.require_own_storage().await?;
        }
        let is_over = files.is_empty() && given_up == 0;
        let keys = files.iter().map(|file| file.storage_key.clone());
        // No row takes up an object again that none promises.
        let promised = &store::media::promised(db, keys.collect()).await?;
        let mut removals = stream::iter(files)
            .map(|file| async move { (file.id, self.remove_file(&file, promised).await) })
            .buffer_unordered(AT_ONCE);
        let mut removed = Vec::new();
        while let Some((id, outcome)) = removals.next().await {
            match outcome {
                Ok(()) => removed.push(id),
                Err(error) => {
                    turn.refused.push(error);
                    // One that is refused keeps none of the others.
                    *after = id.max(*after);
                }
            }
        }
        drop(removals);
        turn.done += store::retention::note_removed(db, &removed).await?;
        match turn.refused.len() > MOST_REFUSED {
            true => Ok(false),
            false => Ok(!is_over),
        }
    }

    /// What another media has, too, goes with that.
    async fn remove_file(
        &self,
        file: &Abandoned,
        promised: &BTreeSet<String>,
    ) -> Result<(), Error> {
        if promised.contains(&file.storage_key) {
            return Ok(());
        }
        let key = StorageKey::from_path(&file.storage_key).map_err(Error::internal)?;
        self.storage.delete(&key).await?;
        Ok(())
    }
}
