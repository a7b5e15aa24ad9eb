//! Video as a row of pictures.

mod colour;
mod gif;
mod h264;
mod mp4;
mod palette;
mod read;

use bytes::Bytes;
use image::RgbImage;

use crate::Format;

use super::CodecError;

pub(crate) use read::sound;
pub use read::{Facts, Frame, facts, frames, stills};

/// Frames per second that a writer takes at most.
const MOST_FRAME_RATE: u32 = 120;
/// The shortest side that the encoders handle, in pixels.
const LEAST_SIDE: u32 = 16;

/// Writes a video frame by frame, so that no more than the encoded file is ever held.
pub trait VideoWriter: Send {
    /// Adds the next frame; all have the size that the writer was made for.
    fn push(&mut self, frame: &RgbImage) -> Result<(), CodecError>;

    /// Bytes of the file that are held by now: what it costs so far.
    fn written(&self) -> u64;

    /// The whole file.
    fn finish(self: Box<Self>) -> Result<Bytes, CodecError>;
}

/// A writer of silent videos.
///
/// - `format`: MP4 (H.264, 4:2:0, at most 3840 x 2160 either way round; an odd side is made even by repeating its last row
///   or column) or GIF (repeats for ever; frames are left out where there are more than 25 a second).
/// - `size`: width and height of each frame in pixels, at least 16.
/// - `frame_rate`: frames per second, 1 to 120. The video lasts exactly frames / rate, in a GIF rounded to 1/100 s.
///
/// # Errors
/// [`CodecError::Unsupported`] for another format, size or rate.
pub fn writer(
    format: Format,
    size: (u32, u32),
    frame_rate: u32,
) -> Result<Box<dyn VideoWriter>, CodecError> {
    if !(1..=MOST_FRAME_RATE).contains(&frame_rate) {
        return Err(CodecError::Unsupported(format!(
            "a video has 1 to {MOST_FRAME_RATE} frames a second, not {frame_rate}"
        )));
    }
    if size.0.min(size.1) < LEAST_SIDE {
        return Err(CodecError::Unsupported(format!(
            "a video's sides have at least {LEAST_SIDE} pixels, not {} x {}",
            size.0, size.1
        )));
    }
    match format {
        Format::Mp4 => Ok(Box::new(mp4::Mp4Writer::new(size, frame_rate)?)),
        Format::Gif => Ok(Box::new(gif::GifWriter::new(size, frame_rate)?)),
        other => Err(CodecError::Unsupported(format!(
            "videos are not written as {other}"
        ))),
    }
}

/// Refuses a frame that has not the size of its video.
fn check_size(frame: &RgbImage, size: (u32, u32)) -> Result<(), CodecError> {
    if frame.dimensions() == size {
        return Ok(());
    }
    Err(CodecError::Unsupported(format!(
        "a frame is {} x {} pixels in a video of {} x {}",
        frame.width(),
        frame.height(),
        size.0,
        size.1
    )))
}

fn no_frames() -> CodecError {
    CodecError::Unsupported("a video has at least one frame".to_owned())
}

#[cfg(test)]
mod tests;
