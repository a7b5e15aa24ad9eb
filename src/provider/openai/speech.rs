//! `audio/speech`: the prompt, spoken.

use serde_json::{Value, json};

use super::{OpenAi, file};
use crate::{
    domain::JsonMap,
    provider::{Content, Output, ProviderError, Task, http::Effect},
};

impl OpenAi {
    pub(super) async fn speak(&self, task: &Task) -> Result<Output, ProviderError> {
        let mut body = self.body(task, self.config.speech_model.as_ref());
        body.insert("input".to_owned(), task.input.prompt.as_str().into());
        if let Some(system) = &task.input.system_prompt {
            // The style's own go on where the feature's end.
            let instructions = match body.get("instructions").and_then(Value::as_str) {
                Some(style) => format!("{system}\n\n{style}"),
                None => system.clone(),
            };
            body.insert("instructions".to_owned(), instructions.into());
        }
        if let Some(format) = &task.input.format {
            // The protocol names an Ogg file by what is in it.
            let format = if format == "ogg" { "opus" } else { format };
            body.insert("response_format".to_owned(), json!(format));
        }
        if let Some(voice) = &self.config.voice {
            body.entry("voice").or_insert_with(|| json!(voice));
        }
        let request = self.post(&self.config.speech_path, &body)?;
        let answer = self.api()?.send(request, Effect::Pays).await?;
        // A service that refuses with 200 does so in JSON, and no sound begins so.
        if answer.body.starts_with(b"{") {
            answer.json()?;
        }
        let files = match answer.body.is_empty() {
            true => Vec::new(),
            false => vec![file(Content::Memory(answer.body), JsonMap::new())],
        };
        Ok(Output {
            files,
            ..Output::default()
        })
    }
}
