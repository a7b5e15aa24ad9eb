//! WebP: the chunk of Exif (RFC 9649, section 2.7.1.4). That of XMP is found by what it says.

use super::{EXIF, tiff};

const FILE_HEADER: usize = 12;
const CHUNK_HEADER: usize = 8;

pub(super) fn blank(file: &mut [u8]) -> bool {
    let (mut changed, mut at) = (false, FILE_HEADER);
    while let Some(header) = file.get(at..at + CHUNK_HEADER) {
        let is_exif = header.starts_with(b"EXIF");
        let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let begin = at + CHUNK_HEADER;
        let Some(data) = file.get_mut(begin..begin.saturating_add(size)) else {
            break;
        };
        if is_exif {
            let prefix = if data.starts_with(EXIF) {
                EXIF.len()
            } else {
                0
            };
            changed |= tiff::blank(&mut data[prefix..]);
        }
        at = begin + size.next_multiple_of(2);
    }
    changed
}
