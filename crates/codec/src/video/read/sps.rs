//! What an H.264 sequence parameter set says of the pictures (ITU-T H.264, sections 7.4.2.1.1 and E.2.1).

use h264_reader::nal::sps::{ChromaFormat, FrameMbsFlags, SeqParameterSet};
use h264_reader::rbsp::{BitReader, decode_nal};

use crate::CodecError;

use super::colour::{Colour, Matrix};

/// Pixels along the side of a macroblock.
const MACROBLOCK: u32 = 16;

/// A sequence parameter set.
#[derive(Clone, Debug)]
pub(super) struct Sps(SeqParameterSet);

impl Sps {
    /// Reads a NAL unit of type 7.
    pub(super) fn parse(nal: &[u8]) -> Result<Self, CodecError> {
        let bytes = decode_nal(nal).map_err(|_| malformed())?;
        let set = SeqParameterSet::from_bits(BitReader::new(&*bytes));
        set.map(Self).map_err(|_| malformed())
    }

    /// Pixels that are coded, whole macroblocks.
    pub(super) fn coded(&self) -> Result<(u32, u32), CodecError> {
        let fields = if self.is_progressive() { 1 } else { 2 };
        let side = |last: u32, pixels| last.checked_add(1)?.checked_mul(pixels);
        let width = side(self.0.pic_width_in_mbs_minus1, MACROBLOCK);
        let height = side(self.0.pic_height_in_map_units_minus1, MACROBLOCK * fields);
        width.zip(height).ok_or_else(malformed)
    }

    /// Pixels after cropping, at least one.
    pub(super) fn size(&self) -> Result<(u32, u32), CodecError> {
        let size = self.0.pixel_dimensions().ok();
        let size = size.filter(|(width, height)| *width > 0 && *height > 0);
        size.ok_or_else(malformed)
    }

    /// Width and height of a pixel; `None` where the set does not say.
    pub(super) fn pixel(&self) -> Option<(u32, u32)> {
        let usability = self.0.vui_parameters.as_ref()?;
        let (width, height) = usability.aspect_ratio_info.as_ref()?.get()?;
        Some((width.into(), height.into()))
    }

    /// `None` where the set does not say.
    pub(super) fn colour(&self) -> Option<Colour> {
        let usability = self.0.vui_parameters.as_ref()?;
        let signal = usability.video_signal_type.as_ref()?;
        let description = signal.colour_description.as_ref();
        Some(Colour {
            matrix: description.and_then(|colour| Matrix::of(colour.matrix_coefficients.into())),
            full_range: signal.video_full_range_flag,
        })
    }

    /// Why the decoder does not read such pictures, if it does not.
    pub(super) fn unsupported(&self) -> Option<String> {
        let profile = u8::from(self.0.profile_idc);
        if !matches!(profile, 66 | 77 | 100) {
            return Some(format!("nothing here decodes profile {profile} of H.264"));
        }
        let chroma = &self.0.chroma_info;
        let depths = (chroma.bit_depth_luma_minus8, chroma.bit_depth_chroma_minus8);
        if chroma.chroma_format != ChromaFormat::YUV420 || depths != (0, 0) {
            return Some("only 8 bits and 4:2:0 of H.264 are decoded here".to_owned());
        }
        (!self.is_progressive()).then(|| "nothing here decodes interlaced H.264".to_owned())
    }

    fn is_progressive(&self) -> bool {
        matches!(self.0.frame_mbs_flags, FrameMbsFlags::Frames)
    }
}

fn malformed() -> CodecError {
    CodecError::corrupt("the H.264 parameters make no sense")
}
