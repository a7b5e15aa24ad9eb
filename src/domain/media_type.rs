//! The three types of media, see docs/domain.md#enums.

use codec::Kind;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantNames};

/// What a feature makes and what a file is (`generation_media_type_enum`, docs/domain.md#enums).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    EnumString,
    IntoStaticStr,
    VariantNames,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MediaType {
    /// A still picture.
    Image,
    /// A moving picture, with or without sound.
    Video,
    /// Sound: music or voice.
    Audio,
}

impl MediaType {
    /// The name in the database and in messages to people.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<Kind> for MediaType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Image => Self::Image,
            Kind::Video => Self::Video,
            Kind::Audio => Self::Audio,
        }
    }
}

impl From<MediaType> for Kind {
    fn from(media_type: MediaType) -> Self {
        match media_type {
            MediaType::Image => Self::Image,
            MediaType::Video => Self::Video,
            MediaType::Audio => Self::Audio,
        }
    }
}
