//! What the errors of a folder or a bucket mean.

use std::{error::Error, fmt};

use super::{ByteRange, ObjectFacts, Storage, StorageError, StorageKey};

/// What S3 says of a call that was signed more than a quarter of an hour away from its own time.
const TIME_TOO_SKEWED: &str = "RequestTimeTooSkewed";

impl Storage {
    /// Stores report a range past the end each in its own way, so the object's size decides whether
    /// that was it.
    pub(super) async fn unopened(
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
    pub(super) async fn missing(
        &self,
        key: &StorageKey,
        error: object_store::Error,
    ) -> StorageError {
        use object_store::Error::{NotFound, PermissionDenied};
        let away = match error {
            // What is asked for an object without its content is refused without a word why.
            NotFound { .. } | PermissionDenied { .. } => self.require_present().await.err(),
            _ => None,
        };
        self.unreadable(key, away.unwrap_or(error))
    }

    pub(super) fn unreadable(&self, key: &StorageKey, error: object_store::Error) -> StorageError {
        match error {
            object_store::Error::NotFound { .. } => StorageError::NotFound {
                place: self.inner.place.clone(),
                path: key.to_string(),
            },
            error => self.failed(format_args!("read {key}"), &error),
        }
    }

    pub(super) fn failed(&self, action: impl fmt::Display, error: &dyn Error) -> StorageError {
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

/// The error's text and, where that leaves it out, what is at the bottom of it.
fn with_root_cause(error: &dyn Error) -> String {
    let text = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    match causes.last().map(ToString::to_string) {
        Some(root) if !text.contains(&root) => format!("{text}: {root}"),
        _ => text,
    }
}
