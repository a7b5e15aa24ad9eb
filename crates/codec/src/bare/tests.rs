//! Held against files that tell a word everywhere where such files can, and against other programs' decoding.

use image::ImageFormat;
use proptest::prelude::*;

use super::*;
use crate::{
    picture::decode,
    provenance::{
        self,
        tests::{decoded, picture, samples},
    },
    samples::ffmpeg,
};

const WORD: &str = "TELLTALE";
const RECIPE: &str = r#"{"input":{"prompt":"TELLTALE"},"version":1}"#;
/// A photo that lies on its side, with where it was taken.
const EXIF: &[u8] = b"MM\0\x2a\0\0\0\x08\0\x02\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\x01\x0e\0\x02\0\0\0\x09\0\0\0\x26\0\0\0\0TELLTALE\0";

fn bare(content: &[u8], format: Format) -> Vec<u8> {
    let cuts = cuts(content, format).unwrap_or_else(|error| panic!("{format}: {error}"));
    apply(content, &cuts).unwrap()
}

fn tells(content: &[u8]) -> bool {
    let word = WORD.as_bytes();
    content.windows(word.len()).any(|part| part == word)
}

fn with_chunk(mut content: Vec<u8>, at: usize, kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut chunk = u32::try_from(data.len()).unwrap().to_be_bytes().to_vec();
    chunk.extend(kind);
    chunk.extend(data);
    let checksum = provenance::png::crc32(&chunk[4..]);
    chunk.extend(checksum.to_be_bytes());
    content.splice(at..at, chunk);
    content
}

fn with_segment(mut content: Vec<u8>, marker: u8, data: &[u8]) -> Vec<u8> {
    let mut segment = vec![0xFF, marker, 0, u8::try_from(2 + data.len()).unwrap()];
    segment.extend(data);
    content.splice(2..2, segment);
    content
}

/// Behind the last chunk, with the sizes set right.
fn with_riff_chunk(mut content: Vec<u8>, kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    content.extend(kind);
    content.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
    content.extend(data);
    content.resize(content.len().next_multiple_of(2), 0);
    let size = u32::try_from(content.len() - 8).unwrap();
    content[4..8].copy_from_slice(&size.to_le_bytes());
    content
}

/// Files that tell the word in more than one place, and the same that never told it.
fn telling() -> Vec<(Format, Vec<u8>, Vec<u8>)> {
    let spoken =
        "-metadata title=TELLTALE -metadata comment=TELLTALE -metadata location=+10+106/TELLTALE";
    let moving = "-f lavfi -i testsrc=size=64x48:rate=10:duration=0.5 -pix_fmt yuv420p";
    let sound = "-f lavfi -i sine=duration=0.3 -metadata TITLE=TELLTALE -metadata comment=TELLTALE";
    let mut telling: Vec<_> = [
        (Format::Mp4, ffmpeg(&format!("{moving} {spoken}"), "mp4")),
        (
            Format::Mp4,
            ffmpeg(&format!("{moving} {spoken} -movflags +faststart"), "mp4"),
        ),
        (
            Format::Mp4,
            ffmpeg(
                &format!("{moving} {spoken} -movflags frag_keyframe+empty_moov"),
                "mp4",
            ),
        ),
        (
            Format::Mp3,
            ffmpeg(&format!("{sound} -write_id3v1 1 -write_apetag 1"), "mp3"),
        ),
        (Format::Wav, ffmpeg(sound, "wav")),
        (Format::Flac, ffmpeg(sound, "flac")),
        (Format::M4a, ffmpeg(&format!("{sound} -c:a aac"), "m4a")),
    ]
    .into_iter()
    .map(|(format, content)| (format, content.clone(), content))
    .collect();
    let plain = ffmpeg("-f lavfi -i sine=duration=0.3", "flac");
    let mut last = b"TAGTELLTALE".to_vec();
    last.resize(128, 0);
    let tagged = [b"ID3\x04\0\0\0\0\0\x08TELLTALE".as_slice(), &plain, &last].concat();
    telling.push((Format::Flac, tagged, plain));
    for (format, plain) in samples() {
        let told = match format {
            Format::Png => {
                let text = with_chunk(plain.clone(), 33, b"tEXt", b"Comment\0TELLTALE");
                let exif = with_chunk(text, 33, b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0TELLTALE");
                [exif, WORD.into()].concat()
            }
            Format::Jpg => {
                let comment = with_segment(plain.clone(), 0xFE, WORD.as_bytes());
                let iptc = with_segment(comment, 0xED, b"Photoshop 3.0\0TELLTALE");
                let several = with_segment(iptc, 0xE2, b"MPF\0TELLTALE");
                [several, plain.clone(), WORD.into()].concat()
            }
            Format::Webp => with_riff_chunk(plain.clone(), b"note", WORD.as_bytes()),
            Format::Wav => with_riff_chunk(plain.clone(), b"bext", WORD.as_bytes()),
            Format::Gif => {
                let comment = [b"\x21\xfe\x08", WORD.as_bytes(), b"\0;", WORD.as_bytes()].concat();
                [&plain[..plain.len() - 1], &comment].concat()
            }
            _ => plain.clone(),
        };
        telling.push((format, told, plain));
    }
    telling
}

#[test]
fn nothing_is_told_any_more_and_what_is_seen_and_heard_stays() {
    for (format, told, plain) in telling() {
        // Twice, as of a file whose recipe was written anew: MP4 keeps the first one as free space.
        let mut whole = told;
        for _ in 0..2 {
            if let Ok(embedded) = provenance::embed(&whole, format, RECIPE) {
                whole = embedded.to_vec();
            }
        }
        assert!(tells(&whole), "{format}");
        let bare = bare(&whole, format);
        assert!(!tells(&bare), "{format}");
        assert_eq!(provenance::read(&bare), None, "{format}");
        assert_eq!(crate::sniff(&bare), Some(format));
        assert_eq!(decoded(format, &bare), decoded(format, &plain), "{format}");
        let again = cuts(&bare, format).unwrap();
        assert_eq!(apply(&bare, &again).unwrap(), bare, "{format}");
        assert!(
            bare.len() < whole.len() || matches!(format, Format::Mp4 | Format::M4a),
            "{format}"
        );
    }
}

#[test]
fn a_video_does_not_tell_when_it_was_made() {
    let made = "-f lavfi -i testsrc=size=64x48:rate=10:duration=0.5 -metadata creation_time=2026-01-02T03:04:05";
    let content = ffmpeg(made, "mp4");
    let time = 3_850_167_845_u32.to_be_bytes();
    let has_time = |content: &[u8]| content.windows(4).any(|part| part == time);
    assert!(has_time(&content));
    assert!(!has_time(&bare(&content, Format::Mp4)));
}

#[test]
fn a_photo_stays_upright_without_the_rest_of_its_exif() {
    let segment = [b"Exif\0\0", EXIF].concat();
    let flagged = |content: Vec<u8>| {
        let extended = provenance::embed(&content, Format::Webp, RECIPE).unwrap();
        let mut extended = with_riff_chunk(extended.to_vec(), b"EXIF", EXIF);
        extended[20] |= 0x08;
        extended
    };
    for (format, content) in [
        (
            Format::Png,
            with_chunk(picture(ImageFormat::Png), 33, b"eXIf", EXIF),
        ),
        (
            Format::Jpg,
            with_segment(picture(ImageFormat::Jpeg), 0xE1, &segment),
        ),
        (Format::Webp, flagged(picture(ImageFormat::WebP))),
    ] {
        assert!(tells(&content), "{format}");
        let bare = bare(&content, format);
        assert!(!tells(&bare), "{format}");
        let whole = decode(&content, format, 1 << 20).unwrap();
        assert_eq!(whole.width(), 32, "{format} is shown upright");
        assert_eq!(decode(&bare, format, 1 << 20).unwrap(), whole, "{format}");
    }
}

#[test]
fn files_whose_ways_are_not_known_are_not_said_to_be_bare() {
    for format in [Format::Webm, Format::Ogg] {
        assert_eq!(cuts(b"", format), Err(NotBared::NoWay(format)));
    }
    let mut content = picture(ImageFormat::Png);
    for _ in 0..=MAX_CUTS {
        content = with_chunk(content, 33, b"tEXt", b"Comment\0x");
        content = with_chunk(content, 33, b"pHYs", b"\0\0\0\x01\0\0\0\x01\0");
    }
    assert!(matches!(
        cuts(&content, Format::Png),
        Err(NotBared::Unfit(_))
    ));
}

/// Whatever the content is: no panic, and cuts that can be made, after which nothing is left to be cut.
fn holds(content: &[u8], format: Format) {
    if let Ok(found) = cuts(content, format) {
        let bare = apply(content, &found).unwrap();
        let again = cuts(&bare, format).unwrap();
        assert_eq!(apply(&bare, &again).as_ref(), Some(&bare), "{format}");
    }
}

#[test]
fn a_file_that_breaks_off_anywhere_does_no_harm() {
    for (format, content, _) in telling() {
        let last = content.len().min(700);
        for kept in (0..last).chain(content.len() - last..content.len()) {
            let _ = cuts(&content[..kept], format)
                .map(|found| apply(&content[..kept], &found).unwrap());
        }
    }
}

#[test]
fn a_file_with_any_byte_changed_does_no_harm() {
    for (format, content, _) in telling() {
        let mut content = content;
        for at in 0..content.len().min(400) {
            for value in [0, 1, 0xFF] {
                let before = std::mem::replace(&mut content[at], value);
                let _ = cuts(&content, format).map(|found| apply(&content, &found).unwrap());
                content[at] = before;
            }
        }
    }
}

proptest! {
    #[test]
    fn whole_files_are_bared_once(words in "[ -~]{0,200}") {
        for (format, content) in [
            (Format::Png, with_chunk(picture(ImageFormat::Png), 33, b"tEXt", words.as_bytes())),
            (Format::Jpg, with_segment(picture(ImageFormat::Jpeg), 0xFE, words.as_bytes())),
            (Format::Webp, with_riff_chunk(picture(ImageFormat::WebP), b"note", words.as_bytes())),
        ] {
            holds(&content, format);
        }
    }
}
