//! What a stand-in works on: waiting when it is asked for first, at work then, done at the third time.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::studio::{Order, make};
use crate::{domain::MediaType, provider::ProviderError};

/// At which look it is done.
const LOOKS: u32 = 3;

/// All of it, by id.
#[derive(Default)]
pub(super) struct Works(Mutex<BTreeMap<String, Work>>);

/// One piece of work.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) input: Value,
    /// How often it was asked for.
    looks: u32,
    pub(super) cancelled: CancellationToken,
    /// What was made of it, once it is done.
    pub(super) made: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Running,
    Done,
    Cancelled,
}

impl Works {
    /// Takes it on, as what is to be worked on next.
    pub(super) fn add(&self, id: Option<String>, model: &str, input: Value) -> Work {
        let work = Work {
            id: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            model: model.to_owned(),
            input,
            looks: 0,
            cancelled: CancellationToken::new(),
            made: None,
        };
        self.all().insert(work.id.clone(), work.clone());
        work
    }

    /// The work as it is.
    pub(super) fn get(&self, id: &str) -> Option<Work> {
        self.all().get(id).cloned()
    }

    /// The same, which goes on for that.
    pub(super) fn look(&self, id: &str) -> Option<Work> {
        let mut all = self.all();
        let work = all.get_mut(id)?;
        work.looks += 1;
        Some(work.clone())
    }

    /// The same, which is done now, unless it was stopped.
    pub(super) fn finish(&self, id: &str) -> Option<Work> {
        let mut all = self.all();
        let work = all.get_mut(id)?;
        work.looks = LOOKS;
        Some(work.clone())
    }

    /// Notes what was made of it.
    pub(super) fn made(&self, id: &str, file: usize) {
        if let Some(work) = self.all().get_mut(id) {
            work.made = Some(file);
        }
    }

    /// Forgets it.
    pub(super) fn remove(&self, id: &str) -> Option<Work> {
        self.all().remove(id)
    }

    /// Whether something is being worked on.
    pub(super) fn is_busy(&self) -> bool {
        self.all()
            .values()
            .any(|work| work.made.is_none() && work.state() != State::Cancelled)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    pub(super) fn state(&self) -> State {
        match self.looks {
            _ if self.cancelled.is_cancelled() => State::Cancelled,
            0 | 1 => State::Waiting,
            2 => State::Running,
            LOOKS.. => State::Done,
        }
    }

    /// By the model's name, as there is no other sign.
    pub(super) fn media_type(&self) -> MediaType {
        let says = |words: &[&str]| words.iter().any(|word| self.model.contains(word));
        if says(&["video", "seedance"]) {
            MediaType::Video
        } else if says(&["audio", "music", "speech"]) {
            MediaType::Audio
        } else {
            MediaType::Image
        }
    }

    pub(super) fn prompt(&self) -> Option<&str> {
        let text = |key: &str| self.input[key].as_str().filter(|text| !text.is_empty());
        text("prompt").or_else(|| text("text"))
    }

    pub(super) fn seed(&self) -> u32 {
        let seed = self.input["seed"].as_u64();
        seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(1)
    }

    pub(super) fn side(&self, name: &str) -> u32 {
        self.side_of(self.media_type(), name)
    }

    fn side_of(&self, media_type: MediaType, name: &str) -> u32 {
        let given = [&self.input["image_size"][name], &self.input[name]];
        let given = given.into_iter().find_map(Value::as_u64).unwrap_or(512);
        // A clip is small, for it is drawn on a machine of tests.
        let most = if media_type == MediaType::Video {
            128
        } else {
            2_048
        };
        u32::try_from(given).unwrap_or(most).clamp(64, most)
    }

    /// Makes the file.
    pub(super) async fn file(&self) -> Result<Bytes, ProviderError> {
        self.file_of(self.media_type()).await
    }

    /// Makes a clip, whatever the model's name says.
    pub(super) async fn clip(&self) -> Result<Bytes, ProviderError> {
        self.file_of(MediaType::Video).await
    }

    async fn file_of(&self, media_type: MediaType) -> Result<Bytes, ProviderError> {
        let format = match media_type {
            MediaType::Image => self.input["output_format"].as_str().unwrap_or("png"),
            MediaType::Video => "mp4",
            MediaType::Audio => "wav",
        };
        make(&Order {
            media_type,
            prompt: self.prompt().unwrap_or_default(),
            width: self.side_of(media_type, "width"),
            height: self.side_of(media_type, "height"),
            format,
            seed: self.seed(),
        })
        .await
    }
}
