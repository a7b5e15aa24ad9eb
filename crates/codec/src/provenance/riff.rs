//! WebP and WAV: a chunk of the RIFF file (RFC 9649, section 2.7, for WebP; XMP part 3, section 1.1.9, for WAV).

use super::{
    NotEmbedded,
    edit::{Edit, bytes_at},
};

/// Size of the file's own header, and of a chunk's.
const FILE_HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;
/// Largest file in bytes: RFC 9649 bounds the size to this, less the header.
const MAX_SIZE: usize = u32::MAX as usize - 9;

/// Flags of WebP's VP8X chunk.
const HAS_XMP: u8 = 0x04;
const HAS_ALPHA: u8 = 0x10;
/// Where they stand if the chunk is the first one, as it must be.
const FLAGS: usize = FILE_HEADER + CHUNK_HEADER;

/// What the RIFF file is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Webp,
    Wav,
}

impl Form {
    fn name(self) -> [u8; 4] {
        match self {
            Self::Webp => *b"WEBP",
            Self::Wav => *b"WAVE",
        }
    }

    fn xmp(self) -> [u8; 4] {
        match self {
            Self::Webp => *b"XMP ",
            Self::Wav => *b"_PMX",
        }
    }
}

/// A chunk's place in the file.
pub(crate) struct Chunk<'a> {
    pub(crate) at: usize,
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let kind = bytes_at(content, at)?;
        let size = usize::try_from(u32::from_le_bytes(bytes_at(content, at + 4)?)).ok()?;
        let data = content.get(at + CHUNK_HEADER..)?.get(..size)?;
        Some(Self { at, kind, data })
    }

    /// With the byte that makes the size even.
    pub(crate) fn end(&self) -> usize {
        self.at + CHUNK_HEADER + self.data.len().next_multiple_of(2)
    }
}

/// The part of the content that is the RIFF file, by its own account.
pub(crate) fn file(content: &[u8], form: Form) -> Option<&[u8]> {
    if !content.starts_with(b"RIFF") || bytes_at(content, 8) != Some(form.name()) {
        return None;
    }
    let size = usize::try_from(u32::from_le_bytes(bytes_at(content, 4)?)).ok()?;
    content.get(..size.checked_add(CHUNK_HEADER)?)
}

pub(crate) fn chunks(file: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let first = Chunk::read(file, FILE_HEADER);
    std::iter::successors(first, |chunk| Chunk::read(file, chunk.end()))
}

pub(super) fn packet(content: &[u8], form: Form) -> Option<&[u8]> {
    let chunk = chunks(file(content, form)?).find(|chunk| chunk.kind == form.xmp())?;
    Some(chunk.data)
}

pub(super) fn edits(
    content: &[u8],
    form: Form,
    change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, NotEmbedded>,
) -> Result<Vec<Edit>, NotEmbedded> {
    let damaged = NotEmbedded::Unfit("its chunks do not fill it");
    let file = file(content, form).ok_or(damaged.clone())?;
    if chunks(file).last().map(|chunk| chunk.end()) != Some(file.len()) {
        return Err(damaged);
    }
    let header = match form {
        Form::Webp => Some(webp_header(file)?),
        Form::Wav => None,
    };
    let former = chunks(file).find(|chunk| chunk.kind == form.xmp());
    let chunk = chunk(form, &change(former.as_ref().map(|chunk| chunk.data))?)?;
    let (place, removed) = match former {
        Some(former) => (former.at..former.end(), former.end() - former.at),
        None => (file.len()..file.len(), 0),
    };
    let inserted = header.as_ref().map_or(0, Edit::growth);
    let size = file.len() - CHUNK_HEADER - removed + chunk.len() + inserted;
    let mut edits = vec![Edit::replace(4..8, size_bytes(size)?)];
    edits.extend(header);
    edits.push(Edit::replace(place, chunk));
    Ok(edits)
}

fn chunk(form: Form, packet: &[u8]) -> Result<Vec<u8>, NotEmbedded> {
    let mut chunk = form.xmp().to_vec();
    chunk.extend(size_bytes(packet.len())?);
    chunk.extend(packet);
    chunk.resize(chunk.len().next_multiple_of(2), 0);
    Ok(chunk)
}

fn size_bytes(size: usize) -> Result<Vec<u8>, NotEmbedded> {
    let bytes = u32::try_from(size).ok().filter(|_| size <= MAX_SIZE);
    let max = MAX_SIZE;
    let bytes = bytes.ok_or(NotEmbedded::TooLong { size, max })?;
    Ok(bytes.to_le_bytes().into())
}

/// What makes the first chunk of a WebP file say that there is XMP: in the extended header, or by adding one.
fn webp_header(file: &[u8]) -> Result<Edit, NotEmbedded> {
    let first = chunks(file).next();
    let unknown = NotEmbedded::Unfit("its size in pixels is not to be found");
    let first = first.ok_or(unknown.clone())?;
    let (width, height, alpha) = match &first.kind {
        b"VP8X" if first.data.len() >= 10 => {
            let flags = first.data[0] | HAS_XMP;
            return Ok(Edit::replace(FLAGS..FLAGS + 1, vec![flags]));
        }
        b"VP8 " => lossy_size(first.data).ok_or(unknown)?,
        b"VP8L" => lossless_size(first.data).ok_or(unknown)?,
        _ => return Err(unknown),
    };
    let mut header = b"VP8X\x0a\0\0\0".to_vec();
    header.push(HAS_XMP | if alpha { HAS_ALPHA } else { 0 });
    header.extend([0; 3]);
    header.extend(&(width - 1).to_le_bytes()[..3]);
    header.extend(&(height - 1).to_le_bytes()[..3]);
    Ok(Edit::insert(FILE_HEADER, header))
}

/// Width, height and transparency of a VP8 frame (RFC 6386, section 9.1).
fn lossy_size(data: &[u8]) -> Option<(u32, u32, bool)> {
    if data.get(3..6)? != [0x9D, 0x01, 0x2A] {
        return None;
    }
    let side = |at| Some(u32::from(u16::from_le_bytes(bytes_at(data, at)?) & 0x3FFF));
    let (width, height) = (side(6)?, side(8)?);
    (width > 0 && height > 0).then_some((width, height, false))
}

/// The same of a lossless picture (RFC 9649, section 3.4).
fn lossless_size(data: &[u8]) -> Option<(u32, u32, bool)> {
    let header = u32::from_le_bytes(bytes_at(data.strip_prefix(b"\x2f")?, 0)?);
    let side = |bits: u32| (bits & 0x3FFF) + 1;
    Some((side(header), side(header >> 14), header >> 28 & 1 == 1))
}
