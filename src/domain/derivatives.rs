use serde::{Deserialize, Serialize};

use crate::entity::MediaType;

use super::Checks;

const MAX_THUMBNAILS: usize = 4;
const THUMBNAIL_SIDES: std::ops::RangeInclusive<i64> = 16..=1_024;

/// The small files that are made of every output of a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Derivatives {
    /// Longest sides in pixels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thumbnail_sizes: Vec<i64>,
    /// A still that stands for a video, or the waveform of a sound.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub poster: bool,
    /// A short, small, animated version of a video.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
}

impl Derivatives {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn check(&self, category: Option<MediaType>, checks: &mut Checks) {
        let list = "properties.thumbnail_sizes";
        if checks.count(list, self.thumbnail_sizes.len(), MAX_THUMBNAILS) {
            self.check_sizes(list, checks);
        }
        checks.require(
            !self.poster || category != Some(MediaType::Image),
            "properties.poster",
            || "must be false: an image needs no other picture to stand for it".to_owned(),
        );
        checks.require(
            !self.preview || category.is_none_or(|category| category == MediaType::Video),
            "properties.preview",
            || "must be false: only videos have an animated preview".to_owned(),
        );
    }

    fn check_sizes(&self, list: &str, checks: &mut Checks) {
        let (least, most) = (THUMBNAIL_SIDES.start(), THUMBNAIL_SIDES.end());
        for (index, size) in self.thumbnail_sizes.iter().enumerate() {
            let field = format!("{list}[{index}]");
            checks.require(THUMBNAIL_SIDES.contains(size), &field, || {
                format!("must be from {least} to {most}, got {size}")
            });
            let repeated = self.thumbnail_sizes[..index].contains(size);
            checks.require(!repeated, &field, || {
                format!("must be unique, {size} is there twice")
            });
        }
    }
}
