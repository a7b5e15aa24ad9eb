//! How the samples of a track are encoded (ISO/IEC 14496-12, sections 8.5.2 and 12).

use mp4_atom::{Avcc, Clap, Esds};

use crate::CodecError;
use crate::sound::SoundFacts;

use super::boxes::{FileBox, boxes, find, parse};
use super::sps::Sps;

/// Bytes of a visual sample entry before its boxes.
const VISUAL_HEAD: usize = 78;
/// Bytes of an audio sample entry before its boxes.
const AUDIO_HEAD: usize = 28;

/// How the pictures of a track are encoded.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    /// As FFmpeg names it.
    pub(super) codec: String,
    /// Pixels, before turning.
    pub(super) size: (u32, u32),
    /// Where the pixels to show start, and how many they are, if not all.
    pub(super) crop: Option<Crop>,
    /// The parameters of H.264.
    pub(super) avc: Option<Avcc>,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crop {
    pub(super) left: u32,
    pub(super) top: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// Reads the first visual entry of a sample description box.
pub(super) fn pictures(stsd: &[u8]) -> Result<Pictures, CodecError> {
    let entry = first(stsd)?;
    let side = |at| number(entry.body, at);
    let (width, height) = (side(24)?, side(26)?);
    let inner = entry.body.get(VISUAL_HEAD..).unwrap_or_default();
    let avc = match &entry.kind {
        b"avc1" | b"avc3" => find(inner, b"avcC")?.map(parse::<Avcc>).transpose()?,
        _ => None,
    };
    let declared = (width.into(), height.into());
    // Players show what the pictures themselves say.
    let coded = avc
        .iter()
        .flat_map(|avc: &Avcc| avc.sequence_parameter_sets.first());
    let size = coded
        .filter_map(|set| Sps::parse(set).and_then(|sps| sps.size()).ok())
        .next()
        .unwrap_or(declared);
    let crop = match find(inner, b"clap").ok().flatten() {
        Some(body) => crop(&parse(body)?, size),
        None => None,
    };
    Ok(Pictures {
        codec: picture_codec(entry.kind),
        size,
        crop,
        avc,
    })
}

/// Reads the first audio entry of a sample description box.
pub(super) fn sound(stsd: &[u8]) -> Result<SoundFacts, CodecError> {
    let entry = first(stsd)?;
    let inner = entry.body.get(AUDIO_HEAD..).unwrap_or_default();
    let channels = number(entry.body, 16)?;
    // 16 bits before the point, 16 behind.
    let sample_rate = u32::from(number(entry.body, 24)?);
    let codec = match &entry.kind {
        b"mp4a" => elementary_codec(inner).to_owned(),
        kind => sound_codec(*kind),
    };
    let sample_rate = if codec == "opus" { 48_000 } else { sample_rate };
    Ok(SoundFacts {
        codec,
        channels,
        sample_rate,
    })
}

fn first(stsd: &[u8]) -> Result<FileBox<'_>, CodecError> {
    // Version, flags and the number of entries come first.
    boxes(stsd.get(8..).unwrap_or_default())
        .next()
        .unwrap_or_else(|| {
            Err(CodecError::corrupt(
                "a track says nothing about its encoding",
            ))
        })
}

fn number(body: &[u8], at: usize) -> Result<u16, CodecError> {
    body.get(at..)
        .and_then(|rest| rest.first_chunk::<2>())
        .map(|bytes| u16::from_be_bytes(*bytes))
        .ok_or_else(|| CodecError::corrupt("a sample entry is cut off"))
}

/// The clean aperture, rounded down to whole pixels (ISO/IEC 14496-12, section 12.1.4). `None` if it makes no sense.
fn crop(clap: &Clap, size: (u32, u32)) -> Option<Crop> {
    let side = |length: u32, n: u32, d: u32, offset: i32, offset_d: u32| {
        let shown = n
            .checked_div(d)
            .filter(|shown| (1..=length).contains(shown))?;
        let offset = f64::from(offset) / f64::from(offset_d.max(1));
        let start = (f64::from(length - shown) / 2.0 + offset).floor();
        let start = (start >= 0.0 && start <= f64::from(length - shown)).then_some(start as u32)?;
        Some((start, shown))
    };
    let (left, width) = side(
        size.0,
        clap.clean_aperture_width_n,
        clap.clean_aperture_width_d,
        clap.horiz_off_n,
        clap.horiz_off_d,
    )?;
    let (top, height) = side(
        size.1,
        clap.clean_aperture_height_n,
        clap.clean_aperture_height_d,
        clap.vert_off_n,
        clap.vert_off_d,
    )?;
    Some(Crop {
        left,
        top,
        width,
        height,
    })
}

fn picture_codec(kind: [u8; 4]) -> String {
    let name = match &kind {
        b"avc1" | b"avc3" => "h264",
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => "hevc",
        b"vp08" => "vp8",
        b"vp09" => "vp9",
        b"av01" => "av1",
        b"mp4v" => "mpeg4",
        b"jpeg" | b"mjpa" => "mjpeg",
        _ => return code(kind),
    };
    name.to_owned()
}

fn sound_codec(kind: [u8; 4]) -> String {
    let name = match &kind {
        b"Opus" => "opus",
        b"fLaC" => "flac",
        b".mp3" => "mp3",
        b"ac-3" => "ac3",
        b"ec-3" => "eac3",
        b"alac" => "alac",
        b"sowt" => "pcm_s16le",
        b"twos" => "pcm_s16be",
        _ => return code(kind),
    };
    name.to_owned()
}

/// What stands in an entry for MPEG sound (mp4ra.org, object types).
fn elementary_codec(inner: &[u8]) -> &'static str {
    let kind = find(inner, b"esds")
        .ok()
        .flatten()
        .and_then(|body| parse::<Esds>(body).ok());
    match kind.map(|esds| esds.es_desc.dec_config.object_type_indication) {
        Some(0x69 | 0x6B) => "mp3",
        _ => "aac",
    }
}

/// A code of four letters as a name; other characters become a question mark.
fn code(kind: [u8; 4]) -> String {
    let letter = |byte: u8| {
        if byte.is_ascii_graphic() {
            char::from(byte)
        } else {
            '?'
        }
    };
    kind.into_iter().map(letter).collect()
}
