//! The form of `images/edits`.

use bytes::Bytes;
use codec::Format;
use reqwest::{
    Method, RequestBuilder,
    multipart::{Form, Part},
};
use serde_json::Value;

use super::{Body, OpenAi};
use crate::provider::{ProviderError, Task, mask};

impl OpenAi {
    /// The same call with the pictures of the request, the mask as the protocol has it.
    pub(super) async fn edit(
        &self,
        path: &str,
        body: &Body,
        task: &Task,
    ) -> Result<RequestBuilder, ProviderError> {
        let mut form = Form::new();
        for (key, value) in body {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            form = form.text(key.clone(), text);
        }
        for picture in task.pictures_to_work_from() {
            let part = part(picture.content.clone(), picture.format)?;
            form = form.part(self.config.picture_field.clone(), part);
        }
        if let Some(mask) = task.mask() {
            form = form.part(
                "mask",
                part(mask::in_transparency(mask).await?, Format::Png)?,
            );
        }
        Ok(self.api()?.request(Method::POST, path)?.multipart(form))
    }
}

/// Some services tell what a file is by its name.
fn part(content: Bytes, format: Format) -> Result<Part, ProviderError> {
    let part = Part::stream(content).file_name(format!("picture.{format}"));
    part.mime_str(format.content_type())
        .map_err(|error| ProviderError::Failed(error.to_string()))
}
