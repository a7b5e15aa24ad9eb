//! Files of a folder, read in parts. Each reading goes to a thread for blocking work and back, which costs more than the reading
//! where parts are small.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::{GetResult, GetResultPayload};
use tokio::task::spawn_blocking;

use crate::media::{ByteRange, object::ObjectFacts};

/// Most bytes that are read at once.
const PART: u64 = 64 * 1024;

/// What is opened of an object. A file that has become shorter ends early.
pub(super) fn content(object: GetResult) -> BoxStream<'static, object_store::Result<Bytes>> {
    match object.payload {
        GetResultPayload::Stream(stream) => stream,
        GetResultPayload::File(file, _) => in_parts(file, object.range)
            .map_err(|error| object_store::Error::Generic {
                store: "media",
                source: error.into(),
            })
            .boxed(),
    }
}

fn in_parts(
    file: File,
    range: Range<u64>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((Arc::new(file), range), async |(file, rest)| {
        if rest.is_empty() {
            return Ok(None);
        }
        let (reader, wanted) = (file.clone(), rest.clone());
        let part = spawn_blocking(move || read(&reader, wanted)).await??;
        let rest = rest.start + part.len() as u64..rest.end;
        Ok((!part.is_empty()).then_some((part, (file, rest))))
    })
}

/// The first of these bytes that there are.
fn read(file: &File, wanted: Range<u64>) -> io::Result<Bytes> {
    let length = (wanted.end - wanted.start).min(PART);
    let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    let read = file.read_at(&mut part, wanted.start)?;
    part.truncate(read);
    Ok(part.into())
}

/// What a file is and, if it is asked for no more than one part, that part of it, all in one go: most files are small, and most
/// of the time that one took went by between the steps. `None` where that cannot be done: what is wrong is found out step by step.
pub(super) async fn look_at(
    path: PathBuf,
    range: Option<ByteRange>,
) -> Option<(ObjectFacts, Option<Bytes>)> {
    let look = move || {
        let file = File::open(path).ok()?;
        let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let facts = ObjectFacts {
            total_size: metadata.len(),
            last_modified: metadata.modified().ok()?.into(),
        };
        let part = facts.part(range);
        let is_small = !part.is_empty() && part.end - part.start <= PART;
        let content = is_small.then(|| read(&file, part.clone()).ok()).flatten();
        let is_whole = |content: &Bytes| content.len() as u64 == part.end - part.start;
        Some((facts, content.filter(is_whole)))
    };
    spawn_blocking(look).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    fn file_of(size: u64) -> (File, PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let content: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, content).unwrap();
        (File::open(&path).unwrap(), path, folder)
    }

    #[tokio::test]
    async fn parts_are_the_range_in_order() {
        let size = 3 * PART + 7;
        let range = 5..size - 1;
        let (file, path, _folder) = file_of(size);
        let parts: Vec<Bytes> = in_parts(file, range.clone()).try_collect().await.unwrap();
        assert!(parts.iter().all(|part| part.len() as u64 <= PART));
        let whole = std::fs::read(path).unwrap();
        assert!(parts.concat() == whole[range.start as usize..range.end as usize]);
    }

    #[tokio::test]
    async fn a_file_that_becomes_shorter_ends() {
        let (file, path, _folder) = file_of(3 * PART);
        let mut parts = in_parts(file, 0..3 * PART).boxed();
        assert_eq!(parts.try_next().await.unwrap().unwrap().len() as u64, PART);
        let shorter = File::options().write(true).open(path).unwrap();
        shorter.set_len(PART + 1).unwrap();
        assert_eq!(parts.try_next().await.unwrap().unwrap().len(), 1);
        assert_eq!(parts.try_next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_small_part_comes_with_what_the_file_is_and_a_large_one_does_not() {
        let (_, path, _folder) = file_of(PART + 1);
        let looked = async |range| look_at(path.clone(), range).await.unwrap();
        let range = |start, end| Some(ByteRange { start, end });
        for (range, expected) in [
            (None, None),
            (range(0, u64::MAX), None),
            (range(1, PART + 1), Some(PART)),
            (range(PART, PART * 9), Some(1)),
            (range(PART + 1, PART + 2), None),
        ] {
            let (facts, content) = looked(range).await;
            assert_eq!(facts.total_size, PART + 1);
            assert_eq!(content.map(|it| it.len() as u64), expected, "{range:?}");
        }
        assert!(look_at(path.join("none"), None).await.is_none());
        assert!(look_at(path.parent().unwrap().into(), None).await.is_none());
    }
}
