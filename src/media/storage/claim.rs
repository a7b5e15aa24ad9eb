//! Whose the storage is: the object that tells which installation the others belong to.

use std::error::Error;
use std::sync::atomic::Ordering;

use object_store::{ObjectStoreExt, PutMode, PutOptions};

use super::{MARKER, Storage};
use crate::domain::Installation;
use crate::media::backend::Backend;
use crate::media::error::StorageError;

impl Storage {
    /// Which installation has claimed the storage, if any has.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`], also if the marker cannot be read as one.
    pub async fn installation(&self) -> Result<Option<Installation>, StorageError> {
        let failed = |error: &dyn Error| self.failed(format_args!("read {MARKER}"), error);
        let marker = match self.store().get(&self.marker()).await {
            Err(object_store::Error::NotFound { .. }) => {
                let present = self.require_present().await;
                return present.map(|()| None).map_err(|error| failed(&error));
            }
            marker => marker.map_err(|error| failed(&error))?,
        };
        let content = marker.bytes().await.map_err(|error| failed(&error))?;
        let installation = serde_json::from_slice(&content).map_err(|error| failed(&error))?;
        self.inner.expected.store(true, Ordering::Relaxed);
        Ok(Some(installation))
    }

    /// Takes a place that holds nothing for the storage, although this was expected to hold objects.
    ///
    /// # Errors
    ///
    /// [`StorageError::Settings`] if the folder cannot be used.
    pub fn begin_anew(&self) -> Result<(), StorageError> {
        self.inner.expected.store(false, Ordering::Relaxed);
        let Backend::Folder(folder) = &self.inner.backend else {
            return Ok(());
        };
        folder.make().map_err(|reason| StorageError::Settings {
            place: self.inner.place.clone(),
            reason,
        })
    }

    /// Claims the storage for an installation, whosever it was.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn mark(&self, installation: &Installation) -> Result<(), StorageError> {
        self.write_marker(installation, PutMode::Overwrite).await
    }

    /// Claims the storage for an installation, unless it is claimed.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn mark_if_unmarked(&self, installation: &Installation) -> Result<(), StorageError> {
        self.write_marker(installation, PutMode::Create).await
    }

    async fn write_marker(
        &self,
        installation: &Installation,
        mode: PutMode,
    ) -> Result<(), StorageError> {
        let failed = |error: &dyn Error| self.failed(format_args!("write {MARKER}"), error);
        let content = serde_json::to_vec(installation).map_err(|error| failed(&error))?;
        let options = PutOptions::from(mode);
        let path = self.marker();
        let written = self.store().put_opts(&path, content.into(), options);
        match written.await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => {
                self.inner.expected.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(failed(&error)),
        }
    }
}
