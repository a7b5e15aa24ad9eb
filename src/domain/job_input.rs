//! The input of a job, see docs/domain.md#resolving-a-request. It is stored, so old rows must stay readable: what was
//! added later has a default.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Derivatives, Fallback, JsonMap, Origin};

/// `generation_jobs.input_json`: the whole resolved input of one variation, so that a worker needs nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobInput {
    /// Name of the provider that runs the job.
    pub provider: String,
    /// The service's name of what makes it; `None`: as the provider is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the feature and the template set at the service, as it takes it.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub settings: JsonMap,
    /// Who makes it if the provider is away, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// What to make: the template's prompt, or the user's where the template has none.
    pub prompt: String,
    /// What the user wrote, trimmed.
    pub user_prompt: String,
    /// The prompt that the template made; `None` where there is no template, or it has no prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_prompt: Option<String>,
    /// The feature's instruction for the AI service, as it was; for trusted callers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<String>,
    /// What the output should not show; empty if nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub negative_prompt: String,
    /// Http or https URLs of what the user attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media_urls: Vec<String>,
    /// The seed of the request, of the template or of chance, plus the number of the variation; wrapping.
    pub seed: u32,
    /// Whether nobody set it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub random_seed: bool,
    /// How strictly a diffusion model follows the prompt, 0 to 50; `None`: as the provider likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cfg_scale: Option<f64>,
    /// Strength of each LoRA by its name, -4 to 4.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lora_weights: BTreeMap<String, f64>,
    /// Page of the product that the output shows; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub product_url: String,
    /// What of the first picture is to be made anew, a picture too; empty: all of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mask_url: String,
    /// Pixels; 0 for sound.
    pub width: u32,
    /// Pixels; 0 for sound.
    pub height: u32,
    /// Such as `16:9`; empty for sound.
    pub aspect_ratio: String,
    /// Name of the file format; `None` leaves it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Length of a video or sound in whole seconds; `None` leaves it to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<u32>,
    /// Frames per second of a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<u32>,
    /// Names of the file formats that were asked for, `format` among them if it was. None at all leaves it to the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// What else is made of each output.
    #[serde(default, skip_serializing_if = "Derivatives::is_default")]
    pub derivatives: Derivatives,
    /// Whether the files are to tell nothing of how they were made.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub omit_recipe: bool,
    /// Whether users are told nothing of the template's words.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hide_prompt: bool,
    /// Seconds that one attempt may take; `None`: as long as the server allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u32>,
    /// `None` for a job of a time before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The template's look, for the provider to read.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub style: JsonMap,
    /// The template's variables with their values.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub variables: JsonMap,
    /// Those of the variables that take a picture. A media stands in them as `{"media_id": N}`: its link is made when the job
    /// runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<String>,
    /// Settings that Atelier does not know.
    #[serde(default, skip_serializing_if = "JsonMap::is_empty")]
    pub extra: JsonMap,
}

impl JobInput {
    /// How long one attempt may take where the server allows so much.
    pub fn timeout(&self, most: Duration) -> Duration {
        let own = self.timeout_seconds.map(u64::from);
        own.map_or(most, |seconds| most.min(Duration::from_secs(seconds)))
    }

    /// The prompt behind the feature's instruction, for services that have no other place for that.
    pub fn instructed_prompt(&self) -> String {
        match self.system_prompt.as_deref().map(str::trim) {
            Some(instruction) if !instruction.is_empty() => {
                format!("{instruction}\n\n{}", self.prompt)
            }
            _ => self.prompt.clone(),
        }
    }
}
