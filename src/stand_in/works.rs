//! What a stand-in works on: waiting when it is asked for first, at work then, done at the third time.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::studio::{Order, film, make};
use crate::{
    domain::{AspectRatio, MediaType},
    provider::{ProviderError, builtin::Length},
};

/// At which look it is done.
const LOOKS: u32 = 3;

/// In pixels, of a picture.
const MOST_SIDE: u32 = 2_048;
const MOST_SIDE_OF_CLIP: u32 = 1_920;

/// Of a clip that nobody gives a length.
const SECONDS: u32 = 2;
const MOST_SECONDS: u32 = 12;
const FRAME_RATE: u32 = 24;

/// Most pixels of all the frames of a clip, so that nobody waits for long: a larger one has fewer frames a second.
const MOST_PIXELS: u64 = 1_920 * 1_080 * 12;

/// All of it, by id.
#[derive(Default)]
pub(super) struct Works(Mutex<BTreeMap<String, Work>>);

/// One piece of work.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) id: String,
    /// How many were taken on before.
    number: usize,
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
        let mut all = self.all();
        let work = Work {
            number: all.values().map(|work| work.number + 1).max().unwrap_or(0),
            id: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            model: model.to_owned(),
            input,
            looks: 0,
            cancelled: CancellationToken::new(),
            made: None,
        };
        all.insert(work.id.clone(), work.clone());
        work
    }

    /// The work as it is.
    pub(super) fn get(&self, id: &str) -> Option<Work> {
        self.all().get(id).cloned()
    }

    /// The latest, the newest first.
    pub(super) fn latest(&self, count: usize) -> Vec<Work> {
        let mut works: Vec<_> = self.all().values().cloned().collect();
        works.sort_by_key(|work| Reverse(work.number));
        works.truncate(count);
        works
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

    /// Width and height of what is made.
    pub(super) fn size(&self, media_type: MediaType) -> (u32, u32) {
        let side =
            |name: &str| number(&self.input["image_size"][name]).or(number(&self.input[name]));
        match (side("width"), side("height"), media_type) {
            (None, None, MediaType::Video) => self.size_of_clip(),
            // As H.264 needs them.
            (width, height, MediaType::Video) => {
                let even =
                    |side: Option<u32>| side.unwrap_or(512).clamp(64, MOST_SIDE_OF_CLIP) / 2 * 2;
                (even(width), even(height))
            }
            (width, height, _) => {
                let bounded = |side: Option<u32>| side.unwrap_or(512).clamp(64, MOST_SIDE);
                (bounded(width), bounded(height))
            }
        }
    }

    /// By the words of those who take no sides.
    fn size_of_clip(&self) -> (u32, u32) {
        let short = match self.input["resolution"].as_str() {
            Some("1080p") => 1_080,
            Some("480p") => 480,
            _ => 720,
        };
        let ratio = self.input["aspect_ratio"].as_str().unwrap_or_default();
        let ratio: Option<AspectRatio> = ratio.parse().ok().or("16:9".parse().ok());
        let (width, height) = ratio.map_or((1_280, short), |ratio| ratio.size(short));
        (width.min(MOST_SIDE_OF_CLIP), height.min(MOST_SIDE_OF_CLIP))
    }

    pub(super) fn seconds(&self) -> u32 {
        let asked = [&self.input["seconds"], &self.input["duration"]];
        let asked = asked.into_iter().find_map(whole);
        asked.unwrap_or(SECONDS).clamp(1, MOST_SECONDS)
    }

    /// How long a clip is: as many seconds as were asked for, and as many frames a second as can be drawn soon enough.
    fn length(&self, (width, height): (u32, u32)) -> Length {
        let seconds = self.seconds();
        let affordable = MOST_PIXELS / (u64::from(width) * u64::from(height) * u64::from(seconds));
        let asked = number(&self.input["fps"]).unwrap_or(FRAME_RATE);
        let frame_rate = u32::try_from(affordable).unwrap_or(asked).min(asked);
        let frame_rate = frame_rate.clamp(1, 60);
        Length {
            frames: seconds * frame_rate,
            frame_rate,
        }
    }

    /// Makes the file.
    pub(super) async fn file(&self) -> Result<Bytes, ProviderError> {
        self.file_of(self.media_type()).await
    }

    /// Makes a clip, whatever the model's name says.
    pub(super) async fn clip(&self) -> Result<Bytes, ProviderError> {
        self.file_of(MediaType::Video).await
    }

    /// A picture of the clip.
    pub(super) async fn still(&self, format: &str) -> Result<Bytes, ProviderError> {
        let size = self.size(MediaType::Video);
        make(&self.order(MediaType::Image, size, format)).await
    }

    async fn file_of(&self, media_type: MediaType) -> Result<Bytes, ProviderError> {
        let size = self.size(media_type);
        let order = |format| self.order(media_type, size, format);
        match media_type {
            MediaType::Image => {
                let format = self.input["output_format"].as_str();
                make(&order(format.unwrap_or("png"))).await
            }
            MediaType::Video => film(&order("mp4"), self.length(size)).await,
            MediaType::Audio => make(&order("wav")).await,
        }
    }

    fn order<'a>(
        &'a self,
        media_type: MediaType,
        (width, height): (u32, u32),
        format: &'a str,
    ) -> Order<'a> {
        Order {
            media_type,
            prompt: self.prompt().unwrap_or_default(),
            width,
            height,
            format,
            seed: self.seed(),
        }
    }
}

fn number(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// A number that some write as a text, such as `"5s"`.
fn whole(value: &Value) -> Option<u32> {
    let text = value.as_str().map(|text| text.trim_end_matches('s'));
    number(value).or_else(|| text?.parse().ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_clip_is_as_large_and_as_long_as_it_is_asked_for_and_has_as_many_frames_as_can_be_drawn() {
        let works = Works::default();
        for (input, size, length) in [
            (json!({}), (1_280, 720), (26, 13)),
            (
                json!({ "image_size": { "width": 1_920, "height": 1_080 }, "seconds": "4" }),
                (1_920, 1_080),
                (12, 3),
            ),
            (
                json!({ "width": 9_000, "height": 101, "duration": 60 }),
                (1_920, 100),
                (120, 10),
            ),
            (
                json!({ "resolution": "480p", "aspect_ratio": "9:16", "duration": "5s" }),
                (480, 854),
                (60, 12),
            ),
            (
                json!({ "width": 64, "height": 64, "fps": 30 }),
                (64, 64),
                (60, 30),
            ),
            (
                json!({ "width": 64, "height": 64, "fps": 0, "duration": 0 }),
                (64, 64),
                (1, 1),
            ),
        ] {
            let work = works.add(None, "video", input.clone());
            assert_eq!(work.size(MediaType::Video), size, "{input}");
            let (frames, frame_rate) = length;
            let expected = Length { frames, frame_rate };
            assert_eq!(work.length(size), expected, "{input}");
        }
    }
}
