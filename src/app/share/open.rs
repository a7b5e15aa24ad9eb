//! What a link leads to.

use serde_json::Value;

use crate::{
    app::App,
    domain::{Caller, Error, MediaMetadata, ShareToken, SharedFile, SharedFiles},
    entity::{media, share::Model},
    media::{StorageError, StorageKey},
    store,
};

/// A link that leads somewhere.
pub struct OpenShare {
    /// Its record.
    pub share: Model,
    /// What is shown or played.
    pub file: OpenFile,
    /// The picture that stands for it, where it is none itself and there is one.
    pub poster: Option<OpenFile>,
}

/// A file that is sent.
pub struct OpenFile {
    /// Where it is.
    pub key: StorageKey,
    /// What of it is sent.
    pub shared: SharedFile,
    /// Pixels, where they are known.
    pub size: Option<(i32, i32)>,
}

impl App {
    /// What the link with this token leads to; `None` for one that leads nowhere, whyever that is.
    pub async fn open_share(&self, token: &ShareToken) -> Result<Option<OpenShare>, Error> {
        let db = self.store.reader();
        let share = store::share::find_open(db, token.hash(), self.clock.now()).await?;
        let Some(share) = share else {
            return Ok(None);
        };
        let files: Result<SharedFiles, _> = serde_json::from_value(share.files.clone());
        let SharedFiles { file, poster } = files.map_err(Error::internal)?;
        let ids = [share.media_id, file.media_id];
        let ids = ids.into_iter().chain(poster.as_ref().map(|it| it.media_id));
        let mut live = store::media::find_all(db, Caller::TrustedService, ids).await?;
        live.retain(|media| media.deleted_at.is_none());
        let find = |id| live.iter().find(|media| media.id == id);
        let opened = find(share.media_id).and_then(|_| open(find(file.media_id)?, file));
        let Some(file) = opened else {
            return Ok(None);
        };
        match self.storage.head(&file.key).await {
            Ok(_) => {}
            Err(StorageError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let poster = poster.and_then(|poster| open(find(poster.media_id)?, poster));
        Ok(Some(OpenShare {
            share,
            file,
            poster,
        }))
    }
}

/// `None` where the media's file is not the one that was looked at.
fn open(media: &media::Model, shared: SharedFile) -> Option<OpenFile> {
    let key = StorageKey::from_path(media.storage_key.as_deref()?).ok()?;
    let is_same = media
        .sha256
        .as_ref()
        .is_none_or(|it| *it == shared.stored_sha256);
    let metadata = media.metadata.as_ref().and_then(Value::as_object);
    let metadata = MediaMetadata::read(metadata.cloned().unwrap_or_default());
    is_same.then(|| OpenFile {
        key,
        shared,
        size: metadata.width.zip(metadata.height),
    })
}
