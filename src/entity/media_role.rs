use sea_orm::{DeriveActiveEnum, EnumIter, sea_query::StringLen};
use serde::Serialize;

/// What a file is to its job, see docs/domain.md#variations-and-roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
#[serde(rename_all = "lowercase")]
pub enum MediaRole {
    /// The output as the provider made it.
    #[sea_orm(string_value = "original")]
    Original,
    /// The output in another file format.
    #[sea_orm(string_value = "format")]
    Format,
    /// A small picture of the output, in a size that the feature names.
    #[sea_orm(string_value = "thumbnail")]
    Thumbnail,
    /// A short, small, animated version of a video.
    #[sea_orm(string_value = "preview")]
    Preview,
    /// A still that stands for the output: a frame of the video, the waveform of the sound.
    #[sea_orm(string_value = "poster")]
    Poster,
}
