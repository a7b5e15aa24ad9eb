//! A link to a picture of a user's own, for the provider that works from it.

use crate::{
    app::App,
    domain::{Caller, Error},
    media::StorageKey,
    store,
};

impl App {
    /// A link to the file of a live media that holds for the configured lifetime.
    pub async fn link_to_picture(&self, id: i64) -> Result<String, Error> {
        let key = self.key_of_picture(id).await?;
        let link = self
            .storage
            .download_url(id, &key, self.clock.now())
            .await?;
        Ok(link.url)
    }

    /// Where the file of a live media is.
    pub(super) async fn key_of_picture(&self, id: i64) -> Result<StorageKey, Error> {
        let db = self.store.reader();
        let media = store::media::find_live(db, Caller::TrustedService, id).await?;
        let key = media
            .media
            .storage_key
            .ok_or(Error::MediaContentMissing(id))?;
        StorageKey::from_path(&key).map_err(Error::internal)
    }
}
