//! H.264 by OpenH264, frame by frame.

use image::RgbImage;
use openh264::{
    OpenH264API,
    encoder::{
        BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, IntraFramePeriod,
        Profile, QpRange, RateControlMode, UsageType, VuiConfig,
    },
};

use super::CodecError;
use super::colour::Planes;

/// Seconds from one key frame to the next: what a player seeks to.
const KEY_FRAME_SECONDS: u32 = 2;
/// Quantisation (0 to 51, less is better) at which flat areas and the edges of letters stay clean.
const QUALITY: u8 = 22;
/// What OpenH264 takes: level 5.2.
const MOST_SIDES: (u32, u32) = (3840, 2160);

/// Types of network abstraction layer units (ITU-T H.264, table 7-1).
const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;

/// One encoded picture: its units, each after its length in four bytes (ISO/IEC 14496-15, section 5.3.4.2).
pub(super) struct Sample<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether decoding may start here.
    pub(super) is_key: bool,
}

/// Encodes to Constrained Baseline, which every browser and phone plays, at a constant quality.
pub(super) struct H264Encoder {
    encoder: Encoder,
    planes: Planes,
    sample: Vec<u8>,
    /// Sequence and picture parameter sets, once the first picture is encoded.
    pub(super) parameters: (Vec<u8>, Vec<u8>),
}

impl H264Encoder {
    /// An encoder for pictures of a size in pixels.
    pub(super) fn new((width, height): (u32, u32), frame_rate: u32) -> Result<Self, CodecError> {
        let (long, short) = (width.max(height), width.min(height));
        if long > MOST_SIDES.0 || short > MOST_SIDES.1 {
            return Err(CodecError::Unsupported(format!(
                "an H.264 video has at most {} x {} pixels, not {width} x {height}",
                MOST_SIDES.0, MOST_SIDES.1
            )));
        }
        let config = config(frame_rate, u64::from(width) * u64::from(height));
        Ok(Self {
            encoder: Encoder::with_api_config(OpenH264API::from_source(), config)
                .map_err(failed)?,
            planes: Planes::new((width, height)),
            sample: Vec::new(),
            parameters: (Vec::new(), Vec::new()),
        })
    }

    /// Encodes the next picture.
    pub(super) fn encode(&mut self, picture: &RgbImage) -> Result<Sample<'_>, CodecError> {
        self.planes.convert(picture);
        let stream = self.encoder.encode(&self.planes).map_err(failed)?;
        self.sample.clear();
        for layer in (0..stream.num_layers()).filter_map(|index| stream.layer(index)) {
            for unit in (0..layer.nal_count()).filter_map(|index| layer.nal_unit(index)) {
                let unit = without_start_code(unit);
                match unit.first().map(|header| header & 0x1f) {
                    Some(SEQUENCE_PARAMETERS) => self.parameters.0 = unit.to_vec(),
                    Some(PICTURE_PARAMETERS) => self.parameters.1 = unit.to_vec(),
                    Some(_) => {
                        let length = u32::try_from(unit.len()).map_err(failed)?;
                        self.sample.extend(length.to_be_bytes());
                        self.sample.extend(unit);
                    }
                    None => {}
                }
            }
        }
        if self.sample.is_empty() {
            return Err(failed("the encoder left out a picture"));
        }
        Ok(Sample {
            bytes: &self.sample,
            is_key: stream.frame_type() == FrameType::IDR,
        })
    }
}

fn config(frame_rate: u32, pixels: u64) -> EncoderConfig {
    // Chooses the level; the quality is bound by the quantisation alone. About a tenth of a bit per pixel.
    let bit_rate = (pixels * u64::from(frame_rate) / 10).clamp(100_000, 100_000_000) as u32;
    EncoderConfig::new()
        .profile(Profile::Baseline)
        .usage_type(UsageType::CameraVideoRealTime)
        .complexity(Complexity::Low)
        // The one mode that keeps the same quantisation in all pictures, and no bit rate.
        .rate_control_mode(RateControlMode::Bufferbased)
        .qp(QpRange::new(QUALITY, QUALITY))
        .adaptive_quantization(false)
        .background_detection(false)
        .bitrate(BitRate::from_bps(bit_rate))
        .max_frame_rate(FrameRate::from_hz(frame_rate as f32))
        .intra_frame_period(IntraFramePeriod::from_num_frames(
            frame_rate * KEY_FRAME_SECONDS,
        ))
        // Every frame has its time, and the same frames always give the same file.
        .skip_frames(false)
        .num_threads(1)
        .scene_change_detect(false)
        .vui(VuiConfig::bt709())
}

/// A unit without the zeros and the one that mark its start (ITU-T H.264, annex B).
fn without_start_code(unit: &[u8]) -> &[u8] {
    let zeros = unit.iter().take_while(|byte| **byte == 0).count();
    match unit.get(zeros) {
        Some(1) if zeros >= 2 => &unit[zeros + 1..],
        _ => unit,
    }
}

fn failed(error: impl std::fmt::Display) -> CodecError {
    CodecError::Unsupported(format!("H.264 encoding failed: {error}"))
}
