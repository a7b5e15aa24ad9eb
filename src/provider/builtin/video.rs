//! Videos: a composed scene that moves.

use bytes::Bytes;
use codec::{CodecError, Format, picture, video};
use image::{DynamicImage, RgbImage};
use studio::animation::Animation;

use crate::domain::JsonMap;

use super::super::{Output, ProviderError, Task};
use super::{brief, drawn_by, one_file, report};

/// Share of the work that is drawing the layers; the rest is putting frames together and encoding them.
const DRAWN: f32 = 0.1;
/// Most pictures that are shown of the work.
const PREVIEWS: u32 = 10;
/// In pixels, of the longest side: those who wait see a tiny picture of it.
const PREVIEW_SIDE: u32 = 128;
const DEFAULT_SECONDS: u32 = 6;
const MOST_SECONDS: u32 = 120;
const DEFAULT_FRAME_RATE: u32 = 30;
/// A GIF's delays are whole hundredths of a second, and its size grows with every frame.
const MOST_GIF_FRAME_RATE: u32 = 20;

/// Makes the video that a task asks for: MP4 unless its format is another, 6 seconds and 30 frames a second unless it says
/// otherwise. The sides of an MP4 are made even, as H.264 needs them.
pub(super) fn make(task: &Task) -> Result<Output, ProviderError> {
    let input = &task.input;
    let format = match input.format.as_deref() {
        None => Format::Mp4,
        Some(name) => name
            .parse()
            .map_err(|()| ProviderError::InvalidInput(format!("no video format: {name}")))?,
    };
    let seconds = input.duration_seconds.unwrap_or(DEFAULT_SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(ProviderError::InvalidInput(format!(
            "A video lasts 1 to {MOST_SECONDS} seconds, not {seconds}."
        )));
    }
    let mut brief = brief(input);
    let mut rate = input.frame_rate.unwrap_or(DEFAULT_FRAME_RATE);
    match format {
        Format::Mp4 => {
            brief.width = brief.width.next_multiple_of(2);
            brief.height = brief.height.next_multiple_of(2);
        }
        _ => rate = rate.min(MOST_GIF_FRAME_RATE),
    }
    // Before anything is drawn: what the format does not take is the input's fault.
    let mut writer = video::writer(format, (brief.width, brief.height), rate)
        .map_err(|error| ProviderError::InvalidInput(error.to_string()))?;
    let mut animation = Animation::new(&brief, seconds as f32, &mut |share| {
        report(task, share * DRAWN, "drawing", None)
    })?;
    let frames = seconds * rate;
    let between_previews = frames.div_ceil(PREVIEWS);
    for number in 0..frames {
        let frame = animation.frame(number as f32 / rate as f32);
        let share = DRAWN + (1.0 - DRAWN) * number as f32 / frames as f32;
        let is_shown = number % between_previews == 0;
        if !report(
            task,
            share,
            "animating",
            is_shown.then(|| preview(frame)).flatten(),
        ) {
            return Err(ProviderError::Stopped);
        }
        writer.push(frame)?;
    }
    let content = writer.finish()?;
    let metadata = told(&input.prompt, frames, rate);
    Ok(one_file(content, input.seed, metadata))
}

/// A small picture of a frame; `None` should it be refused, since the video is what counts.
fn preview(frame: &RgbImage) -> Option<Bytes> {
    let small = picture::shrink(&DynamicImage::ImageRgb8(frame.clone()), PREVIEW_SIDE);
    picture::encode(&small, Format::Png).ok()
}

/// What is told of the work.
fn told(prompt: &str, frames: u32, rate: u32) -> JsonMap {
    let mut metadata = drawn_by("atelier-motion-1", prompt);
    metadata.insert("frames".to_owned(), frames.into());
    metadata.insert("fps".to_owned(), rate.into());
    metadata
}

impl From<CodecError> for ProviderError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Stopped => Self::Stopped,
            _ => Self::Failed(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
