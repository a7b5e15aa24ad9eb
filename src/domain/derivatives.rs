//! Thumbnails, posters and previews, as a feature asks for them, see docs/domain.md#variations-and-roles.

use serde::{Deserialize, Serialize};

use super::{Checks, Flaw, MediaType, Problem};

const MAX_THUMBNAILS: usize = 4;
/// Of each picture, where its feature says nothing.
const DEFAULT_THUMBNAIL: i64 = 512;
const THUMBNAIL_SIDES: std::ops::RangeInclusive<i64> = 16..=1_024;

/// The small files that are made of every output of a feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Derivatives {
    /// Longest sides in pixels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thumbnail_sizes: Vec<i64>,
    /// Whether pictures have no thumbnail where no sizes are named.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub omit_thumbnails: bool,
    /// A still that stands for a video, or the waveform of a sound.
    #[serde(alias = "poster", skip_serializing_if = "std::ops::Not::not")]
    pub make_poster: bool,
    /// A short, small, animated version of a video.
    #[serde(alias = "preview", skip_serializing_if = "std::ops::Not::not")]
    pub make_preview: bool,
}

impl Derivatives {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What is made of the outputs of a feature that says this.
    pub fn made(&self, category: MediaType) -> Self {
        let mut made = self.clone();
        if category == MediaType::Image && made.thumbnail_sizes.is_empty() && !made.omit_thumbnails
        {
            made.thumbnail_sizes.push(DEFAULT_THUMBNAIL);
        }
        made
    }

    pub(super) fn check(&self, category: Option<MediaType>, checks: &mut Checks) {
        let list = "properties.thumbnail_sizes";
        if checks.count(list, self.thumbnail_sizes.len(), MAX_THUMBNAILS) {
            self.check_sizes(list, checks);
        }
        checks.require(
            !self.omit_thumbnails || self.thumbnail_sizes.is_empty(),
            "properties.omit_thumbnails",
            || Flaw::Conflict.says("must be false: thumbnail_sizes names some"),
        );
        checks.require(
            !self.make_poster || category != Some(MediaType::Image),
            "properties.make_poster",
            || {
                Flaw::NotSupported
                    .says("must be false: an image needs no other picture to stand for it")
            },
        );
        checks.require(
            !self.make_preview || category.is_none_or(|category| category == MediaType::Video),
            "properties.make_preview",
            || Flaw::NotSupported.says("must be false: only videos have an animated preview"),
        );
    }

    fn check_sizes(&self, list: &str, checks: &mut Checks) {
        let (least, most) = (THUMBNAIL_SIDES.start(), THUMBNAIL_SIDES.end());
        for (index, size) in self.thumbnail_sizes.iter().enumerate() {
            let field = format!("{list}[{index}]");
            checks.range(&field, *size, *least, *most);
            let repeated = self.thumbnail_sizes[..index].contains(size);
            checks.require(!repeated, &field, || Problem::duplicate(size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(derivatives: Derivatives, category: MediaType) -> Vec<String> {
        let mut checks = Checks::default();
        derivatives.check(Some(category), &mut checks);
        let violations = checks.into_violations().into_iter();
        violations.map(|violation| violation.field).collect()
    }

    #[test]
    fn what_a_category_has_no_use_for_is_refused() {
        let all = Derivatives {
            thumbnail_sizes: vec![64],
            make_poster: true,
            make_preview: true,
            ..Derivatives::default()
        };
        assert_eq!(
            wrong(all.clone(), MediaType::Image),
            ["properties.make_poster", "properties.make_preview"]
        );
        assert_eq!(
            wrong(all.clone(), MediaType::Audio),
            ["properties.make_preview"]
        );
        assert!(wrong(all, MediaType::Video).is_empty());
    }

    #[test]
    fn thumbnails_are_named_or_omitted_but_not_both() {
        let both = Derivatives {
            thumbnail_sizes: vec![64],
            omit_thumbnails: true,
            ..Derivatives::default()
        };
        assert_eq!(
            wrong(both, MediaType::Image),
            ["properties.omit_thumbnails"]
        );
    }

    #[test]
    fn sizes_of_thumbnails_are_few_different_and_within_bounds() {
        let sizes = |thumbnail_sizes: &[i64]| {
            let derivatives = Derivatives {
                thumbnail_sizes: thumbnail_sizes.to_vec(),
                ..Derivatives::default()
            };
            wrong(derivatives, MediaType::Image)
        };
        assert!(sizes(&[16, 320, 640, 1_024]).is_empty());
        assert_eq!(sizes(&[16, 15, 16, 1_025]).len(), 3);
        assert_eq!(sizes(&[20, 30, 40, 50, 60]), ["properties.thumbnail_sizes"]);
    }
}
