//! The two places where objects can be kept.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use url::Url;

use super::link::LinkSettings;
use super::presign::{Call, Presigner};
use super::s3::{MAX_LINK_LIFETIME, S3Settings};

/// Where the objects are kept.
#[derive(Clone, Debug)]
pub enum StorageSettings {
    /// In a folder of this machine, or one that several machines share.
    Local {
        /// Created if it does not exist.
        folder: PathBuf,
    },
    /// In a bucket.
    S3(S3Settings),
}

impl StorageSettings {
    /// The folder below the path; a bucket has it in the names of its objects.
    pub(super) fn below(&self, prefix: &str) -> Self {
        match self {
            Self::Local { folder } => Self::Local {
                folder: folder.join(prefix),
            },
            Self::S3(settings) => Self::S3(settings.clone()),
        }
    }
}

impl fmt::Display for StorageSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { folder } => write!(f, "folder {}", folder.display()),
            Self::S3(settings) => settings.fmt(f),
        }
    }
}

/// What keeps the objects.
pub(super) enum Backend {
    Folder(Folder),
    Bucket(Bucket),
}

pub(super) struct Bucket {
    store: AmazonS3,
    presigner: Presigner,
}

impl Bucket {
    /// A URL that opens the object for so many seconds from `begin` on. The error says what is wrong.
    pub(super) async fn sign(
        &self,
        path: &ObjectPath,
        begin: DateTime<Utc>,
        seconds: i64,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let credential = self.store.credentials().get_credential().await?;
        Ok(self.presigner.sign(&credential, path, begin, seconds)?)
    }

    /// A URL that an object with these headers can be put to, for so many seconds.
    pub(super) async fn sign_put(
        &self,
        path: &ObjectPath,
        headers: &BTreeMap<String, String>,
        time: (DateTime<Utc>, i64),
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let credential = self.store.credentials().get_credential().await?;
        let put = Call {
            method: "PUT",
            headers,
        };
        Ok(self.presigner.sign_call(&credential, path, put, time)?)
    }
}

pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Of the whole file system, so that it can be had while the folder is away.
    store: LocalFileSystem,
}

impl Folder {
    /// A folder that holds objects already is not made anew: where a mount is gone, its place is empty.
    fn open(path: &Path, expected: bool) -> Result<Self, String> {
        if !expected {
            std::fs::create_dir_all(path).map_err(|error| error.to_string())?;
        }
        let known = path.canonicalize().or_else(|_| std::path::absolute(path));
        Ok(Self {
            path: known.map_err(|error| error.to_string())?,
            store: LocalFileSystem::new().with_fsync(true),
        })
    }

    /// Makes the folder.
    pub(super) fn make(&self) -> Result<(), String> {
        std::fs::create_dir_all(&self.path).map_err(|error| error.to_string())
    }
}

impl Backend {
    /// The backend, and the URL under which its objects stand. The error says what is wrong. `expected`: it holds objects, and
    /// may be away.
    pub(super) fn open(
        settings: &StorageSettings,
        links: &LinkSettings,
        expected: bool,
    ) -> Result<(Self, Url), String> {
        match settings {
            StorageSettings::Local { folder } => {
                let folder = Folder::open(folder, expected)?;
                Ok((Self::Folder(folder), below(&links.server_url, "media")))
            }
            StorageSettings::S3(settings) => open_bucket(settings),
        }
    }

    /// Where in the store everything stands that is below `prefix`, which a folder has in its own path.
    pub(super) fn root(&self, prefix: &str) -> Result<ObjectPath, String> {
        match self {
            Self::Folder(folder) => {
                ObjectPath::from_absolute_path(&folder.path).map_err(|error| error.to_string())
            }
            Self::Bucket(_) => Ok(ObjectPath::from(prefix)),
        }
    }

    /// The longest that a link may live.
    pub(super) fn longest_link(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::MAX,
            Self::Bucket(_) => MAX_LINK_LIFETIME,
        }
    }

    /// The file of an object; `None` where it is none of a folder.
    pub(super) fn file(&self, object: &ObjectPath) -> Option<PathBuf> {
        match self {
            Self::Folder(folder) => folder.store.path_to_filesystem(object).ok(),
            Self::Bucket(_) => None,
        }
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        match self {
            Self::Folder(folder) => &folder.store,
            Self::Bucket(bucket) => &bucket.store,
        }
    }
}

fn open_bucket(settings: &S3Settings) -> Result<(Backend, Url), String> {
    let url = settings.link_url().map_err(|error| error.to_string())?;
    let bucket = Bucket {
        store: settings.client().map_err(|error| error.to_string())?,
        presigner: Presigner {
            bucket_url: url.clone(),
            region: settings.region(),
        },
    };
    Ok((Backend::Bucket(bucket), url))
}

/// The URL of what stands at a path below another.
pub(super) fn below(url: &Url, prefix: &str) -> Url {
    let mut url = url.clone();
    let path = format!("{}/{prefix}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}
