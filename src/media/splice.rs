//! A stored object that is sent with parts of it left out.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Buf, Bytes};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::{ByteRange, Storage, StorageError, StorageKey, StoredObject};
use crate::domain::{Piece, SharedFile};

/// Most bytes of nothing that are sent at once.
const ZEROS: [u8; 16 * 1024] = [0; 16 * 1024];

type Content = BoxStream<'static, Result<Bytes, StorageError>>;

/// What is sent of a shared file, or a part of that, for who may be slow. The object is opened when the stream is first polled.
///
/// # Errors
///
/// As [`Storage::offer_object`].
pub async fn offer_shared(
    storage: &Storage,
    key: &StorageKey,
    shared: &SharedFile,
    range: Option<ByteRange>,
) -> Result<StoredObject, StorageError> {
    let part = range.map_or(0..shared.size, |range| {
        range.start..range.end.min(shared.size)
    });
    if range.is_some() && part.is_empty() {
        return Err(StorageError::OutOfRange {
            path: key.path().to_owned(),
            total: shared.size,
        });
    }
    let pieces = shared.pieces(part.clone());
    let (mut facts, at, source) = match stored(&pieces) {
        Some(Range { start, end }) => {
            let stored = Some(ByteRange { start, end });
            let object = storage.offer_object(key, stored).await?;
            (object.facts, object.range.start, object.stream)
        }
        None => (storage.head(key).await?, 0, stream::empty().boxed()),
    };
    facts.total_size = shared.size;
    let splice = Splice {
        source,
        at,
        buffer: Bytes::new(),
        pieces: pieces.into(),
    };
    let stream = stream::try_unfold(splice, |mut splice| async move {
        Ok(splice.next().await?.map(|bytes| (bytes, splice)))
    });
    Ok(StoredObject {
        facts,
        range: part,
        stream: stream.boxed(),
    })
}

/// From the first byte to the last that the pieces need of the stored object.
fn stored(pieces: &[Piece]) -> Option<Range<u64>> {
    let mut stored = pieces.iter().filter_map(|piece| match piece {
        Piece::Stored(range) => Some(range),
        _ => None,
    });
    let first = stored.next()?;
    let last = stored.next_back().unwrap_or(first);
    Some(first.start..last.end)
}

struct Splice {
    source: Content,
    /// Where in the stored object the buffer begins.
    at: u64,
    buffer: Bytes,
    pieces: VecDeque<Piece>,
}

impl Splice {
    async fn next(&mut self) -> Result<Option<Bytes>, StorageError> {
        loop {
            match self.pieces.pop_front() {
                None => return Ok(None),
                Some(Piece::Given(bytes)) => return Ok(Some(bytes.into())),
                Some(Piece::Zeros(number)) => return Ok(Some(self.zeros(number))),
                Some(Piece::Stored(range)) => match self.take(range).await? {
                    Some(bytes) if bytes.is_empty() => {}
                    ended => return Ok(ended),
                },
            }
        }
    }

    fn zeros(&mut self, number: u64) -> Bytes {
        let some = number.min(ZEROS.len() as u64);
        if some < number {
            self.pieces.push_front(Piece::Zeros(number - some));
        }
        Bytes::from_static(&ZEROS[..some as usize])
    }

    /// Bytes from the beginning of the range, none if more has to be read before; the rest of it comes next.
    async fn take(&mut self, mut range: Range<u64>) -> Result<Option<Bytes>, StorageError> {
        if self.buffer.is_empty() {
            match self.source.try_next().await? {
                Some(bytes) => self.buffer = bytes,
                // Who counts what comes notices.
                None => return Ok(None),
            }
        }
        let left_out = range.start.saturating_sub(self.at);
        self.skip(left_out.min(self.buffer.len() as u64));
        if self.buffer.is_empty() || self.at < range.start {
            self.pieces.push_front(Piece::Stored(range));
            return Ok(Some(Bytes::new()));
        }
        let length = (range.end - range.start).min(self.buffer.len() as u64);
        let taken = self.buffer.split_to(length as usize);
        self.at += length;
        range.start += length;
        if !range.is_empty() {
            self.pieces.push_front(Piece::Stored(range));
        }
        Ok(Some(taken))
    }

    fn skip(&mut self, bytes: u64) {
        self.buffer.advance(bytes as usize);
        self.at += bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spliced(chunks: Vec<Vec<u8>>, at: u64, pieces: Vec<Piece>) -> Vec<u8> {
        let source = stream::iter(chunks.into_iter().map(|chunk| Ok(Bytes::from(chunk))));
        let mut splice = Splice {
            source: source.boxed(),
            at,
            buffer: Bytes::new(),
            pieces: pieces.into(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            let mut all = Vec::new();
            while let Some(bytes) = splice.next().await.unwrap() {
                all.extend(bytes);
            }
            all
        })
    }

    proptest! {
        #[test]
        fn however_the_object_comes_the_pieces_are_sent(
            skips in prop::collection::vec((0..30_u64, 0..30_u64, 0..20_u64), 1..6),
            chunk in 1..50_usize, before in 0..20_u64,
        ) {
            let content: Vec<u8> = (0..=255).chain(0..=255).collect();
            let (mut at, mut pieces, mut expected) = (before, Vec::new(), Vec::new());
            for (skip, length, zeros) in skips {
                let range = at + skip..at + skip + length;
                at = range.end;
                expected.extend(&content[range.start as usize..range.end as usize]);
                expected.extend(vec![0; zeros as usize]);
                expected.push(7);
                pieces.extend([Piece::Stored(range), Piece::Zeros(zeros), Piece::Given(vec![7])]);
            }
            let begin = stored(&pieces).unwrap().start;
            let chunks = content[begin as usize..].chunks(chunk).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(spliced(chunks, begin, pieces), expected);
        }
    }

    #[test]
    fn many_zeros_take_no_memory_of_their_own() {
        let many = ZEROS.len() as u64 * 3 + 5;
        assert_eq!(
            spliced(Vec::new(), 0, vec![Piece::Zeros(many)]).len() as u64,
            many
        );
    }
}
