//! Files that were stored although their user has the same ones: their rows name the objects that were there before.

use crate::{
    app::App,
    domain::with_causes,
    media::{StorageError, StorageKey},
};

/// A file that no row names, since one with the same bytes is there.
pub(in crate::app) struct Spare {
    /// Where it stands.
    pub(in crate::app) key: StorageKey,
    /// Bytes.
    pub(in crate::app) size: u64,
    /// What its row names.
    pub(in crate::app) kept: StorageKey,
}

impl App {
    /// Removes files once their rows are committed. What the storage refuses stays: it has no record, and goes as such.
    pub(in crate::app) async fn discard(&self, spare: Vec<Spare>) {
        for file in spare {
            if let Err(error) = self.discard_one(&file).await {
                let (key, error) = (file.key.path(), with_causes(&error));
                tracing::warn!(key, error, "cannot remove a file that is there already");
            }
        }
    }

    /// One that stands in for a file that was lost, or damaged, takes its place.
    async fn discard_one(&self, file: &Spare) -> Result<(), StorageError> {
        let is_whole = match self.storage.head(&file.kept).await {
            Ok(facts) => facts.total_size == file.size,
            Err(StorageError::NotFound { .. }) => false,
            Err(error) => return Err(error),
        };
        if !is_whole {
            tracing::warn!(key = file.kept.path(), "a lost file is there again");
            let content = self.storage.read(&file.key).await?;
            self.storage.put(&file.kept, content, None).await?;
        }
        self.storage.delete(&file.key).await
    }
}
