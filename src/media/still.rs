//! The picture that stands for a file: itself, a telling frame of a video, the drawn waveform of a sound.

use std::time::Duration;

use codec::{Bounds, CodecError, Format, Kind, picture, sound, video};
use image::{DynamicImage, RgbImage};

use super::preview::small_copy;
use super::waveform::{self, Peaks};

/// Where in a video a telling frame is looked for, in hundredths of its length. The start is often black, the end a
/// title.
const PLACES: [u32; 4] = [10, 30, 50, 75];
/// Where else, if those show next to nothing.
const OTHER_PLACES: [u32; 2] = [60, 90];
/// How much of the best contrast a later frame must have to be preferred: what comes in one after the other is there by
/// then.
const NEARLY_THE_BEST: f64 = 0.85;
/// A frame with less contrast than this shows next to nothing, in levels of 0..=255.
const LITTLE: f64 = 4.0;

/// The picture that stands for a file, from which thumbnails and posters are made: a picture itself, as it is shown; a
/// frame of a video, in the video's size; the waveform of a sound, [`waveform::SIZE`] large.
///
/// It keeps a core busy: call it within [`run_bounded`](super::run_bounded).
///
/// # Errors
///
/// [`CodecError::Unsupported`] where nothing here decodes the content; [`CodecError::Corrupt`] for damaged files; those of
/// `bounds`.
pub fn still(content: &[u8], format: Format, bounds: &Bounds) -> Result<DynamicImage, CodecError> {
    match format.kind() {
        Kind::Image => picture::decode(content, format, bounds.max_pixels),
        Kind::Video => {
            let facts = video::facts(content, format, bounds)?;
            poster(content, format, bounds, facts.duration)
        }
        Kind::Audio => {
            let mut peaks = Peaks::default();
            sound::decode(content, format, bounds, &mut |block| {
                peaks.add(block);
                Ok(())
            })?;
            Ok(waveform::draw(&peaks.finish(), waveform::SIZE).into())
        }
    }
}

/// The most telling of some frames of a video.
pub(super) fn poster(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    duration: Duration,
) -> Result<DynamicImage, CodecError> {
    let mut best = most_telling(content, format, bounds, duration, &PLACES)?;
    if best.as_ref().is_none_or(|(told, _)| *told < LITTLE) {
        let other = most_telling(content, format, bounds, duration, &OTHER_PLACES)?;
        best = best
            .into_iter()
            .chain(other)
            .max_by(|a, b| a.0.total_cmp(&b.0));
    }
    best.map(|(_, frame)| frame)
        .ok_or_else(|| CodecError::Corrupt("not one frame can be decoded".to_owned()))
}

fn most_telling(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    duration: Duration,
    places: &[u32],
) -> Result<Option<(f64, DynamicImage)>, CodecError> {
    let times: Vec<_> = places.iter().map(|place| duration * *place / 100).collect();
    let mut best: Option<(f64, DynamicImage)> = None;
    video::stills(content, format, bounds, &times, &mut |frame| {
        let frame = DynamicImage::ImageRgb8(frame);
        let told = contrast(&small_copy(&frame));
        if best
            .as_ref()
            .is_none_or(|(best, _)| told > best * NEARLY_THE_BEST)
        {
            best = Some((told, frame));
        }
    })?;
    Ok(best)
}

/// The standard deviation of the brightness, plus how much it differs between neighbours: both are 0 for a single colour
/// and high for a sharp picture of many things. In levels of 0..=255.
fn contrast(picture: &RgbImage) -> f64 {
    let luma: Vec<f64> = picture
        .pixels()
        .map(|pixel| {
            let [r, g, b] = pixel.0.map(f64::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        })
        .collect();
    let count = luma.len().max(1) as f64;
    let mean = luma.iter().sum::<f64>() / count;
    let variance = luma.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let rows = luma.chunks_exact(picture.width().max(1) as usize);
    let steps = rows.map(|row| {
        row.windows(2)
            .map(|pair| (pair[1] - pair[0]).abs())
            .sum::<f64>()
    });
    variance.sqrt() + steps.sum::<f64>() / count
}
