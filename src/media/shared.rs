//! What of a stored file is sent to whoever has a public link to it.

use bytes::Bytes;
use codec::{Format, bare};

use super::{Storage, StorageError, StorageKey};
use crate::{
    domain::{Cut, SharedFile},
    memory,
};

/// Why a file is not shared.
#[derive(Debug, thiserror::Error)]
pub enum Unshared {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] StorageError),
    /// What it tells of its making stays in it. The text is for developers.
    #[error("{0}")]
    Telling(String),
}

/// Looks at a media's file as a whole, once: what of it is sent, which is all if its recipe may be shown.
///
/// # Errors
///
/// [`Unshared`].
pub async fn look_at_shared(
    storage: &Storage,
    (media_id, key): (i64, &StorageKey),
    show_recipe: bool,
) -> Result<SharedFile, Unshared> {
    let size = storage.head(key).await?.total_size;
    // Twice: as it is, and as it is sent.
    let taken = memory::take(size.saturating_mul(2)).await;
    let content = storage.read(key).await?;
    let format = key.format();
    let look = move || {
        let _taken = taken;
        match show_recipe {
            true => Ok(SharedFile::whole(media_id, &content)),
            false => bared(media_id, &content, format),
        }
    };
    let looked = tokio::task::spawn_blocking(look).await;
    let panicked = |error: tokio::task::JoinError| Err(Unshared::Telling(error.to_string()));
    looked.unwrap_or_else(panicked)
}

fn bared(media_id: i64, content: &Bytes, format: Format) -> Result<SharedFile, Unshared> {
    let telling = |why: &dyn ToString| Unshared::Telling(why.to_string());
    let cuts = bare::cuts(content, format).map_err(|error| telling(&error))?;
    let sent = bare::apply(content, &cuts);
    let sent = sent.ok_or_else(|| telling(&"its parts overlap"))?;
    let cuts = cuts.into_iter().map(|cut| Cut {
        range: cut.range.start as u64..cut.range.end as u64,
        with: cut.with,
        zeros: cut.zeros as u64,
    });
    Ok(SharedFile::whole(media_id, content).cut(cuts.collect(), &sent))
}
