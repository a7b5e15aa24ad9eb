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
        let Some(named) = self.upload_named(user_id, link) else {
            return Ok(None);
        };
        let keys = named.map(|key| key.path().to_owned());
        let db = self.store.reader();
        let found = store::upload::of_user_at(db, user_id, keys.into_iter().collect()).await?;
        found
            .into_iter()
            .next()
            .ok_or(Unpictured::Removed)
            .map(Some)
    }

    /// The upload that a link of a user's request is the URL of: `Some(None)` if it can be none's, although it leads to where
    /// uploads are; `None` if it leads elsewhere. The server may have been found elsewhere when the user got the URL of his own:
    /// then its path alone tells, which no other upload ever has.
    pub(in crate::app) fn upload_named(
        &self,
        user_id: i64,
        link: &str,
    ) -> Option<Option<StorageKey>> {
        let key = StorageKey::of_upload(link);
        match key.filter(|key| key.owner() == Owner::User(user_id)) {
            Some(own) => Some(Some(own)),
            None => self.storage.upload_of(link),
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
