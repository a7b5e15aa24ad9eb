//! How the samples of a track are encoded (ISO/IEC 14496-12, sections 8.5.2 and 12).

use mp4_atom::{Avcc, Clap, Pasp};

use crate::CodecError;

use super::boxes::{FileBox, boxes, find, parse};
use super::sps::Sps;

/// Bytes of a visual sample entry before its boxes.
const VISUAL_HEAD: usize = 78;
/// How far pixels may be from square: beyond that, a file says what it does not mean.
const MOST_STRETCHED: u64 = 8;

/// How the pictures of a track are encoded.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    /// As FFmpeg names it.
    pub(super) codec: String,
    /// Pixels, before turning.
    pub(super) size: (u32, u32),
    /// Where the pixels to show start, and how many they are, if not all.
    pub(super) crop: Option<Crop>,
    /// Width and height of a pixel.
    pub(super) pixel: (u32, u32),
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
    let coded: Vec<Sps> = coded.filter_map(|set| Sps::parse(set).ok()).collect();
    let size = coded
        .iter()
        .find_map(|sps| sps.size().ok())
        .unwrap_or(declared);
    let stated = find(inner, b"pasp")
        .ok()
        .flatten()
        .and_then(|body| parse::<Pasp>(body).ok());
    let stated = stated.map(|pixel| (pixel.h_spacing, pixel.v_spacing));
    let pixel = stated
        .or_else(|| coded.iter().find_map(Sps::pixel))
        .unwrap_or((1, 1));
    let crop = match find(inner, b"clap").ok().flatten() {
        Some(body) => crop(&parse(body)?, size),
        None => None,
    };
    Ok(Pictures {
        codec: picture_codec(entry.kind),
        size,
        crop,
        pixel,
        avc,
    })
}

/// The size of a picture once its pixels are square: it becomes larger, and never smaller. `pixel` is their width and height.
pub(super) fn stretched(size: (u32, u32), pixel: (u64, u64)) -> (u32, u32) {
    let (width, height) = pixel;
    let is_meant =
        |long: u64, short: u64| long > short && long / MOST_STRETCHED <= short && short > 0;
    let scaled = |side: u32, long: u64, short: u64| {
        let (side, long, short) = (u128::from(side), u128::from(long), u128::from(short));
        u32::try_from((side * long + short / 2) / short).unwrap_or(u32::MAX)
    };
    match size {
        (w, h) if is_meant(width, height) => (scaled(w, width, height), h),
        (w, h) if is_meant(height, width) => (w, scaled(h, height, width)),
        size => size,
    }
}

pub(super) fn first(stsd: &[u8]) -> Result<FileBox<'_>, CodecError> {
    // Version, flags and the number of entries come first.
    boxes(stsd.get(8..).unwrap_or_default())
        .next()
        .unwrap_or_else(|| {
            Err(CodecError::corrupt(
                "a track says nothing about its encoding",
            ))
        })
}

pub(super) fn number(body: &[u8], at: usize) -> Result<u16, CodecError> {
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

/// A code of four letters as a name; other characters become a question mark.
pub(super) fn code(kind: [u8; 4]) -> String {
    let letter = |byte: u8| {
        if byte.is_ascii_graphic() {
            char::from(byte)
        } else {
            '?'
        }
    };
    kind.into_iter().map(letter).collect()
}
