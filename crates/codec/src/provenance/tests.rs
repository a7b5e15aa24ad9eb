//! Held against files of other programs, and against other programs' reading of ours.

use std::fs;
use std::io::Cursor;

use image::{
    AnimationDecoder, DynamicImage, ImageFormat, RgbImage, RgbaImage, codecs::webp::WebPDecoder,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::samples;

mod hostile;

const RECIPE: &str = r#"{"input":{"prompt":"Phở & \"bánh\" <b>😀</b>\n]]>","seed":7},"version":1}"#;
const OTHER: &str = r#"{"version":2}"#;
const FOREIGN: &str = "<?xpacket begin='\u{feff}' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>\
    <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
    <rdf:Description rdf:about='uuid:1' xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format='&lt;kept>'/>\
    </rdf:RDF></x:xmpmeta>   <?xpacket end='w'?>";

fn parsed(recipe: &str) -> Option<Map<String, Value>> {
    Some(serde_json::from_str(recipe).unwrap())
}

fn pixels() -> RgbImage {
    RgbImage::from_fn(48, 32, |x, y| {
        image::Rgb([(x * 5) as u8, (y * 7) as u8, (x * y) as u8])
    })
}

pub(crate) fn picture(format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    pixels().write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// What a program prints; it must complain of nothing.
fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = samples::run(program, arguments);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        complaints.is_empty(),
        "{program} {arguments:?}: {complaints}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn moving(extension: &str) -> Vec<u8> {
    samples::ffmpeg(
        "-f lavfi -i testsrc=size=64x48:rate=10:duration=0.3",
        extension,
    )
}

fn video(options: &str) -> Vec<u8> {
    let signal = "-f lavfi -i testsrc=size=64x48:rate=10:duration=0.5 -pix_fmt yuv420p";
    samples::ffmpeg(&format!("{signal} {options}"), "mp4")
}

fn sound(extension: &str) -> Vec<u8> {
    samples::ffmpeg(
        "-f lavfi -i sine=duration=0.3 -metadata TITLE=Phở",
        extension,
    )
}

/// A file of every format that has a place for a recipe.
pub(crate) fn samples() -> Vec<(Format, Vec<u8>)> {
    let webp = moving("webp");
    vec![
        (Format::Png, picture(ImageFormat::Png)),
        (Format::Jpg, picture(ImageFormat::Jpeg)),
        (Format::Webp, picture(ImageFormat::WebP)),
        (Format::Webp, webp),
        (Format::Mp4, video("")),
        (Format::Mp4, video("-movflags +faststart")),
        (Format::Gif, moving("gif")),
        (Format::Wav, sound("wav")),
        (Format::Flac, sound("flac")),
    ]
}

/// A checksum of every frame and sample, by ffmpeg, or the frames themselves where it reads none.
pub(crate) fn decoded(format: Format, content: &[u8]) -> String {
    if format == Format::Webp && content.windows(4).any(|part| part == b"ANIM") {
        let decoder = WebPDecoder::new(Cursor::new(content)).unwrap();
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert!(frames.len() > 1);
        let pixels = frames.iter().map(|frame| frame.buffer().as_raw());
        return format!("{:?}", pixels.collect::<Vec<_>>());
    }
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(format!("file.{format}"));
    // It warns of every chunk of WebP that it skips, and of the channels that WAV does not name.
    let level = match format {
        Format::Webp | Format::Wav => "error",
        _ => "warning",
    };
    fs::write(&path, content).unwrap();
    output_of(
        "ffmpeg",
        &[
            "-v",
            level,
            "-i",
            path.to_str().unwrap(),
            "-f",
            "framemd5",
            "-",
        ],
    )
}

/// The file with a packet that another program wrote.
fn with_foreign_packet(format: Format, content: &[u8], packet: &str) -> Option<Vec<u8>> {
    let change = |_: Option<&[u8]>| Ok(packet.as_bytes().to_vec());
    let edits = match format {
        Format::Png => png::edits(content, change),
        Format::Jpg => jpeg::edits(content, change),
        Format::Webp => riff::edits(content, Form::Webp, change),
        Format::Wav => riff::edits(content, Form::Wav, change),
        Format::Mp4 => mp4::edits(content, change),
        Format::Gif => gif::edits(content, change),
        _ => return None,
    };
    Some(apply(content, &edits.unwrap()).unwrap().into())
}

#[test]
fn a_recipe_is_read_back_and_other_programs_decode_the_same() {
    for (format, content) in samples() {
        assert_eq!(read(&content), None, "{format}");
        let embedded = embed(&content, format, RECIPE).unwrap();
        assert_eq!(read(&embedded), parsed(RECIPE), "{format}");
        assert_eq!(
            decoded(format, &embedded),
            decoded(format, &content),
            "{format}"
        );
    }
}

#[test]
fn the_decoders_here_see_the_same_pixels() {
    for (format, kind) in [
        (Format::Png, ImageFormat::Png),
        (Format::Jpg, ImageFormat::Jpeg),
        (Format::Webp, ImageFormat::WebP),
    ] {
        let content = picture(kind);
        let embedded = embed(&content, format, RECIPE).unwrap();
        let decode = |content| image::load_from_memory_with_format(content, kind).unwrap();
        assert_eq!(decode(&embedded), decode(&content), "{format}");
    }
}

#[test]
fn a_recipe_replaces_the_one_before_it() {
    for (format, content) in samples() {
        let first = embed(&content, format, RECIPE).unwrap();
        let second = embed(&first, format, OTHER).unwrap();
        assert_eq!(read(&second), parsed(OTHER), "{format}");
        assert_eq!(
            decoded(format, &second),
            decoded(format, &content),
            "{format}"
        );
        if format != Format::Mp4 {
            assert_eq!(second, embed(&content, format, OTHER).unwrap(), "{format}");
        }
    }
}

#[test]
fn what_other_programs_wrote_into_the_packet_stays() {
    for (format, content) in samples() {
        let Some(foreign) = with_foreign_packet(format, &content, FOREIGN) else {
            continue;
        };
        assert_eq!(read(&foreign), None, "{format}");
        let embedded = embed(&foreign, format, RECIPE).unwrap();
        assert_eq!(read(&embedded), parsed(RECIPE), "{format}");
        let text = String::from_utf8_lossy(&embedded).into_owned();
        assert!(text.contains("dc:format='&lt;kept>'"), "{format}");
        assert!(
            text.contains(r#"rdf:about="uuid:1"><atelier:recipe"#),
            "{format}"
        );
        assert_eq!(
            decoded(format, &embedded),
            decoded(format, &content),
            "{format}"
        );
        let again = embed(&embedded, format, RECIPE).unwrap();
        assert_eq!(read(&again), parsed(RECIPE), "{format}");
        let unreadable = with_foreign_packet(format, &content, "<x:xmpmeta>").unwrap();
        let refused = embed(&unreadable, format, RECIPE);
        assert_eq!(
            refused,
            Err(NotEmbedded::Unfit("its XMP packet cannot be read")),
            "{format}"
        );
    }
}

#[test]
fn a_recipe_that_was_written_again_as_an_attribute_is_found_and_replaced() {
    let attribute = FOREIGN.replace(
        "dc:format=",
        "xmlns:r='urn:atelier:recipe:1#' r:recipe='{\"version\":9}' dc:format=",
    );
    let content = picture(ImageFormat::Png);
    let rewritten = with_foreign_packet(Format::Png, &content, &attribute).unwrap();
    assert_eq!(read(&rewritten), parsed(r#"{"version":9}"#));
    let embedded = embed(&rewritten, Format::Png, RECIPE).unwrap();
    assert_eq!(read(&embedded), parsed(RECIPE));
    assert!(!String::from_utf8_lossy(&embedded).contains("r:recipe="));
}

#[test]
fn the_other_fields_of_a_vorbis_comment_stay() {
    let content = sound("flac");
    let embedded = embed(&content, Format::Flac, RECIPE).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.flac");
    fs::write(&path, &embedded).unwrap();
    let shown = output_of(
        "ffprobe",
        &[
            "-v",
            "warning",
            "-show_entries",
            "format_tags",
            "-of",
            "json",
            path.to_str().unwrap(),
        ],
    );
    let tags = &serde_json::from_str::<Value>(&shown).unwrap()["format"]["tags"];
    assert_eq!(tags["TITLE"], "Phở");
    assert_eq!(tags["ATELIER_RECIPE"], RECIPE);
}

#[test]
fn a_flac_file_without_a_comment_gets_one() {
    let mut content = b"fLaC\x80\0\0\x22".to_vec();
    content.extend([7; 34]);
    content.extend(b"\xff\xf8 the sound");
    let embedded = embed(&content, Format::Flac, RECIPE).unwrap();
    assert_eq!(read(&embedded), parsed(RECIPE));
    assert_eq!(
        (embedded[4], embedded[42]),
        (0, 0x84),
        "only the new block is the last one"
    );
    assert!(embedded.ends_with(b"\xff\xf8 the sound"));
}

/// By Python's own checksum, and the order of the chunks as the standard has it.
#[test]
fn python_reads_the_chunks_of_a_png() {
    const SCRIPT: &str = "
import struct, sys, zlib
data, at, kinds = open(sys.argv[1], 'rb').read(), 8, []
while at < len(data):
    size, kind = struct.unpack('>I4s', data[at:at + 8])
    body, (crc,) = data[at + 8:at + 8 + size], struct.unpack('>I', data[at + 8 + size:at + 12 + size])
    assert zlib.crc32(kind + body) == crc, kind
    kinds.append(kind.decode()); at += 12 + size
    if kind == b'iTXt': assert body.startswith(b'XML:com.adobe.xmp\\0\\0\\0\\0\\0<?xpacket')
print(*kinds)";
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.png");
    let embedded = embed(&picture(ImageFormat::Png), Format::Png, RECIPE).unwrap();
    fs::write(&path, &embedded).unwrap();
    let kinds = output_of("python3", &["-c", SCRIPT, path.to_str().unwrap()]);
    assert_eq!(kinds.trim(), "IHDR iTXt IDAT IEND");
}

#[test]
fn the_orientation_of_a_photo_stays_before_everything_else() {
    let exif = *b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let mut content = picture(ImageFormat::Jpeg);
    content.splice(2..2, exif);
    let embedded = embed(&content, Format::Jpg, RECIPE).unwrap();
    assert_eq!(embedded[2..2 + exif.len()], exif);
    let decode = |content: &[u8]| crate::picture::decode(content, Format::Jpg, 1 << 20);
    assert_eq!(decode(&embedded).unwrap(), decode(&content).unwrap());
    assert_eq!(
        decode(&embedded).unwrap().width(),
        32,
        "it is shown upright"
    );
}

#[test]
fn a_jpeg_of_several_pictures_is_left_as_it_is() {
    let mut content = picture(ImageFormat::Jpeg);
    content.splice(2..2, *b"\xff\xe2\0\x0aMPF\0MM\0\x2a");
    let refused = embed(&content, Format::Jpg, RECIPE).unwrap_err();
    assert_eq!(refused, NotEmbedded::Unfit("it holds several pictures"));
}

#[test]
fn a_long_recipe_fits_into_everything_but_jpeg() {
    let long = json!({ "prompt": "x".repeat(66_000) }).to_string();
    for (format, content) in samples() {
        let embedded = embed(&content, format, &long);
        if format == Format::Jpg {
            let refused = embedded.unwrap_err();
            assert!(
                matches!(refused, NotEmbedded::TooLong { max: 65_502, .. }),
                "{refused}"
            );
        } else {
            assert_eq!(read(&embedded.unwrap()), parsed(&long), "{format}");
        }
    }
    let room = 65_502
        - String::from_utf8(xmp::with_recipe(None, "{}").unwrap())
            .unwrap()
            .len();
    let jpeg = picture(ImageFormat::Jpeg);
    let filled = |length: usize| embed(&jpeg, Format::Jpg, &format!("{{{}}}", " ".repeat(length)));
    assert!(filled(room).is_ok());
    assert_eq!(
        filled(room + 1),
        Err(NotEmbedded::TooLong {
            size: 65_503,
            max: 65_502
        })
    );
}

#[test]
fn characters_that_xml_cannot_hold_are_read_back() {
    let recipe = json!({ "prompt": "\u{fffe}\u{ffff}\u{0}\u{7f}\u{85}\r\n\t'\"&<>" }).to_string();
    let embedded = embed(&picture(ImageFormat::Png), Format::Png, &recipe).unwrap();
    assert_eq!(read(&embedded), parsed(&recipe));
}

#[test]
fn a_webp_file_s_header_says_what_is_in_it() {
    let header = |embedded: &[u8]| {
        let size = u32::from_le_bytes(embedded[4..8].try_into().unwrap());
        assert_eq!(size as usize + 8, embedded.len());
        assert_eq!(&embedded[12..20], b"VP8X\x0a\0\0\0");
        (embedded[20], embedded[24], embedded[27])
    };
    let opaque = embed(&picture(ImageFormat::WebP), Format::Webp, RECIPE).unwrap();
    assert_eq!(header(&opaque), (0x04, 47, 31));

    let mut file = Cursor::new(Vec::new());
    let clear = DynamicImage::ImageRgba8(RgbaImage::from_pixel(300, 9, image::Rgba([1, 2, 3, 4])));
    clear.write_to(&mut file, ImageFormat::WebP).unwrap();
    let content = file.into_inner();
    let embedded = embed(&content, Format::Webp, RECIPE).unwrap();
    assert_eq!(header(&embedded), (0x14, 43, 8), "of 299 the low byte");
    let decoded = image::load_from_memory_with_format(&embedded, ImageFormat::WebP).unwrap();
    assert_eq!(decoded, clear);

    let animated = moving("webp");
    assert_eq!(animated[20] & 0x02, 0x02, "ffmpeg makes an animation");
    let embedded = embed(&animated, Format::Webp, RECIPE).unwrap();
    assert_eq!(header(&embedded), (animated[20] | 0x04, 63, 47));

    let lossy = samples::ffmpeg(
        "-f lavfi -i testsrc=size=64x48:duration=0.04 -frames:v 1 -c:v libwebp",
        "webp",
    );
    assert_eq!(&lossy[12..16], b"VP8 ");
    let embedded = embed(&lossy, Format::Webp, RECIPE).unwrap();
    assert_eq!(header(&embedded), (0x04, 63, 47));
}

#[test]
fn an_mp4_file_only_grows_at_its_end() {
    let content = video("-movflags +faststart");
    let first = embed(&content, Format::Mp4, RECIPE).unwrap();
    assert_eq!(first[..content.len()], content);
    let second = embed(&first, Format::Mp4, OTHER).unwrap();
    let freed = first.len() - content.len();
    assert_eq!(second[..content.len()], content);
    assert_eq!(&second[content.len() + 4..content.len() + 8], b"free");
    assert_eq!(&second[content.len() + freed + 4..][..4], b"uuid");

    let mut open = content.clone();
    open.extend(b"\0\0\0\0mdat to the end");
    assert!(matches!(
        embed(&open, Format::Mp4, RECIPE),
        Err(NotEmbedded::Unfit(_))
    ));
}

#[test]
fn bytes_behind_the_file_s_end_stay() {
    for (format, mut content) in samples() {
        if matches!(format, Format::Png | Format::Webp | Format::Gif) {
            content.extend(b"behind the end");
            let embedded = embed(&content, format, RECIPE).unwrap();
            assert!(embedded.ends_with(b"behind the end"), "{format}");
            assert_eq!(read(&embedded), parsed(RECIPE), "{format}");
        }
    }
}

#[test]
fn a_format_without_a_place_is_named() {
    for format in [Format::Webm, Format::Mp3, Format::Ogg] {
        assert_eq!(
            embed(b"anything", format, RECIPE),
            Err(NotEmbedded::NoPlace(format))
        );
    }
}
