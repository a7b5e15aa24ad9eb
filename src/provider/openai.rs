//! Services that speak the protocol of OpenAI's images, videos and speech, wherever they are: see docs/providers/openai.md.

mod edits;
pub(super) mod events;
mod images;
mod size;
mod speech;
mod videos;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    Content, Inputs, OutputFile, Polled, Preset, Probed, Provider, ProviderError, Submitted, Task,
    Unfit, Unready,
    fetch::Fetcher,
    http::{Api, credentials},
    task::TaskService,
};
use crate::{
    config::OpenAiConfig,
    domain::{JobInput, JsonMap, MediaType, Problem},
};

/// The body of a call. What a user asked for stands in its values only.
type Body = Map<String, Value>;

/// Inputs that every service of the kind reads; others, where a field is named for them.
const READ: [&str; 3] = ["user_prompt", "width", "height"];

/// Those that bring pictures.
const PICTURES: [&str; 2] = ["user_media_urls", "variables"];

/// Most pictures of one call, which is the protocol's own limit.
const MAX_PICTURES: usize = 16;

/// What no setting changes: the prompts of the job and the model of its feature.
const OURS: [&str; 3] = ["input", "model", "prompt"];

/// The same of a picture alone.
const OURS_OF_PICTURES: [&str; 2] = ["n", "size"];

/// A service that speaks the protocol.
pub struct OpenAi {
    name: String,
    config: OpenAiConfig,
    /// What is wrong with the configuration instead, which nobody could tell before.
    api: Result<Api, Unready>,
    /// Where it makes any.
    videos: Option<TaskService>,
}

impl OpenAi {
    /// A service as the provider of this name. `files` gets what its answers name, with the bounds of one output.
    pub fn new(name: String, config: OpenAiConfig, files: &Fetcher) -> Self {
        let credentials = credentials(config.api_key_header.as_deref(), config.api_key.as_ref());
        let api = credentials.and_then(|credentials| {
            Api::new(config.base_url.clone(), credentials, config.timeout, files)
        });
        let api = api.map_err(Unready::configuration);
        let makes_videos = config.makes.contains(&MediaType::Video);
        let videos = makes_videos.then(|| videos::service(&name, &config, files));
        Self {
            name,
            config,
            api,
            videos,
        }
    }

    fn api(&self) -> Result<&Api, ProviderError> {
        Ok(self.api.as_ref().map_err(Clone::clone)?)
    }

    fn videos(&self) -> Result<&TaskService, ProviderError> {
        let none = || ProviderError::Failed("it makes no videos".to_owned());
        self.videos.as_ref().ok_or_else(none)
    }

    /// What every call begins with: the settings of the feature and the template's style as they are, and the model.
    fn body(&self, task: &Task, model: Option<&String>) -> Body {
        let input = &task.input;
        let mut body = input.settings.clone();
        body.extend(input.style.clone());
        if let Some(model) = input.model.as_ref().or(model) {
            body.insert("model".to_owned(), model.as_str().into());
        }
        // Of speech the protocol has a name for the format.
        let is_speech = task.media_type == MediaType::Audio;
        let optional = optional(input).into_iter();
        for (name, value) in optional.filter(|(name, _)| !(is_speech && *name == "format")) {
            if let Some(field) = self.config.fields.get(name) {
                body.insert(field.clone(), value);
            }
        }
        body
    }

    fn post(&self, path: &str, body: &Body) -> Result<reqwest::RequestBuilder, ProviderError> {
        let request = self.api()?.request(Method::POST, path)?;
        let json =
            serde_json::to_vec(body).map_err(|error| ProviderError::Failed(error.to_string()))?;
        Ok(request
            .header("content-type", "application/json")
            .body(json))
    }
}

/// As services call it.
fn name_of_format(format: &str) -> Value {
    match format {
        "jpg" => "jpeg".into(),
        format => format.into(),
    }
}

/// What a service takes only if a field is named for it, where the job has it.
fn optional(input: &JobInput) -> Vec<(&'static str, Value)> {
    let text = |text: &str| (!text.is_empty()).then(|| json!(text));
    let values = [
        ("seed", Some(json!(input.seed))),
        ("negative_prompt", text(&input.negative_prompt)),
        ("cfg_scale", input.cfg_scale.map(Value::from)),
        ("format", input.format.as_deref().map(name_of_format)),
        ("aspect_ratio", text(&input.aspect_ratio)),
    ];
    values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn makes(&self, media_type: MediaType) -> bool {
        self.config.makes.contains(&media_type)
    }

    fn may_resubmit(&self) -> bool {
        self.config.repeatable
    }

    fn check(&self, preset: Preset<'_>, variables: &JsonMap) -> Vec<Unfit> {
        if let (MediaType::Video, Some(videos)) = (preset.media_type, &self.videos) {
            return videos.check(preset, variables);
        }
        let is_picture = preset.media_type == MediaType::Image;
        let by_job = |key: &str| {
            OURS.contains(&key)
                || is_picture && OURS_OF_PICTURES.contains(&key)
                || self.config.fields.get("seed").is_some_and(|it| it == key)
        };
        let by_configuration = |key: &str| match key {
            "response_format" => self.config.response_format.is_some(),
            "stream" | "partial_images" => self.config.partial_images > 0,
            _ => false,
        };
        let by_configuration = |key: &str| is_picture && by_configuration(key);
        let mut wrong = preset.unread(by_job, "the job sets it");
        wrong.extend(preset.unread(
            by_configuration,
            "the configuration of the provider sets it",
        ));
        wrong
    }

    fn ready(&self) -> Result<(), Unready> {
        self.api.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    async fn probe(&self) -> Result<Probed, ProviderError> {
        self.api()?.probe("models").await
    }

    async fn poll(&self, task: &Task, task_id: &str) -> Result<Polled, ProviderError> {
        self.videos()?.poll(task, task_id).await
    }

    async fn cancel(&self, task: &Task, task_id: &str) -> Result<(), ProviderError> {
        self.videos()?.cancel(task, task_id).await
    }

    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        let media_type = preset.media_type;
        if let (MediaType::Video, Some(videos)) = (media_type, &self.videos) {
            return videos.reads(preset, input);
        }
        READ.contains(&input) && (media_type != MediaType::Audio || input == "user_prompt")
            || self.config.fields.contains_key(input)
            || PICTURES.contains(&input) && self.takes_pictures(media_type)
    }

    fn takes_pictures(&self, media_type: MediaType) -> bool {
        match media_type {
            MediaType::Image => self.config.edits_path.is_some(),
            MediaType::Video => self.videos().is_ok_and(|it| it.takes_pictures(media_type)),
            MediaType::Audio => false,
        }
    }

    fn check_inputs(&self, _: Preset<'_>, inputs: &Inputs<'_>) -> Vec<(String, Problem)> {
        inputs.pictures_beyond(MAX_PICTURES)
    }

    fn takes_mask(&self, media_type: MediaType) -> bool {
        media_type == MediaType::Image && self.takes_pictures(media_type)
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        if task.media_type == MediaType::Video {
            return self.videos()?.submit(task).await;
        }
        let made = async {
            match task.media_type {
                MediaType::Image => self.draw(task).await,
                MediaType::Audio => self.speak(task).await,
                MediaType::Video => Err(ProviderError::Failed("no video".to_owned())),
            }
        };
        // The connection breaks with the call, but the service may have done the work.
        tokio::select! {
            made = made => made.map(Submitted::Done),
            () = task.cancelled.cancelled() => Err(match self.config.repeatable {
                true => ProviderError::Stopped,
                false => ProviderError::OutcomeUnknown("the call was broken off".to_owned()),
            }),
        }
    }
}

fn file(content: Content, metadata: JsonMap) -> OutputFile {
    OutputFile {
        content,
        seed: None,
        metadata,
    }
}
