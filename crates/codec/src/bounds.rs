//! What reading a file may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::CodecError;

/// What reading a file may cost, whatever the file declares.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Width times height of a picture, or of each frame of a video.
    pub max_pixels: u64,
    /// Frames of a video.
    pub max_frames: u64,
    /// Playing time of a video or sound.
    pub max_length: Duration,
    /// Ends the reading early; asked between frames and blocks of samples.
    pub stop: Stop,
}

impl Bounds {
    /// Refuses pictures of more pixels than allowed.
    ///
    /// # Errors
    ///
    /// [`CodecError::TooManyPixels`]; [`CodecError::Corrupt`] for a side of no pixels.
    pub fn check_size(&self, width: u32, height: u32) -> Result<(), CodecError> {
        if width == 0 || height == 0 {
            return Err(CodecError::corrupt("the picture has no pixels"));
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            let max = self.max_pixels;
            return Err(CodecError::TooManyPixels { width, height, max });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// [`CodecError::TooManyFrames`]; [`CodecError::Corrupt`] for none at all.
    pub fn check_frames(&self, frames: u64) -> Result<(), CodecError> {
        if frames == 0 {
            return Err(CodecError::corrupt("the video has no frames"));
        }
        if frames > self.max_frames {
            let max = self.max_frames;
            return Err(CodecError::TooManyFrames { frames, max });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// [`CodecError::TooLong`].
    pub fn check_length(&self, length: Duration) -> Result<(), CodecError> {
        if length > self.max_length {
            let max = self.max_length;
            return Err(CodecError::TooLong { max });
        }
        Ok(())
    }
}

/// A flag by which the caller ends work on another thread. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the work to end.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// # Errors
    ///
    /// [`CodecError::Stopped`] once the flag is set.
    pub fn check(&self) -> Result<(), CodecError> {
        if self.0.load(Ordering::Relaxed) {
            return Err(CodecError::Stopped);
        }
        Ok(())
    }
}
