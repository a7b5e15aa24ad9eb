//! Objects for clients, who may take their time or never read on: a file is held open by who reads only.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{Storage, StorageError};
use crate::media::{ByteRange, StorageKey, StoredObject};

/// Most objects that are open for clients at once; who comes then waits for one that is read to its end or given up.
pub(super) const MOST_OPEN: usize = 256;
/// How long a client may leave what was read for it, and what it gains by each byte that it takes.
const PATIENCE: Duration = Duration::from_secs(30);
const BYTES_PER_SECOND: u64 = 4 * 1024;

type Part = Result<Bytes, StorageError>;

impl Storage {
    /// The same as [`Storage::open_object`] for who may be slow: the object is looked up now, opened when the stream is first
    /// polled, and closed when nobody reads on.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], [`StorageError::OutOfRange`] if the range holds no byte of the object,
    /// [`StorageError::Failed`]. Reading on from the stream may fail as well, with [`StorageError::Unread`] too.
    pub async fn offer_object(
        &self,
        key: &StorageKey,
        range: Option<ByteRange>,
    ) -> Result<StoredObject, StorageError> {
        let facts = self.head(key).await?;
        let total = facts.total_size;
        let (start, end) = range.map_or((0, total), |range| (range.start, range.end.min(total)));
        if start >= end && (range.is_some() || total > 0) {
            let path = key.path().to_owned();
            return Err(StorageError::OutOfRange { path, total });
        }
        let (storage, key) = (self.clone(), key.clone());
        let opened = stream::once(async move {
            let (sender, parts) = mpsc::channel(1);
            tokio::spawn(storage.read_for(key, range, sender));
            let left = end - start;
            stream::unfold((parts, left), take)
        });
        Ok(StoredObject {
            facts,
            range: start..end,
            stream: opened.flatten().boxed(),
        })
    }

    /// Reads for a client until it has everything, has gone, or does not read on.
    async fn read_for(self, key: StorageKey, range: Option<ByteRange>, sender: mpsc::Sender<Part>) {
        let open = tokio::select! {
            open = self.inner.open.acquire() => open,
            () = sender.closed() => return,
        };
        // Nobody closes it.
        let Ok(_open) = open else { return };
        let mut object = match self.open_object(&key, range).await {
            Ok(object) => object,
            Err(error) => return drop(sender.send(Err(error)).await),
        };
        let mut patience = Instant::now() + PATIENCE;
        while let Some(part) = object.stream.next().await {
            let bytes = part.as_ref().map_or(0, Bytes::len) as u64;
            match timeout_at(patience, sender.send(part)).await {
                Ok(Ok(())) => {
                    patience += Duration::from_millis(bytes * 1_000 / BYTES_PER_SECOND);
                }
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

/// The next part of what is still to come.
async fn take(
    (mut parts, left): (mpsc::Receiver<Part>, u64),
) -> Option<(Part, (mpsc::Receiver<Part>, u64))> {
    let part = match parts.recv().await {
        Some(part) => part,
        None if left > 0 => Err(StorageError::Unread),
        None => return None,
    };
    let left = match &part {
        Ok(bytes) => left.saturating_sub(bytes.len() as u64),
        Err(_) => 0,
    };
    Some((part, (parts, left)))
}
