//! Objects in a local folder or an S3 bucket.

mod claim;
mod failure;
mod found_key;
mod links;
mod list;
mod offer;
mod parts;
mod presence;
mod put_url;
mod read_file;
mod room;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
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
use super::key::{ROOT, ROOTS, StorageKey};
use super::leftovers;
use super::link::LinkSettings;
use super::object::{ObjectFacts, StoredObject};
use super::range::ByteRange;
use super::s3::MAX_LINK_LIFETIME;

pub use found_key::FoundKey;
pub use put_url::PutUrl;

/// The object that tells which installation the others belong to.
const MARKER: &str = "atelier-installation.json";

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
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Storage({})", self.inner.place)
    }
}
