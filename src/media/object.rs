//! Stored objects as callers see them.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use object_store::{ObjectMeta, path::Path as ObjectPath};

use super::error::StorageError;
use super::key::StorageKey;
use super::range::ByteRange;

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Size in bytes.
    pub total_size: u64,
    /// When it was written, by the storage's clock.
    pub last_modified: DateTime<Utc>,
}

/// An object, or a part of one, that is being read.
pub struct StoredObject {
    /// The whole object's size and time.
    pub facts: ObjectFacts,
    /// The bytes that the stream delivers, as offsets into the object.
    pub range: Range<u64>,
    /// The content, in chunks of the storage's choice.
    pub stream: BoxStream<'static, Result<Bytes, StorageError>>,
}

impl fmt::Debug for StoredObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            facts,
            range,
            stream: _,
        } = self;
        f.debug_struct("StoredObject")
            .field("facts", facts)
            .field("range", range)
            .finish_non_exhaustive()
    }
}

/// An object found by [`Storage::list`](super::Storage::list).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub key: StorageKey,
    /// Size in bytes.
    pub size: u64,
    /// When it was written, by the storage's clock.
    pub last_modified: DateTime<Utc>,
}

impl ObjectFacts {
    /// The bytes of a range that there are; all without one.
    pub(super) fn part(&self, range: Option<ByteRange>) -> Range<u64> {
        let total = self.total_size;
        range.map_or(0..total, |range| range.start..range.end.min(total))
    }
}

impl From<&ObjectMeta> for ObjectFacts {
    fn from(meta: &ObjectMeta) -> Self {
        Self {
            total_size: meta.size,
            last_modified: meta.last_modified,
        }
    }
}

impl ListedObject {
    /// `None` if the object is not one of ours below the prefix.
    pub(super) fn from_meta(meta: &ObjectMeta, prefix: &ObjectPath) -> Option<Self> {
        let parts: Vec<_> = meta.location.prefix_match(prefix)?.collect();
        let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
        let key = StorageKey::from_path(&parts.join("/")).ok()?;
        Some(Self {
            key,
            size: meta.size,
            last_modified: meta.last_modified,
        })
    }
}
