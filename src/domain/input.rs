//! What a request sets beside its prompt, and the defaults below that, see docs/domain.md#structured-inputs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checks, JsonMap, OutputSettings, stored::OpenEnded};

const MAX_SEED: i64 = u32::MAX as i64;

/// `generation_requests.input_metadata` (docs/domain.md#structured-inputs): the keys that Atelier knows, and the others as
/// they are.
///
/// An empty text, an empty map and a number of 0 mean "not set".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GenerationInput {
    /// What the output should not show, at most 4,000 characters.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// 0 to 4,294,967,295, of the first variation; the others count on from it. `None`: drawn at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How strictly a diffusion model follows the prompt, 0 to 50; `None`: as the provider likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cfg_scale: Option<f64>,
    /// Strength of each LoRA by its name, -4 to 4; at most 16.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub lora_weights: BTreeMap<String, f64>,
    /// Page of the product that the output shows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product_url: String,
    /// How many variations to make.
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
    const KNOWN: [&'static str; 8] = [
        "negative_prompt",
        "seed",
        "cfg_scale",
        "lora_weights",
        "product_url",
        "batch_size",
        "output",
        "variables",
    ];

    /// These inputs, and those of `defaults` where they are not set.
    pub fn or(mut self, defaults: &Self) -> Self {
        if self.negative_prompt.is_empty() {
            self.negative_prompt.clone_from(&defaults.negative_prompt);
        }
        if self.lora_weights.is_empty() {
            self.lora_weights.clone_from(&defaults.lora_weights);
        }
        if self.product_url.is_empty() {
            self.product_url.clone_from(&defaults.product_url);
        }
        if self.batch_size == 0 {
            self.batch_size = defaults.batch_size;
        }
        self.seed = self.seed.or(defaults.seed);
        self.cfg_scale = self.cfg_scale.or(defaults.cfg_scale);
        self.output = self.output.or(&defaults.output);
        for (key, value) in &defaults.extra {
            self.extra
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
        self
    }

    /// The bounds that hold whatever the feature: `path` is the message's path to these inputs.
    pub fn check(&self, path: &str, checks: &mut Checks) {
        checks.text(
            &format!("{path}.negative_prompt"),
            &self.negative_prompt,
            4_000,
        );
        if let Some(seed) = self.seed {
            checks.require(
                (0..=MAX_SEED).contains(&seed),
                &format!("{path}.seed"),
                || format!("must be from 0 to {MAX_SEED}, got {seed}"),
            );
        }
        if let Some(scale) = self.cfg_scale {
            checks.require(
                (0.0..=50.0).contains(&scale),
                &format!("{path}.cfg_scale"),
                || format!("must be from 0 to 50, got {scale}"),
            );
        }
        self.check_loras(&format!("{path}.lora_weights"), checks);
        checks.optional_url(&format!("{path}.product_url"), &self.product_url);
        checks.require(self.batch_size >= 0, &format!("{path}.variations"), || {
            format!("must not be negative, got {}", self.batch_size)
        });
        checks.json(&format!("{path}.extra"), &self.extra);
        for key in Self::KNOWN
            .iter()
            .filter(|key| self.extra.contains_key(**key))
        {
            checks.add(
                format!("{path}.extra.{key}"),
                "is a field of its own; set it there",
            );
        }
    }

    fn check_loras(&self, path: &str, checks: &mut Checks) {
        let count = self.lora_weights.len();
        checks.require(count <= 16, path, || {
            format!("must have at most 16 entries, has {count}")
        });
        for (name, weight) in &self.lora_weights {
            let entry = format!("{path}.{name}");
            checks.text(&entry, name, 128);
            checks.require(!name.is_empty(), path, || {
                "must name each entry, has one without a name".to_owned()
            });
            checks.require((-4.0..=4.0).contains(weight), &entry, || {
                format!("must be from -4 to 4, got {weight}")
            });
        }
    }
}
