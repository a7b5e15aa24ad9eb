//! Whether the storage is there: whether it does what it is asked, and holds what it must.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::{MARKER, Storage};
use crate::media::backend::Backend;
use crate::media::error::StorageError;

/// How long [`Storage::check`] waits for an answer.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);
const CHECK_CONTENT: Bytes = Bytes::from_static(b"written to see whether it can be");

impl Storage {
    /// Finds out whether objects can be listed, written, read and deleted, by doing so once. Meant
    /// for start-up.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`] if one of them fails or nothing answers within half a minute.
    pub async fn check(&self) -> Result<(), StorageError> {
        let action = "list, write, read and delete objects";
        let checked = match tokio::time::timeout(CHECK_TIMEOUT, self.try_everything()).await {
            Ok(result) => result.map_err(|error| self.failed(action, &error)),
            Err(elapsed) => Err(self.failed(action, &elapsed)),
        };
        self.inner.health.note(&checked);
        checked
    }

    /// Whether the last write or check failed. Only these two tell, so a process that does not write finds out by
    /// [`check`](Self::check) alone.
    pub fn is_away(&self) -> bool {
        self.inner.health.is_away()
    }

    /// Waits until a write or check has failed.
    pub async fn gone(&self) {
        self.inner.health.becomes(true).await;
    }

    /// Waits until the last write or check has succeeded.
    pub async fn back(&self) {
        self.inner.health.becomes(false).await;
    }

    /// Finds out whether the storage is there, and cheaply, for it is done all the time: a folder takes a file, a bucket
    /// has the marker or lists what stands under a name that nothing has.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn probe(&self) -> Result<(), StorageError> {
        let check = format!(".check-{}", uuid::Uuid::new_v4());
        let path = self.inner.prefix.clone().join(check);
        let store = self.store();
        let probed = async {
            self.require_present().await?;
            match &self.inner.backend {
                Backend::Folder(_) => {
                    store.put(&path, CHECK_CONTENT.into()).await?;
                    store.delete(&path).await
                }
                Backend::Bucket(_) if self.is_expected() => Ok(()),
                Backend::Bucket(_) => store.list(Some(&path)).try_next().await.map(drop),
            }
        };
        let probed = probed.await;
        probed.map_err(|error| self.failed("keep or find objects", &error))
    }

    /// Whether it is known to have held something, and so may be away.
    pub fn is_expected(&self) -> bool {
        self.inner.expected.load(Ordering::Relaxed)
    }

    /// Fails where the storage must hold something and holds nothing. What is written to such a place would be lost to the
    /// storage when it comes back.
    pub(super) async fn require_present(&self) -> object_store::Result<()> {
        if !self.is_expected() {
            return Ok(());
        }
        // Not its head alone, with which no service can say what is wrong.
        match self.store().get(&self.marker()).await {
            Err(object_store::Error::NotFound { .. }) => {}
            found => return found?.bytes().await.map(drop),
        }
        match self.store().list(Some(&self.root())).try_next().await? {
            Some(_) => Ok(()),
            None => Err(object_store::Error::Generic {
                store: "media",
                source: format!(
                    "it holds neither {MARKER} nor any object, though it did: is it mounted? If it is to begin anew, run \
                     `atelier storage adopt`"
                )
                .into(),
            }),
        }
    }

    async fn try_everything(&self) -> object_store::Result<()> {
        self.require_present().await?;
        let store = self.store();
        let check = format!(".check-{}", uuid::Uuid::new_v4());
        let path = self.inner.prefix.clone().join(check);
        store.list(Some(&self.root())).try_next().await?;
        store.put(&path, CHECK_CONTENT.into()).await?;
        let read = store.head(&path).await;
        store.delete(&path).await?;
        read.map(drop)
    }
}
