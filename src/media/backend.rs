//! The two places where objects can be kept.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::ObjectStore;
use object_store::aws::AmazonS3;
use object_store::local::LocalFileSystem;
use url::Url;

use super::link::{LinkSettings, LinkSigner};
use super::s3::S3Settings;

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

/// What keeps the objects, and what signs the links to them.
pub(super) enum Backend {
    Folder {
        folder: PathBuf,
        store: LocalFileSystem,
        signer: LinkSigner,
    },
    Bucket(AmazonS3),
}

impl Backend {
    /// The backend, and the URL under which its objects stand. The error says what is wrong.
    pub(super) fn open(
        settings: &StorageSettings,
        links: &LinkSettings,
    ) -> Result<(Self, Url), String> {
        match settings {
            StorageSettings::Local { folder } => open_folder(folder, links),
            StorageSettings::S3(settings) => open_bucket(settings),
        }
    }

    pub(super) fn store(&self) -> &dyn ObjectStore {
        match self {
            Self::Folder { store, .. } => store,
            Self::Bucket(store) => store,
        }
    }
}

fn open_folder(folder: &Path, links: &LinkSettings) -> Result<(Backend, Url), String> {
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    let signer = match &links.signing_key {
        Some(secret) => {
            LinkSigner::from_secret(secret).ok_or("the signing key is shorter than 32 bytes")?
        }
        None => {
            LinkSigner::from_folder(&folder).map_err(|error| format!("its signing key: {error}"))?
        }
    };
    let url = Url::from_directory_path(&folder).map_err(|()| "its path has no URL")?;
    let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| error.to_string())?;
    Ok((
        Backend::Folder {
            store: store.with_fsync(true),
            folder,
            signer,
        },
        url,
    ))
}

fn open_bucket(settings: &S3Settings) -> Result<(Backend, Url), String> {
    let url = settings.bucket_url().map_err(|error| error.to_string())?;
    let client = settings.client().map_err(|error| error.to_string())?;
    Ok((Backend::Bucket(client), url))
}
