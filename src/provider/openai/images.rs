//! `images/generations` and `images/edits`: a picture from a prompt, or from pictures, with previews where the service streams.

use bytes::Bytes;
use codec::Kind;
use reqwest::Response;
use serde_json::{Value, json};

use super::{Body, OpenAi, events::Events, file, size::size};
use crate::{
    domain::JsonMap,
    provider::{
        Content, Output, OutputFile, Progress, ProviderError, Task,
        http::{Effect, Words, decoded, lost, says_nothing},
        tell_withheld,
    },
};

/// What is told of progress with the first preview; the others share the rest.
const FIRST_PREVIEW: f64 = 0.2;

/// What an answer tells of its pictures, for `output_metadata`.
const TOLD: [&str; 6] = [
    "model",
    "usage",
    "size",
    "quality",
    "background",
    "output_format",
];

impl OpenAi {
    pub(super) async fn draw(&self, task: &Task) -> Result<Output, ProviderError> {
        let mut body = self.body(task, self.config.image_model.as_ref());
        let prompt = task.input.instructed_prompt();
        body.insert("prompt".to_owned(), without_commands(&prompt).into());
        body.insert("n".to_owned(), json!(1));
        let size = size(&task.input, &self.config.sizes, &self.config.size_separator);
        body.insert("size".to_owned(), size.into());
        if let Some(format) = &self.config.response_format {
            body.insert("response_format".to_owned(), format.as_str().into());
        }
        if self.config.partial_images > 0 {
            body.insert("stream".to_owned(), json!(true));
            body.insert(
                "partial_images".to_owned(),
                json!(self.config.partial_images),
            );
        }
        let request = match &self.config.edits_path {
            Some(path) if !task.pictures.is_empty() => self.edit(path, &body, task).await?,
            _ => self.post(&self.config.images_path, &body)?,
        };
        let response = self.api()?.open(request, Effect::Pays).await?;
        let streams = response.headers().get("content-type");
        let streams = streams.is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
        match streams {
            true => self.watch(task, response).await,
            false => {
                self.pictures(self.api()?.whole(response, Effect::Pays).await?.json()?)
                    .await
            }
        }
    }

    /// Reads the stream to the finished picture. What comes before is a preview.
    async fn watch(&self, task: &Task, mut response: Response) -> Result<Output, ProviderError> {
        let mut events = Events::new(self.api()?.max_bytes());
        let mut previews = 0.0;
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| lost(&error, Effect::Pays))?
        {
            for data in events.feed(&chunk)? {
                let Ok(Value::Object(event)) = serde_json::from_slice(&data) else {
                    continue;
                };
                let kind = event
                    .get("type")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if kind.ends_with(".completed") {
                    return self.pictures(event).await;
                }
                let error = event.get("error").is_some_and(|it| !says_nothing(it));
                if kind == "error" || error {
                    let data = self.api()?.without_secrets(data.into());
                    return Err(Words::of(&data).without_status());
                }
                if kind.ends_with(".partial_image") {
                    previews += 1.0;
                    let share = previews / f64::from(self.config.partial_images);
                    task.progress.send(Progress {
                        fraction: FIRST_PREVIEW + share.min(1.0) * (0.9 - FIRST_PREVIEW),
                        message: "drawing".to_owned(),
                        preview: in_base64(&event),
                    });
                }
            }
        }
        let detail = "the stream ended without a picture".to_owned();
        Err(ProviderError::OutcomeUnknown(detail))
    }

    /// The pictures of an answer: in `data`, or, at the end of a stream, in the answer itself.
    async fn pictures(&self, answer: Body) -> Result<Output, ProviderError> {
        let whole = Value::Object(answer);
        let items: Vec<_> = match &whole["data"] {
            Value::Array(items) => items.iter().collect(),
            Value::Null if whole.get("b64_json").is_some() => vec![&whole],
            _ => Vec::new(),
        };
        let (mut files, mut refusal) = (Vec::new(), None);
        for item in &items {
            // Some services write why there is no picture in its place.
            if let Some(error) = item.get("error").filter(|it| !says_nothing(it)) {
                refusal = Some(Words::of(error.to_string().as_bytes()).without_status());
                continue;
            }
            match self.picture(item).await {
                Err(garbled @ ProviderError::InvalidOutput(_)) => refusal = Some(garbled),
                picture => files.extend(picture?),
            }
        }
        if let Some(refusal) = refusal.filter(|_| files.is_empty()) {
            return Err(refusal);
        }
        let told = TOLD.map(|key| (key.to_owned(), whole[key].clone()));
        let told = told.into_iter().filter(|(_, value)| !value.is_null());
        let mut metadata = told.collect();
        tell_withheld(&mut metadata, items.len() - files.len());
        let answer = match files.is_empty() {
            true => self.shown(&whole)?,
            false => String::new(),
        };
        Ok(Output {
            files,
            metadata,
            answer,
        })
    }

    async fn picture(&self, item: &Value) -> Result<Option<OutputFile>, ProviderError> {
        let content = match (item["b64_json"].as_str(), item["url"].as_str()) {
            (Some(text), _) => {
                let garbled = || Err(ProviderError::InvalidOutput(self.shown(item)?));
                Content::Memory(decoded(text).map_or_else(garbled, Ok)?)
            }
            (None, Some(url)) => Content::File(self.api()?.fetch(url, Kind::Image).await?),
            (None, None) => return Ok(None),
        };
        let revised = item.get("revised_prompt").filter(|it| it.is_string());
        let metadata = revised.map(|prompt| ("revised_prompt".to_owned(), prompt.clone()));
        Ok(Some(file(
            content,
            metadata.into_iter().collect::<JsonMap>(),
        )))
    }

    /// What the service said, for operators.
    fn shown(&self, told: &Value) -> Result<String, ProviderError> {
        let told = self.api()?.without_secrets(told.to_string().into());
        Ok(String::from_utf8_lossy(&told).into_owned())
    }
}

/// The prompt without what stable-diffusion.cpp would take further keys of the call from.
fn without_commands(prompt: &str) -> String {
    prompt.replace("<sd_cpp_extra_args>", "sd_cpp_extra_args")
}

fn in_base64(item: &Body) -> Option<Bytes> {
    decoded(item.get("b64_json")?.as_str()?)
}
