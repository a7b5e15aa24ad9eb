//! The removal of an upload by whoever may.

use crate::{
    app::App,
    domain::{Caller, Error, Ownership, Resource, with_causes},
    entity::upload,
    media::StorageKey,
    store,
};

impl App {
    /// Removes an upload and its file. Jobs that need it and have not read it yet fail.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the database fails with. The file of a storage that is away goes with a later sweep.
    pub async fn delete_upload(&self, caller: Caller, id: i64) -> Result<(), Error> {
        let upload = store::upload::find(self.store.reader(), caller, id).await?;
        if !store::upload::delete(self.store.writer(), id).await? {
            return Err(Error::not_found(Resource::Upload, id));
        }
        if self.owns_storage().await {
            self.remove_object_of(&upload).await;
        }
        Ok(())
    }

    /// Whether objects may be removed at once: they are not those of another database, of which this one is a copy.
    pub(super) async fn owns_storage(&self) -> bool {
        let claim = self.find_claim().await;
        claim.is_ok_and(|claim| claim.ownership == Ownership::Ours)
    }

    /// Nothing names the object any more, and nothing ever will.
    pub(super) async fn remove_object_of(&self, upload: &upload::Model) {
        let Ok(key) = StorageKey::from_path(&upload.storage_key) else {
            return;
        };
        if let Err(error) = self.storage.delete(&key).await {
            let error = Error::from(error);
            tracing::debug!(
                error = with_causes(&error),
                "an object is left to the sweep"
            );
        }
    }
}
