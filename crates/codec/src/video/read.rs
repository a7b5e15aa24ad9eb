//! Reading of video files: MP4 with H.264, GIF; of WebM and other codecs in MP4 only the facts.

mod boxes;
mod colour;
mod fragments;
mod gif;
mod h264;
mod m4a;
mod mp4;
mod sample_entry;
mod samples;
mod sound_entry;
mod sps;
#[cfg(test)]
mod tests;
mod webm;

pub(crate) use m4a::sound;

use std::ops::ControlFlow;
use std::time::Duration;

use image::RgbImage;

use crate::Format;
use crate::sound::SoundFacts;
use crate::{Bounds, CodecError};

/// What a video file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Pixels as shown, width first: cropped and turned as the file says.
    pub size: (u32, u32),
    /// Playing time of the pictures or the sound, whichever is longer.
    pub duration: Duration,
    /// Pictures that are shown.
    pub frames: u64,
    /// Pictures per second, on average; `None` for a single picture without a playing time.
    pub frame_rate: Option<f64>,
    /// How the pictures are encoded, as FFmpeg names it, such as "h264".
    pub codec: String,
    /// The sound, if there is any.
    pub sound: Option<SoundFacts>,
}

/// A picture of a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// When it is shown, from the start of the video.
    pub time: Duration,
    /// As shown: cropped and turned as the file says; on white where it is transparent.
    pub picture: RgbImage,
}

/// What happens to each frame: [`ControlFlow::Break`] ends the reading well.
pub(super) type EachFrame<'a> = &'a mut dyn FnMut(Frame) -> Result<ControlFlow<()>, CodecError>;

/// The facts of an MP4, GIF or WebM file, without decoding a picture.
///
/// # Errors
///
/// [`CodecError::Corrupt`] also for a file that breaks off; [`CodecError::Unsupported`] for other formats; those of
/// [`Bounds`].
pub fn facts(content: &[u8], format: Format, bounds: &Bounds) -> Result<Facts, CodecError> {
    bounds.stop.check()?;
    let facts = match format {
        Format::Mp4 => mp4::Movie::parse(content, bounds)?.facts(),
        Format::Gif => gif::facts(content, bounds)?,
        Format::Webm => webm::facts(content, bounds)?,
        other => return Err(CodecError::Unsupported(format!("{other} is no video"))),
    };
    bounds.check_size(facts.size.0, facts.size.1)?;
    bounds.check_length(facts.duration)?;
    Ok(facts)
}

/// Decodes a video and hands its frames to `each`, in the order in which they are shown. No more than a few are ever
/// held.
///
/// # Errors
///
/// [`CodecError::Unsupported`] where nothing here decodes the codec; those of `each`; as [`facts`].
pub fn frames(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    each: EachFrame<'_>,
) -> Result<(), CodecError> {
    match format {
        Format::Mp4 => mp4::Movie::parse(content, bounds)?.frames(bounds, each),
        Format::Gif => gif::frames(content, bounds, each),
        Format::Webm => {
            let codec = webm::facts(content, bounds)?.codec;
            Err(undecodable(&codec))
        }
        other => Err(CodecError::Unsupported(format!("{other} is no video"))),
    }
}

/// Hands the frames nearest to these times, which must rise, to `each`: all of a large video at once would take much
/// memory. Near a time whose key frame is far away, a frame in between has to do, so the cost is bounded by the number of
/// times.
///
/// # Errors
///
/// As [`frames`].
pub fn stills(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    times: &[Duration],
    each: &mut dyn FnMut(RgbImage),
) -> Result<(), CodecError> {
    match format {
        Format::Mp4 => mp4::Movie::parse(content, bounds)?.stills(bounds, times, each),
        _ => stills_in_order(content, format, bounds, times, each),
    }
}

/// Frames that are decoded in search of stills, at most.
const STILL_FRAMES: usize = 300;

fn stills_in_order(
    content: &[u8],
    format: Format,
    bounds: &Bounds,
    mut times: &[Duration],
    each: &mut dyn FnMut(RgbImage),
) -> Result<(), CodecError> {
    let (mut last, mut seen) = (None, 0);
    frames(content, format, bounds, &mut |frame| {
        // A picture is shown until the next one.
        if let (Some((time, later)), Some(picture)) = (times.split_first(), last.take())
            && *time < frame.time
        {
            let also = later.iter().take_while(|time| **time < frame.time).count();
            times = &later[also..];
            each(picture);
        }
        seen += 1;
        last = Some(frame.picture);
        let enough = times.is_empty() || seen == STILL_FRAMES;
        Ok(if enough {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if let (false, Some(picture)) = (times.is_empty(), last) {
        each(picture);
    }
    Ok(())
}

fn undecodable(codec: &str) -> CodecError {
    CodecError::Unsupported(format!("nothing here decodes the codec {codec}"))
}

/// How long `ticks` of `timescale` a second last, rounded to nanoseconds.
fn seconds(ticks: u64, timescale: u32) -> Duration {
    crate::sound::length(ticks, timescale)
}

/// Pictures per second.
fn rate(frames: u64, duration: Duration) -> Option<f64> {
    let seconds = duration.as_secs_f64();
    (seconds > 0.0).then(|| frames as f64 / seconds)
}
