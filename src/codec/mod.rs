//! Reading and writing of file formats: pictures, video, sound. Pure functions over bytes, pixels and samples; what they may
//! cost is bounded by their arguments, and whoever calls them keeps them off the asynchronous threads.

pub mod picture;
pub mod provenance;
pub mod sound;
pub mod video;

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
    /// The content is not what its first bytes promise. The text is for operators.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The content may be fine, but nothing here reads or writes it. The text is for operators.
    #[error("{0}")]
    Unsupported(String),
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
}
