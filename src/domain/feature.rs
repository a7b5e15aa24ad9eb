//! What may be said of a feature, and the limits that it sets, see docs/domain.md#properties-of-a-feature.

use codec::Format;
use serde::{Deserialize, Serialize};

use super::{
    AspectRatio, Checks, Derivatives, Error, Fallback, Flaw, IntakeLimits, JsonMap, MediaType,
    Names, Price, Resolution, check::is_in_name, fallback, stored::OpenEnded,
};

pub(super) const MAX_PROVIDER_CHARS: usize = 64;
pub(super) const MAX_MODEL_CHARS: usize = 256;
pub(super) const MAX_CREDITS: i64 = 1_000_000_000;
const MAX_DURATION_SECONDS: i64 = 24 * 60 * 60;
/// Most variations that a feature may allow.
pub(super) const MAX_BATCH_SIZE: i64 = 1_000;
const MAX_CONCURRENT_JOBS: i64 = 100_000;
const MAX_JOB_TIMEOUT_SECONDS: i64 = 24 * 60 * 60;
const MAX_ATTEMPTS: i64 = 20;
const MAX_PROMPT_CHARS: i64 = 100_000;
pub(super) const MAX_FORMATS: usize = 16;
const MAX_FRAME_RATE: i64 = 60;
const DEFAULT_FRAME_RATE: u32 = 30;
const MAX_ASPECT_RATIOS: usize = 32;

/// `generation_features.properties` (docs/domain.md#properties-of-a-feature): the keys that Atelier knows, and the others as they are.
///
/// A number of 0 and an empty text or list mean "not set".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureProperties {
    /// Name of the provider that runs its jobs, at most 64 characters; see [`Self::provider`] for what holds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// The service's name of what makes its jobs, at most 256 characters; empty: as the provider is configured.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// What the provider is to set at its service, as that takes it, within the bounds of [`Checks::json`]; a template's style
    /// wins over it.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub settings: JsonMap,
    /// Who makes its jobs while the provider is away, in this order; at most 4.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// Largest output, such as `4K` or `1280x720`; see [`Self::resolution`] for what holds.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub max_resolution: String,
    /// Names of the formats that may be asked for, the default first, at most 16; see [`Self::formats`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// Whole seconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_duration: i64,
    /// Such as `16:9`, from 1:4 to 4:1, the default first, at most 32; see [`Self::aspect_ratios`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_aspect_ratios: Vec<String>,
    /// Credits of one variation, at most 1,000,000,000; 0 is free.
    #[serde(skip_serializing_if = "is_zero")]
    pub cost_per_generation: i64,
    /// What its jobs cost besides, by size and length.
    #[serde(skip_serializing_if = "Price::is_default")]
    pub price: Price,
    /// Variations of one request, at most 1,000; see [`Self::variations`] for what holds.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_batch_size: i64,
    /// Jobs that run at once, at most 100,000; 0 is no limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_concurrent_jobs: i64,
    /// Whole seconds that one attempt may take, at most 24 hours; 0 is as long as the server allows, which holds anyway.
    #[serde(skip_serializing_if = "is_zero")]
    pub job_timeout: i64,
    /// Attempts at a job, at most 20; 0 is as many as the server makes.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_attempts: i64,
    /// Characters of a user prompt, at most 100,000; see [`Self::prompt_chars`] for what holds.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_prompt_chars: i64,
    /// For features that work on pictures alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty_prompt: bool,
    /// Frames per second of a video.
    #[serde(skip_serializing_if = "is_zero")]
    pub frame_rate: i64,
    /// Small files that are made of each output.
    #[serde(flatten)]
    pub derivatives: Derivatives,
    /// Whether the files are to tell nothing of how they were made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub omit_recipe: bool,
    /// Whether what templates say to the provider is kept from users, in files too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hide_prompt: bool,
    /// Whether a request is refused that gives what the provider does not read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub refuse_ignored_inputs: bool,
    /// Keys that Atelier does not know, within the bounds of [`Checks::json`].
    #[serde(flatten)]
    pub extra: JsonMap,
}

pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl OpenEnded for FeatureProperties {
    fn of_unknown(extra: JsonMap) -> Self {
        Self {
            extra,
            ..Self::default()
        }
    }
}

impl FeatureProperties {
    /// Names of the typed keys, which `extra` must not hold again.
    const KNOWN: [&'static str; 24] = [
        "provider",
        "model",
        "settings",
        "fallbacks",
        "max_resolution",
        "formats",
        "max_duration",
        "supported_aspect_ratios",
        "cost_per_generation",
        "price",
        "max_batch_size",
        "max_concurrent_jobs",
        "job_timeout",
        "max_attempts",
        "max_prompt_chars",
        "allow_empty_prompt",
        "frame_rate",
        "thumbnail_sizes",
        "omit_thumbnails",
        "make_poster",
        "make_preview",
        "omit_recipe",
        "hide_prompt",
        "refuse_ignored_inputs",
    ];

    /// The provider that runs its jobs; `builtin` when none is set.
    pub fn provider(&self) -> &str {
        if self.provider.is_empty() {
            "builtin"
        } else {
            &self.provider
        }
    }

    /// The longest user prompt in characters; the server's own limit when none is set.
    pub fn prompt_chars(&self, limits: IntakeLimits) -> usize {
        set(self.max_prompt_chars).unwrap_or(limits.prompt_chars)
    }

    /// The most variations of a request, never more than the server's own limit.
    pub fn variations(&self, limits: IntakeLimits) -> usize {
        set(self.max_batch_size).map_or(limits.variations, |most| most.min(limits.variations))
    }

    /// The largest output; 4K when none is set.
    pub fn resolution(&self) -> Resolution {
        self.max_resolution.parse().unwrap_or(Resolution::UHD_4K)
    }

    /// Frames per second of a video.
    pub fn frame_rate(&self) -> u32 {
        u32::try_from(self.frame_rate)
            .ok()
            .filter(|rate| *rate > 0)
            .unwrap_or(DEFAULT_FRAME_RATE)
    }

    /// The formats that may be asked for, the default first.
    pub fn formats(&self, category: MediaType) -> Vec<Format> {
        if self.formats.is_empty() {
            return Format::written(category.into()).collect();
        }
        self.formats
            .iter()
            .filter_map(|name| name.parse().ok())
            .collect()
    }

    /// The aspect ratios that may be asked for, the default first; empty means any drawable one.
    pub fn aspect_ratios(&self) -> Vec<AspectRatio> {
        self.supported_aspect_ratios
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect()
    }

    /// Without a category the formats are only counted.
    pub(super) fn check(&self, category: Option<MediaType>, checks: &mut Checks) {
        checks.require(
            self.provider.len() <= MAX_PROVIDER_CHARS && self.provider.chars().all(is_in_name),
            "properties.provider",
            || {
                Flaw::Malformed.says(format!(
                    "must have at most {MAX_PROVIDER_CHARS} characters of a-z, 0-9, \"_\" and \"-\""
                ))
            },
        );
        checks.line("properties.model", &self.model, MAX_MODEL_CHARS);
        checks.json("properties.settings", &self.settings);
        fallback::check(&self.fallbacks, self.provider(), checks);
        checks.require(
            self.max_resolution.is_empty() || self.max_resolution.parse::<Resolution>().is_ok(),
            "properties.max_resolution",
            || {
                Flaw::Malformed.says(
                    "must be 720p, 1080p, 2K, 4K, 8K or WIDTHxHEIGHT with sides of 64 to 7680",
                )
            },
        );
        self.check_formats(category, checks);
        self.check_aspect_ratios(checks);
        self.check_numbers(checks);
        self.price.check(category, self.max_duration, checks);
        self.derivatives.check(category, checks);
        checks.json("properties.extra", &self.extra);
        for key in Self::KNOWN
            .iter()
            .chain(&Names::KEYS)
            .filter(|key| self.extra.contains_key(**key))
        {
            checks.add(
                format!("properties.extra.{key}"),
                Flaw::Conflict.says("is a field of its own; set it there"),
            );
        }
    }

    fn check_numbers(&self, checks: &mut Checks) {
        for (field, number, most) in [
            (
                "properties.max_duration_seconds",
                self.max_duration,
                MAX_DURATION_SECONDS,
            ),
            (
                "properties.cost_per_generation",
                self.cost_per_generation,
                MAX_CREDITS,
            ),
            (
                "properties.max_batch_size",
                self.max_batch_size,
                MAX_BATCH_SIZE,
            ),
            (
                "properties.max_concurrent_jobs",
                self.max_concurrent_jobs,
                MAX_CONCURRENT_JOBS,
            ),
            (
                "properties.job_timeout_seconds",
                self.job_timeout,
                MAX_JOB_TIMEOUT_SECONDS,
            ),
            ("properties.max_attempts", self.max_attempts, MAX_ATTEMPTS),
            (
                "properties.max_prompt_chars",
                self.max_prompt_chars,
                MAX_PROMPT_CHARS,
            ),
            ("properties.frame_rate", self.frame_rate, MAX_FRAME_RATE),
        ] {
            checks.range(field, number, 0, most);
        }
    }

    fn check_aspect_ratios(&self, checks: &mut Checks) {
        let list = "properties.supported_aspect_ratios";
        if !checks.count(list, self.supported_aspect_ratios.len(), MAX_ASPECT_RATIOS) {
            return;
        }
        let mut seen = Vec::new();
        for (index, text) in self.supported_aspect_ratios.iter().enumerate() {
            let field = format!("{list}[{index}]");
            let drawable = text
                .parse::<AspectRatio>()
                .ok()
                .filter(|ratio| ratio.is_drawable());
            checks.require(drawable.is_some(), &field, || {
                Flaw::Malformed.says("must be WIDTH:HEIGHT between 1:4 and 4:1")
            });
            check_new(drawable, &mut seen, &field, checks);
        }
    }

    fn check_formats(&self, category: Option<MediaType>, checks: &mut Checks) {
        if !checks.count("properties.formats", self.formats.len(), MAX_FORMATS) {
            return;
        }
        let Some(category) = category else {
            return;
        };
        let known: Vec<Format> = Format::of(category.into()).collect();
        let mut seen = Vec::new();
        for (index, name) in self.formats.iter().enumerate() {
            let field = format!("properties.formats[{index}]");
            let makeable = name.parse().ok().filter(|format| known.contains(format));
            checks.require(makeable.is_some(), &field, || {
                let names: Vec<_> = known.iter().map(Format::to_string).collect();
                let words = format!(
                    "must be a format of {}: {}",
                    category.as_str(),
                    list(&names)
                );
                Flaw::NotOneOf.says(words).allowed(names)
            });
            check_new(makeable, &mut seen, &field, checks);
        }
    }
}

/// A limit, unless it is 0.
fn set(limit: i64) -> Option<usize> {
    usize::try_from(limit).ok().filter(|limit| *limit > 0)
}

/// Notes an entry that is there already, be it in other words.
pub(super) fn check_new<T: PartialEq + ToString>(
    entry: Option<T>,
    seen: &mut Vec<T>,
    field: &str,
    checks: &mut Checks,
) {
    let Some(entry) = entry else {
        return;
    };
    checks.require(!seen.contains(&entry), field, || {
        let found = entry.to_string();
        let words = format!("must be unique, {found} is there twice");
        Flaw::Duplicate.says(words).found(found)
    });
    seen.push(entry);
}

/// Names for a message; says so when there is none.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() {
        "there is none yet".to_owned()
    } else {
        names.join(", ")
    }
}

/// What a client may say of a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureDraft {
    /// Unique among live features; see [`Checks::name`].
    pub name: String,
    /// What people read, in several languages.
    pub names: Names,
    /// For a person, at most 2,000 characters; empty if there is none.
    pub description: String,
    /// Required; `None` where it was left out or is none, which [`Self::check`] refuses. It never changes.
    pub category: Option<MediaType>,
    /// Instruction for the AI service, at most 20,000 characters; empty if there is none.
    pub system_prompt: String,
    /// Limits and settings that its requests are checked against.
    pub properties: FeatureProperties,
    /// A picture or clip that advertises it; empty if there is none.
    pub preview_url: String,
    /// A media of the system user that shows it, see docs/domain.md#previews.
    pub preview_media_id: Option<i64>,
    /// Empty if there is none.
    pub icon_url: String,
    /// Whether it takes requests.
    pub is_active: bool,
    /// Position in lists, lower first; equal ones go by id.
    pub order_index: i32,
}

impl FeatureDraft {
    /// The category, if everything is in order; every violation otherwise, among them those found already.
    pub fn check(&self, mut checks: Checks) -> Result<MediaType, Error> {
        checks.name("name", &self.name);
        self.names.check(&[], &mut checks);
        checks.text("description", &self.description, 2_000);
        checks.text("system_prompt", &self.system_prompt, 20_000);
        checks.optional_url("preview_url", &self.preview_url);
        checks.optional_url("icon_url", &self.icon_url);
        checks.order_index("order_index", self.order_index);
        // One that is no media type has been told.
        let category_told = self.category.is_some() || checks.tells("category");
        checks.require(category_told, "category", || {
            Flaw::Required.says("is required: image, video or audio")
        });
        self.properties.check(self.category, &mut checks);
        checks.finish(self.category.unwrap_or(MediaType::Image))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_keys_survive_the_round_trip() {
        let stored = json!({ "max_resolution": "4K", "formats": ["png"], "max_duration": 60, "studio": { "a": [1] } });
        let properties: FeatureProperties =
            serde_json::from_value(stored.clone()).unwrap_or_default();
        assert_eq!(properties.extra["studio"], json!({ "a": [1] }));
        assert_eq!(serde_json::to_value(properties).unwrap_or_default(), stored);
    }

    #[test]
    fn every_violation_is_reported_at_once_with_its_path() {
        let draft = FeatureDraft {
            name: "Bad Name".to_owned(),
            names: Names::default(),
            description: String::new(),
            category: Some(MediaType::Image),
            system_prompt: String::new(),
            properties: FeatureProperties {
                max_resolution: "huge".to_owned(),
                formats: ["jpeg", "exe", "jpg"].map(str::to_owned).to_vec(),
                supported_aspect_ratios: vec!["1:9".to_owned()],
                max_batch_size: -1,
                ..FeatureProperties::default()
            },
            preview_url: "nope".to_owned(),
            preview_media_id: None,
            icon_url: String::new(),
            is_active: true,
            order_index: 0,
        };
        let Err(Error::Validation(violations)) = draft.check(Checks::default()) else {
            panic!("the draft was accepted");
        };
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "preview_url",
                "properties.max_resolution",
                "properties.formats[1]",
                "properties.formats[2]",
                "properties.supported_aspect_ratios[0]",
                "properties.max_batch_size",
            ]
        );
    }
}
