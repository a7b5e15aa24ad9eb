//! Reading and writing of file formats: pictures, video, sound. Pure functions over bytes, pixels and samples; what they may
//! cost is bounded by their arguments, and whoever calls them keeps them off the asynchronous threads.

pub mod bare;
mod bounds;
mod ending;
mod format;
pub mod location;
pub mod picture;
pub mod provenance;
#[cfg(any(test, feature = "samples"))]
pub mod samples;
mod signature;
pub mod sound;
pub mod video;
mod webm;

use std::time::Duration;

pub use bounds::{Bounds, Stop};
pub use ending::without_clip;
pub use format::{Format, Kind};
pub use signature::sniff;

/// Why a file cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// More pixels than the caller allows.
    #[error("the picture is {width} x {height} pixels, more than the {max} allowed")]
    TooManyPixels {
        /// Declared width in pixels.
        width: u32,
        /// Declared height in pixels.
        height: u32,
        /// The limit on their product.
        max: u64,
    },
    /// More frames than the caller allows.
    #[error("the video has {frames} frames, more than the {max} allowed")]
    TooManyFrames {
        /// Frames found, perhaps before the last one.
        frames: u64,
        /// The limit.
        max: u64,
    },
    /// A video or sound that lasts longer than the caller allows.
    #[error("it lasts longer than the {} seconds allowed", .max.as_secs_f64())]
    TooLong {
        /// The limit.
        max: Duration,
    },
    /// The content is not what its first bytes promise. The text is for operators.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The content may be fine, but nothing here reads or writes it. The text is for operators.
    #[error("{0}")]
    Unsupported(String),
    /// The content may be whole, but files of this kind are not taken. The text says why, for the user.
    #[error("{0}")]
    Refused(&'static str),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}

impl CodecError {
    /// The file is damaged: `what` says how, for operators.
    fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(what.into())
    }
}
