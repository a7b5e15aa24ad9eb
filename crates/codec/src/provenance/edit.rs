use std::ops::Range;

use bytes::Bytes;

/// A part of a file and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    range: Range<usize>,
    with: Vec<u8>,
}

impl Edit {
    pub(super) fn insert(at: usize, what: Vec<u8>) -> Self {
        Self::replace(at..at, what)
    }

    pub(super) fn replace(range: Range<usize>, with: Vec<u8>) -> Self {
        Self { range, with }
    }

    /// By how many bytes it makes the file longer; 0 if it does not.
    pub(super) fn growth(&self) -> usize {
        self.with.len().saturating_sub(self.range.len())
    }

    pub(super) fn start(&self) -> usize {
        self.range.start
    }
}

/// The content with all edits; `None` if they are not in order, overlap, or lie beyond its end.
pub(super) fn apply(content: &[u8], edits: &[Edit]) -> Option<Bytes> {
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut edited = Vec::with_capacity(content.len() + added);
    let mut done = 0;
    for edit in edits {
        edited.extend_from_slice(content.get(done..edit.range.start)?);
        edited.extend_from_slice(&edit.with);
        done = edit.range.end;
    }
    edited.extend_from_slice(content.get(done..)?);
    Some(edited.into())
}

/// The `N` bytes at a place of a file; `None` beyond its end.
pub(super) fn bytes_at<const N: usize>(content: &[u8], at: usize) -> Option<[u8; N]> {
    content.get(at..)?.first_chunk().copied()
}
