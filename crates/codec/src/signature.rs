//! Which format some bytes have, by their first bytes alone.

use crate::Format;

/// Brands of the ISO base media file format whose files are not MP4 video although their boxes are the same: still
/// pictures (HEIF, AVIF) and audio books (ISO/IEC 23008-12, mp4ra.org).
const OTHER_BRANDS: [&[u8; 4]; 11] = [
    b"avif", b"avis", b"heic", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"M4A ", b"M4B ",
    b"M4P ",
];

/// Brands of MP4 video (ISO/IEC 14496-12 annex E, 14496-14, mp4ra.org).
const MP4_BRANDS: [&[u8; 4]; 16] = [
    b"isom", b"iso2", b"iso3", b"iso4", b"iso5", b"iso6", b"iso7", b"iso8", b"iso9", b"mp41",
    b"mp42", b"avc1", b"M4V ", b"MSNV", b"dash", b"av01",
];

/// How far into a WebM file its DocType is looked for; the EBML header has about 40 bytes.
const EBML_HEADER: usize = 128;

/// The format whose signature stands at the very start of `content`. Nothing may come before it, so a web page or a
/// program with a picture inside is of no format.
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
        ] => Some(Format::Wav),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Format::Gif),
        [b'f', b'L', b'a', b'C', ..] => Some(Format::Flac),
        [b'O', b'g', b'g', b'S', 0, ..] => Some(Format::Ogg),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => is_mp4(content).then_some(Format::Mp4),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => is_webm(content).then_some(Format::Webm),
        _ => is_mp3(content).then_some(Format::Mp3),
    }
}

/// Whether the file type box names a brand of MP4 video (ISO/IEC 14496-12, section 4.3).
fn is_mp4(content: &[u8]) -> bool {
    let Some((size, rest)) = content.split_first_chunk::<4>() else {
        return false;
    };
    let body = (u32::from_be_bytes(*size) as usize).saturating_sub(8);
    // The major brand, its version, then the compatible brands.
    let (brands, _) = rest[4..rest.len().min(4 + body)].as_chunks::<4>();
    match brands.split_first() {
        Some((major, rest)) if !OTHER_BRANDS.contains(&major) => {
            let compatible = rest.iter().skip(1);
            std::iter::once(major)
                .chain(compatible)
                .any(|brand| MP4_BRANDS.contains(&brand))
        }
        _ => false,
    }
}

/// Whether the EBML header declares the document type "webm" (RFC 8794, section 11.2.4).
fn is_webm(content: &[u8]) -> bool {
    const DOC_TYPE_WEBM: &[u8] = &[0x42, 0x82, 0x84, b'w', b'e', b'b', b'm'];
    content[..content.len().min(EBML_HEADER)]
        .windows(DOC_TYPE_WEBM.len())
        .any(|part| part == DOC_TYPE_WEBM)
}

/// Whether an MPEG audio frame of layer III follows, after an ID3v2 tag if there is one.
fn is_mp3(content: &[u8]) -> bool {
    matches!(content.get(id3_length(content)..), Some([0xFF, b, c, ..])
        // Sync, not the reserved version, layer III; neither the invalid bit rate nor the reserved sample rate
        // (ISO/IEC 11172-3, section 2.4.1.3).
        if b & 0xE6 == 0xE2 && b & 0x18 != 0x08 && c & 0xF0 != 0xF0 && c & 0x0C != 0x0C)
}

/// Bytes of the ID3v2 tag at the start, 0 if there is none (ID3v2.4.0 structure, section 3.1).
pub(super) fn id3_length(content: &[u8]) -> usize {
    match content {
        [b'I', b'D', b'3', _, _, flags, a, b, c, d, ..] => {
            let size = [a, b, c, d]
                .into_iter()
                .fold(0, |size, byte| (size << 7) | usize::from(byte & 0x7F));
            let footer = if flags & 0x10 != 0 { 10 } else { 0 };
            10 + size + footer
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signature_is_known() {
        let cases: [(&[u8], Option<Format>); 14] = [
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", Some(Format::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Some(Format::Jpg)),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Some(Format::Webp)),
            (b"RIFF\x24\0\0\0WAVEfmt ", Some(Format::Wav)),
            (b"GIF89a\x01\0\x01\0", Some(Format::Gif)),
            (b"fLaC\0\0\0\x22", Some(Format::Flac)),
            (b"OggS\0\x02", Some(Format::Ogg)),
            (b"\0\0\0\x1cftypisom\0\0\x02\0isomiso2", Some(Format::Mp4)),
            (b"\0\0\0\x18ftypXYZ \0\0\x02\0Zyx mp42", Some(Format::Mp4)),
            (b"\x1a\x45\xdf\xa3\x8b\x42\x82\x84webm", Some(Format::Webm)),
            (b"\xff\xfb\x90\x64", Some(Format::Mp3)),
            (
                b"ID3\x04\0\0\0\0\0\x02\0\0\xff\xfb\x90\x64",
                Some(Format::Mp3),
            ),
            (b"\0\0\0\x1cftypavif\0\0\0\0mif1isom", None),
            (b"\x1a\x45\xdf\xa3\x8f\x42\x82\x88matroska", None),
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
