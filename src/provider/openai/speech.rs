//! `audio/speech`: the prompt, spoken.

use serde_json::json;

use super::{OpenAi, file};
use crate::{
    domain::JsonMap,
    provider::{Content, Output, ProviderError, Task, http::Effect},
};

impl OpenAi {
    pub(super) async fn speak(&self, task: &Task) -> Result<Output, ProviderError> {
        let mut body = self.body(&task.input, self.config.speech_model.as_ref());
        body.insert("input".to_owned(), task.input.prompt.as_str().into());
        if let Some(instructions) = &task.input.system_prompt {
            body.insert("instructions".to_owned(), instructions.as_str().into());
        }
        if let Some(format) = &task.input.format {
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
            metadata: JsonMap::new(),
        })
    }
}
