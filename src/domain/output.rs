//! The form of an output: what a request asks for, within what its feature allows, see
//! docs/domain.md#resolving-a-request.

mod formats;
mod size;

use codec::Format;
use serde::{Deserialize, Serialize};

use super::{AspectRatio, Checks, FeatureProperties, Flaw, MediaType, Resolution};

use size::{default_size, side};

pub use formats::further_formats;

/// Longest preview of a video or sound.
const PREVIEW_SECONDS: u32 = 3;

/// Form of the output. What is absent comes from the defaults; an empty text and 0 are none, whatever the defaults say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputSettings {
    /// What the provider is to make, such as `png`; one of the feature's, whose first it is if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Such as `16:9`; one of the feature's, whose first it is if there is none. None for sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<String>,
    /// Pixels, 64 or more, together with the height; chosen by the ratio if there is none. None for sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<i32>,
    /// Pixels, as the width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<i32>,
    /// Whole seconds; left to the provider if there is none. None for pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
    /// Every format that the output is wanted in, the first being the provider's unless `format` says otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
}

/// The form of an output once everything is decided.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OutputForm {
    /// `None` when no format of the media type is known.
    pub format: Option<Format>,
    /// The formats that were asked for, `format` among them if it was.
    pub formats: Vec<Format>,
    /// `None` for sound.
    pub aspect_ratio: Option<AspectRatio>,
    /// Pixels; 0 for sound.
    pub width: u32,
    /// Pixels; 0 for sound.
    pub height: u32,
    /// Whole seconds; `None` leaves it to the provider.
    pub duration_seconds: Option<u32>,
}

impl OutputForm {
    /// The same no longer than the feature allows, where the length is open and this is what the generator makes then.
    pub(super) fn shortened(
        self,
        own_seconds: Option<u32>,
        properties: &FeatureProperties,
    ) -> Self {
        let longest = u32::try_from(properties.max_duration).unwrap_or(0);
        let is_longer = own_seconds.is_some_and(|own| longest > 0 && own > longest);
        let shortened = is_longer.then_some(longest);
        Self {
            duration_seconds: self.duration_seconds.or(shortened),
            ..self
        }
    }

    /// The same in little and in one format, to try something out.
    pub(super) fn of_preview(self, properties: &FeatureProperties, category: MediaType) -> Self {
        let most = Resolution::PREVIEW;
        let (width, height) = match self.aspect_ratio {
            Some(ratio) if !most.allows(self.width, self.height) => default_size(ratio, most),
            _ => (self.width, self.height),
        };
        let limit = u32::try_from(properties.max_duration).unwrap_or(0);
        let limits = [Some(PREVIEW_SECONDS), self.duration_seconds, Some(limit)];
        let limits = limits.into_iter().flatten().filter(|limit| *limit > 0);
        Self {
            width,
            height,
            formats: Vec::new(),
            duration_seconds: limits.min().filter(|_| category != MediaType::Image),
            ..self
        }
    }
}

impl OutputSettings {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A size or a ratio of the request replaces both of the defaults: half of each would contradict the other. But the
    /// default size stays with a ratio that is its own.
    pub(super) fn or(mut self, defaults: &Self) -> Self {
        if self.format.is_none() && self.formats.is_empty() {
            self.format.clone_from(&defaults.format);
            self.formats.clone_from(&defaults.formats);
        }
        if self.width.is_none() && self.height.is_none() && defaults.goes_with(self.ratio()) {
            if self.aspect_ratio.is_none() {
                self.aspect_ratio.clone_from(&defaults.aspect_ratio);
            }
            (self.width, self.height) = (defaults.width, defaults.height);
        }
        self.duration_seconds = self.duration_seconds.or(defaults.duration_seconds);
        self
    }

    fn goes_with(&self, ratio: Option<&str>) -> bool {
        let Some(ratio) = ratio else {
            return true;
        };
        let (width, height) = self.given_size();
        let ratio: Option<AspectRatio> = ratio.parse().ok();
        ratio.is_some_and(|ratio| ratio.fits(side(width), side(height)))
    }

    /// The same where what is empty is as good as absent.
    pub(super) fn without_empty(mut self) -> Self {
        self.format = self.format.filter(|name| !name.is_empty());
        self.aspect_ratio = self.aspect_ratio.filter(|ratio| !ratio.is_empty());
        let given = |number: &i32| *number != 0;
        self.width = self.width.filter(given);
        self.height = self.height.filter(given);
        self.duration_seconds = self.duration_seconds.filter(given);
        self
    }

    /// What the feature allows of these settings; those that contradict it go, together with those that they belong to.
    pub(super) fn allowed(self, properties: &FeatureProperties, category: MediaType) -> Self {
        let formats = Self {
            format: self.format,
            formats: self.formats,
            ..Self::default()
        };
        let size = Self {
            aspect_ratio: self.aspect_ratio,
            width: self.width,
            height: self.height,
            ..Self::default()
        };
        let duration = Self {
            duration_seconds: self.duration_seconds,
            ..Self::default()
        };
        let is_allowed = |settings: &Self| {
            let mut checks = Checks::default();
            settings.resolve("", properties, category, &mut checks);
            checks.is_empty()
        };
        let kept = [formats, size, duration].into_iter().filter(is_allowed);
        kept.fold(Self::default(), |all, some| all.or(&some))
    }

    fn format(&self) -> Option<&str> {
        self.format.as_deref().filter(|name| !name.is_empty())
    }

    fn ratio(&self) -> Option<&str> {
        self.aspect_ratio
            .as_deref()
            .filter(|ratio| !ratio.is_empty())
    }

    /// 0 where there is none.
    fn given_size(&self) -> (i32, i32) {
        (self.width.unwrap_or(0), self.height.unwrap_or(0))
    }

    /// Decides the form within the limits of the feature. Problems go to `checks`, under the message's path to these
    /// settings.
    pub(super) fn resolve(
        &self,
        path: &str,
        properties: &FeatureProperties,
        category: MediaType,
        checks: &mut Checks,
    ) -> OutputForm {
        let (aspect_ratio, (width, height)) = match category {
            MediaType::Audio => self.refuse_size(path, checks),
            MediaType::Image | MediaType::Video => {
                let (ratio, size) = self.resolve_size(path, properties, checks);
                (Some(ratio), size)
            }
        };
        let (format, formats) = self.resolve_formats(path, properties, category, checks);
        OutputForm {
            format,
            formats,
            aspect_ratio,
            width,
            height,
            duration_seconds: self.resolve_duration(
                &format!("{path}.duration_seconds"),
                properties,
                category,
                checks,
            ),
        }
    }

    fn resolve_duration(
        &self,
        field: &str,
        properties: &FeatureProperties,
        category: MediaType,
        checks: &mut Checks,
    ) -> Option<u32> {
        let given = self.duration_seconds.unwrap_or(0);
        if given == 0 {
            return None;
        }
        if category == MediaType::Image {
            let words = "must be left out: an image has no duration";
            checks.add(field, Flaw::NotSupported.says(words));
            return None;
        }
        let most = if properties.max_duration > 0 {
            properties.max_duration
        } else {
            i64::from(i32::MAX)
        };
        checks.require((1..=most).contains(&i64::from(given)), field, || {
            let words = format!("must be from 1 to {most} seconds, got {given}");
            Flaw::OutOfRange.says(words).min(1).max(most).found(given)
        });
        u32::try_from(given).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(
        output: OutputSettings,
        properties: &FeatureProperties,
    ) -> Result<OutputForm, Vec<String>> {
        let mut checks = Checks::default();
        let form = output.resolve("input.output", properties, MediaType::Image, &mut checks);
        let fields: Vec<String> = checks
            .into_violations()
            .into_iter()
            .map(|v| v.field)
            .collect();
        if fields.is_empty() {
            Ok(form)
        } else {
            Err(fields)
        }
    }

    fn poster() -> FeatureProperties {
        FeatureProperties {
            max_resolution: "4K".to_owned(),
            formats: vec!["jpg".to_owned(), "png".to_owned()],
            supported_aspect_ratios: vec!["4:5".to_owned(), "16:9".to_owned()],
            ..FeatureProperties::default()
        }
    }

    #[test]
    fn what_is_not_asked_for_is_the_feature_s_first() {
        let form = form(OutputSettings::default(), &poster())
            .unwrap_or_else(|fields| panic!("{fields:?}"));
        assert_eq!((form.width, form.height), (1_080, 1_350));
        assert_eq!(form.format, Some(Format::Jpg));
    }

    #[test]
    fn sound_has_no_size() {
        let resolve = |output: OutputSettings| {
            let mut checks = Checks::default();
            let features = FeatureProperties::default();
            let form = output.resolve("output", &features, MediaType::Audio, &mut checks);
            (form, checks.into_violations().into_iter().map(|v| v.field))
        };
        let (form, fields) = resolve(OutputSettings::default());
        assert_eq!((form.aspect_ratio, form.width, form.height), (None, 0, 0));
        assert_eq!(fields.count(), 0);
        let (_, fields) = resolve(OutputSettings {
            aspect_ratio: Some("1:1".to_owned()),
            height: Some(64),
            ..OutputSettings::default()
        });
        assert!(fields.eq(["output.aspect_ratio", "output.height"]));
    }

    #[test]
    fn a_default_size_stays_within_the_resolution() {
        let small = FeatureProperties {
            max_resolution: "640x360".to_owned(),
            ..FeatureProperties::default()
        };
        let wide = OutputSettings {
            aspect_ratio: Some("4:1".to_owned()),
            ..OutputSettings::default()
        };
        let form = form(wide, &small).unwrap_or_else(|fields| panic!("{fields:?}"));
        assert_eq!((form.width, form.height), (640, 160));
    }

    #[test]
    fn contradictions_and_excesses_name_their_fields() {
        let cases = [
            (
                OutputSettings {
                    format: Some("webp".to_owned()),
                    ..OutputSettings::default()
                },
                "input.output.format",
            ),
            (
                OutputSettings {
                    aspect_ratio: Some("1:1".to_owned()),
                    ..OutputSettings::default()
                },
                "input.output.aspect_ratio",
            ),
            (
                OutputSettings {
                    width: Some(1_080),
                    ..OutputSettings::default()
                },
                "input.output.height",
            ),
            (
                OutputSettings {
                    width: Some(-5),
                    height: Some(100),
                    ..OutputSettings::default()
                },
                "input.output.width",
            ),
            (
                OutputSettings {
                    width: Some(8_000),
                    height: Some(4_500),
                    ..OutputSettings::default()
                },
                "input.output.width",
            ),
            (
                OutputSettings {
                    width: Some(500),
                    height: Some(500),
                    ..OutputSettings::default()
                },
                "input.output.width",
            ),
            (
                OutputSettings {
                    aspect_ratio: Some("4:5".to_owned()),
                    width: Some(1_920),
                    height: Some(1_080),
                    ..OutputSettings::default()
                },
                "input.output.width",
            ),
            (
                OutputSettings {
                    duration_seconds: Some(5),
                    ..OutputSettings::default()
                },
                "input.output.duration_seconds",
            ),
        ];
        for (output, field) in cases {
            assert_eq!(
                form(output.clone(), &poster()),
                Err(vec![field.to_owned()]),
                "{output:?}"
            );
        }
    }

    #[test]
    fn a_request_s_ratio_replaces_the_template_s_size() {
        let defaults = OutputSettings {
            width: Some(1_080),
            height: Some(1_350),
            ..OutputSettings::default()
        };
        let asked = OutputSettings {
            aspect_ratio: Some("16:9".to_owned()),
            ..OutputSettings::default()
        };
        let form =
            form(asked.or(&defaults), &poster()).unwrap_or_else(|fields| panic!("{fields:?}"));
        assert_eq!((form.width, form.height), (1_920, 1_080));
    }
}
