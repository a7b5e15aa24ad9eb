//! Where objects are on the web, and links that open them for a while.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Backend, Inner, Storage, StorageError, StorageKey, below};
use crate::{
    domain::Keyring,
    media::link::{self, DownloadUrl, LinkError, Linked, SignedLink},
};

impl Storage {
    /// The object's lasting URL: below the public URL if there is one, else that at this server, which opens it with a
    /// signature only, or its URL in the bucket.
    pub fn object_url(&self, key: &StorageKey) -> String {
        format!(
            "{}/{key}",
            self.inner.base_url.as_str().trim_end_matches('/')
        )
    }

    /// The upload that a link is the [URL](Self::object_url) of, whoever has it. `Some(None)` if it can be none's, although it leads
    /// to where uploads are; `None` if it leads elsewhere.
    pub fn upload_of(&self, link: &str) -> Option<Option<StorageKey>> {
        let Inner {
            base_url, links, ..
        } = &*self.inner;
        let own = below(&links.server_url, "media");
        let is_ours = [base_url, &own].into_iter().any(|base| {
            let base = base.as_str().trim_end_matches('/');
            let path = link.strip_prefix(base);
            path.is_some_and(|path| path.starts_with("/uploads/"))
        });
        is_ours.then(|| StorageKey::of_upload(link))
    }

    /// What signs links to this server. They cannot be made before its keys are read, unless one is configured.
    pub fn keys(&self) -> &Keyring {
        &self.inner.keys
    }

    /// A link to download the file of a media with for the configured lifetime from `now`, or up to half of
    /// that longer: links made within half a lifetime are the same. Nobody looks whether the object
    /// exists.
    ///
    /// S3 counts by its own clock, and a link made with temporary credentials ends with them.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`] if the key or the credentials for signing cannot be had.
    pub async fn download_url(
        &self,
        media_id: i64,
        key: &StorageKey,
        now: DateTime<Utc>,
    ) -> Result<DownloadUrl, StorageError> {
        self.link_to(Linked::Media(media_id), key, now).await
    }

    /// The same to an upload.
    ///
    /// # Errors
    ///
    /// As [`download_url`](Self::download_url).
    pub async fn upload_url(
        &self,
        upload_id: i64,
        key: &StorageKey,
        now: DateTime<Utc>,
    ) -> Result<DownloadUrl, StorageError> {
        self.link_to(Linked::Upload(upload_id), key, now).await
    }

    async fn link_to(
        &self,
        linked: Linked,
        key: &StorageKey,
        now: DateTime<Utc>,
    ) -> Result<DownloadUrl, StorageError> {
        let Inner { links, expiry, .. } = &*self.inner;
        let expires_at = expiry.of_link_made(now);
        let url = match &self.inner.backend {
            Backend::Folder(_) => {
                let linked = (&linked, key);
                let signed = link::sign(self.keys(), &links.server_url, linked, expires_at);
                signed.ok_or_else(|| StorageError::Failed {
                    action: format!("sign a link to {key}"),
                    place: self.inner.place.clone(),
                    reason: "the keys were not read yet".to_owned(),
                })?
            }
            Backend::Bucket(bucket) => {
                let seconds = expiry.seconds();
                let begin = expires_at - TimeDelta::seconds(seconds);
                let signed = bucket.sign(&self.path(key), begin, seconds).await;
                signed.map_err(|error| {
                    self.failed(format_args!("sign a link to {key}"), error.as_ref())
                })?
            }
        };
        Ok(DownloadUrl { url, expires_at })
    }

    /// Checks the parts of a link that [`download_url`](Self::download_url) made to this server and
    /// says what it opens.
    ///
    /// # Errors
    ///
    /// [`LinkError`]. For a bucket every link is forged, because its links do not lead here.
    pub fn verify_link(
        &self,
        link: SignedLink<'_>,
        now: DateTime<Utc>,
    ) -> Result<Linked, LinkError> {
        match self.inner.backend {
            Backend::Folder(_) => link::verify(self.keys(), link, now),
            Backend::Bucket(_) => Err(LinkError::Forged),
        }
    }
}
