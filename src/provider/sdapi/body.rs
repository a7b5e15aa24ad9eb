//! What is asked of the service.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::Service;
use crate::{
    domain::JobInput,
    provider::{ProviderError, Task, mask},
};

/// What each job says itself, whatever the feature and the template set.
pub(super) const OWN: [&str; 9] = [
    "prompt",
    "seed",
    "width",
    "height",
    "n_iter",
    "batch_size",
    "send_images",
    "init_images",
    "mask",
];

/// What [`is_name_of_lora`] asks for.
pub(super) const NAME_OF_LORA: &str =
    "letters, digits, \"_\", \"-\", spaces and, not as the first, \".\"";

impl Service {
    /// The path, and the body, in which what a user asked for stands in values only.
    pub(super) async fn order(
        &self,
        task: &Task,
    ) -> Result<(&'static str, Map<String, Value>), ProviderError> {
        let input = &task.input;
        let mut body = input.settings.clone();
        body.extend(input.style.clone());
        body.retain(|key, _| !OWN.contains(&key.as_str()));
        if let Some(model) = input.model.as_ref().or(self.config.model.as_ref()) {
            let settings = body.entry("override_settings").or_insert(Value::Null);
            if !settings.is_object() {
                *settings = json!({});
            }
            settings["sd_model_checkpoint"] = model.as_str().into();
        }
        if !input.negative_prompt.is_empty() {
            let negative = without_tags(&input.negative_prompt);
            body.insert("negative_prompt".to_owned(), negative.into());
        }
        if let Some(scale) = input.cfg_scale {
            body.insert("cfg_scale".to_owned(), scale.into());
        }
        let side = |side: u32| side.div_ceil(self.config.size_step) * self.config.size_step;
        let own = [
            ("prompt", json!(self.prompt(input)?)),
            ("seed", json!(input.seed)),
            ("width", json!(side(input.width))),
            ("height", json!(side(input.height))),
            ("n_iter", json!(1)),
            ("batch_size", json!(1)),
            ("send_images", json!(true)),
        ];
        body.extend(own.map(|(key, value)| (key.to_owned(), value)));
        let Some(picture) = task.pictures_to_work_from().next() else {
            return Ok(("sdapi/v1/txt2img", body));
        };
        let picture = BASE64_STANDARD.encode(&picture.content);
        body.insert("init_images".to_owned(), json!([picture]));
        if let Some(mask) = task.mask() {
            let mask = BASE64_STANDARD.encode(mask::in_white(mask).await?);
            body.insert("mask".to_owned(), mask.into());
        }
        Ok(("sdapi/v1/img2img", body))
    }

    /// The feature's instruction, the prompt, and the LoRAs that are asked for. Only the first and the last may hold tags.
    fn prompt(&self, input: &JobInput) -> Result<String, ProviderError> {
        let mut prompt = JobInput {
            prompt: without_tags(&input.prompt),
            ..input.clone()
        }
        .instructed_prompt();
        for (name, weight) in input.lora_weights.iter().filter(|_| self.config.loras) {
            // The server that took the request may not have had this provider.
            if !is_name_of_lora(name) {
                return Err(ProviderError::InvalidInput(format!(
                    "LoRAs are named by {NAME_OF_LORA}, not {name:?}."
                )));
            }
            prompt.push_str(&format!(" <lora:{name}:{weight}>"));
        }
        Ok(prompt)
    }
}

/// Whether it can stand in a prompt as the name of a LoRA, and in a path as the name of a file.
pub(super) fn is_name_of_lora(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    name.chars().all(plain) && !name.starts_with('.')
}

/// The text without what such services take as commands of theirs: `<lora:NAME:1>`, `<sd_cpp_extra_args>`.
fn without_tags(text: &str) -> String {
    text.replace(['<', '>'], " ")
}
