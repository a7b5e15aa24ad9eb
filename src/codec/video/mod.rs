//! Video as a row of pictures.

mod read;

use bytes::Bytes;
use image::RgbImage;

use super::CodecError;

pub use read::{Facts, Frame, facts, frames, stills};

/// Writes a video frame by frame, so that no more than the encoded file is ever held.
pub trait VideoWriter {
    /// Adds the next frame; all have the size that the writer was made for.
    fn push(&mut self, frame: &RgbImage) -> Result<(), CodecError>;

    /// The whole file.
    fn finish(self: Box<Self>) -> Result<Bytes, CodecError>;
}
