//! What a file is, and why it is refused.

use std::time::Duration;

use codec::{Bounds, CodecError, Format, Stop};

pub use codec::sound::SoundFacts;

/// What reading a file may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file in bytes.
    pub max_bytes: u64,
    /// Width times height of a picture, or of each frame of a video.
    pub max_pixels: u64,
    /// Frames of a video.
    pub max_frames: u64,
    /// Playing time of a video or sound.
    pub max_length: Duration,
    /// Time to decode a file and make its previews, and before that to wait for a thread to do so; not for memory.
    pub max_duration: Duration,
}

impl Limits {
    /// The limits as the readers of [`codec`] take them.
    pub fn bounds(&self, stop: Stop) -> Bounds {
        Bounds {
            max_pixels: self.max_pixels,
            max_frames: self.max_frames,
            max_length: self.max_length,
            stop,
        }
    }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The format that the content has.
    pub format: Format,
    /// Size in bytes.
    pub file_size: u64,
    /// SHA-256 of the content as 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Pixels of a picture or a video, width first, as shown: with the orientation applied. `None` for sound.
    pub size: Option<(u32, u32)>,
    /// Exact length of a video or sound.
    pub duration: Option<Duration>,
    /// Frames per second of a video, on average.
    pub frame_rate: Option<f64>,
    /// How the pictures of a video are encoded, such as "h264".
    pub video_codec: Option<String>,
    /// The sound, if there is any.
    pub sound: Option<SoundFacts>,
}

/// A file's facts, and what to show until it has loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// What the file is.
    pub facts: Facts,
    /// BlurHash of 4 x 3 components, never empty.
    pub blurhash: String,
    /// A `data:` URL of at most [`TINY_PREVIEW_BYTES`](super::preview::TINY_PREVIEW_BYTES) bytes.
    pub tiny_preview: String,
    /// Why the BlurHash is [the neutral one](super::preview::NEUTRAL_BLURHASH): nothing here decodes the content. `None`
    /// when it shows the content.
    pub undecoded: Option<String>,
    /// How the picture is damaged that was read as far as it goes; the text is for developers. `None` for what is whole, or
    /// refused.
    pub damaged: Option<String>,
}

/// Why a file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// There are no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// More bytes than [`Limits::max_bytes`].
    #[error("the file has {size} bytes, more than the {max} allowed")]
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// The content is of no [`Format`].
    #[error("the file is of no supported format")]
    UnknownFormat,
    /// More pixels, frames or playing time than the [`Limits`] allow.
    #[error(transparent)]
    BeyondBounds(CodecError),
    /// Decoding took longer than [`Limits::max_duration`].
    #[error("the file took too long to decode")]
    TimedOut,
    /// No thread was free to decode within [`Limits::max_duration`]; the file may be fine, so try
    /// again later.
    #[error("too many files are being decoded")]
    Busy,
    /// The content is not what its first bytes promise. The text is for operators.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The content may be whole, but files of this kind are not taken. The text says why, for the user.
    #[error("{0}")]
    Refused(&'static str),
}

impl From<CodecError> for InspectError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::TooManyPixels { .. }
            | CodecError::TooManyFrames { .. }
            | CodecError::TooLong { .. } => Self::BeyondBounds(error),
            CodecError::Corrupt(what) | CodecError::Unsupported(what) => Self::Corrupt(what),
            CodecError::Refused(why) => Self::Refused(why),
            CodecError::Stopped => Self::TimedOut,
        }
    }
}
