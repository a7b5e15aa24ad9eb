//! Where files end, and what may stand behind that: one rule for all formats, see docs/media.md#behind-the-end.
//!
//! Whatever a file also is, it is only ever served with the content type of its format, and browsers are told not to
//! guess. Still, what makes a second document of it (a web page, a script, an archive) is of no use to it and is refused.
//! What its format lets stand inside, such as a comment with a web page in it, is not looked at.

mod picture;
mod tag;

use crate::{Format, Kind};

use super::CodecError;

pub(super) use picture::{check, end_of_jpeg};

/// Refuses what follows the end of a file unless it is harmless: padding of white space and zeros, and tags.
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(super) fn check_rest(rest: Option<&[u8]>) -> Result<(), CodecError> {
    match rest {
        Some(rest) if is_harmless(rest) => Ok(()),
        Some(_) => Err(goes_on()),
        None => Err(CodecError::corrupt("the end of the file is missing")),
    }
}

/// There is more than may be.
pub(super) fn goes_on() -> CodecError {
    CodecError::corrupt("the file goes on after its end")
}

/// Whether nothing but padding and tags follows, or nothing.
pub(super) fn is_harmless(rest: &[u8]) -> bool {
    harmless_from(rest) == 0
}

/// From where on there is nothing but padding and tags. The end of the file proper may be later, if its own last bytes look
/// like padding.
pub(super) fn harmless_from(content: &[u8]) -> usize {
    let mut end = content.len();
    loop {
        let padding = content[..end].iter().rev();
        let padding = padding.take_while(|byte| is_padding(**byte)).count();
        // A tag may end in padding of its own.
        let least = end - padding;
        let mut ends = (least..=end.min(least + tag::MOST_PADDING)).rev();
        match ends.find_map(|end| tag::length(&content[..end]).map(|length| end - length)) {
            Some(begin) => end = begin,
            None => return least,
        }
    }
}

fn is_padding(byte: u8) -> bool {
    byte == 0 || byte.is_ascii_whitespace()
}

/// How many bytes of a photo are the picture, where a clip follows that the camera has taken with it (a motion photo): the
/// clip is cut off. `None` where there is nothing to cut off.
pub fn without_clip(content: &[u8], format: Format) -> Option<usize> {
    if format.kind() != Kind::Image {
        return None;
    }
    let end = picture::end(content, format)?;
    let rest = &content[end..];
    let padding = rest.iter().take_while(|byte| is_padding(**byte)).count();
    (tag::is_clip(&rest[padding..]) || tag::is_trailer_of_camera(rest)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ID3v1: 128 bytes.
    fn id3v1() -> Vec<u8> {
        let mut tag = b"TAGa title".to_vec();
        tag.resize(128, 0);
        tag
    }

    #[test]
    fn padding_and_tags_are_harmless_and_documents_are_not() {
        let mut ape = b"APETAGEX\xd0\x07\0\0".to_vec();
        ape.extend([32 + 5, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80]);
        ape.resize(32, 0);
        let ape = [&ape, b"words".as_slice(), &ape].concat();
        for rest in [
            b"".to_vec(),
            b"\n".to_vec(),
            b"\r\n \t\0\0\0".to_vec(),
            id3v1(),
            [id3v1(), b"\n".to_vec()].concat(),
            [b"\0\0".to_vec(), id3v1()].concat(),
            [ape.clone(), id3v1()].concat(),
            [b"LYRICSBEGININD0000200000021LYRICS200".to_vec(), id3v1()].concat(),
            b"ID3\x04\0\x10\0\0\0\x02ab3DI\x04\0\x10\0\0\0\x02".to_vec(),
        ] {
            assert!(is_harmless(&rest), "{}", rest.escape_ascii());
        }
        for rest in [
            b"<html>".to_vec(),
            b"\n<script>".to_vec(),
            b"PK\x03\x04".to_vec(),
            b"#!/bin/sh\n".to_vec(),
            [id3v1(), b"<html>".to_vec()].concat(),
            [b"x".to_vec(), id3v1()].concat(),
            id3v1()[..127].to_vec(),
        ] {
            assert!(!is_harmless(&rest), "{}", rest.escape_ascii());
        }
    }

    #[test]
    fn the_clip_of_a_motion_photo_is_found_and_no_other_document() {
        let pixels = image::RgbImage::new(16, 16);
        let clip = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08moov";
        for format in Format::of(Kind::Image) {
            let photo = crate::picture::encode(&pixels, format).unwrap().to_vec();
            let end = Some(photo.len());
            let with = |rest: &[u8]| [&photo, rest].concat();
            assert_eq!(without_clip(&photo, format), None);
            assert_eq!(without_clip(&with(clip), format), end, "{format}");
            let named = [b"MotionPhoto_Data", clip.as_slice()].concat();
            assert_eq!(without_clip(&with(&named), format), end, "{format}");
            assert_eq!(without_clip(&with(b"\0\0\0\0<html>"), format), None);
            // What Samsung's cameras leave: a block, the list of blocks, and its length.
            let block = [b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data", clip.as_slice()].concat();
            let size = block.len() as u32;
            let mut list = b"SEFH\x6a\0\0\0\x01\0\0\0\0\0\x30\x0a".to_vec();
            list.extend(size.to_le_bytes());
            list.extend(size.to_le_bytes());
            let trailer = [
                &block[..],
                &list,
                &(list.len() as u32).to_le_bytes(),
                b"SEFT",
            ]
            .concat();
            assert_eq!(without_clip(&with(&trailer), format), end, "{format}");
            assert_eq!(
                without_clip(&with(&[b"<html>", &trailer[..]].concat()), format),
                None
            );
        }
    }
}
