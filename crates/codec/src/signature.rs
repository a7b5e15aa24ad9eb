//! Which format some bytes have, by their first bytes alone.

use crate::Format;
use crate::provenance::mp4::{Atom, atoms};
use crate::webm;

/// Brands of the ISO base media file format whose files are not taken although their boxes are the same: still pictures (HEIF,
/// AVIF) and protected sound (ISO/IEC 23008-12, mp4ra.org).
const OTHER_BRANDS: [&[u8; 4]; 9] = [
    b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"M4P ",
];

/// Brands of sound alone: music and audio books.
const SOUND_BRANDS: [&[u8; 4]; 2] = [b"M4A ", b"M4B "];

/// Brands of MP4 video (ISO/IEC 14496-12 annex E, 14496-14, mp4ra.org).
const MP4_BRANDS: [&[u8; 4]; 16] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41",
    b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash", b"av01",
];

/// The format whose signature stands at the very start of `content`. Nothing may come before it, so a web page or a
/// program with a picture inside is of no format; but tags may come before an MP3 or FLAC file.
///
/// Whether MP4 and WebM hold pictures or sound alone stands further behind, so for those the beginning of a file may say
/// another format than the whole.
pub fn sniff(content: &[u8]) -> Option<Format> {
    match content {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(Format::Png),
        [0xFF, 0xD8, 0xFF, ..] => Some(Format::Jpg),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(Format::Webp),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ]
        | [
            b'R' | b'B',
            b'F' | b'W',
            b'6',
            b'4',
            _,
            _,
            _,
            _,
            b'W',
            b'A',
            b'V',
            b'E',
            ..,
        ] => Some(Format::Wav),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Format::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => of_boxes(content),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => {
            webm::is_webm(content).then(|| match webm::is_sound(content) {
                true => Format::Weba,
                false => Format::Webm,
            })
        }
        _ => match content.get(id3_length(content)..) {
            Some([b'f', b'L', b'a', b'C', ..]) => Some(Format::Flac),
            _ => is_mp3(content).then_some(Format::Mp3),
        },
    }
}

/// What the brands of the file type box say (ISO/IEC 14496-12, section 4.3), and the kinds of tracks.
fn of_boxes(content: &[u8]) -> Option<Format> {
    let (size, rest) = content.split_first_chunk::<4>()?;
    let body = (u32::from_be_bytes(*size) as usize).saturating_sub(8);
    // The major brand, its version, then the compatible brands.
    let (brands, _) = rest[4..rest.len().min(4 + body)].as_chunks::<4>();
    let (major, rest) = brands.split_first()?;
    if OTHER_BRANDS.contains(&major) {
        return None;
    }
    if SOUND_BRANDS.contains(&major) {
        return Some(Format::M4a);
    }
    let mut all = std::iter::once(major).chain(rest.iter().skip(1));
    let is_known = all.any(|brand| MP4_BRANDS.contains(&brand) || SOUND_BRANDS.contains(&brand));
    is_known.then(|| match is_sound_alone(content) {
        true => Format::M4a,
        false => Format::Mp4,
    })
}

/// Whether there is a track of sound and none of pictures.
fn is_sound_alone(content: &[u8]) -> bool {
    let moov = atoms(content).find(|atom| atom.kind == *b"moov");
    let tracks = moov.into_iter().flat_map(|moov| inner(moov.data, *b"trak"));
    let media = tracks.flat_map(|track| inner(track.data, *b"mdia"));
    let handlers = media.flat_map(|media| inner(media.data, *b"hdlr"));
    let kinds: Vec<_> = handlers
        .filter_map(|handler| handler.data.get(8..12))
        .collect();
    kinds.contains(&b"soun".as_slice()) && !kinds.contains(&b"vide".as_slice())
}

/// The boxes of a kind within another.
fn inner(data: &[u8], kind: [u8; 4]) -> impl Iterator<Item = Atom<'_>> {
    let next = |at| Atom::read(data, at).filter(|atom| atom.end > at);
    let all = std::iter::successors(next(0), move |atom| next(atom.end));
    all.filter(move |atom| atom.kind == kind)
}

/// Whether an MPEG audio frame of layer III follows, after an ID3v2 tag if there is one.
fn is_mp3(content: &[u8]) -> bool {
    matches!(content.get(id3_length(content)..), Some([0xFF, b, c, ..])
        // Sync, not the reserved version, layer III; neither the invalid bit rate nor the reserved sample rate
        // (ISO/IEC 11172-3, section 2.4.1.3).
        if b & 0xE6 == 0xE2 && b & 0x18 != 0x08 && c & 0xF0 != 0xF0 && c & 0x0C != 0x0C)
}

/// Bytes of the ID3v2 tags at the start, 0 if there is none (ID3v2.4.0 structure, section 3.1).
pub(super) fn id3_length(content: &[u8]) -> usize {
    let mut length = 0;
    while let Some([b'I', b'D', b'3', _, _, flags, a, b, c, d, ..]) = content.get(length..) {
        let size = [a, b, c, d]
            .into_iter()
            .fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7F));
        let footer = if flags & 0x10 != 0 { 10 } else { 0 };
        length += 10 + size + footer;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_known() {
        let cases: [(&[u8], Option<Format>); 20] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", Some(Format::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(Format::Jpg)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(Format::Webp)),
            (b"RIFF\x24\0\0\0WAVEfmt ", Some(Format::Wav)),
            (b"GIF89a\x01\0\x01\0", Some(Format::Gif)),
            (b"fLaC\0\0\0\x22", Some(Format::Flac)),
            (b"OggS\0\x02", Some(Format::Ogg)),
            (b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2", Some(Format::Mp4)),
            (b"\0\0\0\x18ftypXYZ \0\0\x02\0Zyx mp42", Some(Format::Mp4)),
            (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", Some(Format::Webm)),
            (b"\xff\xfb\x90\x64", Some(Format::Mp3)),
            (
                b"ID3\x04\0\0\0\0\0\x02\0\0\xff\xfb\x90\x64",
                Some(Format::Mp3),
            ),
            (b"ID3\x04\0\0\0\0\0\x02\0\0fLaC", Some(Format::Flac)),
            (b"RF64\xff\xff\xff\xffWAVEds64", Some(Format::Wav)),
            (b"BW64\xff\xff\xff\xffWAVEds64", Some(Format::Wav)),
            (b"\0\0\0\x14ftypM4A \0\0\0\0mp42", Some(Format::M4a)),
            (b"\0\0\0\x14ftypM4B \0\0\0\0mp42", Some(Format::M4a)),
            (
                b"\x1a\x45\xdf\xa3\x8e\x42\x82\x8bwebm\0\0\0\0\0\0\0",
                Some(Format::Webm),
            ),
            (b"\0\0\0\x1cftypavif\0\0\0\0mif1isom", None),
            (b"\x1a\x45\xdf\xa3\x8b\x42\x82\x88matroska", None),
        ];
        for (content, format) in cases {
            assert_eq!(sniff(content), format, "{:?}", content.escape_ascii());
        }
    }

    #[test]
    fn what_only_looks_like_media_is_of_no_format() {
        let cases: [&[u8]; 9] = [
            b"",
            b"<!doctype html><title>502</title>",
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"image.png",
            b"\xff\xfe<\0h\0t\0m\0l\0", // a byte order mark has the bits of a sync, but layer I
            b"RIFF\x24\0\0\0AVI LIST",
            b"ID3\x04\0\0\x7f\x7f\x7f\x7f",
            b"\0\0\0\x08ftyp",
            b" \xff\xd8\xff\xe0",
        ];
        for content in cases {
            assert_eq!(sniff(content), None, "{:?}", content.escape_ascii());
        }
    }
}
