//! PNG: an iTXt chunk with the keyword of XMP (PNG specification, section 11.3.3.4; XMP part 3, section 1.1.5).

use super::{
    NotEmbedded,
    edit::{Edit, bytes_at},
};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Keyword, no compression, no language, no translated keyword.
const XMP: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
const KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";
/// Length, type and checksum of a chunk.
const OVERHEAD: usize = 12;
const MAX_CHUNK: usize = i32::MAX as usize;

/// A chunk's place in the file.
pub(crate) struct Chunk<'a> {
    pub(crate) at: usize,
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let length = usize::try_from(u32::from_be_bytes(bytes_at(content, at)?)).ok()?;
        let data = content.get(at + 8..)?.get(..length)?;
        let kind = bytes_at(content, at + 4)?;
        (content.len() >= at + OVERHEAD + length).then_some(Self { at, kind, data })
    }

    pub(crate) fn end(&self) -> usize {
        self.at + OVERHEAD + self.data.len()
    }

    fn is_xmp(&self) -> bool {
        self.kind == *b"iTXt" && self.data.starts_with(KEYWORD)
    }
}

/// The chunks up to IEND, or up to where the file is damaged.
pub(crate) fn chunks(content: &[u8]) -> impl Iterator<Item = Chunk<'_>> {
    let first = content
        .starts_with(SIGNATURE)
        .then(|| Chunk::read(content, SIGNATURE.len()))
        .flatten();
    std::iter::successors(first, move |chunk| {
        (chunk.kind != *b"IEND")
            .then(|| Chunk::read(content, chunk.end()))
            .flatten()
    })
}

pub(super) fn packet(content: &[u8]) -> Option<&[u8]> {
    chunks(content)
        .filter(Chunk::is_xmp)
        .find_map(|chunk| chunk.data.strip_prefix(XMP))
}

/// The chunk comes right behind the header, where readers find it before the pixels.
pub(super) fn edits(
    content: &[u8],
    change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, NotEmbedded>,
) -> Result<Vec<Edit>, NotEmbedded> {
    let damaged = NotEmbedded::Unfit("its chunks cannot be followed to the end");
    let header = chunks(content).next().filter(|it| it.kind == *b"IHDR");
    let last = chunks(content).last();
    let (Some(header), Some(_)) = (header, last.filter(|it| it.kind == *b"IEND")) else {
        return Err(damaged);
    };
    let Some(former) = chunks(content).find(Chunk::is_xmp) else {
        return Ok(vec![Edit::insert(header.end(), chunk(&change(None)?)?)]);
    };
    let packet = former.data.strip_prefix(XMP);
    let packet = packet.ok_or(NotEmbedded::Unfit("its XMP packet is compressed"))?;
    let chunk = chunk(&change(Some(packet))?)?;
    Ok(vec![Edit::replace(former.at..former.end(), chunk)])
}

fn chunk(packet: &[u8]) -> Result<Vec<u8>, NotEmbedded> {
    let size = XMP.len() + packet.len();
    let length = u32::try_from(size).ok().filter(|_| size <= MAX_CHUNK);
    let length = length.ok_or(NotEmbedded::TooLong {
        size,
        max: MAX_CHUNK,
    })?;
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.extend(b"iTXt");
    chunk.extend(XMP);
    chunk.extend(packet);
    Ok(checked(chunk))
}

/// A chunk of this kind with data that was in one before.
pub(crate) fn chunk_of(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut chunk = length.to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    checked(chunk)
}

fn checked(mut chunk: Vec<u8>) -> Vec<u8> {
    let checksum = crc32(&chunk[4..]);
    chunk.extend(checksum.to_be_bytes());
    chunk
}

/// The checksum of a chunk's type and data (PNG specification, annex D).
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32| {
        if crc & 1 == 1 {
            0xEDB8_8320 ^ (crc >> 1)
        } else {
            crc >> 1
        }
    };
    let step = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| shift(crc));
    !bytes.iter().fold(u32::MAX, step)
}
