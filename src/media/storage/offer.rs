//! Objects for clients, who may take their time or never read on: an object is open only while it is read.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::{sync::mpsc, time::timeout};

use super::{Storage, StorageError};
use crate::media::{ByteRange, StorageKey, StoredObject};

/// Most objects that are open for clients at once; who comes then waits until one is read, or left.
pub(super) const MOST_OPEN: usize = 256;
/// How long an object stays open for a client that does not read on.
const PATIENCE: Duration = Duration::from_secs(2);

type Part = Result<Bytes, StorageError>;

impl Storage {
    /// The same as [`Storage::open_object`] for who may be slow: the object is looked up now, opened when the stream is first
    /// polled, closed while nobody reads on, and opened again where it was left.
    ///
    /// # Errors
    ///
    /// [`StorageError::NotFound`], [`StorageError::OutOfRange`] if the range holds no byte of the object,
    /// [`StorageError::Failed`]. Reading on from the stream may fail as well.
    pub async fn offer_object(
        &self,
        key: &StorageKey,
        range: Option<ByteRange>,
    ) -> Result<StoredObject, StorageError> {
        let facts = self.head(key).await?;
        let total = facts.total_size;
        let part = range.map_or(0..total, |range| range.start..range.end.min(total));
        if range.is_some() && part.is_empty() {
            let path = key.path().to_owned();
            return Err(StorageError::OutOfRange { path, total });
        }
        let (storage, key, rest) = (self.clone(), key.clone(), part.clone());
        let opened = stream::once(async move {
            let (sender, parts) = mpsc::channel(1);
            tokio::spawn(storage.read_for(key, rest, sender));
            stream::unfold(parts, async |mut parts: mpsc::Receiver<Part>| {
                Some((parts.recv().await?, parts))
            })
        });
        Ok(StoredObject {
            facts,
            range: part,
            stream: opened.flatten().boxed(),
        })
    }

    /// Reads for a client until it has everything, or has gone.
    async fn read_for(self, key: StorageKey, mut rest: Range<u64>, sender: mpsc::Sender<Part>) {
        while !rest.is_empty() {
            if self.read_on(&key, &mut rest, &sender).await.is_none() {
                return;
            }
        }
    }

    /// Opens the object and reads until all is read, or the client does not take more. `None` if nothing more is to be read.
    async fn read_on(
        &self,
        key: &StorageKey,
        rest: &mut Range<u64>,
        sender: &mpsc::Sender<Part>,
    ) -> Option<()> {
        let open = tokio::select! {
            open = self.inner.open.acquire() => open.ok()?,
            () = sender.closed() => return None,
        };
        let (start, end) = (rest.start, rest.end);
        let mut stream = match self.open_object(key, Some(ByteRange { start, end })).await {
            Ok(object) => object.stream,
            Err(error) => stream::iter([Err(error)]).boxed(),
        };
        while !rest.is_empty() {
            let part = stream.next().await;
            let part = part.unwrap_or_else(|| Err(self.cut_short(key)));
            let length = part.as_ref().ok().map(|bytes| bytes.len() as u64);
            let Ok(place) = timeout(PATIENCE, sender.reserve()).await else {
                drop((stream, open));
                sender.send(part).await.ok()?;
                rest.start += length?;
                return Some(());
            };
            place.ok()?.send(part);
            rest.start += length?;
        }
        Some(())
    }

    fn cut_short(&self, key: &StorageKey) -> StorageError {
        StorageError::Failed {
            action: format!("read {key}"),
            place: self.inner.place.clone(),
            reason: "it has become shorter".to_owned(),
        }
    }
}
