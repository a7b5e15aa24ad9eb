//! Files without the place where they were taken: what Exif and XMP say of GPS, what XMP and IPTC say of cities and countries, and the
//! location of a video. All other metadata, the orientation among it, and every pixel stay as they are.
//!
//! What says it is overwritten in its place, so that nothing in the file moves. What a camera's own notes (Exif's MakerNote) or a
//! track of positions beside a video may say is not known here, and stays.

mod iptc;
mod mp4;
mod png;
mod tiff;
mod webp;
mod xmp;

#[cfg(test)]
mod tests;

use crate::Format;

/// What stands before Exif in a JPEG segment, and by some writers in a WebP chunk.
const EXIF: &[u8] = b"Exif\0\0";

/// The file without its location; `None` if it tells none, so that it is to be used as it is.
///
/// Time and memory grow with the file's size only.
pub fn without(content: &[u8], format: Format) -> Option<Vec<u8>> {
    let mut file = content.to_vec();
    let changed = match format {
        Format::Png => return png::without(content),
        Format::Jpg => jpeg(&mut file) | xmp::blank(&mut file) | iptc::blank(&mut file),
        Format::Webp => webp::blank(&mut file) | xmp::blank(&mut file),
        Format::Mp4 | Format::M4a => mp4::blank(&mut file) | xmp::blank(&mut file),
        Format::Gif | Format::Wav => xmp::blank(&mut file),
        Format::Webm | Format::Weba | Format::Flac | Format::Mp3 | Format::Ogg => false,
    };
    changed.then_some(file)
}

/// Every Exif segment, also those of further pictures that stand behind the first.
fn jpeg(file: &mut [u8]) -> bool {
    let (mut changed, mut from) = (false, 0);
    while let Some(found) = find(&file[from..], EXIF) {
        let at = from + found;
        let begin = at + EXIF.len();
        let end = segment_end(file, at).unwrap_or(file.len());
        if begin < end {
            changed |= tiff::blank(&mut file[begin..end]);
        }
        from = begin;
    }
    changed
}

/// Where the segment ends whose data begins here: its length stands before that.
fn segment_end(file: &[u8], data: usize) -> Option<usize> {
    let length = file.get(data.checked_sub(2)?..data)?;
    let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
    Some(data - 2 + length).filter(|end| *end <= file.len())
}

fn find(content: &[u8], what: &[u8]) -> Option<usize> {
    content.windows(what.len()).position(|part| part == what)
}
