//! Objects in a local folder or an S3 bucket.

mod claim;
mod found_key;
mod offer;
mod parts;
mod presence;
mod put_url;
mod read_file;
mod room;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutOptions,
};
use tokio::sync::Semaphore;
use url::Url;

use crate::domain::{FileName, Keyring};

use super::backend::{Backend, StorageSettings, below};
use super::disposition::content_disposition;
use super::error::StorageError;
use super::expiry::Expiry;
use super::health::Health;
use super::key::{Owner, ROOT, ROOTS, StorageKey, folder_of, input_name};
use super::leftovers;
use super::link::{self, DownloadUrl, LinkError, LinkSettings, Linked, SignedLink};
use super::object::{ListedObject, ObjectFacts, StoredObject};
use super::range::ByteRange;
use super::s3::MAX_LINK_LIFETIME;

pub use found_key::FoundKey;
pub use put_url::PutUrl;

/// The object that tells which installation the others belong to.
const MARKER: &str = "atelier-installation.json";

/// What S3 says of a call that was signed more than a quarter of an hour away from its own time.
const TIME_TOO_SKEWED: &str = "RequestTimeTooSkewed";

/// Seconds. A bucket keeps one `Cache-Control` for all links.
const YEAR: i64 = 365 * 24 * 60 * 60;

/// The objects of one folder or bucket. Clones share it.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    /// Where in the bucket or the file system everything stands.
    prefix: ObjectPath,
    /// How messages name the folder or bucket.
    place: String,
    /// The URL under which the objects stand.
    base_url: Url,
    links: LinkSettings,
    keys: Keyring,
    expiry: Expiry,
    health: Health,
    stored: AtomicU64,
    /// Whether the marker or objects must be there: a place without either is not this storage, but an empty mount point.
    expected: AtomicBool,
    /// Of objects that are open for clients.
    open: Semaphore,
}

impl Storage {
    /// Opens the storage. A folder is created if it does not exist; a bucket is not asked anything
    /// yet.
    ///
    /// # Errors
    ///
    /// [`StorageError::Settings`] if the settings are contradictory or the folder cannot be used.
    pub fn open(settings: &StorageSettings, links: LinkSettings) -> Result<Self, StorageError> {
        Self::open_below(settings, "", links, false)
    }

    /// The same, with everything below a path of its own: `""` or such as `staging/media`. A storage that is `expected` to hold
    /// objects may be away, and is not made.
    ///
    /// # Errors
    ///
    /// As [`Storage::open`].
    pub fn open_below(
        settings: &StorageSettings,
        prefix: &str,
        links: LinkSettings,
        expected: bool,
    ) -> Result<Self, StorageError> {
        let settings = settings.below(prefix);
        let place = settings.to_string();
        let unusable = |reason: String| StorageError::Settings {
            place: place.clone(),
            reason,
        };
        if links.lifetime < Duration::from_secs(1) || links.lifetime > MAX_LINK_LIFETIME {
            return Err(unusable(
                "download links must live for one second to seven days".to_owned(),
            ));
        }
        let keys = links.keyring();
        let too_short = || unusable("the signing key is shorter than 32 bytes".to_owned());
        let keys = keys.ok_or_else(too_short)?;
        let (backend, own_url) = Backend::open(&settings, &links, expected).map_err(unusable)?;
        let base_url = match (&backend, &links.public_url) {
            (Backend::Folder(_), None) => own_url,
            (_, url) => below(url.as_ref().unwrap_or(&own_url), prefix),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                prefix: backend.root(prefix).map_err(unusable)?,
                expiry: Expiry::new(links.lifetime, backend.longest_link()),
                backend,
                place,
                base_url,
                links,
                keys,
                health: Health::new(),
                stored: AtomicU64::new(0),
                expected: AtomicBool::new(expected),
                open: Semaphore::new(offer::MOST_OPEN),
            }),
        })
    }

    /// Stores `content` under `key`, whole or not at all, and durably: it survives a crash after
    /// this returns. A bucket calls it by its `name`.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn put(
        &self,
        key: &StorageKey,
        content: Bytes,
        name: Option<FileName<'_>>,
    ) -> Result<(), StorageError> {
        let attributes = self.attributes(key, name);
        let put = async {
            let path = self.path(key);
            // A bucket that is gone says so itself; a folder would be made anew.
            if let Backend::Folder(_) = self.inner.backend {
                self.make_room(&path).await?;
            }
            match &self.inner.backend {
                Backend::Bucket(_) if content.len() > parts::PART => {
                    self.put_in_parts(&path, content, attributes).await
                }
                _ => {
                    let options = PutOptions {
                        attributes,
                        ..PutOptions::default()
                    };
                    let put = self.store().put_opts(&path, content.into(), options);
                    put.await.map(drop)
                }
            }
        };
        let put = put.await;
        self.inner.health.note(&put);
        // A write that seems to have failed may have been done.
        self.inner.stored.fetch_add(1, Ordering::Relaxed);
        put.map_err(|error| self.failed(format_args!("write {key}"), &error))
    }

    /// How many objects this process has written, or tried to.
    pub fn stored(&self) -> u64 {
        self.inner.stored.load(Ordering::Relaxed)
    }

    /// Looks an object up.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], [`StorageError::Failed`].
    pub async fn head(&self, key: &StorageKey) -> Result<ObjectFacts, StorageError> {
        match self.store().head(&self.path(key)).await {
            Ok(meta) => Ok(ObjectFacts::from(&meta)),
            Err(error) => Err(self.missing(key, error).await),
        }
    }

    /// Opens an object for reading, in whole or in part.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], [`StorageError::OutOfRange`] if the range holds no byte of the
    /// object, [`StorageError::Failed`]. Reading on from the stream may fail as well.
    pub async fn open_object(
        &self,
        key: &StorageKey,
        range: Option<ByteRange>,
    ) -> Result<StoredObject, StorageError> {
        let options = GetOptions {
            range: range.map(GetRange::from),
            ..GetOptions::default()
        };
        let object = match self.store().get_opts(&self.path(key), options).await {
            Ok(object) => object,
            Err(error) => return Err(self.unopened(key, range, error).await),
        };
        let (facts, range) = (ObjectFacts::from(&object.meta), object.range.clone());
        let (storage, key) = (self.clone(), key.clone());
        let stream = read_file::content(object)
            .map_err(move |error| storage.unreadable(&key, error))
            .boxed();
        Ok(StoredObject {
            facts,
            range,
            stream,
        })
    }

    /// Reads an object whole.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], [`StorageError::Failed`].
    pub async fn read(&self, key: &StorageKey) -> Result<Bytes, StorageError> {
        let object = self.open_object(key, None).await?;
        let chunks: Vec<Bytes> = object.stream.try_collect().await?;
        Ok(chunks.concat().into())
    }

    /// What is kept of what a request brings by this link.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn find_input(
        &self,
        request_id: i64,
        link: &str,
    ) -> Result<Option<StorageKey>, StorageError> {
        let name = input_name(link);
        let brought = self.objects_of(Owner::Request(request_id)).await?;
        let mut keys = brought.into_iter().map(|object| object.key);
        Ok(keys.find(|key| key.attempt() == name))
    }

    /// What is somebody's, whether or not a record names it.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn objects_of(&self, owner: Owner) -> Result<Vec<ListedObject>, StorageError> {
        let folder = folder_of(owner);
        let folder = folder.split('/');
        let folder = folder.fold(self.inner.prefix.clone(), |path, part| path.join(part));
        let listed = self.store().list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| self.failed("list objects", &error))?;
        let ours = |meta| ListedObject::from_meta(meta, &self.inner.prefix);
        Ok(listed.objects.iter().filter_map(ours).collect())
    }

    /// Deletes an object. It is no error if there is none.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn delete(&self, key: &StorageKey) -> Result<(), StorageError> {
        match self.store().delete(&self.path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(format_args!("delete {key}"), &error)),
        }
    }

    /// Every object of ours, in no particular order. What others keep in the same folder or bucket
    /// is left out.
    pub fn list(&self) -> BoxStream<'static, Result<ListedObject, StorageError>> {
        let storage = self.clone();
        let prefix = self.inner.prefix.clone();
        let roots = ROOTS.map(|root| self.inner.prefix.clone().join(root));
        let found = roots.map(|root| self.store().list(Some(&root)));
        futures::stream::iter(found)
            .flatten()
            .map_err(move |error| storage.failed("list objects", &error))
            .try_filter_map(move |meta| {
                std::future::ready(Ok(ListedObject::from_meta(&meta, &prefix)))
            })
            .boxed()
    }

    /// The objects of the last job of all, or rather of one that certainly has the greatest number as long as there are not
    /// more than 999,999,999. It takes a few small listings, however many objects there are.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn objects_of_last_job(&self) -> Result<Vec<ListedObject>, StorageError> {
        let failed = |error| self.failed("list objects", &error);
        let mut folder = self.root();
        loop {
            let listed = self.store().list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(failed)?;
            let is_group = |folder: &ObjectPath| {
                let name = folder.parts().next_back();
                name.is_some_and(|name| name.as_ref().bytes().all(|byte| byte.is_ascii_digit()))
            };
            let folders = listed.common_prefixes.into_iter().filter(is_group);
            match folders.max() {
                Some(last) => folder = last,
                None => {
                    let objects = listed.objects.iter();
                    let ours = objects
                        .filter_map(|meta| ListedObject::from_meta(meta, &self.inner.prefix));
                    return Ok(ours.collect());
                }
            }
        }
    }

    fn root(&self) -> ObjectPath {
        self.inner.prefix.clone().join(ROOT)
    }

    fn marker(&self) -> ObjectPath {
        self.inner.prefix.clone().join(MARKER)
    }

    /// Where the object stands in the folder or bucket.
    fn path(&self, key: &StorageKey) -> ObjectPath {
        let parts = ObjectPath::from(key.path());
        parts
            .parts()
            .fold(self.inner.prefix.clone(), |path, part| path.join(part))
    }

    /// How messages name the folder or bucket.
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// Removes what writes have left behind that a crash cut off before `before`, and counts it.
    /// Only a folder keeps such files, and [`list`](Self::list) does not show them.
    ///
    /// # Errors
    ///
    /// [`StorageError::Failed`].
    pub async fn remove_unfinished(&self, before: DateTime<Utc>) -> Result<u64, StorageError> {
        let Backend::Folder(folder) = &self.inner.backend else {
            return Ok(0);
        };
        let folders = ROOTS.map(|root| folder.path.join(root));
        let walk = move || {
            let mut removed = folders
                .iter()
                .map(|folder| leftovers::remove_unfinished(folder, before.into()));
            removed.try_fold(0, |all, some| Ok(all + some?))
        };
        let walked = tokio::task::spawn_blocking(walk).await;
        walked
            .unwrap_or_else(|panic| Err(io::Error::other(panic)))
            .map_err(|error| self.failed("remove unfinished objects", &error))
    }

    /// The folder that the objects stand in; `None` for a bucket.
    pub fn folder(&self) -> Option<&Path> {
        match &self.inner.backend {
            Backend::Folder(folder) => Some(&folder.path),
            Backend::Bucket(_) => None,
        }
    }

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

    /// The `Cache-Control` that a bucket keeps for all links to an object, which never changes under its key.
    ///
    /// Shared caches may keep it only where objects have public URLs; a signed link is meant for its
    /// holder alone.
    fn cache_control(&self) -> String {
        let whose = match self.inner.links.public_url {
            Some(_) => "public",
            None => "private",
        };
        format!("{whose}, max-age={YEAR}, immutable")
    }

    fn store(&self) -> &dyn ObjectStore {
        self.inner.backend.store()
    }

    /// What the bucket keeps beside the content. A folder keeps nothing; its objects are served
    /// with what the key and the media's row say.
    fn attributes(&self, key: &StorageKey, name: Option<FileName<'_>>) -> Attributes {
        let mut attributes = Attributes::new();
        if let Backend::Bucket(_) = self.inner.backend {
            attributes.insert(Attribute::ContentType, key.content_type().into());
            let caching = self.cache_control();
            attributes.insert(Attribute::CacheControl, caching.into());
            if let Some(name) = name {
                let disposition = content_disposition(key, name);
                attributes.insert(Attribute::ContentDisposition, disposition.into());
            }
        }
        attributes
    }

    /// Stores report a range past the end each in its own way, so the object's size decides whether
    /// that was it.
    async fn unopened(
        &self,
        key: &StorageKey,
        range: Option<ByteRange>,
        error: object_store::Error,
    ) -> StorageError {
        let is_missing = matches!(error, object_store::Error::NotFound { .. });
        let Some(range) = range.filter(|_| !is_missing) else {
            return self.missing(key, error).await;
        };
        match self.head(key).await {
            Ok(ObjectFacts {
                total_size: total, ..
            }) if range.start >= range.end.min(total) => StorageError::OutOfRange {
                path: key.to_string(),
                total,
            },
            _ => self.unreadable(key, error),
        }
    }

    /// An object is not gone as long as the whole storage is.
    async fn missing(&self, key: &StorageKey, error: object_store::Error) -> StorageError {
        use object_store::Error::{NotFound, PermissionDenied};
        let away = match error {
            // What is asked for an object without its content is refused without a word why.
            NotFound { .. } | PermissionDenied { .. } => self.require_present().await.err(),
            _ => None,
        };
        self.unreadable(key, away.unwrap_or(error))
    }

    fn unreadable(&self, key: &StorageKey, error: object_store::Error) -> StorageError {
        match error {
            object_store::Error::NotFound { .. } => StorageError::NotFound {
                place: self.inner.place.clone(),
                path: key.to_string(),
            },
            error => self.failed(format_args!("read {key}"), &error),
        }
    }

    fn failed(&self, action: impl fmt::Display, error: &dyn Error) -> StorageError {
        let (action, place) = (action.to_string(), self.inner.place.clone());
        let reason = with_root_cause(error);
        // Its status alone would say that rights are missing.
        if reason.contains(TIME_TOO_SKEWED) {
            return StorageError::ClockOff { action, place };
        }
        StorageError::Failed {
            action,
            place,
            reason,
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.inner.place)
    }
}

/// The error's text and, where that leaves it out, what is at the bottom of it.
fn with_root_cause(error: &dyn Error) -> String {
    let text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    match causes.last().map(ToString::to_string) {
        Some(root) if !text.contains(&root) => format!("{text}: {root}"),
        _ => text,
    }
}
