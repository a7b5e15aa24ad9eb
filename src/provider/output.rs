//! What a provider hands over. A file stays on the disk for as long as somebody holds it.

use std::{
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::Value;
use tempfile::TempDir;

use crate::domain::JsonMap;

/// What a provider made.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// None at all is a failure of the job.
    pub files: Vec<OutputFile>,
    /// What the service tells of its work, such as the model, for `output_metadata`.
    pub metadata: JsonMap,
    /// Where there is no file: what the service says instead, for operators.
    pub answer: String,
}

/// One file that a provider made. What it is gets found out from its bytes.
#[derive(Clone, Debug)]
pub struct OutputFile {
    /// Its bytes.
    pub content: Content,
    /// The seed that made it, if the provider knows.
    pub seed: Option<u32>,
    /// What the service tells of the file, for the media's metadata.
    pub metadata: JsonMap,
}

/// Where the bytes are. A provider downloads what its service offers for download: it knows the credentials.
#[derive(Clone, Debug)]
pub enum Content {
    /// In memory, all of them.
    Memory(Bytes),
    /// On the disk, for files that need not be held whole.
    File(HeldFile),
}

/// A file in a temporary folder, which stays for as long as this is held.
#[derive(Clone, Debug)]
pub struct HeldFile {
    path: PathBuf,
    _folder: Arc<TempDir>,
}

impl HeldFile {
    /// A file that lies in the folder, which is removed when nobody holds a file of it any more.
    pub(super) fn new(path: PathBuf, folder: Arc<TempDir>) -> Self {
        Self {
            path,
            _folder: folder,
        }
    }
}

impl Deref for HeldFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

impl AsRef<Path> for HeldFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// Tells how many outputs the service did not hand over beside those that it did, as when its policy withholds some.
pub fn tell_withheld(metadata: &mut JsonMap, count: usize) {
    if count > 0 {
        let told = metadata.get("outputs_withheld").and_then(Value::as_u64);
        let count = count as u64 + told.unwrap_or_default();
        metadata.insert("outputs_withheld".to_owned(), count.into());
    }
}
