//! Where a picture ends: a file that breaks off before is damaged.

use crate::{CodecError, Format};

use super::check_rest;

/// Refuses a picture that has no end, or behind which more stands than may, see [`check_rest`].
///
/// # Errors
///
/// [`CodecError::Corrupt`].
pub(crate) fn check(content: &[u8], format: Format) -> Result<(), CodecError> {
    check_rest(end(content, format).and_then(|end| content.get(end..)))
}

/// Where the picture ends. Behind a JPEG, more JPEGs may follow (CIPA DC-007, multi-picture format).
pub(super) fn end(content: &[u8], format: Format) -> Option<usize> {
    let end = match format {
        Format::Jpg => end_of_jpegs(content),
        Format::Png => end_of_png(content),
        Format::Webp => end_of_webp(content),
        _ => None,
    };
    end.filter(|end| *end <= content.len())
}

fn end_of_jpegs(content: &[u8]) -> Option<usize> {
    let mut end = end_of_jpeg(content)?;
    while let Some(rest) = content.get(end..) {
        let padding = rest.iter().take_while(|byte| **byte == 0).count();
        if !rest[padding..].starts_with(&[0xFF, 0xD8, 0xFF]) {
            break;
        }
        end += padding + end_of_jpeg(&rest[padding..])?;
    }
    Some(end)
}

/// Walks over the segments (ITU-T T.81, section B.1.1). Compressed data stands behind the head of a scan; in it each 0xFF
/// is followed by a zero or a restart marker.
pub(crate) fn end_of_jpeg(content: &[u8]) -> Option<usize> {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    loop {
        // The next marker; what stands before is compressed data, or of no use.
        at += content.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match *content.get(at + 1)? {
            END_OF_IMAGE => return Some(at + 2),
            0xFF => at += 1,
            // No marker, a restart, a start, or a temporary one: these have no length.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let length = content.get(at + 2..)?.first_chunk::<2>()?;
                at += 2 + usize::from(u16::from_be_bytes(*length));
            }
        }
    }
}

/// Walks over the chunks (PNG specification, section 5.3).
fn end_of_png(content: &[u8]) -> Option<usize> {
    let mut at = 8;
    loop {
        let (length, rest) = content.get(at..)?.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        at = at.checked_add(12)?.checked_add(length)?;
        if rest.starts_with(b"IEND") {
            return Some(at);
        }
    }
}

/// The whole is one chunk (RFC 9649, section 2.3).
fn end_of_webp(content: &[u8]) -> Option<usize> {
    let size = content.get(4..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*size))
        .ok()?
        .checked_add(8)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use crate::Kind;
    use crate::picture::encode;

    use super::*;

    const PAGE: &[u8] = b"<script>alert(1)</script>";

    fn picture(format: Format) -> Vec<u8> {
        let pixels = RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, 77]));
        encode(&pixels, format).unwrap().into()
    }

    #[test]
    fn a_whole_picture_may_have_padding_but_nothing_else_behind_it() {
        for format in Format::of(Kind::Image) {
            let mut content = picture(format);
            assert_eq!(check(&content, format), Ok(()), "{format}");
            content.extend(b"\0\0\0\0\n\0\0");
            assert_eq!(check(&content, format), Ok(()), "{format}");
            content.extend(PAGE);
            assert!(check(&content, format).is_err(), "{format}");
        }
    }

    #[test]
    fn a_picture_without_an_end_is_damaged_wherever_it_breaks_off() {
        for format in Format::of(Kind::Image) {
            let content = picture(format);
            for kept in 12..content.len() {
                assert!(
                    check(&content[..kept], format).is_err(),
                    "{kept} bytes of {format}"
                );
            }
        }
    }

    #[test]
    fn a_comment_may_hold_what_it_likes_and_pictures_may_follow_a_jpeg() {
        let mut content = picture(Format::Jpg);
        let comment = [&[0xFF, 0xFE, 0, PAGE.len() as u8 + 2], PAGE].concat();
        content.splice(2..2, comment);
        assert_eq!(check(&content, Format::Jpg), Ok(()));
        content.extend([0, 0]);
        content.extend(picture(Format::Jpg));
        assert_eq!(check(&content, Format::Jpg), Ok(()));
        content.extend(PAGE);
        assert!(check(&content, Format::Jpg).is_err());
    }
}
