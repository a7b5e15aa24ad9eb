//! What goes wrong with storage.

/// Why the storage did not do what was asked. The messages name the folder or bucket and are meant
/// for operators.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No storage can be made from these settings.
    #[error("the media storage in {place} cannot be used: {reason}")]
    Settings {
        /// The folder or bucket.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no object under this key.
    #[error("there is no object {path} in {place}")]
    NotFound {
        /// The folder or bucket.
        place: String,
        /// The key's path.
        path: String,
    },
    /// The range holds no byte of the object.
    #[error("the object {path} ends at byte {total}, before the range starts")]
    OutOfRange {
        /// The key's path.
        path: String,
        /// Size of the object in bytes.
        total: u64,
    },
    /// The folder or bucket did not do its part: a full disk, missing permissions, a network
    /// failure.
    #[error("cannot {action} in {place}: {reason}")]
    Failed {
        /// What was tried, for example `write jobs/000/000/001/a-0.png`.
        action: String,
        /// The folder or bucket.
        place: String,
        /// What the operating system or service answered.
        reason: String,
    },
    /// The bucket takes no call, since it was signed at another time than it has. It may come wherever [`Self::Failed`] may.
    #[error(
        "cannot {action} in {place}: the clock of this machine is off by more than the service takes (RequestTimeTooSkewed); set \
         the clock"
    )]
    ClockOff {
        /// As of [`Self::Failed`].
        action: String,
        /// The bucket.
        place: String,
    },
}

impl From<StorageError> for crate::domain::Error {
    fn from(error: StorageError) -> Self {
        Self::StorageUnavailable(Box::new(error))
    }
}
