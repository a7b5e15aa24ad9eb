//! What a request sets beside its prompt, and the defaults below that, see docs/domain.md#structured-inputs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checks, Flaw, JsonMap, OutputSettings, stored::OpenEnded};

const MAX_SEED: i64 = u32::MAX as i64;

/// The seed of a request that wants one drawn at random although its template has one.
pub(super) const RANDOM_SEED: i64 = -1;

/// `generation_requests.input_metadata` (docs/domain.md#structured-inputs): the keys that Atelier knows, and the others as
/// they are.
///
/// What is absent comes from the defaults; what is there and empty (a text, a map, 0) is none, whatever the defaults say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationInput {
    /// What the output should not show, at most 4,000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// 0 to 4,294,967,295, of the first variation; the others count on from it. -1, or none at all: drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How strictly a diffusion model follows the prompt, 0 to 50; `None`: as the provider likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cfg_scale: Option<f64>,
    /// Strength of each LoRA by its name, -4 to 4; at most 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora_weights: Option<BTreeMap<String, f64>>,
    /// Page of the product that the output shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product_url: Option<String>,
    /// What of the first picture is to be made anew, a picture too; always empty in a template's defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_url: Option<String>,
    /// How many variations to make; 0 means the default.
    #[serde(skip_serializing_if = "is_zero")]
    pub batch_size: i32,
    /// The form of the output.
    #[serde(skip_serializing_if = "OutputSettings::is_default")]
    pub output: OutputSettings,
    /// Values of the template's variables by name; always empty in a template's defaults.
    #[serde(skip_serializing_if = "JsonMap::is_empty")]
    pub variables: JsonMap,
    /// Keys that Atelier does not know, handed to the provider.
    #[serde(flatten)]
    pub extra: JsonMap,
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl OpenEnded for GenerationInput {
    fn of_unknown(extra: JsonMap) -> Self {
        Self {
            extra,
            ..Self::default()
        }
    }
}

impl GenerationInput {
    const KNOWN: [&'static str; 9] = [
        "negative_prompt",
        "seed",
        "cfg_scale",
        "lora_weights",
        "product_url",
        "mask_url",
        "batch_size",
        "output",
        "variables",
    ];

    /// These inputs, and those of `defaults` where they are not set.
    pub fn or(mut self, defaults: &Self) -> Self {
        fn fill<T: Clone>(own: &mut Option<T>, default: &Option<T>) {
            if own.is_none() {
                own.clone_from(default);
            }
        }
        fill(&mut self.negative_prompt, &defaults.negative_prompt);
        fill(&mut self.lora_weights, &defaults.lora_weights);
        fill(&mut self.product_url, &defaults.product_url);
        fill(&mut self.seed, &defaults.seed);
        fill(&mut self.cfg_scale, &defaults.cfg_scale);
        if self.batch_size == 0 {
            self.batch_size = defaults.batch_size;
        }
        self.output = self.output.or(&defaults.output);
        for (key, value) in &defaults.extra {
            self.extra
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        self
    }

    /// Defaults, in which what is empty is as good as absent.
    pub fn without_empty(mut self) -> Self {
        self.negative_prompt = self.negative_prompt.filter(|text| !text.is_empty());
        self.lora_weights = self.lora_weights.filter(|weights| !weights.is_empty());
        self.product_url = self.product_url.filter(|url| !url.is_empty());
        self.seed = self.seed.filter(|seed| *seed != RANDOM_SEED);
        self.output = self.output.without_empty();
        self
    }

    /// The bounds that hold whatever the feature: `path` is the message's path to these inputs.
    pub fn check(&self, path: &str, checks: &mut Checks) {
        checks.text(
            &format!("{path}.negative_prompt"),
            self.negative_prompt.as_deref().unwrap_or_default(),
            4_000,
        );
        if let Some(seed) = self.seed {
            checks.require(
                seed == RANDOM_SEED || (0..=MAX_SEED).contains(&seed),
                &format!("{path}.seed"),
                || {
                    let words = format!(
                        "must be from 0 to {MAX_SEED}, or -1 for one at random, got {seed}"
                    );
                    Flaw::OutOfRange
                        .says(words)
                        .min(RANDOM_SEED)
                        .max(MAX_SEED)
                        .found(seed)
                },
            );
        }
        if let Some(scale) = self.cfg_scale {
            checks.range(&format!("{path}.cfg_scale"), scale, 0.0, 50.0);
        }
        self.check_loras(&format!("{path}.lora_weights.weights"), checks);
        let product_url = self.product_url.as_deref().unwrap_or_default();
        checks.optional_url(&format!("{path}.product_url"), product_url);
        let mask_url = self.mask_url.as_deref().unwrap_or_default();
        checks.optional_url(&format!("{path}.mask_url"), mask_url);
        checks.not_negative(&format!("{path}.variations"), self.batch_size.into());
        checks.json(&format!("{path}.extra"), &self.extra);
        for key in Self::KNOWN
            .iter()
            .filter(|key| self.extra.contains_key(**key))
        {
            checks.add(
                format!("{path}.extra.{key}"),
                Flaw::Conflict.says("is a field of its own; set it there"),
            );
        }
    }

    fn check_loras(&self, path: &str, checks: &mut Checks) {
        let weights = self.lora_weights.iter().flatten();
        let count = weights.clone().count();
        checks.count(path, count, 16);
        for (name, weight) in weights {
            let entry = format!("{path}.{name}");
            checks.text(&entry, name, 128);
            checks.require(!name.is_empty(), path, || {
                Flaw::Required.says("must name each entry, has one without a name")
            });
            checks.range(&entry, *weight, -4.0, 4.0);
        }
    }
}
