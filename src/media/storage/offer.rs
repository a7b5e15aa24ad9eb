//! Objects for clients, who may take their time or never read on: an object is open only while it is read.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{sync::mpsc, time::timeout};

use super::{Storage, StorageError, read_file};
use crate::media::{ByteRange, ObjectFacts, StorageKey, StoredObject};

/// Most objects that are open for clients at once; who comes then waits until one is read, or left.
pub(super) const MOST_OPEN: usize = 256;
/// How long an object stays open for a client that does not read on.
const PATIENCE: Duration = Duration::from_secs(2);

type Part = Result<Bytes, StorageError>;

impl Storage {
    /// The same as [`Storage::open_object`] for who may be slow: the object is looked up now, opened when the stream is first
    /// polled, closed while nobody reads on, and opened again where it was left. A small part of a file is read at once.
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
        let (facts, content) = match self.look_at_file(key, range).await {
            Some(looked) => looked,
            None => (self.head(key).await?, None),
        };
        let (total, part) = (facts.total_size, facts.part(range));
        if range.is_some() && part.is_empty() {
            let path = key.path().to_owned();
            return Err(StorageError::OutOfRange { path, total });
        }
        let stream = match content {
            Some(content) => stream::iter([Ok(content)]).boxed(),
            None => self.read_when_polled(key.clone(), part.clone()),
        };
        Ok(StoredObject {
            facts,
            range: part,
            stream,
        })
    }

    /// `None` in a bucket, and where the file cannot be read.
    async fn look_at_file(
        &self,
        key: &StorageKey,
        range: Option<ByteRange>,
    ) -> Option<(ObjectFacts, Option<Bytes>)> {
        let file = self.inner.backend.file(&self.path(key))?;
        read_file::look_at(file, range).await
    }

    fn read_when_polled(&self, key: StorageKey, rest: Range<u64>) -> BoxStream<'static, Part> {
        let storage = self.clone();
        let opened = stream::once(async move {
            let (sender, parts) = mpsc::channel(1);
            tokio::spawn(storage.read_for(key, rest, sender));
            stream::unfold(parts, async |mut parts: mpsc::Receiver<Part>| {
                Some((parts.recv().await?, parts))
            })
        });
        opened.flatten().boxed()
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
                // It is read again: of a client that does not read no more is kept than it takes to go on.
                drop((stream, open, part));
                sender.reserve().await.ok()?;
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
