//! Links of requests that are those of uploads: read from the storage, and handed to services as what they can open.

use crate::{
    app::{App, media::Unpictured},
    domain::Error,
    entity::upload,
    media::{Owner, StorageKey},
    store,
};

impl App {
    /// The user's upload that a link of his request leads to; `None` if it leads to no upload.
    pub(in crate::app) async fn upload_behind(
        &self,
        user_id: i64,
        link: &str,
    ) -> Result<Option<upload::Model>, Unpictured> {
        // The server may have been found elsewhere when the request was made: then the path alone tells, which no other upload
        // ever has.
        let key = StorageKey::of_upload(link);
        let is_own = key.as_ref().map(StorageKey::owner) == Some(Owner::User(user_id));
        let leads_here = is_own || self.storage.upload_of(link).is_some();
        let keys = key.map(|key| key.path().to_owned());
        let db = self.store.reader();
        let found = store::upload::of_user_at(db, user_id, keys.into_iter().collect()).await?;
        match found.into_iter().next() {
            None if leads_here => Err(Unpictured::Removed),
            found => Ok(found),
        }
    }

    /// A link to the upload of a user that his request leads to, which a service can open; `None` if it leads to none.
    ///
    /// # Errors
    /// [`Unpictured::Removed`] if it is not there any more.
    pub async fn link_to_upload(
        &self,
        user_id: i64,
        link: &str,
    ) -> Result<Option<String>, Unpictured> {
        let Some(upload) = self.upload_behind(user_id, link).await? else {
            return Ok(None);
        };
        let key = key_of(&upload)?;
        let now = self.clock.now();
        let link = self.storage.upload_url(upload.id, &key, now).await?;
        Ok(Some(link.url))
    }
}

/// Where the file of an upload is.
pub(in crate::app) fn key_of(upload: &upload::Model) -> Result<StorageKey, Error> {
    StorageKey::from_path(&upload.storage_key).map_err(Error::internal)
}
