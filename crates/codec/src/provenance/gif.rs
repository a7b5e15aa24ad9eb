//! GIF: an application extension (GIF89a specification, section 26; XMP part 3, section 1.1.2).

use super::{NotEmbedded, edit::Edit};

pub(crate) const EXTENSION: u8 = 0x21;
pub(crate) const IMAGE: u8 = 0x2C;
pub(crate) const TRAILER: u8 = 0x3B;
const XMP: &[u8] = b"\x21\xff\x0bXMP DataXMP";
/// Signature and logical screen descriptor.
pub(crate) const HEADER: usize = 13;

/// A block's place in the file.
pub(crate) struct Block<'a> {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Block<'a> {
    fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let end = match *content.get(at)? {
            // A zero that belongs to nothing, as some writers leave, is passed by.
            TRAILER | 0 => at + 1,
            EXTENSION => end_of_chain(content, at + 2)?,
            // The descriptor, a table of colours, and the size of the codes.
            IMAGE => {
                let table = color_table(*content.get(at + 9)?);
                end_of_chain(content, at + 10 + table + 1)?
            }
            _ => return None,
        };
        let bytes = content.get(at..end)?;
        Some(Self { at, end, bytes })
    }

    pub(crate) fn is_trailer(&self) -> bool {
        self.bytes == [TRAILER]
    }

    /// The packet, if the block is one as the XMP specification makes it.
    fn packet(&self) -> Option<&'a [u8]> {
        self.bytes.strip_prefix(XMP)?.strip_suffix(&magic_trailer())
    }
}

/// The blocks up to the trailer, or up to where the file is damaged.
pub(crate) fn blocks(content: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let flags = content.get(10);
    let first = flags.and_then(|flags| Block::read(content, HEADER + color_table(*flags)));
    std::iter::successors(first, |block| {
        (!block.is_trailer())
            .then(|| Block::read(content, block.end))
            .flatten()
    })
}

/// Bytes of the table of colours that a descriptor's flags announce.
pub(crate) fn color_table(flags: u8) -> usize {
    if flags & 0x80 == 0 {
        0
    } else {
        3 << ((flags & 0x07) + 1)
    }
}

/// Behind the empty block that ends a chain of blocks.
fn end_of_chain(content: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *content.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}

/// What stands behind the packet, which is no chain of blocks: a reader that takes the packet's bytes for lengths gets into
/// this, and from anywhere in it to its end.
fn magic_trailer() -> [u8; 258] {
    let mut trailer = [0; 258];
    trailer[0] = 1;
    for (byte, value) in trailer[1..].iter_mut().zip((0..=u8::MAX).rev()) {
        *byte = value;
    }
    trailer
}

pub(super) fn packet(content: &[u8]) -> Option<&[u8]> {
    blocks(content).find_map(|block| block.packet())
}

/// The extension comes last, behind the pictures.
pub(super) fn edits(
    content: &[u8],
    change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, NotEmbedded>,
) -> Result<Vec<Edit>, NotEmbedded> {
    if !content.starts_with(b"GIF89a") {
        return Err(NotEmbedded::Unfit("its version of GIF has no extensions"));
    }
    let trailer = blocks(content).last().filter(Block::is_trailer);
    let trailer = trailer.ok_or(NotEmbedded::Unfit(
        "its blocks cannot be followed to the end",
    ))?;
    match blocks(content).find(|block| block.bytes.starts_with(XMP)) {
        None => Ok(vec![Edit::insert(trailer.at, extension(&change(None)?))]),
        Some(former) => {
            let packet = former.packet();
            let packet = packet.ok_or(NotEmbedded::Unfit("its XMP packet cannot be read"))?;
            let extension = extension(&change(Some(packet))?);
            Ok(vec![Edit::replace(former.at..former.end, extension)])
        }
    }
}

fn extension(packet: &[u8]) -> Vec<u8> {
    [XMP, packet, &magic_trailer()].concat()
}
