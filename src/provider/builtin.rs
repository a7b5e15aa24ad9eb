//! The provider that comes with the program: it draws pictures, with one of the user's own in them, animates them and composes
//! music itself, and needs no other service.

mod shown;
mod sound;
mod video;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use codec::{Format, picture};
use studio::drawing::{self, Brief, DrawError};
use studio::{animation, music};
use tokio::task;

use crate::domain::{Flaw, JobInput, JsonMap, MediaType, Problem};

use super::{
    Content, Output, OutputFile, Place, Preset, Progress, Provider, ProviderError, Submitted, Task,
    Unfit,
};

use shown::Shown;
use video::soundtrack::{self, Soundtracks};

pub use video::Length;

/// Share of the work that is drawing; the rest is encoding the file.
const DRAWN: f32 = 0.85;
/// Texts of a picture's style that a template may offer in its form, as variables of the same name.
const FILLED_BY_VARIABLES: [&str; 3] = ["badge", "footer", "kicker"];

/// Inputs that are for others.
const UNREAD: [&str; 5] = [
    "cfg_scale",
    "extra",
    "lora_weights",
    "negative_prompt",
    "product_url",
];

/// Draws banners, posters and quote cards, makes videos of them, and composes music.
pub struct Builtin {
    soundtracks: Soundtracks,
}

#[async_trait]
impl Provider for Builtin {
    fn name(&self) -> &str {
        "builtin"
    }

    fn makes(&self, _: MediaType) -> bool {
        true
    }

    fn may_resubmit(&self) -> bool {
        true
    }

    fn check(&self, preset: Preset<'_>, variables: &JsonMap) -> Vec<Unfit> {
        let Preset {
            media_type, style, ..
        } = preset;
        let keys: &[&str] = match media_type {
            MediaType::Image | MediaType::Video => &FILLED_BY_VARIABLES,
            MediaType::Audio => &sound::FILLED_BY_VARIABLES,
        };
        let filled = filled_style(style, variables, keys);
        let unfit = problems(media_type, &filled).into_iter();
        let unfit = unfit.map(|(key, expected)| {
            let place = match filled.get(&key) == style.get(&key) {
                true => Place::Style,
                false => Place::Variable,
            };
            Unfit::setting(&key, expected).of(place)
        });
        unfit.chain(preset.unread_of_feature(&[])).collect()
    }

    fn own_seconds(&self, media_type: MediaType) -> Option<u32> {
        match media_type {
            MediaType::Image => None,
            MediaType::Video => Some(video::DEFAULT_SECONDS),
            MediaType::Audio => Some(sound::DEFAULT_SECONDS),
        }
    }

    fn reads(&self, preset: Preset<'_>, input: &str) -> bool {
        match input {
            "user_media_urls" => self.takes_pictures(preset.media_type),
            input => !UNREAD.contains(&input),
        }
    }

    fn takes_pictures(&self, media_type: MediaType) -> bool {
        media_type != MediaType::Audio
    }

    fn remarks(&self, media_type: MediaType, prompt: &str) -> Vec<Problem> {
        let omitted = match media_type {
            MediaType::Audio => return Vec::new(),
            MediaType::Image | MediaType::Video => drawing::omitted(prompt),
        };
        let mut remarks = Vec::new();
        if !omitted.is_empty() {
            let problem = match drawing::shows(prompt) {
                true => Flaw::CharactersOmitted.says("has characters that cannot be shown"),
                false => Flaw::NothingToShow.says("has no character that can be shown"),
            };
            remarks.push(problem.found(omitted));
        }
        if drawing::shortens(prompt) {
            remarks.push(Flaw::Shortened.says("has more words than are shown"));
        }
        remarks
    }

    async fn submit(&self, task: &Task) -> Result<Submitted, ProviderError> {
        let made = match task.media_type {
            MediaType::Video => self.film(task, video::length(task)?).await,
            MediaType::Audio => aside(task, sound::make).await,
            MediaType::Image => {
                let shown = Shown::of(task).await?;
                aside(task, move |task| make(task, &shown)).await
            }
        };
        made.map(Submitted::Done)
    }
}

impl Default for Builtin {
    /// With clips that have music where FFmpeg is installed, and no voice.
    fn default() -> Self {
        Self::new(Duration::from_mins(1), None, None)
    }
}

impl Builtin {
    /// The provider. FFmpeg may take `time` for the sound of a clip, which `voice` speaks where it is to be speech;
    /// `supervisor` is that of [`Exec::new`](super::exec::Exec::new).
    pub fn new(
        time: Duration,
        supervisor: Option<PathBuf>,
        voice: Option<Arc<dyn Provider>>,
    ) -> Self {
        let soundtracks = Soundtracks {
            time,
            supervisor,
            voice,
        };
        Self { soundtracks }
    }

    /// A video of exactly this length, whatever the task says of its own.
    ///
    /// # Errors
    /// As those of [`Provider::submit`].
    pub async fn film(&self, task: &Task, length: Length) -> Result<Output, ProviderError> {
        let shown = Shown::of(task).await?;
        let clip = aside(task, move |task| video::film(task, length, &shown)).await?;
        let seconds = length.frames as f32 / length.frame_rate as f32;
        self.soundtracks.add(task, clip, seconds).await
    }
}

/// Works where nothing waits for the thread.
async fn aside<T: Send + 'static>(
    task: &Task,
    work: impl FnOnce(&Task) -> Result<T, ProviderError> + Send + 'static,
) -> Result<T, ProviderError> {
    let task = task.clone();
    let made = task::spawn_blocking(move || work(&task)).await;
    made.map_err(|error| ProviderError::Failed(error.to_string()))?
}

fn make(task: &Task, shown: &Shown) -> Result<Output, ProviderError> {
    let report = |fraction: f32, message: &str| report(task, fraction, message, None);
    let drawn = drawing::draw(&brief(&task.input, shown), &mut |share| {
        report(share * DRAWN, "drawing")
    })?;
    if !report(DRAWN, "encoding") {
        return Err(ProviderError::Stopped);
    }
    let format = task
        .input
        .format
        .as_deref()
        .and_then(|name| name.parse().ok())
        .unwrap_or(Format::Png);
    let bytes = picture::encode(&drawn, format)
        .map_err(|error| ProviderError::Failed(error.to_string()))?;
    let metadata = drawn_by("atelier-poster-1", &task.input.prompt);
    Ok(one_file(bytes, task.input.seed, metadata))
}

/// What all makers here deliver.
fn one_file(bytes: Bytes, seed: u32, metadata: JsonMap) -> Output {
    Output {
        files: vec![OutputFile {
            content: Content::Memory(bytes),
            seed: Some(seed),
            metadata: JsonMap::new(),
        }],
        metadata,
        answer: String::new(),
    }
}

/// What is told of a picture or video: its model, and what of the prompt is not on it.
fn drawn_by(model: &str, prompt: &str) -> JsonMap {
    let mut metadata = JsonMap::from_iter([("model".to_owned(), model.into())]);
    let omitted = drawing::omitted(prompt);
    if !omitted.is_empty() {
        metadata.insert("omitted_characters".to_owned(), omitted.into());
    }
    metadata
}

/// Tells how far a task is; false when it must stop.
fn report(task: &Task, fraction: f32, message: &str, preview: Option<Bytes>) -> bool {
    task.progress.send(Progress {
        fraction: (f64::from(fraction) * 100.0).round() / 100.0,
        message: message.to_owned(),
        preview,
    });
    !task.cancelled.is_cancelled()
}

/// What to draw for a job.
fn brief(input: &JobInput, shown: &Shown) -> Brief {
    Brief {
        prompt: input.prompt.clone(),
        seed: u64::from(input.seed),
        width: input.width,
        height: input.height,
        style: filled_style(&input.style, &input.variables, &FILLED_BY_VARIABLES),
        picture: shown.picture(),
    }
}

/// The template's style, with those of its keys that variables of the same name fill.
fn filled_style(style: &JsonMap, variables: &JsonMap, keys: &[&str]) -> JsonMap {
    let mut style = style.clone();
    for (name, value) in variables {
        let empty = value.as_str().is_some_and(str::is_empty);
        if keys.contains(&name.as_str()) && !empty {
            style.insert(name.clone(), value.clone());
        }
    }
    style
}

/// The wrong keys of a style, each with what is expected.
fn problems(media_type: MediaType, style: &JsonMap) -> Vec<(String, String)> {
    let checked = match media_type {
        MediaType::Image => vec![drawing::check_style(style)],
        MediaType::Video => vec![
            drawing::check_style(style),
            animation::check_style(style),
            soundtrack::check(style),
        ],
        MediaType::Audio => vec![music::check_style(style)],
    };
    checked
        .into_iter()
        .filter_map(Result::err)
        .flatten()
        .collect()
}

impl From<DrawError> for ProviderError {
    fn from(error: DrawError) -> Self {
        match error {
            DrawError::Stopped => Self::Stopped,
            DrawError::Invalid { .. } => Self::InvalidInput(error.to_string()),
            DrawError::Internal(_) => Self::Failed(error.to_string()),
        }
    }
}
