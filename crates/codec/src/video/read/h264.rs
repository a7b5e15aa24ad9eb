//! Decoding of H.264, by OpenH264.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use image::RgbImage;
use mp4_atom::Avcc;
use openh264::OpenH264API;
use openh264::decoder::{DecodeOptions, Decoder, DecoderConfig, Flush};

use crate::{Bounds, CodecError};

use super::colour::{Colour, to_rgb};
use super::sps::Sps;

/// What stands before each unit in a stream of bytes (ITU-T H.264, annex B).
const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// The type of a NAL unit with sequence parameters (table 7-1).
const SPS: u8 = 7;

/// Turns samples into pictures, in the order in which they are shown.
pub(super) struct Pictures<'a> {
    decoder: Decoder,
    bounds: &'a Bounds,
    /// Bytes that tell a unit's length.
    length_size: usize,
    /// The next units to decode; at first the parameters of the whole stream.
    packet: Vec<u8>,
    /// Times of samples whose pictures are still to come. Pictures come in their order.
    times: BinaryHeap<Reverse<i64>>,
    colour: Colour,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(avc: &Avcc, bounds: &'a Bounds) -> Result<Self, CodecError> {
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|error| CodecError::Unsupported(error.to_string()))?;
        let mut pictures = Self {
            decoder,
            bounds,
            length_size: avc.length_size.into(),
            packet: Vec::new(),
            times: BinaryHeap::new(),
            colour: Colour::default(),
        };
        for unit in avc
            .sequence_parameter_sets
            .iter()
            .chain(&avc.picture_parameter_sets)
        {
            pictures.add_unit(unit)?;
        }
        Ok(pictures)
    }

    /// Takes the next sample, which is shown at `time`, and gives the next picture and its time if there is one.
    pub(super) fn push(
        &mut self,
        sample: &[u8],
        time: i64,
    ) -> Result<Option<(i64, RgbImage)>, CodecError> {
        let mut rest = sample;
        while !rest.is_empty() {
            let (unit, next) = split_unit(rest, self.length_size)?;
            self.add_unit(unit)?;
            rest = next;
        }
        self.times.push(Reverse(time));
        let options = DecodeOptions::new().flush_after_decode(Flush::NoFlush);
        let decoded = self.decoder.decode_with_options(&self.packet, options);
        self.packet.clear();
        let picture = match decoded.map_err(|error| failed(&error))? {
            Some(yuv) => picture(&yuv, self.colour, self.bounds)?,
            None => return Ok(None),
        };
        let time = self.times.pop().map_or(time, |Reverse(time)| time);
        Ok(Some((time, picture)))
    }

    /// Hands over the pictures that waited for others, one by one: there may be sixteen.
    pub(super) fn finish(
        mut self,
        each: &mut dyn FnMut(i64, RgbImage) -> Result<ControlFlow<()>, CodecError>,
    ) -> Result<(), CodecError> {
        let rest = self
            .decoder
            .flush_remaining()
            .map_err(|error| failed(&error))?;
        for yuv in &rest {
            let time = self.times.pop().map_or(0, |Reverse(time)| time);
            if each(time, picture(yuv, self.colour, self.bounds)?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Adds a unit to those to decode. Parameters are looked at before the decoder sees them, since they decide how much
    /// memory it takes.
    fn add_unit(&mut self, unit: &[u8]) -> Result<(), CodecError> {
        // A second unit inside this one would not be looked at (ITU-T H.264, section 7.4.1).
        if unit.windows(3).any(|bytes| bytes == [0, 0, 1]) {
            return Err(CodecError::corrupt("a unit holds a start code"));
        }
        if unit.first().is_some_and(|head| head & 0x1F == SPS) {
            let sps = Sps::parse(unit)?;
            let (width, height) = sps.coded()?;
            self.bounds.check_size(width, height)?;
            if let Some(why) = sps.unsupported() {
                return Err(CodecError::Unsupported(why));
            }
            self.colour = sps.colour().unwrap_or_default();
        }
        self.packet.extend(START_CODE);
        self.packet.extend(unit);
        Ok(())
    }
}

/// The first unit of a sample, and what follows it (ISO/IEC 14496-15, section 5.3.4.2).
fn split_unit(sample: &[u8], length_size: usize) -> Result<(&[u8], &[u8]), CodecError> {
    let cut_off = || CodecError::corrupt("a frame is cut off");
    let (size, rest) = sample.split_at_checked(length_size).ok_or_else(cut_off)?;
    let size = size
        .iter()
        .fold(0, |size, byte| (size << 8) | usize::from(*byte));
    rest.split_at_checked(size).ok_or_else(cut_off)
}

fn picture(
    yuv: &openh264::decoder::DecodedYUV<'_>,
    colour: Colour,
    bounds: &Bounds,
) -> Result<RgbImage, CodecError> {
    use openh264::formats::YUVSource;
    let (width, height) = yuv.dimensions();
    let side = |side| u32::try_from(side).unwrap_or(u32::MAX);
    bounds.check_size(side(width), side(height))?;
    to_rgb(yuv, colour).ok_or_else(|| CodecError::corrupt("a frame is incomplete"))
}

fn failed(error: &openh264::Error) -> CodecError {
    CodecError::Corrupt(format!(
        "the H.264 decoder failed with code {}",
        error.native_code()
    ))
}
