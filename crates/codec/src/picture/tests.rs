use image::{Rgb, RgbImage};

use crate::samples::ffmpeg;

use super::*;

const MAX: u64 = 1 << 24;

fn damage(content: &[u8]) -> Option<String> {
    decode_telling(content, Format::Jpg, MAX).unwrap().damage
}

/// The first part of the picture, and its end.
fn cut(content: &[u8], kept: usize) -> Vec<u8> {
    [&content[..kept], &[0xFF, 0xD9]].concat()
}

#[test]
fn a_jpeg_that_breaks_off_is_shown_as_far_as_it_goes_and_says_so() {
    let source = "-f lavfi -i testsrc2=size=320x240 -frames:v 1 -q:v 3";
    for options in ["", "-pix_fmt yuvj444p", "-pix_fmt gray", "-huffman default"] {
        let content = ffmpeg(&format!("{source} {options}"), "jpg");
        assert_eq!(damage(&content), None, "{options}");
        for part in [3, 5, 7] {
            let cut = cut(&content, content.len() * part / 8);
            assert!(damage(&cut).is_some(), "{options}: {part}/8");
        }
    }
}

#[test]
fn a_progressive_jpeg_that_breaks_off_says_so_too() {
    let content = include_bytes!("tests/progressive.jpg");
    assert_eq!(damage(content), None);
    let mut shown = 0;
    for kept in (content.len() / 2..content.len() - 20).step_by(29) {
        // Within a table there is no picture to show.
        if let Ok(read) = decode_telling(&cut(content, kept), Format::Jpg, MAX) {
            assert!(read.damage.is_some(), "{kept} bytes");
            shown += 1;
        }
    }
    assert!(shown > 20, "{shown}");
}

#[test]
fn the_orientation_counts_wherever_exif_stands_and_however_it_begins() {
    let pixels = RgbImage::from_fn(40, 20, |x, _| Rgb([(x * 6) as u8, 9, 200]));
    // One tag: orientation 6, a quarter turn.
    let exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    for prefix in [b"".as_slice(), b"Exif\0\0"] {
        let exif = [prefix, &exif].concat();
        for format in [Format::Webp, Format::Png] {
            let content = encode(&pixels, format).unwrap();
            let content = match format {
                Format::Webp => with_webp_exif(&content, &exif),
                _ => {
                    let chunk = png::chunk_of(*b"eXIf", &exif);
                    [&content[..33], &chunk, &content[33..]].concat()
                }
            };
            let picture = decode(&content, format, MAX).unwrap();
            assert_eq!(
                (picture.width(), picture.height()),
                (20, 40),
                "{format} {prefix:?}"
            );
        }
    }
}

/// In the extended form that has a place for it.
fn with_webp_exif(content: &[u8], exif: &[u8]) -> Vec<u8> {
    let embedded = crate::provenance::embed(content, Format::Webp, "{}").unwrap();
    let mut content = embedded.to_vec();
    content[20] |= 0x08;
    content.extend(b"EXIF");
    content.extend((exif.len() as u32).to_le_bytes());
    content.extend(exif);
    content.resize(content.len().next_multiple_of(2), 0);
    let size = content.len() as u32 - 8;
    content[4..8].copy_from_slice(&size.to_le_bytes());
    content
}

#[test]
fn a_broken_segment_of_adobe_s_is_passed_by() {
    let content = ffmpeg("-f lavfi -i testsrc=size=64x48 -frames:v 1", "jpg");
    let plain = decode(&content, Format::Jpg, MAX).unwrap();
    for segment in [
        b"\xff\xee\0\x07Adobe".as_slice(),
        b"\xff\xee\0\x0cAdobe\0\x64\0\0\0",
        b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x07",
    ] {
        let broken = [&content[..2], segment, &content[2..]].concat();
        let read = decode_telling(&broken, Format::Jpg, MAX).unwrap();
        assert_eq!(read.damage, None, "{}", segment.escape_ascii());
        assert!(read.picture == plain, "{}", segment.escape_ascii());
    }
}

#[test]
fn an_animation_says_that_it_is_one() {
    let source = "-f lavfi -i testsrc=size=32x32:rate=5:duration=1";
    for (arguments, extension, format, animated) in [
        (format!("{source} -f apng"), "png", Format::Png, true),
        (format!("{source} -frames:v 1"), "png", Format::Png, false),
        (
            format!("{source} -c:v libwebp_anim"),
            "webp",
            Format::Webp,
            true,
        ),
        (
            format!("{source} -frames:v 1 -c:v libwebp"),
            "webp",
            Format::Webp,
            false,
        ),
    ] {
        let content = ffmpeg(&arguments, extension);
        assert_eq!(is_animated(&content, format), animated, "{arguments}");
    }
}
