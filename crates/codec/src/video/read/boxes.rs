//! The boxes of which MP4 files are made (ISO/IEC 14496-12, section 4.2).

use mp4_atom::Atom;

use crate::CodecError;
use crate::ending::is_harmless;

/// A box, borrowed from its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileBox<'a> {
    pub(super) kind: [u8; 4],
    /// Where its header starts, in what was searched.
    pub(super) start: usize,
    /// What follows its header.
    pub(super) body: &'a [u8],
}

/// The boxes that stand one after another in `content`, which may end in what is harmless.
pub(super) fn boxes(content: &[u8]) -> impl Iterator<Item = Result<FileBox<'_>, CodecError>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &content[at..];
        if rest.iter().take(8).all(|byte| *byte == 0) && rest.iter().all(|byte| *byte == 0) {
            return None;
        }
        let start = at;
        let found = split(rest);
        at = match &found {
            Ok((_, _, end)) => start + end,
            Err(_) => content.len(),
        };
        if found.is_err() && is_harmless(rest) {
            return None;
        }
        Some(found.map(|(kind, body, _)| FileBox { kind, start, body }))
    })
}

/// The kind and the body of the first box, and where it ends.
fn split(content: &[u8]) -> Result<([u8; 4], &[u8], usize), CodecError> {
    let cut_off = || CodecError::corrupt("a box is cut off");
    let (size, rest) = content.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let (kind, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let (head, size) = match u32::from_be_bytes(*size) {
        0 => (8, content.len() as u64),
        1 => {
            let (size, _) = rest.split_first_chunk::<8>().ok_or_else(cut_off)?;
            (16, u64::from_be_bytes(*size))
        }
        size => (8, u64::from(size)),
    };
    let end = usize::try_from(size).unwrap_or(usize::MAX);
    match content.get(head..end) {
        Some(body) => Ok((*kind, body, end)),
        None => {
            let kind = kind.escape_ascii();
            Err(CodecError::corrupt(format!("the box {kind} is cut off")))
        }
    }
}

/// The body of the first box of this kind.
pub(super) fn find<'a>(content: &'a [u8], kind: &[u8; 4]) -> Result<Option<&'a [u8]>, CodecError> {
    for found in boxes(content) {
        let found = found?;
        if found.kind == *kind {
            return Ok(Some(found.body));
        }
    }
    Ok(None)
}

/// The body of the first box of this kind, which must be there.
pub(super) fn require<'a>(content: &'a [u8], kind: &[u8; 4]) -> Result<&'a [u8], CodecError> {
    find(content, kind)?.ok_or_else(|| {
        let kind = kind.escape_ascii();
        CodecError::corrupt(format!("the box {kind} is missing"))
    })
}

/// The body of a box, read. The tables in it hold no more than its bytes do.
pub(super) fn parse<T: Atom>(mut body: &[u8]) -> Result<T, CodecError> {
    let kind = T::KIND;
    T::decode_body(&mut body).map_err(|error| CodecError::corrupt(format!("{kind}: {error}")))
}
