//! What an H.264 sequence parameter set says of the pictures (ITU-T H.264, sections 7.3.2.1.1 and E.1.1).

use crate::CodecError;

use super::colour::{Colour, Matrix};

/// Bytes that are looked at; a set has less than a hundred.
const MAX_BYTES: usize = 4096;
/// Macroblocks along one side; the highest level has 139,264 in all.
const MAX_MACROBLOCKS: u32 = 4096;
/// Profiles with a chroma format and scaling lists.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];

/// A sequence parameter set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sps {
    profile: u8,
    chroma_format: u32,
    bit_depth: u32,
    progressive: bool,
    /// Pixels that are coded, whole macroblocks.
    pub(super) coded: (u32, u32),
    /// Pixels after cropping.
    pub(super) size: (u32, u32),
    /// `None` where the set does not say.
    pub(super) colour: Option<Colour>,
}

impl Sps {
    /// Reads a NAL unit of type 7.
    pub(super) fn parse(nal: &[u8]) -> Result<Self, CodecError> {
        let bytes = unescaped(nal.get(1..).unwrap_or_default());
        let mut bits = Bits {
            bytes: &bytes,
            at: 0,
        };
        let profile = bits.take(8)? as u8;
        bits.take(16)?; // constraints, level
        bits.unsigned()?; // id
        let (chroma_format, bit_depth) = match HIGH_PROFILES.contains(&profile) {
            true => high_profile(&mut bits)?,
            false => (1, 8),
        };
        bits.unsigned()?; // log2_max_frame_num
        picture_order(&mut bits)?;
        bits.unsigned()?; // max_num_ref_frames
        bits.take(1)?; // gaps_in_frame_num_value_allowed_flag
        let columns = bits.macroblocks()?;
        let rows = bits.macroblocks()?;
        let progressive = bits.flag()?;
        if !progressive {
            bits.take(1)?; // mb_adaptive_frame_field_flag
        }
        bits.take(1)?; // direct_8x8_inference_flag
        let coded = (columns * 16, rows * 16 * if progressive { 1 } else { 2 });
        let unit = (
            if matches!(chroma_format, 1 | 2) { 2 } else { 1 },
            if chroma_format == 1 { 2 } else { 1 } * if progressive { 1 } else { 2 },
        );
        let size = cropped(&mut bits, coded, unit)?;
        // The usability information stands last; without it or cut off, the colours are simply not known.
        let colour = match bits.flag() {
            Ok(true) => colour(&mut bits).ok().flatten(),
            _ => None,
        };
        Ok(Self {
            profile,
            chroma_format,
            bit_depth,
            progressive,
            coded,
            size,
            colour,
        })
    }

    /// Why the decoder does not read such pictures, if it does not.
    pub(super) fn unsupported(&self) -> Option<String> {
        let Self {
            profile,
            chroma_format,
            bit_depth,
            progressive,
            ..
        } = self;
        if !matches!(profile, 66 | 77 | 100) {
            return Some(format!("nothing here decodes profile {profile} of H.264"));
        }
        if *chroma_format != 1 || *bit_depth != 8 {
            return Some("only 8 bits and 4:2:0 of H.264 are decoded here".to_owned());
        }
        (!progressive).then(|| "nothing here decodes interlaced H.264".to_owned())
    }
}

/// The chroma format and the greater bit depth.
fn high_profile(bits: &mut Bits<'_>) -> Result<(u32, u32), CodecError> {
    let chroma_format = bits.unsigned()?;
    if chroma_format > 3 {
        return Err(malformed());
    }
    if chroma_format == 3 {
        bits.take(1)?; // separate_colour_plane_flag
    }
    let (luma, chroma) = (bits.unsigned()?, bits.unsigned()?);
    bits.take(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        for list in 0..if chroma_format == 3 { 12 } else { 8 } {
            if bits.flag()? {
                skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    Ok((chroma_format, luma.max(chroma).saturating_add(8)))
}

/// Section 7.3.2.1.1.1.
fn skip_scaling_list(bits: &mut Bits<'_>, size: u32) -> Result<(), CodecError> {
    let (mut last, mut next) = (8_i64, 8_i64);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn picture_order(bits: &mut Bits<'_>) -> Result<(), CodecError> {
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?; // log2_max_pic_order_cnt_lsb
        }
        1 => {
            bits.take(1)?; // delta_pic_order_always_zero_flag
            bits.signed()?; // offset_for_non_ref_pic
            bits.signed()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.unsigned()?.min(255) {
                bits.signed()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    Ok(())
}

fn cropped(
    bits: &mut Bits<'_>,
    coded: (u32, u32),
    unit: (u32, u32),
) -> Result<(u32, u32), CodecError> {
    if !bits.flag()? {
        return Ok(coded);
    }
    let (left, right) = (bits.unsigned()?, bits.unsigned()?);
    let (top, bottom) = (bits.unsigned()?, bits.unsigned()?);
    let rest = |side: u32, a: u32, b: u32, unit: u32| {
        let cut = a.checked_add(b)?.checked_mul(unit)?;
        side.checked_sub(cut).filter(|side| *side > 0)
    };
    let width = rest(coded.0, left, right, unit.0).ok_or_else(malformed)?;
    let height = rest(coded.1, top, bottom, unit.1).ok_or_else(malformed)?;
    Ok((width, height))
}

/// The video signal type of the usability information (section E.1.1).
fn colour(bits: &mut Bits<'_>) -> Result<Option<Colour>, CodecError> {
    const EXTENDED_SAR: u32 = 255;
    if bits.flag()? && bits.take(8)? == EXTENDED_SAR {
        bits.take(32)?;
    }
    if bits.flag()? {
        bits.take(1)?; // overscan_appropriate_flag
    }
    if !bits.flag()? {
        return Ok(None);
    }
    bits.take(3)?; // video_format
    let full_range = bits.flag()?;
    let matrix = match bits.flag()? {
        true => {
            bits.take(16)?; // primaries, transfer characteristics
            Matrix::of(bits.take(8)?)
        }
        false => None,
    };
    Ok(Some(Colour { matrix, full_range }))
}

/// The bytes without those that keep start codes from appearing (section 7.4.1.1).
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut zeros = 0;
    for &byte in bytes.iter().take(MAX_BYTES) {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}

fn malformed() -> CodecError {
    CodecError::corrupt("the H.264 parameters make no sense")
}

/// Reads bit by bit, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32, as a number.
    fn take(&mut self, count: u32) -> Result<u32, CodecError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or_else(malformed)?;
            value = (value << 1) | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn flag(&mut self) -> Result<bool, CodecError> {
        Ok(self.take(1)? == 1)
    }

    /// An Exp-Golomb code (section 9.1).
    fn unsigned(&mut self) -> Result<u32, CodecError> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(malformed());
            }
        }
        let rest = self.take(zeros)?;
        Ok((1_u32 << zeros) - 1 + rest)
    }

    fn signed(&mut self) -> Result<i64, CodecError> {
        let code = i64::from(self.unsigned()?);
        Ok(if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -(code / 2)
        })
    }

    /// The number of macroblocks along a side.
    fn macroblocks(&mut self) -> Result<u32, CodecError> {
        match self.unsigned()? {
            count if count < MAX_MACROBLOCKS => Ok(count + 1),
            _ => Err(malformed()),
        }
    }
}
