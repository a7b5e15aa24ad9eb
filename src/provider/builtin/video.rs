//! Videos: a composed scene that moves, with the sound that its style asks for.

pub(super) mod soundtrack;

use std::borrow::Cow;

use bytes::Bytes;
use codec::{CodecError, Format, picture, video};
use image::RgbImage;
use studio::animation::Animation;

use crate::domain::JsonMap;

use super::super::{Output, ProviderError, Task};
use super::{Shown, brief, drawn_by, one_file, report};

/// Share of the work that is drawing the layers; then frames are put together and encoded, and the rest is the sound where there
/// is one.
const DRAWN: f32 = 0.1;
const ANIMATED_BEFORE_SOUND: f32 = 0.95;
/// Most pictures that are shown of the work.
const PREVIEWS: u32 = 10;
/// In pixels, of the longest side: those who wait see a tiny picture of it.
const PREVIEW_SIDE: u32 = 128;
pub(super) const DEFAULT_SECONDS: u32 = 6;
const MOST_SECONDS: u32 = 120;
const DEFAULT_FRAME_RATE: u32 = 30;
/// A GIF's delays are whole hundredths of a second, and its size grows with every frame.
const MOST_GIF_FRAME_RATE: u32 = 20;

/// How long a video is: so many frames, of which this many are shown in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// All of them.
    pub frames: u32,
    /// 1 to 120.
    pub frame_rate: u32,
}

/// How long the video is that a task asks for: 6 seconds and 30 frames a second unless it says otherwise.
pub(super) fn length(task: &Task) -> Result<Length, ProviderError> {
    let input = &task.input;
    let seconds = input.duration_seconds.unwrap_or(DEFAULT_SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        return Err(ProviderError::InvalidInput(format!(
            "A video lasts 1 to {MOST_SECONDS} seconds, not {seconds}."
        )));
    }
    let format = format(task)?;
    let mut frame_rate = input.frame_rate.unwrap_or(DEFAULT_FRAME_RATE);
    if format != Format::Mp4 {
        frame_rate = frame_rate.min(MOST_GIF_FRAME_RATE);
    }
    let frames = seconds * frame_rate;
    Ok(Length { frames, frame_rate })
}

fn format(task: &Task) -> Result<Format, ProviderError> {
    let Some(name) = task.input.format.as_deref() else {
        return Ok(Format::Mp4);
    };
    name.parse()
        .map_err(|()| ProviderError::InvalidInput(format!("no video format: {name}")))
}

/// Makes the video that a task asks for, of this length and silent: MP4 unless its format is another, whose sides are made even, as
/// H.264 needs them.
pub(super) fn film(task: &Task, length: Length, shown: &Shown) -> Result<Output, ProviderError> {
    let (input, format) = (&task.input, format(task)?);
    let Length { frames, frame_rate } = length;
    let mut brief = brief(input, shown);
    if format == Format::Mp4 {
        brief.width = brief.width.next_multiple_of(2);
        brief.height = brief.height.next_multiple_of(2);
    }
    // Before anything is drawn: what the format does not take is the input's fault.
    let mut writer = video::writer(format, (brief.width, brief.height), frame_rate)
        .map_err(|error| ProviderError::InvalidInput(error.to_string()))?;
    let rate = frame_rate as f32;
    let mut animation = Animation::new(&brief, frames as f32 / rate, &mut |share| {
        report(task, share * DRAWN, "drawing", None)
    })?;
    let animated = match soundtrack::style_of(&input.style) {
        Some(_) => ANIMATED_BEFORE_SOUND,
        None => 1.0,
    };
    let between_previews = frames.div_ceil(PREVIEWS).max(1);
    for number in 0..frames {
        let frame = animation.frame(number as f32 / rate);
        let share = DRAWN + (animated - DRAWN) * number as f32 / frames as f32;
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
    let metadata = told(&input.prompt, frames, frame_rate);
    Ok(one_file(writer.finish()?, input.seed, metadata))
}

/// A small picture of a frame; `None` should it be refused, since the video is what counts.
fn preview(frame: &RgbImage) -> Option<Bytes> {
    let small = picture::shrink(Cow::Borrowed(frame), PREVIEW_SIDE);
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
