//! Which of a job's files is which, see docs/domain.md#variations-and-roles.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// What a file is to its job, see docs/domain.md#variations-and-roles.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MediaRole {
    /// The output as the provider made it.
    Original,
    /// The output in another file format.
    Format,
    /// A small picture of the output, in a size that the feature names.
    Thumbnail,
    /// A short, small, animated version of a video.
    Preview,
    /// A still that stands for the output: a frame of the video, the waveform of the sound.
    Poster,
}
