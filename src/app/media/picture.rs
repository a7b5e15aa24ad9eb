//! The pictures that a request brings, for a provider that takes them. What a link leads to is kept with the request, so that
//! its other variations and a retry find it when the link is gone.

use bytes::Bytes;
use url::Url;

use crate::{
    app::{App, upload::link::key_of},
    domain::Error,
    media::{StorageError, StorageKey, without_clip},
    provider::{Picture, fetch::FetchError},
};

/// Why the picture of a link cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Unpictured {
    /// Nothing is kept, and links are not followed.
    #[error("links are not followed by this server")]
    NotFollowed,
    /// It leads to no picture.
    #[error(transparent)]
    Unfetched(#[from] FetchError),
    /// It was an upload's, which has been removed since.
    #[error("the upload is not there any more")]
    Removed,
    /// The storage is away.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<StorageError> for Unpictured {
    fn from(error: StorageError) -> Self {
        Self::Other(error.into())
    }
}

impl App {
    /// What a link of a user's request leads to: his upload, or as it is kept, else fetched now and kept.
    pub async fn picture_of_link(
        &self,
        (request_id, user_id): (i64, i64),
        field: String,
        link: &str,
    ) -> Result<Picture, Unpictured> {
        if let Some(upload) = self.upload_behind(user_id, link).await? {
            let key = key_of(&upload)?;
            return match self.storage.read(&key).await {
                Ok(content) => Ok(picture(field, content, &key)),
                Err(StorageError::NotFound { .. }) => Err(Unpictured::Removed),
                Err(error) => Err(error.into()),
            };
        }
        // Held until the picture is kept, so that nobody who asks meanwhile fetches it again.
        let shared = self.links.as_ref().map(|fetcher| fetcher.share(link));
        if let Some(key) = self.storage.find_input(request_id, link).await? {
            let content = self.storage.read(&key).await?;
            return Ok(picture(field, content, &key));
        }
        let shared = shared.ok_or(Unpictured::NotFollowed)?;
        let url = Url::parse(link).map_err(Error::internal)?;
        let fetched = shared.fetch_picture(&url).await?;
        let content = tokio::fs::read(&fetched.file).await;
        let (content, _) = without_clip(content.map_err(Error::internal)?.into());
        let key = StorageKey::for_input(request_id, link, fetched.format);
        self.storage.put(&key, content.clone(), None).await?;
        Ok(picture(field, content, &key))
    }

    /// Whether a service may be handed this link, which it follows itself.
    pub async fn judge_link(&self, link: &str) -> Result<(), Unpictured> {
        let fetcher = self.links.as_ref().ok_or(Unpictured::NotFollowed)?;
        let url = Url::parse(link).map_err(Error::internal)?;
        Ok(fetcher.judge_resolved(&url).await?)
    }

    /// The file of a live media.
    pub async fn picture_of_media(&self, field: String, id: i64) -> Result<Picture, Error> {
        let key = self.key_of_picture(id).await?;
        match self.storage.read(&key).await {
            Ok(content) => Ok(picture(field, content, &key)),
            Err(StorageError::NotFound { .. }) => Err(Error::MediaContentMissing(id)),
            Err(error) => Err(error.into()),
        }
    }
}

fn picture(field: String, content: Bytes, key: &StorageKey) -> Picture {
    Picture {
        field,
        content,
        format: key.format(),
    }
}
