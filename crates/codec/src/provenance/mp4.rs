//! MP4: a `uuid` box at the end of the file (ISO/IEC 14496-12, sections 4.2 and 11.1; XMP part 3, section 1.1.6). Nothing moves,
//! so the places of samples that the file names stay right, and what comes first for fast start stays first.

use super::{
    NotEmbedded,
    edit::{Edit, bytes_at},
};
use crate::ending::is_harmless;

const XMP: [u8; 16] = [
    0xBE, 0x7A, 0xCF, 0xCB, 0x97, 0xA9, 0x42, 0xE8, 0x9C, 0x71, 0x99, 0x94, 0x91, 0xE3, 0xAF, 0xAC,
];
/// Size and type of a box.
const HEADER: usize = 8;

/// A box's place in the file.
pub(crate) struct Atom<'a> {
    pub(crate) at: usize,
    pub(crate) end: usize,
    pub(crate) kind: [u8; 4],
    pub(crate) data: &'a [u8],
    /// Whether it lasts to the end of the file, however long that gets.
    is_open: bool,
}

impl<'a> Atom<'a> {
    pub(crate) fn read(content: &'a [u8], at: usize) -> Option<Self> {
        let rest = content.get(at..)?;
        let kind = bytes_at(rest, 4)?;
        let short_size = u32::from_be_bytes(bytes_at(rest, 0)?);
        let (header, size) = match short_size {
            0 => (HEADER, rest.len()),
            1 => {
                let size = u64::from_be_bytes(bytes_at(rest, HEADER)?);
                (2 * HEADER, usize::try_from(size).ok()?)
            }
            size => (HEADER, usize::try_from(size).ok()?),
        };
        let data = rest.get(header..size)?;
        Some(Self {
            at,
            end: at + size,
            kind,
            data,
            is_open: short_size == 0,
        })
    }

    fn is_xmp(&self) -> bool {
        self.kind == *b"uuid" && self.data.starts_with(&XMP)
    }
}

/// The boxes of the file itself, up to where it is damaged.
pub(crate) fn atoms(content: &[u8]) -> impl Iterator<Item = Atom<'_>> {
    let first = Atom::read(content, 0).filter(|first| first.kind == *b"ftyp");
    std::iter::successors(first, |atom| Atom::read(content, atom.end))
}

pub(super) fn packet(content: &[u8]) -> Option<&[u8]> {
    atoms(content)
        .filter(Atom::is_xmp)
        .find_map(|atom| atom.data.strip_prefix(&XMP))
}

/// A packet that is there already becomes free space, since one of another length would move what follows.
pub(super) fn edits(
    content: &[u8],
    change: impl FnOnce(Option<&[u8]>) -> Result<Vec<u8>, NotEmbedded>,
) -> Result<Vec<Edit>, NotEmbedded> {
    let end = atoms(content).last().map(|atom| atom.end);
    let end = end.filter(|end| is_harmless(&content[*end..]));
    let end = end.ok_or(NotEmbedded::Unfit("its boxes do not fill it"))?;
    if atoms(content).any(|atom| atom.is_open || atom.kind == *b"mfra") {
        // An index of fragments must be the last one.
        return Err(NotEmbedded::Unfit("its last box must stay the last one"));
    }
    let former = atoms(content).find(Atom::is_xmp);
    let packet = former
        .as_ref()
        .and_then(|atom| atom.data.strip_prefix(&XMP));
    let atom = atom(&change(packet)?)?;
    let freed = former.map(|atom| Edit::replace(atom.at + 4..atom.at + 8, b"free".to_vec()));
    let appended = Edit::insert(end, atom);
    Ok(freed.into_iter().chain([appended]).collect())
}

fn atom(packet: &[u8]) -> Result<Vec<u8>, NotEmbedded> {
    let size = HEADER + XMP.len() + packet.len();
    let short_size = u32::try_from(size).map_err(|_| NotEmbedded::TooLong {
        size,
        max: u32::MAX as usize,
    })?;
    let mut atom = short_size.to_be_bytes().to_vec();
    atom.extend(b"uuid");
    atom.extend(XMP);
    atom.extend(packet);
    Ok(atom)
}
